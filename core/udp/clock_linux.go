//go:build !portable

package udp

import (
	"container/heap"
	"os"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// A clock rings alarms when their times have come. Go's own timers are up to a
// millisecond late, because its poller waits in whole ones; a timerfd that it watches is
// not. One clock serves all sockets of a process: one of its own would cost each of
// them a descriptor, a goroutine, and a system call for each deadline.
type clock struct {
	mu    sync.Mutex
	queue alarms
	armed time.Time // what the timerfd is set to
	fd    int
	raw   syscall.RawConn
}

// An alarm is one that is asked for. Its owner's deadline is in the past while it rings.
type alarm struct {
	at    time.Time
	ring  func(time.Time) error // sets the owner's deadline
	rung  bool
	index int // in the queue, plus one; 0: not there
}

var processClock = sync.OnceValue(newClock)

// newClock gives nil where the system has none to give.
func newClock() *clock {
	fd, err := unix.TimerfdCreate(unix.CLOCK_MONOTONIC, unix.TFD_NONBLOCK|unix.TFD_CLOEXEC)
	if err != nil {
		return nil
	}
	file := os.NewFile(uintptr(fd), "timerfd")
	raw, err := file.SyscallConn()
	if err != nil {
		file.Close()
		return nil
	}
	c := &clock{fd: fd, raw: raw}
	go func() {
		c.raw.Read(c.ringDue) // for as long as the process lives
		file.Close()          // keeps it from being collected until then
	}()
	return c
}

// set has a ring at a time and not before, at once if that is spent, or with the zero
// Time not at all.
func (c *clock) set(a *alarm, at time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := at == spent
	if now {
		a.ring(spent)
	} else if a.rung {
		a.ring(time.Time{})
	}
	a.at, a.rung = at, now
	switch waits := a.index > 0; {
	case at.IsZero() || now:
		if waits {
			heap.Remove(&c.queue, a.index-1)
		}
	case waits:
		heap.Fix(&c.queue, a.index-1)
	default:
		heap.Push(&c.queue, a)
	}
	c.arm()
}

// ringDue rings what is due. It is called when the timerfd has expired: each expiry is
// an edge to the poller, so there is no need to read it.
func (c *clock) ringDue(uintptr) (done bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for now := time.Now(); len(c.queue) > 0 && !now.Before(c.queue[0].at); {
		a := heap.Pop(&c.queue).(*alarm)
		a.rung = true
		a.ring(spent)
	}
	c.armed = time.Time{}
	c.arm()
	return false
}

// arm sets the timerfd to the first alarm, unless it would go off before.
func (c *clock) arm() {
	if len(c.queue) == 0 {
		return
	}
	if first := c.queue[0].at; c.armed.IsZero() || first.Before(c.armed) {
		c.armed = first
		in := unix.NsecToTimespec(max(int64(time.Until(first)), 1))
		unix.TimerfdSettime(c.fd, 0, &unix.ItimerSpec{Value: in}, nil)
	}
}

// alarms is a heap of them, the first to ring first.
type alarms []*alarm

func (q alarms) Len() int           { return len(q) }
func (q alarms) Less(i, j int) bool { return q[i].at.Before(q[j].at) }

func (q alarms) Swap(i, j int) {
	q[i], q[j] = q[j], q[i]
	q[i].index, q[j].index = i+1, j+1
}

func (q *alarms) Push(x any) {
	a := x.(*alarm)
	*q = append(*q, a)
	a.index = len(*q)
}

func (q *alarms) Pop() any {
	last := len(*q) - 1
	a := (*q)[last]
	(*q)[last] = nil
	*q = (*q)[:last]
	a.index = 0
	return a
}
