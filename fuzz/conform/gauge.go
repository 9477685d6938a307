package conform

import (
	"net"
	"net/netip"
	"sync"
	"time"
)

// gauge measures how late this machine is: a goroutine that should wake every
// gaugeStep and gets a datagram back from another goroutine at once. What it
// does not do in time, no target can be blamed for.
type gauge struct {
	stop chan struct{}
	done chan struct{}
	udp  *net.UDPConn

	mu    sync.Mutex
	due   time.Time // of the round under way
	notes []note
	worst time.Duration
}

type note struct {
	at   time.Time
	late time.Duration
}

const (
	gaugeStep = 10 * time.Millisecond
	gaugeKeep = 2 * time.Minute      // for which notes are kept
	gaugeFine = 2 * time.Millisecond // what is not worth a note
)

func newGauge() (*gauge, error) {
	u, err := net.ListenUDP("udp4", net.UDPAddrFromAddrPort(netip.AddrPortFrom(loopback, 0)))
	if err != nil {
		return nil, err
	}
	g := &gauge{stop: make(chan struct{}), done: make(chan struct{}), udp: u, due: time.Now()}
	echo := make(chan struct{}, 1)
	go func() {
		for b := make([]byte, 1); ; {
			if _, err := u.Read(b); err != nil {
				close(echo)
				return
			}
			echo <- struct{}{}
		}
	}()
	go g.run(echo)
	return g, nil
}

func (g *gauge) run(echo chan struct{}) {
	defer close(g.done)
	self := g.udp.LocalAddr().(*net.UDPAddr).AddrPort()
	for {
		select {
		case <-g.stop:
			g.udp.Close()
			for range echo { // until the other goroutine is gone
			}
			return
		case <-time.After(time.Until(g.due)):
		}
		g.udp.WriteToUDPAddrPort([]byte{1}, self)
		select {
		case <-echo:
		case <-time.After(time.Second): // lost: the lateness is a second, then
		}
		g.mu.Lock()
		now := time.Now()
		late := now.Sub(g.due)
		g.worst = max(g.worst, late)
		if late > gaugeFine {
			g.notes = append(g.notes, note{now, late})
			for now.Sub(g.notes[0].at) > gaugeKeep {
				g.notes = g.notes[1:]
			}
		}
		g.due = now.Add(gaugeStep)
		g.mu.Unlock()
	}
}

// late is the worst lateness since a time.
func (g *gauge) late(since time.Time) time.Duration {
	g.mu.Lock()
	defer g.mu.Unlock()
	worst := max(0, time.Since(g.due))
	for i := len(g.notes) - 1; i >= 0 && !g.notes[i].at.Before(since); i-- {
		worst = max(worst, g.notes[i].late)
	}
	return worst
}

func (g *gauge) max() time.Duration {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.worst
}

func (g *gauge) close() {
	close(g.stop)
	<-g.done
}
