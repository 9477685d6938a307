package campaign

import (
	"context"
	"net"
	"net/netip"
	"time"

	"p2plocal/core"
	"p2plocal/core/udp"
	"p2plocal/fuzz/target"
)

// localServer is core's own server, in this process: that of a peer under attack.
type localServer struct {
	socket *udp.Socket
	conn   *net.UDPConn // the same socket, to send from as if it were the server
	stop   context.CancelFunc
	done   chan struct{}
}

func newLocalServer(addr netip.AddrPort) (*localServer, error) {
	socket, conn, err := listen(addr)
	if err != nil {
		return nil, err
	}
	d, err := core.NewDirectory(core.DirectoryConfig{Addr: socket.Addr(), Timing: core.DefaultTiming()}, time.Now())
	if err != nil {
		socket.Close()
		conn.Close()
		return nil, err
	}
	ctx, stop := context.WithCancel(context.Background())
	h := &localServer{socket: socket, conn: conn, stop: stop, done: make(chan struct{})}
	go func() { socket.Serve(ctx, d); close(h.done) }()
	return h, nil
}

func (h *localServer) leave() {
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
