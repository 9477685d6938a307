package campaign

import (
	"net/netip"

	"p2plocal/core/udp"
	"p2plocal/fuzz/hostile"
	"p2plocal/fuzz/send"
)

// source sends to the target as one of the origins.
type source interface {
	Send(*send.Load)
	Counts() send.Counts
	Addr() netip.AddrPort
	Close() error
}

// borrowed sends from the socket of a peer or a server of ours.
type borrowed struct {
	socket *udp.Socket
	to     netip.AddrPort
	counts send.Counts
}

func (b *borrowed) Send(load *send.Load) {
	for _, d := range load.Datagrams {
		if b.socket.Send(d, b.to) {
			b.counts = b.counts.Plus(send.Counts{Sent: 1, Bytes: uint64(len(d))})
		} else {
			b.counts.Failed++
		}
	}
}

func (b *borrowed) Counts() send.Counts  { return b.counts }
func (b *borrowed) Addr() netip.AddrPort { return b.socket.Addr() }
func (b *borrowed) Close() error         { return nil } // it is another's

// sources are all that the campaign sends from, by origin; nil: it cannot.
type sources [hostile.FromDouble + 1]source

func (s *sources) counts() (sum send.Counts) {
	for _, one := range s {
		if one != nil {
			sum = sum.Plus(one.Counts())
		}
	}
	return sum
}

func (s *sources) close() {
	for _, one := range s {
		if one != nil {
			one.Close()
		}
	}
}
