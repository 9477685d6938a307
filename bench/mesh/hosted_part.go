package mesh

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"sync"
	"syscall"
	"time"

	"p2plocal/bench/clock"
	"p2plocal/bench/machine"
	"p2plocal/bench/record"
	"p2plocal/core/udp"
	"p2plocal/fuzz/target"
)

// hostedPart is the part of a mesh that an agent hosts.
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
	server   *localServer // nil: another host has it
	reported int          // changes of the server's directory
	known    map[netip.AddrPort]bool
	orders   orders

	cpu    time.Duration     // of this process, at the start
	kernel map[string]uint64 // likewise
}

// orders are what the part has been told to do, and how that went.
type orders struct {
	mu    sync.Mutex
	all   []hostOrder // that are not carried out yet
	wake  chan struct{}
	done  uint64
	late  int64
	fault string

	over    sync.WaitGroup // of carrying them out
	pausing sync.Mutex     // no member is being paused
}

func (o *orders) add(some []hostOrder) {
	o.mu.Lock()
	o.all = append(o.all, some...)
	o.mu.Unlock()
	wake(o.wake)
}

func (o *orders) take() (all []hostOrder) {
	o.mu.Lock()
	defer o.mu.Unlock()
	all, o.all = o.all, nil
	return all
}

// carried notes how an order went.
func (o *orders) carried(late int64, fault string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.late, o.fault = max(o.late, late), cmp.Or(o.fault, fault)
	o.done++
}

// listen opens a socket on a port that only this host of the mesh uses, so that a port tells who it
// is.
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

// know learns who is where.
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

// carryOut carries out orders one after the other, each at its time.
func (p *hostedPart) carryOut(ctx context.Context) {
	for ctx.Err() == nil {
		some := p.orders.take()
		for i := range some {
			o := &some[i]
			if !Sleep(ctx, time.Duration(o.At-p.clock.Now())) {
				return
			}
			late, fault := p.clock.Now()-o.At, ""
			if err := p.carry(o); err != nil {
				fault = fmt.Sprintf("peer %s: %v", record.QuoteName(min(o.Slot, p.Peers-1)), err)
			}
			p.orders.carried(late, fault)
		}
		if len(some) == 0 {
			select {
			case <-p.orders.wake:
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
	p.orders.pausing.Lock()
	defer p.orders.pausing.Unlock()
	return p.members[o.Slot].Do(o.Command)
}

// report says how the host stands, and what its recorders have written.
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
	p.orders.pausing.Lock()
	for i, m := range p.members {
		if !m.sock.Paused() { // one that is paused has a socket that answers nobody
			p.socket(r, i, m.sock)
		}
	}
	p.orders.pausing.Unlock()
	if p.server != nil {
		p.socket(r, record.ServerSlot, p.server.sock)
		r.Counters, r.Started = new(p.server.Counters()), p.server.Started
	}
	o := &p.orders
	o.mu.Lock()
	r.Done, r.Late, r.Fault = o.done, o.late, o.fault
	o.mu.Unlock()
	if p.follower != nil {
		r.Line, r.Bound = p.follower.Line(), p.follower.Worst()
	}
	r.CPU, r.Memory, r.Kernel = target.CPUOf(os.Getpid())-p.cpu, target.MemoryOf(os.Getpid()), map[string]uint64{}
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

// stop ends the part.
func (p *hostedPart) stop() {
	p.expires.Stop()
	p.end()
	p.orders.over.Wait()
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
