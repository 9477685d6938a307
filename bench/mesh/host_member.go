package mesh

import (
	"net/netip"
	"time"

	"p2plocal/core/udp"
)

// hostSocket is a socket on a host, as far as the host has reported it.
type hostSocket struct {
	w    *hostsWorld
	slot int
	addr netip.AddrPort
}

func (s hostSocket) Addr() netip.AddrPort { return s.addr }

func (s hostSocket) Do(f func(time.Time)) {
	s.w.mu.Lock()
	defer s.w.mu.Unlock()
	f(time.Now())
}

func (s hostSocket) Stats() udp.Stats {
	s.w.mu.Lock()
	defer s.w.mu.Unlock()
	h := &s.w.hostOf(s.slot).state
	return udp.Stats{Drops: h.Drops[s.slot], SendFailures: h.Unsent[s.slot], DropsKnown: true}
}

func (s hostSocket) Waiting() (int64, uint64, bool) { return 0, 0, false } // it is another host that knows

// Its agent pauses and closes it.
func (hostSocket) Pause()       {}
func (hostSocket) Resume()      {}
func (hostSocket) Paused() bool { return false }
func (hostSocket) Close() error { return nil }

func (s hostSocket) order(c Command) { s.w.order(s.slot, c) }

// hostServer is the server, on the first host. What cannot be done is reported later.
type hostServer struct{ hostSocket }

func (s hostServer) Kill() error    { s.order(Command{Do: Kill}); return nil }
func (s hostServer) Restart() error { s.order(Command{Do: restart}); return nil }
func (s hostServer) Died() string   { return s.w.died() }
func (s hostServer) Stop()          {}

// hostPeer is a peer on its host.
type hostPeer struct{ sock hostSocket }

func (p hostPeer) Do(c Command) error { p.sock.order(c); return nil }
func (p hostPeer) Socket() socket     { return p.sock }
func (p hostPeer) Stop()              {}

// Hosted is how a host stood at the end of a mesh.
type Hosted struct {
	HostState
	ID, Host string
	Addr     netip.Addr
	Lost     bool
	Silent   time.Duration // the longest that it took to answer
}

// Hosts are the hosts of a mesh that is laid over several; else nil. The bounds of their clocks add
// to every time between two of them.
func (m *Mesh) Hosts() (all []Hosted) {
	w, ok := m.World.(*hostsWorld)
	if !ok {
		return nil
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, h := range w.hosts {
		all = append(all, Hosted{h.state, h.ID, h.Host, h.addr.Addr(), h.lost, h.silent})
	}
	return all
}
