package target

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// Usage is what a process takes of the machine; 0 where the system does not tell.
type Usage struct {
	Memory      int64         `json:"memory"` // bytes, as MemoryOf
	Descriptors int           `json:"descriptors"`
	CPU         time.Duration `json:"cpu_ns"`
}

// Usage is what the process takes of the machine now.
func (p *Process) Usage() Usage {
	open, _ := os.ReadDir(fmt.Sprintf("/proc/%d/fd", p.Pid())) // proc(5)
	return Usage{MemoryOf(p.Pid()), len(open), CPUOf(p.Pid())}
}

// waits are what a process's threads have waited, also those that have ended.
type waits struct {
	threads map[string]thread // as they were seen last, by their files
	ended   time.Duration
	runs    int64 // of those that have ended
}

// thread is one of a process's: what the kernel had accounted of it, and since
// when that has not changed.
type thread struct {
	accounted string
	ready     bool
	since     time.Time
}

// read is how long it has waited so far, and how often it ran.
func (t thread) read() (waited time.Duration, runs int64) {
	var ran, ready int64 // ns
	fmt.Sscan(t.accounted, &ran, &ready, &runs)
	return time.Duration(ready), runs
}

// see takes in what is seen of the threads now, and says what all have waited. Those of a process that is
// ending go one by one, and what they have waited does not go with them.
func (w *waits) see(now time.Time, seen map[string]thread) (waited time.Duration, runs int64) {
	for f, t := range w.threads {
		if _, lives := seen[f]; !lives {
			waited, runs := t.read()
			w.ended, w.runs = w.ended+waited, w.runs+runs
		}
	}
	waited, runs = w.ended, w.runs
	for f, t := range seen {
		ready, n := t.read()
		waited, runs = waited+ready, runs+n
		if t.since = now; w.threads[f].accounted == t.accounted {
			if t.since = w.threads[f].since; t.ready {
				waited += now.Sub(t.since)
			}
		}
		seen[f] = t
	}
	w.threads = seen
	return waited, runs
}

// Waited is how long the process's threads together have been ready to run but
// had no processor, or others than this process had stopped it, and how often they got one (/proc/PID/schedstat in Linux's
// Documentation/scheduler/sched-stats); 0 for no process, and where the system
// does not tell. The kernel accounts a wait when it is over: a thread that is
// ready now, and has not run since the last call, is taken to have waited since then.
func (p *Process) Waited() (waited time.Duration, runs int64) {
	if p == nil {
		return 0, 0
	}
	files, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/schedstat", p.Pid()))
	now := time.Now()
	seen := map[string]thread{}
	for _, f := range files {
		accounted, err := os.ReadFile(f)
		if err != nil {
			continue // it has just ended
		}
		stat, _ := os.ReadFile(strings.TrimSuffix(f, "schedstat") + "stat")
		seen[f] = thread{accounted: string(accounted), ready: strings.HasPrefix(string(stat[bytes.LastIndexByte(stat, ')')+1:]), " R")}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	waited, runs = p.waits.see(now, seen)
	if waited += p.held; !p.still.IsZero() {
		waited += now.Sub(p.still)
	}
	return waited, runs
}
