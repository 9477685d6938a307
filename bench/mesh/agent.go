package mesh

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"math"
	"net/netip"
	"os"
	"sync"
	"time"

	"p2plocal/bench/clock"
	"p2plocal/bench/machine"
	"p2plocal/bench/record"
	"p2plocal/bench/result"
	"p2plocal/fuzz/target"
)

// Agent runs on a worker: it hosts that machine's part of one mesh at a time, for whoever asks.
type Agent struct {
	Addr    netip.Addr            // that sockets are bound to
	Allowed func(netip.Addr) bool // that a mesh may have members at an address; nil: at Addr alone
	Log     func(string, ...any)
	Until   time.Duration // a mesh is ended that nobody asks for any more; 0: 30s

	mu   sync.Mutex
	part *hostedPart
}

// abandoned is longer than a coordinator that goes on is ever without a connection.
const abandoned = 30 * time.Second

// Busy says what the agent hosts; "": nothing.
func (a *Agent) Busy() string {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.part == nil {
		return ""
	}
	return fmt.Sprintf("%s of mesh %s", result.Plural(uint64(len(a.part.members)), "peer"), a.part.mesh)
}

// Close ends the part that it hosts, if any.
func (a *Agent) Close() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.close()
}

func (a *Agent) close() {
	if a.part != nil {
		a.part.stop()
		a.part = nil
	}
}

// Answer answers a request.
func (a *Agent) Answer(request []byte) []byte {
	a.mu.Lock()
	defer a.mu.Unlock()
	var q hostRequest
	err := json.Unmarshal(request, &q)
	var r hostReply
	if err == nil {
		if p := a.part; p != nil && p.mesh == q.Mesh && p.number == q.Number {
			return p.answer
		}
		r, err = a.obey(&q)
	}
	if err != nil {
		r.Error = err.Error()
	}
	answer, err := json.Marshal(r)
	if err != nil {
		answer, _ = json.Marshal(hostReply{Error: err.Error()})
	}
	if a.part != nil {
		a.part.number, a.part.answer = q.Number, answer
	}
	return answer
}

func (a *Agent) obey(q *hostRequest) (r hostReply, err error) {
	p := a.part
	switch {
	case q.Close:
		if p != nil && p.mesh == q.Mesh {
			a.close()
		}
		return r, nil
	case q.Mesh == "" && p == nil:
		return r, nil
	case p != nil && p.mesh != q.Mesh:
		return r, fmt.Errorf("it is busy with mesh %q", p.mesh)
	case q.Open != nil && p == nil:
		if p, err = a.open(q); err != nil {
			return r, err
		}
		a.part = p
		r.Clock = p.times.Addr()
		for i := range p.Peers {
			if p.has(i) {
				r.Addresses = append(r.Addresses, p.members[i].sock.Addr())
			}
		}
		if p.server != nil {
			r.Addresses = append(r.Addresses, p.server.Addr())
		}
	case p == nil || q.Number != p.number+1:
		return r, fmt.Errorf("it has no such mesh as %q, or another request of it came before", q.Mesh)
	}
	p.expires.Reset(cmp.Or(a.Until, abandoned))
	if q.Know != nil {
		if err := p.know(q.Know, a.allows); err != nil {
			return r, err
		}
	}
	for _, o := range q.Orders {
		if err := p.check(&o); err != nil {
			return r, err
		}
	}
	p.orders.add(q.Orders)
	p.report(&r)
	return r, nil
}

// open sets up the part that is asked for.
func (a *Agent) open(q *hostRequest) (_ *hostedPart, err error) {
	o := q.Open
	const mostBuffer = 1 << 28
	switch {
	case o.Peers < 1 || o.Peers > record.MostPeers || o.Hosts < 1 || o.Hosts > o.Peers || o.Host < 0 || o.Host >= o.Hosts:
		return nil, fmt.Errorf("host %d of %d with %d peers, want up to %d peers, and one for each host", o.Host, o.Hosts, o.Peers, record.MostPeers)
	case o.Buffer < 0 || o.Buffer > mostBuffer:
		return nil, fmt.Errorf("read buffer of %d bytes, want 0 to %d", o.Buffer, mostBuffer)
	case o.Host > 0 && !a.allows(o.Clock.Addr()):
		return nil, fmt.Errorf("a clock at %v, where no worker is", o.Clock)
	}
	if err := o.Timing.Validate(); err != nil {
		return nil, err
	}
	ctx, end := context.WithCancel(context.Background())
	p := &hostedPart{hostPart: *o, mesh: q.Mesh, addr: a.Addr, end: end, clock: record.NewClock(), free: func() {}, members: map[int]*Member{}, orders: orders{wake: make(chan struct{}, 1)},
		expires: time.AfterFunc(math.MaxInt64, func() {}), cpu: target.CPUOf(os.Getpid()), kernel: machine.NetworkLosses()}
	defer func() {
		if err != nil {
			p.stop()
		}
	}()
	if p.times, err = clock.Serve(a.Addr); err != nil {
		return p, err
	}
	if o.Host > 0 {
		if p.follower, err = clock.Start(ctx, a.Addr, o.Clock); err != nil {
			return p, fmt.Errorf("the clock of the first host, at %v: %w", o.Clock, err)
		}
		p.clock = p.follower.Along(p.clock)
	}
	store, _, free, err := record.NewStore(o.Peers)
	if err != nil {
		return p, err
	}
	p.store, p.free = store, free
	p.store.Prepare()
	p.store.ServerKnown.Store(true)
	p.store.Wide, p.store.Keyed, p.store.Divisible = true, o.Keyed, o.Divisible
	next := 20_000 + int(time.Now().UnixNano()%20_000)
	for i := range o.Peers {
		if !o.has(i) {
			continue
		}
		s, err := p.listen(&next)
		if err != nil {
			return p, fmt.Errorf("cannot open a socket for peer %d of %d: %w", i+1, o.Peers, err)
		}
		p.members[i] = p.member(i, s)
		s.start(ctx, p.members[i])
	}
	if o.has(record.ServerSlot) {
		s, err := p.listen(&next)
		if err != nil {
			return p, err
		}
		p.server = newServer(p.member(record.ServerSlot, s), o.Timing, &result.Options{Wide: true, Keyed: o.Keyed}, o.Impair, o.Seed)
		s.start(ctx, p.server)
	}
	p.orders.over.Go(func() { p.carryOut(ctx) })
	p.expires = time.AfterFunc(cmp.Or(a.Until, abandoned), func() {
		a.mu.Lock()
		defer a.mu.Unlock()
		if a.part == p {
			a.Log("mesh %s is ended: nobody asks for it any more", p.mesh)
			a.close()
		}
	})
	return p, nil
}

func (a *Agent) allows(host netip.Addr) bool {
	if a.Allowed == nil {
		return host == a.Addr
	}
	return a.Allowed(host)
}
