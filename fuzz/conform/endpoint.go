package conform

import (
	"net/netip"
	"time"

	"p2plocal/core/wire"
	"p2plocal/fuzz/hostile"
	"p2plocal/fuzz/target"
)

var (
	loopback  = netip.AddrFrom4([4]byte{127, 0, 0, 1})
	elsewhere = netip.AddrFrom4([4]byte{127, 0, 0, 2}) // another host as far as addresses tell
)

// clock is the time as the kernel's stamps tell it.
func clock() time.Time { return time.Now().Round(0) }

// endpoint is one socket of a case's: a peer, the server of a peer under test, or
// a stranger.
type endpoint struct {
	trial    *trial
	label    string
	socket   target.Socket
	entry    wire.Entry // a peer's
	addr     netip.AddrPort
	sign     time.Time // the last of life that it gave itself in a script
	borrowed bool      // the socket is somebody else's
	received []event   // guarded by the trial's lock

	marked, passed uint64 // of its marks the last sent and the last read; the trial's lock guards them
}

// send sends and gives the time just before.
func (p *endpoint) send(to netip.AddrPort, datagram []byte) time.Time {
	at := clock()
	p.trial.note(event{at: at, endpoint: p, out: true, other: to, datagram: datagram})
	if to == p.trial.server || to == p.trial.at() {
		p.trial.account()
	}
	p.socket.Send(to, datagram)
	if p.trial.gate != nil {
		p.trial.showSent(p)
	}
	return at
}

// toServer sends to the server.
func (p *endpoint) toServer(datagram []byte) time.Time { return p.send(p.trial.server, datagram) }

func (p *endpoint) birth() time.Time { return p.toServer(hostile.BirthOf(p.entry)) }
func (p *endpoint) alive() time.Time { return p.toServer(hostile.KeepAliveOf(p.entry)) }

// claimOf is a birth with the name of another and this endpoint's port: they conflict.
func (p *endpoint) claimOf(of *endpoint) []byte {
	return hostile.BirthOf(wire.Entry{Name: of.entry.Name, Port: p.addr.Port()})
}

func (p *endpoint) String() string { return p.label }
