package mesh

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"p2plocal/bench/driver"
	"p2plocal/bench/record"
	"p2plocal/bench/result"
	"p2plocal/core"
	"p2plocal/core/udp"
)

// relays listen at the addresses of a driver's members, which are bound elsewhere: all that members
// send each other passes here, and is impaired link by link and logged as what our own machines
// send.
type relays struct {
	store  *record.Store
	what   result.Impairment
	fail   func(error)
	ends   []*relay
	slots  map[netip.Addr]*relay // by the address where a member is bound, which is its alone
	ctx    context.Context
	work   sync.WaitGroup
	serves bool // its sockets are served
	// Datagrams, and segments of streams, that came: at all, and under the impairment.
	passed, impaired atomic.Uint64

	mu  sync.Mutex
	rng *rand.Rand // of streams
}

// relay is the end of all links to and from one member, at its address. It is also the machine of a
// socket there, which sends what the member sends, so that others see it come from where they reach
// the member.
type relay struct {
	*relays
	slot   int
	member driver.Member
	sock   *served
	stream *net.TCPListener
	queue  chan parcel // from the member
	out    []parcel
	to     [1]netip.AddrPort
}

// newRelays makes relays for members, the last of which is a server.
func newRelays(ctx context.Context, m *Mesh, clock record.Clock, members []driver.Member, fail func(error)) (_ *relays, err error) {
	r := &relays{store: m.Store, what: m.Impair, fail: fail, slots: map[netip.Addr]*relay{}, ctx: ctx, rng: rand.New(rand.NewPCG(m.seed, core.MaxPeers))}
	defer func() {
		if err != nil {
			r.Close()
		}
	}()
	for i, x := range members {
		if i == len(members)-1 {
			i = record.ServerSlot
		}
		const most = 4096 // datagrams that wait for a machine that is late
		e := &relay{relays: r, slot: i, member: x, queue: make(chan parcel, most)}
		sock, err := udp.Listen(x.Addr, udp.ReadBuffer)
		if err != nil {
			return r, err
		}
		e.sock = newServed(sock)
		r.ends, r.slots[x.Bind.Addr()] = append(r.ends, e), e
		if e.stream, err = net.ListenTCP("tcp4", net.TCPAddrFromAddrPort(x.Addr)); err != nil {
			return r, err
		}
	}
	r.serves = true
	for _, e := range r.ends {
		e.sock.start(ctx, newImpaired(e, r.what, m.seed, record.NewRecorder(m.Store, clock, e.slot)))
		r.work.Go(e.send)
		r.work.Go(e.accept)
	}
	return r, nil
}

func (r *relays) Close() {
	for _, e := range r.ends {
		if e.stream != nil {
			e.stream.Close()
		}
		e.sock.Socket.Close()
		if r.serves {
			<-e.sock.done
		}
	}
	r.work.Wait()
}

// of is the relay of whoever sends from an address.
func (r *relays) of(from netip.AddrPort) *relay {
	e := r.slots[from.Addr()]
	if e == nil && r.ctx.Err() == nil {
		r.fail(fmt.Errorf("the driver sends from %v, want an address at which a member is bound, and no other", from))
	}
	return e
}

// Step takes what somebody sends to the member, and has the sender's relay send it.
func (e *relay) Step(_ time.Time, from netip.AddrPort, datagram []byte) bool {
	sender := e.of(from)
	if sender == nil {
		return false
	}
	e.count(1)
	select {
	case sender.queue <- parcel{to: e.member.Bind, datagram: append([]byte(nil), datagram...)}:
	default:
		e.fail(errors.New("the relays cannot keep up with the driver"))
	}
	return false
}

func (r *relays) count(n uint64) {
	if r.passed.Add(n); r.store.Impairing.Load() {
		r.impaired.Add(n)
	}
}

// send hands what comes to the socket, for which other relays must not wait.
func (e *relay) send() {
	for {
		select {
		case p := <-e.queue:
			e.sock.Do(func(time.Time) { e.out = append(e.out, p) })
		case <-e.ctx.Done():
			return
		}
	}
}

// Poll sends what the member sends.
func (e *relay) Poll(time.Time) (core.Outgoing, time.Time) {
	if len(e.out) == 0 {
		return core.Outgoing{}, time.Time{}
	}
	p := e.out[0]
	e.out, e.to[0] = e.out[1:], p.to
	return core.Outgoing{Datagram: p.datagram, To: e.to[:]}, time.Time{}
}

// accept takes the streams that others open to the member.
func (e *relay) accept() {
	for {
		c, err := e.stream.AcceptTCP()
		if err != nil {
			return
		}
		from := e.of(c.RemoteAddr().(*net.TCPAddr).AddrPort())
		if from == nil {
			c.Close()
			continue
		}
		e.work.Go(func() {
			defer c.Close()
			if !e.pass(from, 0) { // what opens the stream is lost as long as the link is cut
				return
			}
			to, err := new(net.Dialer).DialContext(e.ctx, "tcp4", e.member.Bind.String())
			if err != nil {
				return
			}
			stop := context.AfterFunc(e.ctx, func() { c.Close(); to.Close() })
			defer stop()
			defer to.Close()
			var both sync.WaitGroup
			both.Go(func() { e.carry(from, c, to.(*net.TCPConn)) })
			both.Go(func() { from.carry(e, to.(*net.TCPConn), c) })
			both.Wait()
		})
	}
}

// What a stream does about losses: a lost segment is sent again after a timeout that doubles,
// and what was sent after it waits (RFC 6298, at the least timeout that Linux has).
const (
	segment   = 1448 // bytes
	leastWait = 200 * time.Millisecond
	mostWait  = 10 * time.Second
)

// delay is how long a segment of a stream is under way.
func (r *relays) delay(from, to int) time.Duration {
	r.mu.Lock()
	defer r.mu.Unlock()
	d := r.what.Delay
	if r.what.Jitter > 0 {
		d += time.Duration(r.rng.Int64N(int64(r.what.Jitter) + 1))
	}
	loss := r.store.LossOn(r.what.Loss, from, to)
	for wait := leastWait; loss < 1 && wait < mostWait && r.rng.Float64() < loss; wait *= 2 {
		d += wait
		r.store.Slots[from].Injected.Add(1)
	}
	return d
}

// pass waits until a stretch of a stream comes through, after a time; false: the mesh ended first.
func (e *relay) pass(from *relay, after time.Duration) bool {
	const look = 5 * time.Millisecond
	for ok := Sleep(e.ctx, after); ok; ok = Sleep(e.ctx, look) {
		if !e.store.Impairing.Load() || !e.store.Apart(from.slot, e.member.Addr.Port()) && e.store.LossOn(0, from.slot, e.slot) < 1 {
			return true
		}
	}
	return false
}

// carry carries one direction of a stream to its end.
func (e *relay) carry(from *relay, src, dst *net.TCPConn) {
	type stretch struct {
		bytes []byte
		due   time.Time
	}
	const most = 64 // under way
	way := make(chan stretch, most)
	e.work.Go(func() {
		defer close(way)
		for last := (time.Time{}); ; {
			b := make([]byte, segment)
			n, err := src.Read(b)
			if n > 0 {
				e.count(1)
				due := time.Now()
				if e.store.Impairing.Load() {
					due = due.Add(e.delay(from.slot, e.slot))
				}
				if due.Before(last) {
					due = last
				}
				last = due
				select {
				case way <- stretch{b[:n], due}:
				case <-e.ctx.Done():
					return
				}
			}
			if err != nil {
				if err != io.EOF {
					dst.Close()
				}
				return
			}
		}
	})
	for x := range way {
		if !e.pass(from, time.Until(x.due)) {
			break
		}
		if _, err := dst.Write(x.bytes); err != nil {
			src.Close()
			break
		}
	}
	dst.CloseWrite()
	for range way { // until the reader has ended
	}
}
