package main

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"net"
	"net/netip"
	"os"
	"testing"
	"time"

	"p2plocal/core"
	"p2plocal/core/wire"
)

// The test binary is also the targets: with one of these as its first argument
// it is a server or a peer with one fault.
const (
	asServer = "server"
	asPeer   = "peer"
)

func TestMain(m *testing.M) {
	var err error
	switch {
	case len(os.Args) == 4 && os.Args[1] == asServer:
		err = server(os.Args[2], os.Args[3])
	case len(os.Args) == 6 && os.Args[1] == asPeer:
		err = peer(os.Args[2], os.Args[3], os.Args[4], os.Args[5])
	default:
		flag.Parse()
		flag.Set("test.parallel", "16") // these tests wait, they do not compute
		os.Exit(m.Run())
	}
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}

func abort() { os.Exit(134) }

// broken is a machine on its socket, sound but for what its owner does with a
// datagram before the machine gets it, and after.
type broken struct {
	udp     *net.UDPConn
	machine core.Machine
	buffer  [1 << 16]byte
	before  func(n int, from netip.AddrPort) ([]byte, netip.AddrPort)
	after   func(from netip.AddrPort)
}

func (b *broken) open(addr string) error {
	at, err := netip.ParseAddrPort(addr)
	if err != nil {
		return err
	}
	b.udp, err = net.ListenUDP("udp4", net.UDPAddrFromAddrPort(at))
	return err
}

func (b *broken) self() netip.AddrPort { return b.udp.LocalAddr().(*net.UDPAddr).AddrPort() }

func (b *broken) send(datagram []byte, port uint16) {
	b.udp.WriteToUDPAddrPort(datagram, netip.AddrPortFrom(b.self().Addr(), port))
}

func (b *broken) serve() {
	for {
		b.poll()
		n, from, err := b.udp.ReadFromUDPAddrPort(b.buffer[:])
		if err != nil {
			continue
		}
		datagram, source := b.before(n, from)
		b.machine.Step(time.Now(), source, datagram)
		b.after(from)
	}
}

func (b *broken) poll() {
	for {
		out, next := b.machine.Poll(time.Now())
		if out.Empty() {
			b.udp.SetReadDeadline(next)
			return
		}
		for _, to := range out.To {
			b.send(out.Datagram, to.Port())
		}
	}
}

var leak [1 << 14][]byte // what the leaking target never lets go

// server has each fault as an implementation that trusts its input would have it.
func server(addr, fault string) error {
	var b broken
	if err := b.open(addr); err != nil {
		return err
	}
	d, err := core.NewDirectory(core.DirectoryConfig{Addr: b.self(), Timing: core.DefaultTiming()}, time.Now())
	if err != nil {
		return err
	}
	b.machine = d
	var last []byte
	spoil := serverFault(fault)
	b.before = func(n int, from netip.AddrPort) ([]byte, netip.AddrPort) {
		last = spoil(b.buffer[:n])
		return last, from
	}
	b.after = func(netip.AddrPort) {
		if fault == "poison" && len(last) == 6 && last[0] == 0xC0 && last[3] != 0 {
			for _, m := range d.Members() {
				b.send(append([]byte{0xC1, 0, 1, 0}, last[2:]...), m.Addr.Port())
			}
		}
	}
	b.serve()
	return nil
}

// serverFault is what a server with a fault does with a datagram before the machine
// gets it.
func serverFault(fault string) func(datagram []byte) []byte {
	other := func(d []byte) bool { return len(d) > 0 && d[0] != 0xC3 } // no keep-alive
	switch fault {
	case "hang-on-empty":
		return on(func(d []byte) bool { return len(d) == 0 }, func() { select {} })
	case "die-on-byte":
		return on(func(d []byte) bool { return len(d) == 1 }, abort)
	case "leak":
		leaked := 0
		return on(other, func() {
			leak[leaked%len(leak)] = bytes.Repeat([]byte{1}, 1<<16)
			leaked++
		})
	}
	return func(d []byte) []byte { return d }
}

// on does something wrong when a datagram is of one kind.
func on(is func(datagram []byte) bool, wrong func()) func([]byte) []byte {
	return func(d []byte) []byte {
		if is(d) {
			wrong()
		}
		return d
	}
}

// peer likewise.
func peer(name, port, address, fault string) error {
	var b broken
	server, err := netip.ParseAddrPort(address)
	if err != nil {
		return err
	}
	if err := b.open(net.JoinHostPort(server.Addr().String(), port)); err != nil {
		return err
	}
	timing := core.DefaultTiming()
	timing.Broadcast = 100 * time.Millisecond
	self := core.Member{Name: core.Name(name), Addr: b.self()}
	p, err := core.NewPeer(core.PeerConfig{Self: self, Server: server, Timing: timing}, time.Now())
	if err != nil {
		return err
	}
	b.machine = p
	b.before = func(n int, from netip.AddrPort) ([]byte, netip.AddrPort) {
		datagram := b.buffer[:n]
		_, err := wire.Parse(datagram)
		switch {
		case fault == "die-on-duplicate" && errors.Is(err, core.ErrDuplicate):
			abort()
		case fault == "spill" && n > 4 && datagram[0] == 0xC2 && datagram[2] == 0xFF && datagram[3] == 0xFF:
			os.Stdout.Write(b.buffer[4:]) // as long as it says it is
		}
		return datagram, from
	}
	b.after = func(netip.AddrPort) {}
	b.serve()
	return nil
}
