package target

import (
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

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
