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
	Memory      int64         `json:"memory"` // resident set in bytes
	Descriptors int           `json:"descriptors"`
	CPU         time.Duration `json:"cpu_ns"`
}

// Usage is what the process takes of the machine now.
func (p *Process) Usage() Usage {
	open, _ := os.ReadDir(fmt.Sprintf("/proc/%d/fd", p.Pid())) // proc(5)
	return Usage{ResidentOf(p.Pid()), len(open), CPUOf(p.Pid())}
}

// thread is one of a process's: what the kernel had accounted of it, and since
// when that has not changed.
type thread struct {
	accounted string
	since     time.Time
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
	threads := map[string]thread{}
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, f := range files {
		accounted, _ := os.ReadFile(f)
		stat, _ := os.ReadFile(strings.TrimSuffix(f, "schedstat") + "stat")
		var ran, ready, slices int64 // ns, ns, how often it ran
		fmt.Sscan(string(accounted), &ran, &ready, &slices)
		runs += slices
		waited += time.Duration(ready)
		t, known := p.threads[f]
		if !known || t.accounted != string(accounted) {
			t = thread{string(accounted), now}
		} else if strings.HasPrefix(string(stat[bytes.LastIndexByte(stat, ')')+1:]), " R") {
			waited += now.Sub(t.since)
		}
		threads[f] = t
	}
	p.threads = threads
	if waited += p.held; !p.still.IsZero() {
		waited += now.Sub(p.still)
	}
	return waited, runs
}
