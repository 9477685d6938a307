package campaign

import (
	"context"
	"net/netip"
	"time"

	"p2plocal/core"
	"p2plocal/core/udp"
	"p2plocal/fuzz/target"
)

// served is one of core's machines on a socket of its own.
type served struct {
	socket *udp.Socket
	stop   context.CancelFunc
	done   chan struct{}
}

// serve runs the machine that is made for the socket's address.
func serve(addr netip.AddrPort, machine func(netip.AddrPort) (core.Machine, error)) (*served, error) {
	u, err := target.ListenAgain(addr)
	if err != nil {
		return nil, err
	}
	socket, err := udp.Adopt(u, udp.ReadBuffer)
	if err != nil {
		return nil, err
	}
	m, err := machine(socket.Addr())
	if err != nil {
		socket.Close()
		return nil, err
	}
	ctx, stop := context.WithCancel(context.Background())
	s := &served{socket, stop, make(chan struct{})}
	go func() { socket.Serve(ctx, m); close(s.done) }()
	return s, nil
}

// leave ends the machine.
func (s *served) leave() {
	s.stop()
	<-s.done
}

// newLocalServer runs core's own server, in this process: that of a peer under attack.
func newLocalServer(addr netip.AddrPort) (*served, error) {
	return serve(addr, func(addr netip.AddrPort) (core.Machine, error) {
		return core.NewDirectory(core.DirectoryConfig{Addr: addr, Timing: core.DefaultTiming()}, time.Now())
	})
}
