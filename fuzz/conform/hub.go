package conform

import (
	"net/netip"
	"sync"
	"time"

	"p2plocal/core"
	"p2plocal/fuzz/target"
)

// hub is a server's socket that several peers under test share, because they
// insist on its port. Which datagram is whose, its name tells.
type hub struct {
	home   netip.AddrPort
	post   *post // whose socket is lent
	closed chan struct{}

	mu    sync.Mutex
	names map[core.Name]*lab
	ports map[netip.AddrPort]*lab // where they send from
}

func newHub(port uint16) (*hub, error) {
	u, err := target.Listen(netip.AddrPortFrom(loopback, port))
	if err != nil {
		return nil, err
	}
	h := &hub{home: netip.AddrPortFrom(loopback, portOf(u)), post: &post{udp: u}, closed: make(chan struct{}), names: map[core.Name]*lab{}, ports: map[netip.AddrPort]*lab{}}
	go func() {
		listen(u, h.take)
		close(h.closed)
	}()
	return h, nil
}

func (h *hub) take(at time.Time, from netip.AddrPort, datagram []byte) {
	h.mu.Lock()
	m, err := core.Parse(datagram)
	var l *lab
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
		l.note(event{at: at, post: l.home, other: from, datagram: datagram})
	}
}

// enter makes a lab's home of the hub.
func (h *hub) enter(l *lab) {
	l.home = &post{lab: l, label: "server", udp: h.post.udp, addr: h.home, lent: true}
	l.posts = append(l.posts, l.home)
	h.mu.Lock()
	defer h.mu.Unlock()
	h.names[l.self.Name] = l
	h.ports[l.at()] = l
}

func (h *hub) leave(l *lab) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.names, l.self.Name)
	for a, x := range h.ports {
		if x == l {
			delete(h.ports, a)
		}
	}
}

func (h *hub) close() {
	h.post.udp.Close()
	<-h.closed
}
