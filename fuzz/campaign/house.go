package campaign

import (
	"context"
	"net"
	"net/netip"
	"sync/atomic"
	"time"

	"p2plocal/core"
	"p2plocal/core/udp"
	"p2plocal/fuzz/target"
)

// house is core's own server, in this process: the server of a peer under attack, and
// beside any target the control. What it does not do in time, the machine does not.
type house struct {
	socket *udp.Socket
	conn   *net.UDPConn // the same socket, to send from as if it were the server
	stop   context.CancelFunc
	done   chan struct{}
	guests int
}

func newHouse(addr netip.AddrPort) (*house, error) {
	socket, conn, err := listen(addr)
	if err != nil {
		return nil, err
	}
	d, err := core.NewDirectory(core.DirectoryConfig{Port: socket.Addr().Port(), Timing: core.DefaultTiming()}, time.Now())
	if err != nil {
		socket.Close()
		conn.Close()
		return nil, err
	}
	ctx, stop := context.WithCancel(context.Background())
	h := &house{socket: socket, conn: conn, stop: stop, done: make(chan struct{})}
	go func() { socket.Serve(ctx, addr.Addr(), d); close(h.done) }()
	return h, nil
}

func (h *house) leave() {
	h.stop()
	<-h.done
	h.conn.Close()
}

// listen binds a socket that core serves, and that the caller can send from, too.
func listen(addr netip.AddrPort) (*udp.Socket, *net.UDPConn, error) {
	u, err := target.ListenAgain(addr)
	if err != nil {
		return nil, nil, err
	}
	double := u // where the system cannot duplicate it, it stays open
	if f, err := u.File(); err == nil {
		c, err := net.FilePacketConn(f)
		f.Close()
		if err != nil {
			u.Close()
			return nil, nil, err
		}
		double = c.(*net.UDPConn)
	}
	socket, err := udp.Adopt(u, udp.ReadBuffer)
	if err != nil {
		double.Close()
	}
	return socket, double, err
}

// admits says that a fresh peer was let in within limit.
func (h *house) admits(limit time.Duration) bool {
	begun := time.Now()
	h.guests++
	var got atomic.Uint64
	guest, err := join(h.socket.Addr(), core.Entry{Name: core.Name(' ' + h.guests%core.MaxPeers)}, limit, &got)
	if err != nil {
		return false
	}
	defer guest.leave()
	select {
	case <-guest.joined:
		return time.Since(begun) <= limit
	case <-time.After(limit):
		return false
	}
}
