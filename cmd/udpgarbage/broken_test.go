package main

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"p2plocal/core"
	"p2plocal/core/wire"
	"p2plocal/fuzz/target"
	"p2plocal/fuzz/target/virtual"
)

// The targets have one fault each. Their commands are these and what asks for the placeholders' values, on a virtual
// host; on a real one, they are this test's own program with these as its arguments.
const (
	aServer = "server %s {addr}"
	aPeer   = "peer %s {name} {port} {server}"
)

func TestMain(m *testing.M) {
	var err error
	switch args := os.Args; {
	case len(args) == 4 && args[1] == "server":
		err = process(target.Command{Line: args[1] + " " + args[2]}, args[3])
	case len(args) == 6 && args[1] == "peer":
		server := netip.MustParseAddrPort(args[5])
		err = process(target.Command{Line: args[1] + " " + args[2], Name: args[3], Server: server}, net.JoinHostPort(server.Addr().String(), args[4]))
	default:
		flag.Parse()
		os.Exit(m.Run())
	}
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}

// life is what a target can do where it lives.
type life struct {
	self      netip.AddrPort
	send      func(to netip.AddrPort, datagram []byte)
	print     func(text string)
	die, hang func()
}

// process is a target on a socket of this machine.
func process(command target.Command, addr string) error {
	at, err := netip.ParseAddrPort(addr)
	if err != nil {
		return err
	}
	u, err := net.ListenUDP("udp4", net.UDPAddrFromAddrPort(at))
	if err != nil {
		return err
	}
	machine, take, err := live(command, life{
		self:  u.LocalAddr().(*net.UDPAddr).AddrPort(),
		send:  func(to netip.AddrPort, datagram []byte) { u.WriteToUDPAddrPort(datagram, to) },
		print: func(text string) { os.Stdout.WriteString(text) },
		die:   func() { os.Exit(134) },
		hang:  func() { select {} },
	})
	if err != nil {
		return err
	}
	for buffer := make([]byte, 1<<16); ; {
		out, next := machine.Poll(time.Now())
		for _, to := range out.To {
			u.WriteToUDPAddrPort(out.Datagram, to)
		}
		if !out.Empty() {
			continue
		}
		u.SetReadDeadline(next)
		if n, from, err := u.ReadFromUDPAddrPort(buffer); err == nil {
			take(buffer[:n], from)
		}
	}
}

// program is a target on a virtual host.
func program(p *virtual.Program) string {
	socket, err := p.Listen(p.Command.Listen)
	if err != nil {
		return err.Error()
	}
	machine, take, err := live(p.Command, life{
		self:  socket.Addr(),
		send:  socket.Send,
		print: p.Print,
		die:   func() { panic(virtual.Exit("signal: aborted")) },
		hang:  p.Hang,
	})
	if err != nil {
		return err.Error()
	}
	socket.Serve(virtual.Loop{Machine: machine, Take: take, Send: func(out core.Outgoing) {
		for _, to := range out.To {
			socket.Send(to, out.Datagram)
		}
	}})
	return "signal: killed"
}

// live is a command's machine, and what takes what comes to it.
func live(c target.Command, l life) (core.Machine, func(datagram []byte, from netip.AddrPort), error) {
	switch words := strings.Fields(c.Line); words[0] {
	case "server":
		return server(l, words[1])
	case "peer":
		return peer(l, c.Name, c.Server, words[1])
	}
	return nil, nil, fmt.Errorf("%q, want a server or a peer", c.Line)
}

var leak [1 << 14][]byte // what the leaking target never lets go

// server has each fault as an implementation that trusts its input would have it.
func server(l life, fault string) (core.Machine, func([]byte, netip.AddrPort), error) {
	leaked := 0
	d, err := core.NewDirectory(core.DirectoryConfig{Addr: l.self, Timing: core.DefaultTiming()}, time.Now())
	return d, func(b []byte, from netip.AddrPort) {
		switch {
		case fault == "mute":
			return
		case fault == "hang-on-empty" && len(b) == 0:
			l.hang()
		case fault == "die-on-byte" && len(b) == 1:
			l.die()
		case fault == "leak" && len(b) > 0 && b[0] != 0xC3: // no keep-alive
			leak[leaked%len(leak)] = bytes.Repeat([]byte{1}, 1<<16)
			leaked++
		}
		d.Step(time.Now(), from, b)
		if fault == "poison" && len(b) == 6 && b[0] == 0xC0 && b[3] != 0 {
			for _, m := range d.Members() {
				l.send(m.Addr, append([]byte{0xC1, 0, 1, 0}, b[2:]...))
			}
		}
	}, err
}

// peer likewise.
func peer(l life, name string, server netip.AddrPort, fault string) (core.Machine, func([]byte, netip.AddrPort), error) {
	var buffer [1 << 16]byte
	timing := core.DefaultTiming()
	timing.Broadcast = 100 * time.Millisecond
	self := core.Member{Name: core.Name(name), Addr: l.self}
	p, err := core.NewPeer(core.PeerConfig{Self: self, Server: server, Timing: timing}, time.Now())
	return p, func(b []byte, from netip.AddrPort) {
		copy(buffer[:], b)
		_, err := wire.Parse(b)
		switch {
		case fault == "die-on-duplicate" && errors.Is(err, core.ErrDuplicate):
			l.die()
		case fault == "spill" && len(b) > 4 && b[0] == 0xC2 && b[2] == 0xFF && b[3] == 0xFF:
			l.print(string(buffer[4:])) // as long as it says it is
		}
		p.Step(time.Now(), from, b)
	}, err
}
