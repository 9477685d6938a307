package conform

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"syscall"
)

// The ports of cases and targets: below 32768, because there are implementations
// that know no higher ones, and none of the catalogue's own. Each process has
// blocks of them, guarded by a socket on their first port, so that several that run
// at a time do not take each other's.
const (
	firstPort = 10000
	blockSize = 500
	blocks    = 20
	atFirst   = 2 // blocks that a process claims; more when it needs them
)

// ports gives them out, each in its turn, so that none comes up again while a
// server may still remember it.
var ports struct {
	sync.Mutex
	guards   []*net.UDPConn  // open as long as the process lives
	mine     []uint16        // the ports of the claimed blocks
	next     int             // of them
	promised map[uint16]bool // to targets, which bind them themselves
}

// bind makes a socket on a host, on a port of ours if port is 0.
func bind(host netip.Addr, port uint16) (*net.UDPConn, error) {
	if port != 0 {
		u, err := net.ListenUDP("udp4", net.UDPAddrFromAddrPort(netip.AddrPortFrom(host, port)))
		if err != nil {
			return nil, fmt.Errorf("cannot listen on %v: %w", netip.AddrPortFrom(host, port), cause(err))
		}
		return u, nil
	}
	ports.Lock()
	defer ports.Unlock()
	return nextPort(host)
}

// nextPort is the next socket that can be had. ports is locked.
func nextPort(host netip.Addr) (*net.UDPConn, error) {
	for len(ports.guards) < atFirst && claimBlock() {
	}
	for {
		for range ports.mine {
			ports.next = (ports.next + 1) % len(ports.mine)
			at := netip.AddrPortFrom(host, ports.mine[ports.next])
			if ports.promised[at.Port()] {
				continue
			}
			u, err := net.ListenUDP("udp4", net.UDPAddrFromAddrPort(at))
			if err == nil {
				return u, nil
			}
			if !errors.Is(err, syscall.EADDRINUSE) {
				return nil, fmt.Errorf("cannot listen on %v: %w", at, cause(err))
			}
		}
		if !claimBlock() {
			return nil, fmt.Errorf("none of the ports %d to %d is free", firstPort, firstPort+blocks*blockSize-1)
		}
	}
}

// claimBlock takes one more block that nobody guards.
func claimBlock() bool {
	for i := range blocks {
		first := uint16(firstPort + i*blockSize)
		u, err := net.ListenUDP("udp4", net.UDPAddrFromAddrPort(netip.AddrPortFrom(loopback, first)))
		if err != nil {
			continue
		}
		ports.guards = append(ports.guards, u)
		for n := range uint16(blockSize - 1) {
			ports.mine = append(ports.mine, first+1+n)
		}
		return true
	}
	return false
}

// promise is a port that a target is to bind, and nobody else gets meanwhile.
func promise(host netip.Addr) (uint16, error) {
	ports.Lock()
	defer ports.Unlock()
	u, err := nextPort(host)
	if err != nil {
		return 0, err
	}
	defer u.Close()
	if ports.promised == nil {
		ports.promised = map[uint16]bool{}
	}
	ports.promised[portOf(u)] = true
	return portOf(u), nil
}

// release takes a promise back.
func release(port uint16) {
	ports.Lock()
	defer ports.Unlock()
	delete(ports.promised, port)
}

// cause is what the system says, without what net says around it.
func cause(err error) error {
	var sys syscall.Errno
	if errors.As(err, &sys) {
		return sys
	}
	return err
}
