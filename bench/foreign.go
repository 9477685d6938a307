package bench

import (
	"fmt"
	"sync"
	"time"

	"p2plocal/bench/record"
)

// fail says that somebody the measurement depends on, and who is not ours,
// died or fell silent: what was measured after that is no measure of it.
func (s *stage) fail(format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	s.bad("%s", text)
	if s.out.Failed == "" {
		s.out.Failed = text
	}
}

// autopsy says who of those that should be alive is not. It must come before
// the mesh falls silent, which ends the others.
func (s *stage) autopsy() {
	m := s.mesh
	m.bury()
	m.greet()
	for i, p := range m.peers {
		switch p := p.(type) {
		case *externalPeer:
			switch {
			case p.proc == nil:
			case p.proc.died() != "":
				s.fail("external peer %s died: %s", record.QuoteName(i), p.proc.died())
			case s.unseen(i):
				s.fail("external peer %s is silent: its process runs, but it was never in anybody's view", record.QuoteName(i))
			}
		case *processPeer:
			if p.died != "" {
				s.fail("the process of peer %s %s", record.QuoteName(i), p.died)
			}
		}
	}
	if how := m.server.died(); how != "" {
		s.fail("the server died: %s", how)
	}
}

// answerPatience is how long a server may take to answer at the end: one that
// sleeps 10 ms a datagram has a full queue behind it by then.
const answerPatience = 10 * time.Second

// answers finds out whether a server that is not ours still does, when
// nothing else is sent any more: by a birth that repeats a member's exactly, to
// which any server sends a directory.
func (s *stage) answers() {
	m := s.mesh
	if m.ours != nil || s.ctx.Err() != nil || s.out.Failed != "" {
		return
	}
	heard := uint64(0)
	m.seen(func(_ int, seat *record.Slot) { heard += seat.Directories.Datagrams.Load() })
	if heard == 0 && m.external < m.n {
		s.fail("the server at %v never answered: no directory came", m.server.addr())
		return
	}
	for i := m.external; i < m.n; i++ {
		if !m.alive.Has(i) {
			continue
		}
		directories := &m.board.Slots[i].Directories.Datagrams
		before := directories.Load()
		m.peers[i].rebirth() // repeated until it is answered
		how := ""
		ended := m.until(s.ctx, answerPatience, func() bool {
			how = m.server.died()
			return how != "" || directories.Load() > before
		})
		switch {
		case how != "":
			s.fail("the server died: %s", how)
		case !ended && s.ctx.Err() == nil:
			s.fail("the server at %v fell silent: a birth repeated at the end was not answered within %v", m.server.addr(), answerPatience)
		}
		return
	}
}

// unseen reports that a living external peer has never been in anybody's view.
func (s *stage) unseen(i int) bool {
	if s.ctx.Err() != nil || s.external == s.n || !s.alive.Has(i) || s.mesh.server.died() != "" {
		return false
	}
	seen, asked := false, false
	s.seen(func(j int, seat *record.Slot) {
		for _, v := range seat.Changes() {
			asked = asked || v.Set.Has(j)
			seen = seen || v.Set.Has(i)
		}
	})
	return asked && !seen
}

// greet finds out which of our peer processes are there no more, or were stopped by
// somebody else. They are dead from their last sign of life on.
func (m *mesh) greet() {
	var wg sync.WaitGroup
	for i, p := range m.peers {
		if p, ok := p.(*processPeer); ok && m.alive.Has(i) && !p.stopped {
			wg.Go(func() { p.tell(command{Do: "hello"}) })
		}
	}
	wg.Wait()
	for i, p := range m.peers {
		if p, ok := p.(*processPeer); ok && m.alive.Has(i) && p.died != "" {
			m.alive.Remove(i)
			m.roster.Remove(i, max(m.board.Slots[i].Alive.Load(), m.board.Slots[i].Born.Load()))
		}
	}
}

// bury has external peers that died by themselves be dead from then on.
func (m *mesh) bury() {
	for i := range m.external {
		if p := m.peers[i].(*externalPeer).proc; p != nil && m.alive.Has(i) && p.died() != "" {
			m.alive.Remove(i)
			m.roster.Remove(i, m.clock.At(p.at))
		}
	}
}
