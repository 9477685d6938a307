package mesh

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"p2plocal/bench/record"
	"p2plocal/bench/result"
)

// Link is what became of messages from one host to another.
type Link struct {
	Sent, Delivered uint64
	Latency         record.Histogram
}

// hostsWorld is a mesh over hosts, each with an agent. Its clock is the mesh's, ahead by the time
// that an order may take to arrive: so a host does at once, and not later, what is ordered now.
type hostsWorld struct {
	*udpWorld        // for the accounts
	mesh      string // its name
	ctx       context.Context
	end       context.CancelFunc
	lead      time.Duration
	line      atomic.Pointer[record.Line] // from this machine's clock
	links     [][]*Link                   // by host of the sender and of the receiver
	asking    sync.WaitGroup
	news      chan struct{} // something has been heard of some host

	mu     sync.Mutex
	m      *Mesh
	hosts  []*host
	issued uint64 // requests
	replay replay
	lost   string // which host, and how
	fault  string
}

// host is one of the hosts, as the world sees it.
type host struct {
	HostLink
	number  uint64 // of requests
	pending []hostOrder
	orders  uint64 // in all
	wake    chan struct{}
	done    uint64 // the last request that has been answered to its end, as issued counts
	state   HostState
	addr    netip.AddrPort
	lost    bool
	silent  time.Duration // the longest that it has taken to answer
}

// replay enters into the store what the journals of hosts say. Arrivals wait for what had been sent by
// then: until every host has answered a request made after they came.
type replay struct {
	player record.Player
	held   []heldChunk
}

// heldChunk is part of a journal, and after which request its arrivals came.
type heldChunk struct {
	chunk []byte
	after uint64
}

// take enters all but the arrivals.
func (r *replay) take(chunk []byte, issued uint64) error {
	err := r.player.Play(chunk, false)
	if err == nil && len(chunk) > 0 {
		r.held = append(r.held, heldChunk{chunk, issued})
	}
	return err
}

// release enters the arrivals that came before a request that all have answered.
func (r *replay) release(answered uint64) (failed error) {
	for len(r.held) > 0 && r.held[0].after < answered {
		failed = cmp.Or(failed, r.player.Play(r.held[0].chunk, true))
		r.held = r.held[1:]
	}
	return failed
}

// holds reports that arrivals wait that came no later than a request.
func (r *replay) holds(after uint64) bool { return len(r.held) > 0 && r.held[0].after <= after }

const (
	askEvery  = 50 * time.Millisecond
	leastLead = 100 * time.Millisecond
	mostLead  = time.Second
)

// hostPatience is how long a host may be silent: longer than a connection may be cut, less long
// than an agent waits for orders.
const hostPatience = 20 * time.Second

// NewHostsWorld is a world for one mesh over hosts, of which the first has the server. What becomes
// of messages is added to links, by the sender's host and the receiver's.
func NewHostsWorld(hosts []HostLink, links [][]*Link) World {
	w := &hostsWorld{links: links, news: make(chan struct{}, 1)}
	for _, h := range hosts {
		w.hosts = append(w.hosts, &host{HostLink: h, wake: make(chan struct{}, 1)})
	}
	w.line.Store(new(record.Line))
	w.udpWorld = &udpWorld{time: record.NewClock().Along(&w.line), cancel: func() {}}
	return w
}

// Sleep is false also where a host is lost.
func (w *hostsWorld) Sleep(ctx context.Context, d time.Duration) bool {
	return sleepUnless(ctx, d, func() bool { return w.died() != "" })
}

// Step waits until a host has answered, or for a moment.
func (w *hostsWorld) Step(ctx context.Context, _ int64) bool {
	select {
	case <-w.news:
	case <-ctx.Done():
	case <-time.After(askEvery):
	}
	return ctx.Err() == nil && w.died() == ""
}

func (w *hostsWorld) Attack(Attack) (attacker, error) {
	return nil, errors.New("a mesh over hosts cannot be attacked")
}

// died is why the mesh can no longer be measured; "": it can.
func (w *hostsWorld) died() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return cmp.Or(w.lost, w.fault)
}

// ask asks a host until it answers, or has been silent for too long.
func (w *hostsWorld) ask(ctx context.Context, h *host, q hostRequest) (r hostReply, err error) {
	q.Mesh = w.mesh
	w.mu.Lock()
	h.number++
	q.Number = h.number
	w.mu.Unlock()
	request, err := json.Marshal(q)
	if err != nil {
		return r, err
	}
	patience := cmp.Or(h.Patience, hostPatience)
	for start := time.Now(); ; {
		once, cancel := context.WithTimeout(ctx, patience/10)
		answer, err := h.Ask(once, request)
		cancel()
		silent := time.Since(start)
		if err == nil {
			w.mu.Lock()
			h.silent = max(h.silent, silent)
			w.mu.Unlock()
			if err = json.Unmarshal(answer, &r); err == nil && r.Error != "" {
				err = fmt.Errorf("worker %s on %s: %s", h.ID, h.Host, r.Error)
			}
			return r, err
		}
		if silent > patience {
			return r, fmt.Errorf("worker %s on %s was lost: it has not answered for %v (%w)", h.ID, h.Host, silent.Round(time.Second), err)
		}
		const again = 50 * time.Millisecond
		if !Sleep(ctx, again) {
			return r, ctx.Err()
		}
	}
}

func (w *hostsWorld) startServer(ctx context.Context, m *Mesh) error {
	w.m = m
	w.ctx, w.end = context.WithCancel(context.WithoutCancel(ctx))
	w.mesh = strings.ToLower(rand.Text()[:8])
	part := hostPart{Peers: m.N, Hosts: len(w.hosts), Keyed: m.opt.Keyed, Divisible: m.Store.Divisible, Buffer: m.opt.ReadBuffer, Timing: m.Cfg.Timing, Impair: m.Impair, Seed: m.seed}
	all := make([]netip.AddrPort, m.N+1)
	for i, h := range w.hosts { // the first one first, which has the clock
		part.Host = i
		r, err := w.ask(ctx, h, hostRequest{Open: &part})
		if err != nil {
			return err
		}
		if i == 0 {
			part.Clock = r.Clock
		}
		for slot := i; slot < m.N && len(r.Addresses) > 0; slot += len(w.hosts) {
			all[slot], r.Addresses = r.Addresses[0], r.Addresses[1:]
		}
		if i == 0 && len(r.Addresses) > 0 {
			all[m.N] = r.Addresses[0]
		}
		h.addr = r.Clock
	}
	for i, h := range w.hosts {
		if _, err := w.ask(ctx, h, hostRequest{Know: all}); err != nil {
			return err
		}
		if i == 0 {
			if err := w.setClock(ctx, h); err != nil {
				return err
			}
		}
	}
	recorders := map[int]*record.Recorder{}
	for i, at := range all[:m.N] {
		m.Store.Index[at.Port()] = uint16(i)
		recorders[i] = record.NewRecorder(m.Store, w.time, i)
	}
	sock := hostSocket{w, record.ServerSlot, all[m.N]}
	server := newServer(NewMember(record.ServerSlot, sock, m.Store, w.time), m.Cfg.Timing, m.opt, m.Impair, m.seed)
	m.Ours, m.Server = server, hostServer{sock}
	recorders[record.ServerSlot] = server.rec
	w.replay.player = record.Player{Store: m.Store, Recorders: func(slot int) *record.Recorder { return recorders[slot] },
		Changed: func(at int64, who uint16, in bool) { server.changes = append(server.changes, change{at, who, in}) },
		Arrived: func(from, to int, transit int64) {
			l := w.linkOf(from, to)
			l.Delivered++
			l.Latency.Record(transit)
		},
		Sent: func(from, to int) {
			if to < m.N {
				w.linkOf(from, to).Sent++
			}
		},
	}
	for _, h := range w.hosts {
		w.asking.Go(func() { w.follow(h) })
	}
	w.control(m.Store.Control())
	return nil
}

func (w *hostsWorld) linkOf(from, to int) *Link {
	return w.links[from%len(w.hosts)][to%len(w.hosts)]
}

// setClock finds out what time it is in the mesh, and how long an order takes.
func (w *hostsWorld) setClock(ctx context.Context, h *host) error {
	const exchanges = 8
	own, best, longest := record.NewClock(), time.Hour, time.Duration(0)
	for range exchanges {
		sent := own.Now()
		r, err := w.ask(ctx, h, hostRequest{})
		if err != nil {
			return err
		}
		took := time.Duration(own.Now() - sent)
		if longest = max(longest, took); took < best {
			best = took
			w.line.Store(&record.Line{Offset: r.Now - sent - int64(took/2)})
		}
	}
	w.lead = min(max(4*longest, leastLead), mostLead)
	w.line.Store(&record.Line{Offset: w.line.Load().Offset + int64(w.lead)})
	return nil
}

func (w *hostsWorld) addPeer(m *Mesh, i int) error {
	m.Peers = append(m.Peers, hostPeer{hostSocket{w: w, slot: i}})
	return nil
}

// follow asks a host again and again, at once where there are orders, until the world ends.
func (w *hostsWorld) follow(h *host) {
	for more := false; w.ctx.Err() == nil; {
		if !more {
			select {
			case <-h.wake:
			case <-time.After(askEvery):
			case <-w.ctx.Done():
				return
			}
		}
		w.mu.Lock()
		w.issued++
		issued := w.issued
		// An order of many is some 300 bytes: so many fit into what NATS takes at a time.
		const most = 1000
		orders := h.pending[:min(len(h.pending), most)]
		h.pending = h.pending[len(orders):]
		w.mu.Unlock()
		r, err := w.ask(w.ctx, h, hostRequest{Orders: orders})
		if w.ctx.Err() != nil {
			return
		}
		w.mu.Lock()
		if more = r.More || len(h.pending) > 0; err == nil {
			err = w.take(h, &r, issued)
		}
		if err != nil {
			h.lost, w.lost = true, cmp.Or(w.lost, err.Error())
			w.release()
		}
		w.mu.Unlock()
		wake(w.news)
		if err != nil {
			return
		}
	}
}

// take takes in a host's answer.
func (w *hostsWorld) take(h *host, r *hostReply, issued uint64) error {
	h.state = r.HostState
	if r.Fault != "" {
		w.fault = cmp.Or(w.fault, r.Fault)
	}
	if r.Counters != nil {
		w.m.Ours.past, w.m.Ours.Started = *r.Counters, r.Started
	}
	if err := w.replay.take(r.Journal, w.issued); err != nil {
		return fmt.Errorf("worker %s on %s: %w", h.ID, h.Host, err)
	}
	if !r.More {
		h.done = issued
	}
	w.release()
	var spent time.Duration
	for _, h := range w.hosts {
		spent += h.state.CPU
	}
	w.m.Spent.Store(int64(spent))
	return nil
}

// release enters the arrivals that need wait no longer.
func (w *hostsWorld) release() {
	if err := w.replay.release(w.answered()); err != nil {
		w.fault = cmp.Or(w.fault, err.Error())
	}
}

// answered is up to which request all hosts have answered that are not lost.
func (w *hostsWorld) answered() uint64 {
	done := w.issued + 1
	for _, h := range w.hosts {
		if !h.lost {
			done = min(done, h.done)
		}
	}
	return done
}

// settle waits until all orders are carried out, and all that has come to the hosts by now is in
// the store.
func (w *hostsWorld) settle() {
	w.mu.Lock()
	defer w.mu.Unlock()
	ordered := make([]uint64, len(w.hosts))
	for i, h := range w.hosts {
		ordered[i] = h.orders
	}
	after, phase := w.issued, 0
	for w.ctx.Err() == nil {
		done := w.answered()
		switch {
		case phase == 0 && !slices.ContainsFunc(w.hosts, func(h *host) bool { return !h.lost && h.state.Done < ordered[slices.Index(w.hosts, h)] }),
			phase == 1 && done > after: // what had come to the hosts by phase 1 is here
			after = w.issued
			phase++
			continue
		case phase == 2 && !w.replay.holds(after):
			return
		}
		for _, h := range w.hosts {
			wake(h.wake)
		}
		w.mu.Unlock()
		select {
		case <-w.news:
		case <-time.After(time.Millisecond):
		}
		w.mu.Lock()
	}
}

// order has a slot's host do something, now by the mesh's clock as it is here.
func (w *hostsWorld) order(slot int, c Command) {
	w.give(w.hostOf(slot), hostOrder{At: w.time.Now(), Slot: slot, Command: c})
}

// hostOf is where a slot is.
func (w *hostsWorld) hostOf(slot int) *host {
	if slot == record.ServerSlot {
		return w.hosts[0]
	}
	return w.hosts[slot%len(w.hosts)]
}

func (w *hostsWorld) give(h *host, o hostOrder) {
	w.mu.Lock()
	h.pending = append(h.pending, o)
	h.orders++
	w.mu.Unlock()
	wake(h.wake)
}

// wake wakes whoever waits at a channel, or comes to wait next.
func wake(at chan<- struct{}) {
	select {
	case at <- struct{}{}:
	default:
	}
}

// control sends what the mesh's store says to all hosts.
func (w *hostsWorld) control(c record.Control) {
	at := w.time.Now()
	for _, h := range w.hosts {
		w.give(h, hostOrder{At: at, Control: &c})
	}
}

// Accounts are as those of one host, once everything is known. What was under way to or from a lost
// host is lost with it.
func (w *hostsWorld) Accounts(m *Mesh) result.Accounts {
	w.settle()
	w.mu.Lock()
	lost := w.lost != ""
	thrown := uint64(0)
	for _, h := range w.hosts {
		for name, n := range h.state.Kernel {
			if strings.HasSuffix(name, "dropped") || strings.HasSuffix(name, "errors") {
				thrown += n
			}
		}
	}
	w.mu.Unlock()
	a := w.udpWorld.Accounts(m)
	switch n := a.Unexplained; {
	case lost && n > 0:
		a.Dead, a.Unexplained = a.Dead+uint64(n), 0
	case lost:
		a.Sent, a.Unexplained = a.Sent+uint64(-n), 0
	case n > 0 && uint64(n) <= thrown: // on the way between hosts
		a.Kernel, a.Unexplained = a.Kernel+uint64(n), 0
	}
	return a
}

func (w *hostsWorld) Stop() {
	if w.end == nil {
		return
	}
	w.end()
	w.asking.Wait()
	var closing sync.WaitGroup
	for _, h := range w.hosts {
		closing.Go(func() {
			const patience = 3 * time.Second
			ctx, cancel := context.WithTimeout(context.Background(), patience)
			defer cancel()
			if !h.lost {
				w.ask(ctx, h, hostRequest{Close: true})
			}
		})
	}
	closing.Wait()
}
