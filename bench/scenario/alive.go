package scenario

import (
	"fmt"
	"time"

	"p2plocal/bench/mesh"
	"p2plocal/bench/record"
)

// fail says that somebody the measurement depends on, and who is not ours,
// died or fell silent: what was measured after that is no measure of it.
func (s *Run) fail(format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	s.warn("%s", text)
	if s.out.Failed == "" {
		s.out.Failed = text
	}
}

// checkAlive says who of those that should be alive is not. It must come before
// the mesh falls silent, which ends the others.
func (s *Run) checkAlive() {
	m := s.Mesh
	m.MarkExited()
	m.Ping()
	for i, p := range m.Peers {
		switch p := p.(type) {
		case *mesh.ExternalPeer:
			switch {
			case p.Proc == nil:
			case p.Proc.Ended() != "":
				s.fail("external peer %s died: %s", record.QuoteName(i), p.Proc.Ended())
			case s.unseen(i):
				s.fail("external peer %s is silent: its process runs, but it was never in anybody's view", record.QuoteName(i))
			}
		case *mesh.ProcessPeer:
			if p.Died != "" {
				s.fail("the process of peer %s %s", record.QuoteName(i), p.Died)
			}
		}
	}
	if how := m.Server.Died(); how != "" {
		s.fail("the server died: %s", how)
	}
}

// answerLimit is how long a server may take to answer at the end: one that
// sleeps 10 ms a datagram has a full queue behind it by then.
const answerLimit = 10 * time.Second

// checkAnswers finds out whether a server that is not ours still does, when
// nothing else is sent any more: by a birth that repeats a member's exactly, to
// which any server sends a directory.
func (s *Run) checkAnswers() {
	m := s.Mesh
	if m.Ours != nil || s.ctx.Err() != nil || s.out.Failed != "" {
		return
	}
	heard := uint64(0)
	m.EachView(func(_ int, slot *record.Slot) { heard += slot.Directories.Datagrams.Load() })
	if heard == 0 && m.External < m.N {
		s.fail("the server at %v never answered: no directory came", m.Server.Addr())
		return
	}
	for i := m.External; i < m.N; i++ {
		if !m.Alive.Has(i) {
			continue
		}
		directories := &m.Store.Slots[i].Directories.Datagrams
		before := directories.Load()
		m.Peers[i].Rejoin() // repeated until it is answered
		how := ""
		ended := m.WaitUntil(s.ctx, answerLimit, func() bool {
			how = m.Server.Died()
			return how != "" || directories.Load() > before
		})
		switch {
		case how != "":
			s.fail("the server died: %s", how)
		case !ended && s.ctx.Err() == nil:
			s.fail("the server at %v fell silent: a birth repeated at the end was not answered within %v", m.Server.Addr(), answerLimit)
		}
		return
	}
}

// unseen reports that a living external peer has never been in anybody's view.
func (s *Run) unseen(i int) bool {
	if s.ctx.Err() != nil || s.External == s.N || !s.Alive.Has(i) || s.Mesh.Server.Died() != "" {
		return false
	}
	seen, asked := false, false
	s.EachView(func(j int, slot *record.Slot) {
		for _, v := range slot.Changes() {
			asked = asked || v.Set.Has(j)
			seen = seen || v.Set.Has(i)
		}
	})
	return asked && !seen
}
