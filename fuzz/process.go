package fuzz

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Process is a target that the campaign starts itself.
type Process struct {
	cmd  *exec.Cmd
	done chan struct{}
	mu   sync.Mutex
	tail []byte // the end of what it said
	said int64  // bytes of it in all
}

const tailSize = 4096 // bytes of output kept for the finding

// Start runs a command line, split at blanks.
func Start(command string) (*Process, error) {
	words := strings.Fields(command)
	if len(words) == 0 {
		return nil, fmt.Errorf("command %q is empty", command)
	}
	p := &Process{cmd: exec.Command(words[0], words[1:]...), done: make(chan struct{})}
	p.cmd.Stdout, p.cmd.Stderr = p, p
	p.cmd.WaitDelay = time.Second
	if err := p.cmd.Start(); err != nil {
		return nil, fmt.Errorf("cannot start %q: %w", command, err)
	}
	go func() { p.cmd.Wait(); close(p.done) }()
	return p, nil
}

// Write takes the target's output.
func (p *Process) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.said += int64(len(b))
	p.tail = append(p.tail, b...)
	p.tail = p.tail[max(0, len(p.tail)-tailSize):]
	return len(b), nil
}

// Exited says how it ended, if it has.
func (p *Process) Exited() (how string, yes bool) {
	select {
	case <-p.done:
		p.mu.Lock()
		defer p.mu.Unlock()
		last := bytes.TrimSpace(p.tail)
		if i := bytes.IndexByte(last, '\n'); i >= 0 {
			last = last[:i]
		}
		return fmt.Sprintf("%v, having said %.120q", p.cmd.ProcessState, last), true
	default:
		return "", false
	}
}

// Stop ends it and waits until it is gone.
func (p *Process) Stop() {
	p.cmd.Process.Kill()
	<-p.done
}

// Memory is its resident set in bytes, 0 where the system does not tell.
func (p *Process) Memory() int64 {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", p.cmd.Process.Pid))
	if fields := strings.Fields(string(b)); err == nil && len(fields) > 1 {
		pages, _ := strconv.ParseInt(fields[1], 10, 64)
		return pages * int64(os.Getpagesize())
	}
	return 0
}

// Starved is how long its threads together have been ready to run but had no
// processor; 0 where the system does not tell
// (/proc/PID/schedstat in Linux's Documentation/scheduler/sched-stats).
func (p *Process) Starved() (sum time.Duration) {
	files, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/schedstat", p.cmd.Process.Pid))
	for _, f := range files {
		b, _ := os.ReadFile(f)
		if fields := strings.Fields(string(b)); len(fields) == 3 {
			ns, _ := strconv.ParseInt(fields[1], 10, 64)
			sum += time.Duration(ns)
		}
	}
	return sum
}
