package mesh

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net/netip"
	"os"
	"sync"
	"syscall"
	"time"

	"p2plocal/bench/clock"
	"p2plocal/bench/machine"
	"p2plocal/bench/record"
	"p2plocal/bench/result"
	"p2plocal/core/udp"
	"p2plocal/fuzz/target"
)

// Agent is a host's: it keeps one mesh's part at a time, for whoever asks.
type Agent struct {
	Addr    netip.Addr            // that sockets are bound to
	Allowed func(netip.Addr) bool // that a mesh may have members at an address; nil: at Addr alone
	Log     func(string, ...any)
	Until   time.Duration // a mesh is ended that nobody asks for any more; 0: 30s

	mu   sync.Mutex
	part *hostedPart
}

// abandoned is longer than a coordinator is without a connection that goes on.
const abandoned = 30 * time.Second

// hostedPart is a part that is there.
type hostedPart struct {
	hostPart
	mesh    string
	addr    netip.Addr
	end     context.CancelFunc
	expires *time.Timer
	number  uint64 // of the last request, and its answer
	answer  []byte

	clock    record.Clock
	follower *clock.Follower // of the mesh's clock; nil: it is this host's
	times    *clock.Server   // answers the others
	store    *record.Store
	free     func()
	journal  record.Journal
	members  map[int]*Member
	server   *localServer
	reported int // changes of the server's directory
	known    map[netip.AddrPort]bool
	cpu      time.Duration // of this process, at the start
	kernel   map[string]uint64

	mu     sync.Mutex
	orders []hostOrder
	wake   chan struct{}
	done   uint64
	late   int64
	fault  string
	over   sync.WaitGroup

	pausing sync.Mutex // no member is being paused
}

// Busy says what the agent does; "": nothing.
func (a *Agent) Busy() string {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.part == nil {
		return ""
	}
	return fmt.Sprintf("%s of mesh %s", result.Plural(uint64(len(a.part.members)), "peer"), a.part.mesh)
}

// Close ends what there is.
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
	p.mu.Lock()
	p.orders = append(p.orders, q.Orders...)
	p.mu.Unlock()
	wake(p.wake)
	p.report(&r)
	return r, nil
}

// open makes a part as it is asked for.
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
	p := &hostedPart{hostPart: *o, mesh: q.Mesh, addr: a.Addr, end: end, clock: record.NewClock(), free: func() {}, members: map[int]*Member{}, wake: make(chan struct{}, 1),
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
	p.over.Go(func() { p.carryOut(ctx) })
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

// listen opens a socket on one of the host's ports: no other host of the mesh has such, so that a port says who it is.
func (p *hostedPart) listen(next *int) (*served, error) {
	const ports = 1 << 16
	var failed error
	for range ports / p.Hosts {
		*next = 1024 + (*next+1)%(ports-1024)
		if *next%p.Hosts != p.Host {
			*next += (p.Host - *next%p.Hosts + p.Hosts) % p.Hosts
		}
		if *next >= ports {
			continue
		}
		s, err := udp.Listen(netip.AddrPortFrom(p.addr, uint16(*next)), p.Buffer)
		if err == nil {
			return newServed(s), nil
		}
		if failed = err; !errors.Is(err, syscall.EADDRINUSE) {
			break
		}
	}
	return nil, cmp.Or(failed, errors.New("no port is free"))
}

func (p *hostedPart) member(slot int, s *served) *Member {
	m := NewMember(slot, s, p.store, p.clock)
	m.rec.Journal = &p.journal
	return m
}

// know takes in who is where.
func (p *hostedPart) know(all []netip.AddrPort, allowed func(netip.Addr) bool) error {
	if len(all) != p.Peers+1 {
		return fmt.Errorf("%d addresses, want %d", len(all), p.Peers+1)
	}
	p.known = map[netip.AddrPort]bool{}
	for i, at := range all {
		if !allowed(at.Addr()) {
			return fmt.Errorf("a member at %v, where no worker is", at)
		}
		if i == p.Peers {
			i = record.ServerSlot
		}
		p.store.Index[at.Port()] = uint16(i)
		p.known[at] = true
	}
	if p.server != nil {
		return p.server.Restart()
	}
	return nil
}

// check refuses an order that this host cannot carry out, or should not.
func (p *hostedPart) check(o *hostOrder) error {
	switch {
	case p.known == nil:
		return errors.New("an order before it is known who is where")
	case o.Control != nil:
		return nil
	case o.Slot == record.ServerSlot && p.server != nil:
		if o.Do != Kill && o.Do != restart {
			return fmt.Errorf("no such order to the server: %q", o.Do)
		}
		return nil
	case p.members[o.Slot] == nil:
		return fmt.Errorf("an order to slot %d, which is not on this host", o.Slot)
	case o.Do == Birth && (o.Life == nil || !p.known[o.Life.Server]):
		return errors.New("a birth at a server outside the mesh")
	case o.Do == Broadcast && o.Broadcasts == nil:
		return errors.New("broadcasts of no kind")
	}
	return nil
}

// carryOut carries orders out, one after the other, each at its time.
func (p *hostedPart) carryOut(ctx context.Context) {
	for ctx.Err() == nil {
		p.mu.Lock()
		orders := p.orders
		p.orders = nil
		p.mu.Unlock()
		for i := range orders {
			o := &orders[i]
			if !Sleep(ctx, time.Duration(o.At-p.clock.Now())) {
				return
			}
			late := p.clock.Now() - o.At
			err := p.carry(o)
			p.mu.Lock()
			p.late = max(p.late, late)
			if p.done++; err != nil && p.fault == "" {
				p.fault = fmt.Sprintf("peer %s: %v", record.QuoteName(min(o.Slot, p.Peers-1)), err)
			}
			p.mu.Unlock()
		}
		if len(orders) == 0 {
			select {
			case <-p.wake:
			case <-ctx.Done():
			}
		}
	}
}

func (p *hostedPart) carry(o *hostOrder) error {
	switch {
	case o.Control != nil:
		p.store.SetControl(*o.Control)
		return nil
	case o.Slot == record.ServerSlot && o.Do == Kill:
		return p.server.Kill()
	case o.Slot == record.ServerSlot:
		return p.server.Restart()
	}
	p.pausing.Lock()
	defer p.pausing.Unlock()
	return p.members[o.Slot].Do(o.Command)
}

// report says how the host stands, and what its recorders have to say.
func (p *hostedPart) report(r *hostReply) {
	for i := range p.store.Used() {
		p.journal.Count(p.store, i, p.has(i))
	}
	if p.server != nil {
		p.server.sock.Do(func(time.Time) {
			for _, c := range p.server.changes[p.reported:] {
				p.journal.Change(c.at, c.who, c.in)
			}
			p.reported = len(p.server.changes)
		})
	}
	r.Drops, r.Unsent = map[int]uint64{}, map[int]uint64{}
	p.pausing.Lock()
	for i, m := range p.members {
		if !m.sock.Paused() { // one that is paused has a socket that answers nobody
			p.socket(r, i, m.sock)
		}
	}
	p.pausing.Unlock()
	if p.server != nil {
		p.socket(r, record.ServerSlot, p.server.sock)
		r.Counters, r.Started = new(p.server.Counters()), p.server.Started
	}
	p.mu.Lock()
	r.Done, r.Late, r.Fault = p.done, p.late, p.fault
	p.mu.Unlock()
	if p.follower != nil {
		r.Line, r.Bound = p.follower.Line(), p.follower.Worst()
	}
	r.CPU, r.Memory, r.Kernel = target.CPUOf(os.Getpid())-p.cpu, target.ResidentOf(os.Getpid()), map[string]uint64{}
	for name, n := range machine.NetworkLosses() {
		if n > p.kernel[name] {
			r.Kernel[name] = n - p.kernel[name]
		}
	}
	r.Journal, r.More = p.journal.Take()
	r.Now = p.clock.Now()
}

func (p *hostedPart) socket(r *hostReply, slot int, s socket) {
	if x := s.Stats(); x.Drops > 0 || x.SendFailures > 0 {
		r.Drops[slot], r.Unsent[slot] = x.Drops, x.SendFailures
	}
}

// stop ends it.
func (p *hostedPart) stop() {
	p.expires.Stop()
	p.end()
	p.over.Wait()
	for _, m := range p.members {
		m.Stop()
	}
	if p.server != nil {
		p.server.Stop()
	}
	if p.times != nil {
		p.times.Close()
	}
	p.free()
}
