package target

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"sync"
	"syscall"

	"p2plocal/core/udp"
)

var loopback = netip.AddrFrom4([4]byte{127, 0, 0, 1})

// Listen binds a socket.
func Listen(at netip.AddrPort) (*net.UDPConn, error) {
	u, err := net.ListenUDP("udp4", net.UDPAddrFromAddrPort(at))
	if err != nil {
		return nil, udp.ListenError(at, err)
	}
	return u, nil
}

// OwnHost is a loopback address that nobody else is likely to be on, drawn anew
// at each call, so that ports which others give up or take do not matter there;
// 127.0.0.1 where not all of 127.0.0.0/8 is this machine's.
func OwnHost() netip.Addr {
	host := netip.AddrFrom4([4]byte{127, byte(rand.IntN(256)), byte(rand.IntN(256)), byte(2 + rand.IntN(253))})
	u, err := Listen(netip.AddrPortFrom(host, 0))
	if err != nil {
		return loopback
	}
	u.Close()
	return host
}

// The ports that are given out: below 32768, because there are implementations
// that know no higher ones, and none of the hostile catalogue's own. Each process
// has blocks of them, guarded by a socket on their first port, so that several that
// run at a time do not take each other's. Where so many run that no block is left,
// one takes what it finds free of all, from a place of its own on.
const (
	firstPort = 10000
	blockSize = 500
	blocks    = 20
	atFirst   = 2 // blocks that a process claims; more when it needs them
)

// ports are given out each in its turn, so that none comes up again while a server
// may still remember it.
var ports struct {
	sync.Mutex
	guards   []*net.UDPConn  // open as long as the process lives
	mine     []uint16        // the ports of the claimed blocks, or all
	all      bool            // blocks were not enough
	next     int             // of them
	reserved map[uint16]bool // for targets, which bind them themselves
}

// listenFree binds a socket to a port that nobody has.
func listenFree(host netip.Addr) (*net.UDPConn, error) {
	ports.Lock()
	defer ports.Unlock()
	return listenNext(host)
}

// FreePort reserves a port for a target that binds it itself: nobody else of this
// process gets it until release.
func FreePort(host netip.Addr) (port uint16, release func(), err error) {
	ports.Lock()
	defer ports.Unlock()
	u, err := listenNext(host)
	if err != nil {
		return 0, nil, err
	}
	defer u.Close()
	if ports.reserved == nil {
		ports.reserved = map[uint16]bool{}
	}
	port = u.LocalAddr().(*net.UDPAddr).AddrPort().Port()
	ports.reserved[port] = true
	return port, func() {
		ports.Lock()
		defer ports.Unlock()
		delete(ports.reserved, port)
	}, nil
}

// listenNext binds the next port that can be had. ports is locked.
func listenNext(host netip.Addr) (*net.UDPConn, error) {
	for len(ports.guards) < atFirst && claimBlock() {
	}
	for {
		for range ports.mine {
			ports.next = (ports.next + 1) % len(ports.mine)
			at := netip.AddrPortFrom(host, ports.mine[ports.next])
			if ports.reserved[at.Port()] {
				continue
			}
			if u, err := Listen(at); err == nil || !errors.Is(err, syscall.EADDRINUSE) {
				return u, err
			}
		}
		if !claimBlock() && !claimAll() {
			return nil, fmt.Errorf("none of the ports %d to %d is free", firstPort, firstPort+blocks*blockSize-1)
		}
	}
}

// claimBlock takes one more block that nobody guards.
func claimBlock() bool {
	for i := range blocks {
		first := uint16(firstPort + i*blockSize)
		u, err := Listen(netip.AddrPortFrom(loopback, first))
		if err != nil {
			continue
		}
		ports.guards = append(ports.guards, u)
		ports.mine = append(ports.mine, portsFrom(first)...)
		return true
	}
	return false
}

// portsFrom are those of a block, without its guard's.
func portsFrom(first uint16) (all []uint16) {
	for n := range uint16(blockSize - 1) {
		all = append(all, first+1+n)
	}
	return all
}

// claimAll takes what is free of all blocks, whosever they are; false: it has been done.
func claimAll() bool {
	if ports.all {
		return false
	}
	ports.all, ports.mine = true, nil
	for i := range blocks {
		ports.mine = append(ports.mine, portsFrom(uint16(firstPort+i*blockSize))...)
	}
	ports.next = rand.IntN(len(ports.mine))
	return true
}
