//go:build !portable

package udp

import (
	"os"
	"slices"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// A clock rings alarms when their times have come. Go's own timers are up to a
// millisecond late, because its poller waits in whole ones; a timerfd that it watches is
// not. One clock serves all sockets of a process: one of its own would cost each of
// them a descriptor, a goroutine, and a system call for each deadline.
type clock struct {
	mu     sync.Mutex
	alarms []*alarm  // so few that a look at all costs less than a heap
	armed  time.Time // what the timerfd is set to; zero: nothing
	fd     int
}

// An alarm is one that is asked for. Its owner's deadline is in the past while it rings.
type alarm struct {
	at   time.Time // zero: not at all
	ring func(time.Time) error
	rung bool
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
	c := &clock{fd: fd}
	go func() {
		raw.Read(c.ringDue) // for as long as the process lives
		file.Close()        // keeps it from being collected until then
	}()
	return c
}

// add makes an alarm known, remove forgets it.
func (c *clock) add(a *alarm) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.alarms = append(c.alarms, a)
}

func (c *clock) remove(a *alarm) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.alarms = slices.DeleteFunc(c.alarms, func(x *alarm) bool { return x == a })
}

// set has an alarm ring at a time and not before, at once if that is spent, or with the
// zero Time not at all.
func (c *clock) set(a *alarm, at time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case at == spent:
		a.at, a.rung = time.Time{}, true
		a.ring(spent)
		return
	case a.rung:
		a.rung = false
		a.ring(time.Time{})
	}
	a.at = at
	c.arm(at)
}

// ringDue rings what is due. It is called when the timerfd has expired: each expiry is
// an edge to the poller, so there is no need to read it.
func (c *clock) ringDue(uintptr) (done bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	var first time.Time
	now := time.Now()
	for _, a := range c.alarms {
		switch {
		case a.at.IsZero():
		case !now.Before(a.at):
			a.at, a.rung = time.Time{}, true
			a.ring(spent)
		case first.IsZero() || a.at.Before(first):
			first = a.at
		}
	}
	c.armed = time.Time{}
	c.arm(first)
	return false
}

// arm has the timerfd expire at a time, if there is one, unless it does so before.
func (c *clock) arm(at time.Time) {
	if !at.IsZero() && (c.armed.IsZero() || at.Before(c.armed)) {
		c.armed = at
		in := unix.NsecToTimespec(max(int64(time.Until(at)), 1))
		unix.TimerfdSettime(c.fd, 0, &unix.ItimerSpec{Value: in}, nil)
	}
}
