package mesh

import (
	"context"
	"errors"
	"net/netip"
	"sync"
	"time"

	"p2plocal/bench/record"
	"p2plocal/bench/result"
	"p2plocal/core"
	"p2plocal/core/udp"
)

// A baseline has so many round trips at least, for which a busy machine may
// need longer.
const (
	leastRounds      = 1000
	baselinePatience = 10 * time.Second
)

// MeasureBaseline sends a datagram back and forth between two bare loopback
// sockets, a goroutine each, for a while: the least that a message and its
// answer can take on this machine now.
func MeasureBaseline(ctx context.Context, d time.Duration) (result.Baseline, error) {
	ctx, cancel := context.WithTimeout(ctx, baselinePatience)
	defer cancel()
	var socks [2]*udp.Socket
	for i := range socks {
		s, err := udp.Listen(netip.AddrPortFrom(Loopback, 0), 0)
		if err != nil {
			return result.Baseline{}, err
		}
		defer s.Close()
		socks[i] = s
	}
	var h record.Histogram
	players := [2]*player{
		{to: [1]netip.AddrPort{socks[1].Addr()}, rounds: &h, serve: true, end: time.Now().Add(d), over: cancel},
		{to: [1]netip.AddrPort{socks[0].Addr()}},
	}
	var wg sync.WaitGroup
	var errs [2]error
	for i, p := range players {
		wg.Go(func() { errs[i] = socks[i].Serve(ctx, p) })
	}
	wg.Wait()
	return result.Baseline{RoundTrip: h.Distribution()}, errors.Join(errs[:]...)
}

// player is a machine that answers each datagram with one.
type player struct {
	to     [1]netip.AddrPort
	rounds *record.Histogram // where the first player writes its round trips
	serve  bool              // it has the ball
	sent   time.Time

	played int
	end    time.Time // when it is enough, if there were enough rounds;
	over   func()    // then this is called
}

var ball = []byte("peerA_broadcast_")

func (p *player) Step(now time.Time, _ netip.AddrPort, _ []byte) {
	if p.rounds != nil {
		p.rounds.Record(int64(now.Sub(p.sent)))
		if p.played++; p.played >= leastRounds && now.After(p.end) {
			p.over()
		}
	}
	p.serve = true
}

func (p *player) Poll(now time.Time) (core.Outgoing, time.Time) {
	switch {
	case p.serve:
		p.serve, p.sent = false, now
		return core.Outgoing{Datagram: ball, To: p.to[:]}, now
	case p.rounds != nil && now.Sub(p.sent) > 100*time.Millisecond: // the ball is lost
		p.serve = true
		return p.Poll(now)
	case p.rounds != nil:
		return core.Outgoing{}, p.sent.Add(101 * time.Millisecond)
	}
	return core.Outgoing{}, time.Time{}
}
