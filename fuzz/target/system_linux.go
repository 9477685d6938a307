package target

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// stampSpace is room for the control message that holds a time.
const stampSpace = 64

// askStamps has the kernel note when each datagram came: how late this process
// reads it is then no matter.
func askStamps(u *net.UDPConn) {
	raw, err := u.SyscallConn()
	if err != nil {
		return
	}
	raw.Control(func(fd uintptr) { unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_TIMESTAMPNS, 1) })
}

// stamp is the kernel's time in a control message, or now.
func stamp(oob []byte) time.Time {
	messages, err := unix.ParseSocketControlMessage(oob)
	if err == nil {
		for _, m := range messages {
			if m.Header.Type == unix.SO_TIMESTAMPNS && len(m.Data) >= int(unsafe.Sizeof(unix.Timespec{})) {
				return time.Unix((*unix.Timespec)(unsafe.Pointer(&m.Data[0])).Unix())
			}
		}
	}
	return time.Now().Round(0)
}

// What becomes of a child that is stopped or goes on (waitid(2), si_code).
const (
	childStopped   = 5
	childContinued = 6
)

// stops are the processes that may be stopped. The kernel tells their parent by SIGCHLD,
// which is listened to while there are any.
var stops = stopWatch{all: map[*Process]bool{}}

type stopWatch struct {
	mu   sync.Mutex
	all  map[*Process]bool
	tell chan os.Signal
}

// watchStops has a process know for how long it was stopped, until it has ended.
func watchStops(p *Process) {
	w := &stops
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.all[p] = true; len(w.all) == 1 {
		tell := make(chan os.Signal, 1)
		signal.Notify(tell, syscall.SIGCHLD)
		w.tell = tell
		go func() {
			for range tell {
				w.look()
			}
		}()
	}
	go func() {
		<-p.done
		w.mu.Lock()
		defer w.mu.Unlock()
		if delete(w.all, p); len(w.all) == 0 {
			signal.Stop(w.tell) // after which nothing is sent
			close(w.tell)
		}
	}()
}

func (w *stopWatch) look() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for p := range w.all {
		var info unix.Siginfo
		if unix.Waitid(unix.P_PID, p.Pid(), &info, unix.WSTOPPED|unix.WCONTINUED|unix.WNOHANG, nil) != nil {
			continue // it has just ended
		}
		switch info.Code {
		case childStopped:
			p.stopped(time.Now())
		case childContinued:
			p.continued(time.Now())
		}
	}
}

// suspended is how long the machine has been suspended since it started: CLOCK_BOOTTIME
// goes on meanwhile, CLOCK_MONOTONIC does not (clock_gettime(2)).
func suspended() time.Duration {
	var boot, monotonic unix.Timespec
	if unix.ClockGettime(unix.CLOCK_MONOTONIC, &monotonic) != nil || unix.ClockGettime(unix.CLOCK_BOOTTIME, &boot) != nil {
		return 0
	}
	return time.Duration(boot.Nano() - monotonic.Nano())
}

// StartTied starts a command that the kernel kills when this process ends,
// however it does; what the command has started itself is not.
func StartTied(cmd *exec.Cmd) error {
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = new(syscall.SysProcAttr)
	}
	cmd.SysProcAttr.Pdeathsig = syscall.SIGKILL
	started := make(chan error)
	starters() <- func() { started <- cmd.Start() }
	return <-started
}

// starters is the way to a thread that lives as long as the process: the kernel
// sends the signal at the end of the thread that has started the command (prctl(2),
// PR_SET_PDEATHSIG).
var starters = sync.OnceValue(func() chan<- func() {
	start := make(chan func())
	go startTied(start)
	return start
})

func startTied(start <-chan func()) {
	runtime.LockOSThread()
	for f := range start {
		f()
	}
}

// CPUOf is the CPU time of a process, all of its threads, by its own clock
// (clock_getcpuclockid(3)), which counts in ns where /proc/PID/stat has ticks
// of 10 ms; 0: it is gone.
func CPUOf(pid int) time.Duration {
	const sched = 2 // CPUCLOCK_SCHED
	var t unix.Timespec
	if unix.ClockGettime(int32(^pid<<3|sched), &t) != nil {
		return 0
	}
	return time.Duration(t.Nano())
}

// What follows is in bytes, of the memory that a process takes up, without the pages of its program's
// file and libraries: these the system has once for all processes, maps many of where one is
// touched, and takes back at will.

// MemoryOf is the memory of a process.
func MemoryOf(pid int) int64 { return sum(pid, "status", "RssAnon:", "RssShmem:") }

// PeakOf is the most that it has been, since the process's start or since that was reset (proc(5),
// clear_refs). The kernel knows the most with the files' pages, which as a rule only become more: it
// is not overestimated.
func PeakOf(pid int) int64 { return sum(pid, "status", "VmHWM:") - sum(pid, "status", "RssFile:") }

// ShareOf is a process's share: a page that three processes have in common counts a third
// in each.
func ShareOf(pid int) int64 { return sum(pid, "smaps_rollup", "Pss_Anon:", "Pss_Shmem:") }

// sum adds up fields of a file of proc(5) that are in kB.
func sum(pid int, file string, labels ...string) (bytes int64) {
	text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/%s", pid, file)) // none: it is gone
	for _, label := range labels {
		bytes += 1024 * field(string(text), label)
	}
	return bytes
}

// GroupOf are the processes of a process group.
func GroupOf(leader int) (pids []int) {
	entries, _ := os.ReadDir("/proc")
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		if group, err := unix.Getpgid(pid); err == nil && group == leader {
			pids = append(pids, pid)
		}
	}
	return pids
}

// field is the number after a label at a line's start.
func field(text, label string) int64 {
	for line := range strings.Lines(text) {
		if rest, ok := strings.CutPrefix(line, label); ok {
			if f := strings.Fields(rest); len(f) > 0 {
				n, _ := strconv.ParseInt(f[0], 10, 64)
				return n
			}
		}
	}
	return 0
}
