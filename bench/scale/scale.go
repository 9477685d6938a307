// Package scale measures how one directory server of the wide dialect bears more and more
// peers: over UDP, in this process, and in a model of what a datagram costs.
package scale

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"p2plocal/core"
	"p2plocal/core/udp"
	"p2plocal/core/wide"
)

// Point is a mesh of so many peers.
type Point struct {
	Peers         int           `json:"peers"`
	Simulated     bool          `json:"simulated"`
	Join          time.Duration `json:"join"`          // from as many births at once until every view is complete; 0: they were not
	Announcements uint64        `json:"announcements"` // until then
	Datagrams     uint64        `json:"datagrams"`     // that the server sent until then
	Bytes         uint64        `json:"bytes"`         // of them, UDP payload
	Busy          time.Duration `json:"busy"`          // the server until then; over UDP its machine, without the kernel
	Detection     time.Duration `json:"detection"`     // from a peer's death until it is in no view; 0: it still is
	Removed       uint64        `json:"removed"`       // live peers that the server removed
}

func (p *Point) count(c core.Counters, busy time.Duration) {
	out := c.Out.Total()
	p.Announcements, p.Datagrams, p.Bytes, p.Busy = c.Events[core.Announced], out.Datagrams, out.Bytes, busy
}

// timed is a server that knows how long its machine has computed.
type timed struct {
	*wide.Directory
	busy time.Duration
}

func (t *timed) Step(now time.Time, from netip.AddrPort, b []byte) {
	defer t.add(time.Now())
	t.Directory.Step(now, from, b)
}

func (t *timed) Poll(now time.Time) (core.Outgoing, time.Time) {
	defer t.add(time.Now())
	return t.Directory.Poll(now)
}

func (t *timed) add(since time.Time) { t.busy += time.Since(since) }

// Measure does over UDP what Simulate does.
func Measure(ctx context.Context, n int) (p Point, err error) {
	p.Peers = n
	host := netip.MustParseAddr("127.0.0.1")
	all := make([]*udp.Socket, 0, n+1)
	var running sync.WaitGroup
	serving, cancel := context.WithCancel(ctx)
	defer func() {
		cancel()
		running.Wait()
		for _, s := range all {
			s.Close()
		}
	}()
	for i := range n + 1 {
		s, err := udp.Listen(netip.AddrPortFrom(host, 0), udp.ReadBuffer)
		if err != nil {
			return p, fmt.Errorf("cannot open socket %d of %d: %w", i+1, n+1, err)
		}
		all = append(all, s)
	}
	server := &timed{}
	killed := all[n/2+1].Addr()
	server.Directory, err = wide.NewDirectory(core.DirectoryConfig{Addr: all[0].Addr(), Timing: wide.DefaultTiming(), Observe: func(e *core.Event) {
		if e.Kind == core.Removed && e.Peer.Addr != killed {
			p.Removed++
		}
	}}, wide.NewIdentity(nil), time.Now())
	if err != nil {
		return p, err
	}
	running.Go(func() { all[0].Serve(serving, server) })
	var wanted, complete atomic.Int64
	wanted.Store(int64(n))
	whole := make(chan time.Time, 1)
	saw := func(at time.Time, most int64) {
		if complete.Add(1) == most {
			whole <- at
		}
	}
	wait := func(since time.Time) (time.Duration, error) {
		select {
		case at := <-whole:
			return at.Sub(since), nil
		case <-time.After(Patience):
			return 0, nil
		case <-ctx.Done():
			return 0, ctx.Err()
		}
	}
	begin := time.Now()
	for i, s := range all[1:] {
		timing := wide.DefaultTiming()
		timing.Broadcast = 0
		has := 0 // what it has been counted for
		peer, err := wide.NewPeer(core.PeerConfig{Self: core.Member{Name: name(i)}, Server: all[0].Addr(), Timing: timing, Observe: func(e *core.Event) {
			if want := int(wanted.Load()); e.Kind == core.Listed && e.All.Len() == want && has != want {
				has = want
				saw(e.At, int64(want))
			}
		}}, wide.NewIdentity(nil), time.Now())
		if err != nil {
			return p, err
		}
		running.Go(func() { s.Serve(serving, peer) })
	}
	if p.Join, err = wait(begin); p.Join == 0 {
		return p, err
	}
	all[0].Do(func(time.Time) { p.count(server.Counters(), server.busy) })
	complete.Store(0)
	wanted.Store(int64(n - 1))
	died := time.Now()
	err = all[n/2+1].Close()
	took, failed := wait(died)
	p.Detection = took
	return p, errors.Join(err, failed)
}
