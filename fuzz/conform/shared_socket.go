package conform

import (
	"net/netip"
	"sync"
	"time"

	"p2plocal/core"
	"p2plocal/core/wire"
	"p2plocal/fuzz/target"
)

// sharedSocket is a server's socket that several peers under test share, because they
// insist on its port. Which datagram is whose, its name tells.
type sharedSocket struct {
	home     netip.AddrPort
	endpoint *endpoint // whose socket is borrowed
	closed   chan struct{}

	mu    sync.Mutex
	names map[wire.Name]*trial
	ports map[netip.AddrPort]*trial // where they send from
}

func newSharedSocket(on target.Host, port uint16) (*sharedSocket, error) {
	s, err := on.Listen(netip.AddrPortFrom(loopback, port))
	if err != nil {
		return nil, err
	}
	h := &sharedSocket{home: s.Addr(), endpoint: &endpoint{socket: s}, closed: make(chan struct{}), names: map[wire.Name]*trial{}, ports: map[netip.AddrPort]*trial{}}
	go func() {
		target.Read(s, h.take)
		close(h.closed)
	}()
	return h, nil
}

func (h *sharedSocket) take(at time.Time, from netip.AddrPort, datagram []byte) {
	h.mu.Lock()
	m, err := wire.Parse(datagram)
	var l *trial
	if err == nil && (m.Type == core.TypeBirth || m.Type == core.TypeKeepAlive) {
		if l = h.names[m.Entry.Name]; l != nil {
			h.ports[from] = l
		}
	}
	if l == nil {
		l = h.ports[from]
	}
	h.mu.Unlock()
	if l != nil {
		l.note(event{at: at, endpoint: l.home, other: from, datagram: datagram})
	}
}

// enter makes a trial's home of the sharedSocket.
func (h *sharedSocket) enter(l *trial) {
	l.home = &endpoint{trial: l, label: "server", socket: h.endpoint.socket, addr: h.home, borrowed: true}
	l.endpoints = append(l.endpoints, l.home)
	h.mu.Lock()
	defer h.mu.Unlock()
	h.names[l.self.Name] = l
	h.ports[l.at()] = l
}

func (h *sharedSocket) leave(l *trial) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.names, l.self.Name)
	for a, x := range h.ports {
		if x == l {
			delete(h.ports, a)
		}
	}
}

func (h *sharedSocket) close() {
	h.endpoint.socket.Close()
	<-h.closed
}
