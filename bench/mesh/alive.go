package mesh

import "sync"

// Ping finds out which of our peer processes are there no more, or were stopped by
// somebody else. They are dead from their last sign of life on.
func (m *Mesh) Ping() {
	var wg sync.WaitGroup
	for i, p := range m.Peers {
		if p, ok := p.(*ProcessPeer); ok && m.Alive.Has(i) && !p.stopped {
			wg.Go(func() { p.tell(command{Do: "hello"}) })
		}
	}
	wg.Wait()
	for i, p := range m.Peers {
		if p, ok := p.(*ProcessPeer); ok && m.Alive.Has(i) && p.Died != "" {
			m.Alive.Remove(i)
			m.Roster.Remove(i, max(m.Store.Slots[i].Alive.Load(), m.Store.Slots[i].Born.Load()))
		}
	}
}

// MarkExited has external peers that died by themselves be dead from then on.
func (m *Mesh) MarkExited() {
	for i := range m.External {
		if p := m.Peers[i].(*ExternalPeer).Proc; p != nil && m.Alive.Has(i) && p.Ended() != "" {
			m.Alive.Remove(i)
			_, at := p.State()
			m.Roster.Remove(i, m.Clock.At(at))
		}
	}
}

// Processes are those of our peers that live.
func (m *Mesh) Processes() (pids []int) {
	for _, p := range m.Peers {
		if p, ok := p.(*ProcessPeer); ok && p.Cmd != nil {
			pids = append(pids, p.Cmd.Process.Pid)
		}
	}
	return pids
}
