// Package virtual is a target.Host in memory, for tests in a bubble of testing/synctest.
// Its time is the bubble's, so it is never late; its targets are functions, each
// in goroutines of its own; each datagram takes Delay, and none is lost but to a full
// buffer.
package virtual

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"syscall"
	"time"

	"p2plocal/core"
	"p2plocal/fuzz/target"
)

const (
	Delay     = 50 * time.Microsecond // from Send to Receive
	buffer    = 1024                  // datagrams that a socket holds
	overhead  = 768                   // bytes that a datagram takes beside its own
	firstPort = 10000
)

// Host is a target.Host.
type Host struct {
	Room    int                  // bytes that a socket holds, as Linux counts them; 0: no bound
	Overdue func() time.Duration // by which a datagram comes later than its stamp, so that others overtake it; nil: none does

	main func(p *Program) (exit string)

	mu      sync.Mutex
	sockets map[netip.AddrPort]*Socket
	next    uint16
}

// New makes a host on which every command is main. What it returns says how it ended, such
// as "exit status 1".
func New(main func(p *Program) (exit string)) *Host {
	return &Host{main: main, sockets: map[netip.AddrPort]*Socket{}, next: firstPort}
}

func (h *Host) Late(time.Time) time.Duration { return 0 }

func (h *Host) Bound(at netip.AddrPort) bool { return h.find(at) != nil }

func (h *Host) Backlog(at netip.AddrPort) (waiting, dropped uint64, known bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	s := h.sockets[at]
	if s == nil {
		return 0, 0, false
	}
	return uint64(len(s.queue)), s.dropped, true
}

func (h *Host) find(at netip.AddrPort) *Socket {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.sockets[at]
}

// Reserve gives out no port twice.
func (h *Host) Reserve(netip.Addr) (uint16, func(), error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.next++
	return h.next, func() {}, nil
}

func (h *Host) Listen(at netip.AddrPort) (target.Socket, error) { return h.listen(at) }

func (h *Host) listen(at netip.AddrPort) (*Socket, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if at.Port() == 0 {
		h.next++
		at = netip.AddrPortFrom(at.Addr(), h.next)
	}
	if h.sockets[at] != nil {
		return nil, fmt.Errorf("cannot listen on %v: %w", at, syscall.EADDRINUSE)
	}
	s := &Socket{host: h, addr: at, queue: make(chan datagram, buffer), closed: make(chan struct{})}
	h.sockets[at] = s
	return s, nil
}

// Socket is a target.Socket.
type Socket struct {
	host    *Host
	addr    netip.AddrPort
	queue   chan datagram
	held    int               // bytes of that; the host's lock guards it
	dropped uint64            // likewise
	passes  func([]byte) bool // what it does not let in is thrown away; likewise
	closed  chan struct{}
	once    sync.Once

	program *Program // whose it is; nil: nobody's
}

type datagram struct {
	at   time.Time
	from netip.AddrPort
	data []byte
}

func (s *Socket) Addr() netip.AddrPort { return s.addr }

func (s *Socket) Send(to netip.AddrPort, data []byte) {
	d := datagram{time.Now().Add(Delay).Round(0), s.addr, append([]byte{}, data...)}
	if late := s.host.overdue(); late > 0 {
		time.AfterFunc(late, func() { s.host.deliver(to, d) })
		return
	}
	s.host.deliver(to, d)
}

func (h *Host) overdue() time.Duration {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.Overdue == nil {
		return 0
	}
	return h.Overdue()
}

// deliver puts a datagram into a socket's queue.
func (h *Host) deliver(to netip.AddrPort, d datagram) {
	h.mu.Lock()
	defer h.mu.Unlock()
	switch t := h.sockets[to]; {
	case t == nil:
	case len(t.queue) == buffer, h.Room > 0 && t.held+overhead+len(d.data) > h.Room, t.passes != nil && !t.passes(d.data):
		t.dropped++
	default:
		t.held += overhead + len(d.data)
		t.queue <- d
	}
}

// Filter has what f does not let in thrown away; nil: nothing.
func (s *Socket) Filter(f func(datagram []byte) bool) {
	s.host.mu.Lock()
	defer s.host.mu.Unlock()
	s.passes = f
}

func (s *Socket) Receive() (time.Time, netip.AddrPort, []byte, error) {
	at, from, data, err := s.ReceiveUntil(time.Time{})
	return at, from, data, err
}

// ErrInterrupted is what a program's socket says when that got a SIGINT. The socket is
// still open.
var ErrInterrupted = errors.New("interrupted")

// ReceiveUntil is Receive up to a time, after which it gives no datagram and no error;
// zero: for ever.
func (s *Socket) ReceiveUntil(end time.Time) (at time.Time, from netip.AddrPort, data []byte, err error) {
	var alarm <-chan time.Time
	if !end.IsZero() {
		timer := time.NewTimer(time.Until(end))
		defer timer.Stop()
		alarm = timer.C
	}
	var interrupt chan struct{}
	if s.program != nil {
		interrupt = s.program.interrupted
	}
	select {
	case <-s.closed:
		return at, from, nil, net.ErrClosed
	case <-interrupt:
		return at, from, nil, ErrInterrupted
	case <-alarm:
		return at, from, nil, nil
	case d := <-s.queue:
		s.host.mu.Lock()
		s.held -= overhead + len(d.data)
		s.host.mu.Unlock()
		time.Sleep(time.Until(d.at))
		return d.at, d.from, d.data, nil
	}
}

// A Loop runs a machine on a socket. Its owner decides what becomes of what comes and goes.
type Loop struct {
	Machine core.Machine
	Send    func(core.Outgoing)
	Take    func(datagram []byte, from netip.AddrPort)
	Tick    func(now time.Time) // every 20 ms at least; nil: never
}

// Serve returns when the socket can receive no more: with ErrInterrupted, or closed.
func (s *Socket) Serve(l Loop) error {
	for {
		var next time.Time
		for {
			var out core.Outgoing
			if out, next = l.Machine.Poll(time.Now()); out.Empty() {
				break
			}
			l.Send(out)
		}
		if l.Tick != nil {
			l.Tick(time.Now())
			if soon := time.Now().Add(20 * time.Millisecond); next.IsZero() || next.After(soon) {
				next = soon
			}
		}
		_, from, b, err := s.ReceiveUntil(next)
		if err != nil {
			return err
		}
		s.program.standStill()
		if from.IsValid() {
			l.Take(b, from)
		}
	}
}

func (s *Socket) Close() error {
	s.once.Do(func() {
		close(s.closed)
		s.host.mu.Lock()
		defer s.host.mu.Unlock()
		delete(s.host.sockets, s.addr)
	})
	return nil
}

// Program is a target.Program.
type Program struct {
	target.Command
	Host   *Host
	Killed chan struct{} // closed: it is to return

	mu          sync.Mutex
	sockets     []*Socket
	exit        string
	done        chan struct{}
	interrupted chan struct{}
	still       chan struct{} // closed when it goes on; nil: it runs
	once        [2]sync.Once
}

func (h *Host) Start(c target.Command) (target.Program, error) {
	p := &Program{Command: c, Host: h, Killed: make(chan struct{}),
		done: make(chan struct{}), interrupted: make(chan struct{})}
	go func() {
		defer close(p.done)
		defer p.closeSockets()
		defer func() {
			switch x := recover().(type) {
			case nil:
			case Exit:
				p.exit = string(x)
			default:
				p.exit = fmt.Sprintf("exit status 2, last output \"panic: %v\"", x)
			}
		}()
		p.exit = h.main(p)
	}()
	return p, nil
}

// Exit is what a program panics with that ends by itself: how it ended.
type Exit string

// Hang does nothing any more, until the program is killed.
func (p *Program) Hang() { <-p.Killed }

// Listen binds a socket that is closed when the program ends.
func (p *Program) Listen(at netip.AddrPort) (*Socket, error) {
	s, err := p.Host.listen(at)
	if err == nil {
		p.mu.Lock()
		defer p.mu.Unlock()
		s.program = p
		p.sockets = append(p.sockets, s)
		select {
		case <-p.Killed: // before it had any
			s.Close()
		default:
		}
	}
	return s, err
}

func (p *Program) closeSockets() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, s := range p.sockets {
		s.Close()
	}
}

// Print writes to the program's output.
func (p *Program) Print(text string) {
	if p.Output != nil {
		p.Output.Write([]byte(text))
	}
}

func (p *Program) Done() <-chan struct{} { return p.done }

func (p *Program) Ended() string {
	select {
	case <-p.done:
		return p.exit
	default:
		return ""
	}
}

func (p *Program) Waited() (time.Duration, int64) { return 0, 0 }

func (p *Program) Signal(s syscall.Signal) error {
	if s == syscall.SIGKILL {
		p.kill()
		return nil
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	switch s {
	case syscall.SIGINT:
		p.once[0].Do(func() { close(p.interrupted) })
	case target.Stop:
		p.still = make(chan struct{})
	case target.Continue:
		close(p.still)
		p.still = nil
	default:
		return fmt.Errorf("%v, want an interrupt, a kill, Stop or Continue", s)
	}
	return nil
}

// standStill returns when the program runs.
func (p *Program) standStill() {
	p.mu.Lock()
	still := p.still
	p.mu.Unlock()
	if still != nil {
		select {
		case <-still:
		case <-p.Killed:
		}
	}
}

func (p *Program) kill() {
	p.once[1].Do(func() { close(p.Killed) })
	p.closeSockets()
}

func (p *Program) Kill() {
	p.kill()
	<-p.done
}
