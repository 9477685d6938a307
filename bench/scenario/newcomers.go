package scenario

import (
	"context"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"p2plocal/bench/mesh"
	"p2plocal/bench/result"
	"p2plocal/core"
	"p2plocal/core/udp"
	"p2plocal/fuzz/hostile"
)

// newcomers are peers that are born one after the other while the mesh is under
// attack, and leave once they are let in: how long that takes is what they are for.
type newcomers struct {
	server netip.AddrPort
	timing core.Timing
	names  []core.Name
	stop   context.CancelFunc
	done   sync.WaitGroup
	sent   atomic.Uint64 // datagrams to the server, that the kernel took

	mu     sync.Mutex
	took   []float64 // seconds from the first birth until let in
	shut   int       // not let in
	failed error     // no socket
}

const (
	newcomerEvery = time.Second
	newcomerLimit = 7 * time.Second // two more births
	newcomerNames = 8               // so that one is free when it is used again
)

// startNewcomers takes names for them out of env, so that the attack has others,
// unless it is to contest all.
func startNewcomers(m *mesh.Mesh, env *hostile.Env, contested bool) *newcomers {
	x := &newcomers{server: m.Server.Addr(), timing: m.Cfg.Timing}
	x.timing.Broadcast = 0
	own := min(newcomerNames, len(env.Spare)/2)
	for _, e := range env.Spare[:own] {
		x.names = append(x.names, e.Name.Name())
	}
	if !contested {
		env.Spare = env.Spare[own:]
	}
	return x
}

// begin has the first born at once.
func (x *newcomers) begin(ctx context.Context) {
	ctx, x.stop = context.WithCancel(ctx)
	busy := make([]atomic.Bool, len(x.names))
	x.done.Go(func() {
		for i := 0; len(x.names) > 0; i++ {
			n := i % len(x.names)
			if busy[n].CompareAndSwap(false, true) {
				x.done.Go(func() {
					x.one(ctx, x.names[n])
					busy[n].Store(false)
				})
			}
			if !mesh.Sleep(ctx, newcomerEvery) {
				return
			}
		}
	})
}

// end waits for all of them.
func (x *newcomers) end() {
	x.stop()
	x.done.Wait()
}

// one is a newcomer's whole life.
func (x *newcomers) one(ctx context.Context, name core.Name) {
	socket, err := udp.Listen(netip.AddrPortFrom(x.server.Addr(), 0), udp.ReadBuffer)
	if err != nil {
		x.note(0, false, err)
		return
	}
	self := core.Member{Name: name, Addr: socket.Addr()}
	in := make(chan struct{})
	var born, admitted time.Time
	var sent uint64
	p, err := core.NewPeer(core.PeerConfig{Self: self, Server: x.server, Timing: x.timing, Observe: func(e core.Event) {
		switch e.Kind {
		case core.Sent:
			if sent++; born.IsZero() {
				born = e.At
			}
		case core.Listed:
			if admitted.IsZero() && e.All.Contains(self) {
				admitted = e.At
				close(in)
			}
		}
	}}, time.Now())
	if err != nil {
		socket.Close()
		x.note(0, false, err)
		return
	}
	serving, stop := context.WithCancel(context.Background())
	var served sync.WaitGroup
	served.Go(func() { socket.Serve(serving, p) })
	limit := time.NewTimer(newcomerLimit)
	defer limit.Stop()
	late := false
	select {
	case <-in:
	case <-limit.C:
		late = true
	case <-ctx.Done():
	}
	stop()
	served.Wait()
	x.sent.Add(sent - socket.Stats().SendFailures)
	if !admitted.IsZero() {
		x.note(admitted.Sub(born).Seconds(), true, nil)
	} else if late {
		x.note(0, false, nil)
	}
}

func (x *newcomers) note(took float64, in bool, err error) {
	x.mu.Lock()
	defer x.mu.Unlock()
	switch {
	case err != nil:
		x.failed = err
	case in:
		x.took = append(x.took, took)
	default:
		x.shut++
	}
}

// report writes down how they fared.
func (x *newcomers) report(s *Run) {
	slices.Sort(x.took)
	s.set("admit", result.Samples("s", x.took))
	s.count("shut_out", uint64(x.shut))
	if x.failed != nil {
		s.warn("a newcomer had no socket: %v", x.failed)
	}
}
