package fuzz

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// Process is a target that the campaign starts itself.
type Process struct {
	cmd    *exec.Cmd
	output io.Writer
	done   chan struct{}
	mu     sync.Mutex
	tail   []byte // the end of what it said
	said   int64  // bytes of it in all

	threads map[string]thread // as Starved saw them last, by their files
}

const (
	tailSize  = 4096 // bytes of output kept for the finding
	lastLines = 3    // of it that are shown
)

// Start runs a command line, split at blanks.
func Start(command string) (*Process, error) {
	return StartWords(strings.Fields(command), nil, nil)
}

// StartWords runs a command. Its input is empty if it is nil; what it says goes
// to output, too, if that is not nil.
func StartWords(words []string, input *os.File, output io.Writer) (*Process, error) {
	if len(words) == 0 {
		return nil, errors.New("the command is empty")
	}
	p := &Process{cmd: exec.Command(words[0], words[1:]...), output: output, done: make(chan struct{})}
	if input != nil {
		p.cmd.Stdin = input
	}
	p.cmd.Stdout, p.cmd.Stderr = p, p
	p.cmd.WaitDelay = time.Second
	OwnGroup(p.cmd)
	if err := StartTied(p.cmd); err != nil {
		return nil, fmt.Errorf("cannot start %q: %w", strings.Join(words, " "), err)
	}
	go func() { p.cmd.Wait(); close(p.done) }()
	return p, nil
}

// Write takes the target's output.
func (p *Process) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.output != nil {
		p.output.Write(b)
	}
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
		lines := strings.Split(strings.TrimSpace(string(p.tail)), "\n")
		if lines[0] == "" {
			return fmt.Sprintf("%v, without a word", p.cmd.ProcessState), true
		}
		return fmt.Sprintf("%v, having said %.240q", p.cmd.ProcessState, strings.Join(lines[max(0, len(lines)-lastLines):], " / ")), true
	default:
		return "", false
	}
}

// Stop ends it and waits until it is gone.
func (p *Process) Stop() {
	if SignalGroup(p.cmd.Process, syscall.SIGKILL) != nil {
		p.cmd.Process.Kill()
	}
	<-p.done
}

// Interrupt asks it to end, as Ctrl-C does.
func (p *Process) Interrupt() { SignalGroup(p.cmd.Process, syscall.SIGINT) }

// Done is closed when it has ended.
func (p *Process) Done() <-chan struct{} { return p.done }

// Said is how many bytes it has printed.
func (p *Process) Said() int64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.said
}

// Usage is what it takes of the machine now (proc(5)).
func (p *Process) Usage() (u Usage) {
	dir := fmt.Sprintf("/proc/%d/", p.cmd.Process.Pid)
	b, err := os.ReadFile(dir + "statm")
	if fields := strings.Fields(string(b)); err == nil && len(fields) > 1 {
		pages, _ := strconv.ParseInt(fields[1], 10, 64)
		u.Memory = pages * int64(os.Getpagesize())
	}
	open, _ := os.ReadDir(dir + "fd")
	u.Descriptors = len(open)
	b, _ = os.ReadFile(dir + "stat")
	const userTicks, systemTicks, ticks = 11, 12, 100 // after the command's name, which may hold blanks; USER_HZ
	if fields := strings.Fields(string(b[bytes.LastIndexByte(b, ')')+1:])); len(fields) > systemTicks {
		for _, f := range fields[userTicks : systemTicks+1] {
			n, _ := strconv.ParseInt(f, 10, 64)
			u.CPU += time.Duration(n) * time.Second / ticks
		}
	}
	return u
}

// Starved is how long its threads together have been ready to run but had no
// processor; 0 where the system does not tell. The kernel books a wait when it is
// over: a thread that is ready now, and has not run since the last call, is taken to
// have waited since then.
func (p *Process) Starved() time.Duration {
	_, waited := Scheduled(p.cmd.Process.Pid)
	now := time.Now()
	files, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/schedstat", p.cmd.Process.Pid))
	threads := map[string]thread{}
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, f := range files {
		booked, _ := os.ReadFile(f)
		stat, _ := os.ReadFile(strings.TrimSuffix(f, "schedstat") + "stat")
		t, known := p.threads[f]
		if !known || t.booked != string(booked) {
			t = thread{string(booked), now}
		} else if strings.HasPrefix(string(stat[bytes.LastIndexByte(stat, ')')+1:]), " R") {
			waited += now.Sub(t.since)
		}
		threads[f] = t
	}
	p.threads = threads
	return waited
}

// thread is one of a process's: what the kernel had booked of it, and since when
// that has not changed.
type thread struct {
	booked string
	since  time.Time
}

// Scheduled is how long the threads that a process now has have run, and how
// long they have been ready to run but had no processor; 0 where the system does
// not tell (/proc/PID/schedstat in Linux's Documentation/scheduler/sched-stats).
func Scheduled(pid int) (ran, waited time.Duration) {
	files, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/schedstat", pid))
	for _, f := range files {
		b, _ := os.ReadFile(f)
		var r, w int64 // nanoseconds
		fmt.Sscan(string(b), &r, &w)
		ran, waited = ran+time.Duration(r), waited+time.Duration(w)
	}
	return ran, waited
}
