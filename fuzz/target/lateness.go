package target

import (
	"fmt"
	"net"
	"net/netip"
	"sync"
	"time"
)

// Monitor measures how late this machine is: a goroutine that should wake at every
// step and gets a datagram back from another goroutine at once. What it
// does not do in time, no target can be blamed for.
type Monitor struct {
	step time.Duration
	stop chan struct{}
	done chan struct{}
	udp  *net.UDPConn

	mu     sync.Mutex
	due    time.Time // of the round under way
	notes  []note
	worst  time.Duration
	still  []Standstill
	awake  time.Time     // since when, at the earliest, nothing of this process has run
	asleep time.Duration // suspended, as of then
}

type note struct {
	at   time.Time
	late time.Duration
}

// Standstill is a time in which nothing of this process ran: it was stopped, its
// container frozen, or the machine suspended or much too busy. What a test says of such
// a time is void.
type Standstill struct {
	From, To  time.Time
	Suspended time.Duration // of the machine, beside what From and To have between them: that clock stood, too
}

// Took is how long the standstill lasted.
func (s Standstill) Took() time.Duration { return s.To.Sub(s.From) + s.Suspended }

const (
	monitorKeep = 2 * time.Minute      // for which notes are kept
	monitorFine = 2 * time.Millisecond // what is not worth a note

	// StandstillLeast is the shortest standstill, half a heartbeat of the protocol's.
	StandstillLeast = 250 * time.Millisecond
)

// NewMonitor starts measuring, once a step: 10 ms where lateness excuses others, more
// where only standstills count, since each step costs three wake-ups. It must be closed.
func NewMonitor(step time.Duration) (*Monitor, error) {
	u, err := Listen(netip.AddrPortFrom(loopback, 0))
	if err != nil {
		return nil, err
	}
	m := &Monitor{step: step, stop: make(chan struct{}), done: make(chan struct{}), udp: u}
	if err := carries(u); err != nil {
		u.Close()
		return nil, err
	}
	m.due, m.asleep = time.Now(), suspended()
	m.awake = m.due
	echo := make(chan struct{}, 1)
	go func() {
		for b := make([]byte, 1); ; {
			if _, err := u.Read(b); err != nil {
				close(echo)
				return
			}
			m.look() // each way by itself
			echo <- struct{}{}
		}
	}()
	go m.run(echo)
	return m, nil
}

// carries reports that what a socket sends to itself does not come back.
func carries(u *net.UDPConn) error {
	const longest = 5 * time.Second // also on a machine that is very busy
	self := u.LocalAddr().(*net.UDPAddr).AddrPort()
	u.SetReadDeadline(time.Now().Add(longest))
	defer u.SetReadDeadline(time.Time{})
	_, err := u.WriteToUDPAddrPort([]byte{1}, self)
	if err == nil {
		_, err = u.Read(make([]byte, 1))
	}
	if err != nil {
		return fmt.Errorf("a datagram to %v does not come back; the loopback interface must be up: %w", self.Addr(), err)
	}
	return nil
}

func (m *Monitor) run(echo chan struct{}) {
	defer close(m.done)
	self := m.udp.LocalAddr().(*net.UDPAddr).AddrPort()
	for {
		select {
		case <-m.stop:
			m.udp.Close()
			for range echo { // until the other goroutine is gone
			}
			return
		case <-time.After(time.Until(m.due)):
		}
		m.look()
		m.udp.WriteToUDPAddrPort([]byte{1}, self)
		m.await(echo)
		m.mu.Lock()
		now := time.Now()
		late := now.Sub(m.due)
		m.worst = max(m.worst, late)
		if late > monitorFine {
			m.notes = append(m.notes, note{now, late})
			for now.Sub(m.notes[0].at) > monitorKeep {
				m.notes = m.notes[1:]
			}
		}
		m.due = now.Add(m.step)
		m.awake = m.due
		m.mu.Unlock()
	}
}

// await waits for the datagram, or until it is taken for lost, and the lateness is a second. It looks
// on the way, so that a standstill meanwhile is told from that second.
func (m *Monitor) await(echo <-chan struct{}) {
	const longest, looks = time.Second, 40
	for range looks {
		select {
		case <-echo:
			m.look()
			return
		case <-time.After(longest / looks):
			m.look()
		}
	}
}

// look notes that something of this process runs now.
func (m *Monitor) look() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.ran(time.Now(), suspended())
}

// ran notes that something ran at a time, by when the machine had been suspended for so
// long. Each time is taken once, so that no standstill falls between two.
func (m *Monitor) ran(now time.Time, slept time.Duration) {
	if s := (Standstill{m.awake, now, max(slept-m.asleep, 0)}); s.Took() > StandstillLeast {
		m.still = append(m.still, s)
	}
	m.asleep = slept
	if now.After(m.awake) {
		m.awake = now
	}
}

// Standstills are those that have ended since a time; also the one that has just done
// so, which the monitor itself may not have seen yet.
func (m *Monitor) Standstills(since time.Time) (all []Standstill) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.ran(time.Now(), suspended())
	for _, s := range m.still {
		if s.To.After(since) {
			all = append(all, s)
		}
	}
	return all
}

// Late is the worst lateness since a time.
func (m *Monitor) Late(since time.Time) time.Duration {
	m.mu.Lock()
	defer m.mu.Unlock()
	worst := max(0, time.Since(m.due))
	for i := len(m.notes) - 1; i >= 0 && !m.notes[i].at.Before(since); i-- {
		worst = max(worst, m.notes[i].late)
	}
	return worst
}

// Worst is the worst lateness so far.
func (m *Monitor) Worst() time.Duration {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.worst
}

// Close ends the measurement.
func (m *Monitor) Close() {
	close(m.stop)
	<-m.done
}
