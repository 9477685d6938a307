//go:build !portable

package udp

import (
	"os"
	"slices"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// A clock rings alarms at their times. Go's own timers are up to a millisecond late, because its
// poller waits in whole milliseconds; a timerfd that the poller watches is not. One clock serves
// all sockets of a process: a clock each would take a descriptor, a goroutine and a system call
// for each deadline. The timerfd expires early by what waking up takes, as KVM advances the
// timers of its guests.
type clock struct {
	mu     sync.Mutex
	alarms []*alarm      // so few that a look at all costs less than a heap
	armed  time.Time     // what the timerfd is set for; zero: nothing
	expiry time.Time     // when it expires for that; zero: at once, which says nothing of lead
	lead   time.Duration // nine in ten wake-ups take longer
	fd     int
	due    []*alarm // scratch
}

// An alarm is something to call at a time.
type alarm struct {
	at      time.Time // zero: never
	ring    func()
	tryRing func() bool // is ring, but reports false where it would have to wait
}

var processClock = sync.OnceValues(newClock)

func newClock() (*clock, error) {
	fd, err := unix.TimerfdCreate(unix.CLOCK_MONOTONIC, unix.TFD_NONBLOCK|unix.TFD_CLOEXEC)
	if err != nil {
		return nil, os.NewSyscallError("timerfd_create", err)
	}
	file := os.NewFile(uintptr(fd), "timerfd")
	raw, err := file.SyscallConn()
	if err != nil {
		return nil, err
	}
	c := &clock{fd: fd}
	go func() {
		raw.Read(c.ringDue) // returns only when the process ends
		file.Close()        // keeps it from being collected until then
	}()
	return c, nil
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

// set has an alarm ring once, at a time and not before, or with the zero Time not at all.
func (c *clock) set(a *alarm, at time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	a.at = at
	c.arm(at)
}

// ringDue rings all alarms that are due, or become due meanwhile, when the timerfd has expired.
// Each expiry is an edge to the poller, so that the timerfd need not be read.
func (c *clock) ringDue(uintptr) (done bool) {
	now := time.Now()
	c.learn(now)
	for ; c.takeDue(now); now = time.Now() {
		if len(c.due) >= many {
			wakeAnother()
		}
		for _, a := range c.due {
			if !a.tryRing() {
				go a.ring()
			}
		}
	}
	return false
}

// learn adjusts lead to how long a wake-up took.
func (c *clock) learn(now time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	const step = 200 * time.Nanosecond
	switch {
	case c.expiry.IsZero():
	case now.Sub(c.expiry) > c.lead:
		c.lead = min(c.lead+step, 100*time.Microsecond)
	default:
		c.lead = max(c.lead-9*step, 0)
	}
}

// takeDue collects the alarms that are due. If there are none, it arms the timerfd for the next
// one and reports false; only then do others arm it.
func (c *clock) takeDue(now time.Time) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.due = c.due[:0]
	var next time.Time
	for _, a := range c.alarms {
		switch {
		case a.at.IsZero():
		case !now.Before(a.at):
			a.at = time.Time{}
			c.due = append(c.due, a)
		case next.IsZero() || a.at.Before(next):
			next = a.at
		}
	}
	if len(c.due) > 0 {
		return true
	}
	c.armed, c.expiry = time.Time{}, time.Time{}
	c.arm(next)
	return false
}

// arm makes the timerfd expire for a time, if there is one, unless it expires before.
func (c *clock) arm(at time.Time) {
	if !at.IsZero() && (c.armed.IsZero() || at.Before(c.armed)) {
		c.armed, c.expiry = at, time.Time{}
		now := time.Now()
		wait := at.Sub(now) - c.lead
		if wait > 0 {
			c.expiry = now.Add(wait)
		}
		in := unix.NsecToTimespec(max(int64(wait), 1))
		unix.TimerfdSettime(c.fd, 0, &unix.ItimerSpec{Value: in}, nil)
	}
}
