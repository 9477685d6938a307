// Package simnet runs the protocol's machines without sockets and without
// waiting.
//
// Net is a virtual network with a virtual clock: a discrete-event simulation
// of one server, its peers and the faults between them. What happens is a
// function of the configuration, the calls and the seed alone: integer
// arithmetic, one goroutine, no map order, no wall clock. The same run gives
// the same event log on every platform, byte for byte.
package simnet

import (
	"fmt"
	"net/netip"
	"time"

	"p2plocal/core"
)

// ServerPort is the UDP port of AddServer's server.
const ServerPort = 3000

// maxNodes bounds the ports that one Net listens on: those that are not for senders.
const maxNodes = 1 << 14

// pollMost bounds what a machine sends at one instant. One that never stops sending continues a
// microsecond later, so that it cannot stop the clock.
const pollMost = 4096

// Start is the virtual date at which every Net begins. Machines see
// time.Time; Net's own times are durations since Start.
var Start = start()

// start gives Start a monotonic reading, with which differences of times cost a quarter as much.
func start() time.Time {
	now := time.Now()
	return now.Add(time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC).Sub(now))
}

var host = netip.AddrFrom4([4]byte{127, 0, 0, 1})

// Addr is a port's address on the virtual host.
func Addr(port uint16) netip.AddrPort { return netip.AddrPortFrom(host, port) }

// Config describes a Net. The zero value is a perfect network.
type Config struct {
	Seed  uint64
	Fault Fault        // on every link that SetFault has not given its own
	Queue int          // datagrams that may wait at a node, later ones are lost, of which its machine hears if it can; 0: any number
	Host  Host         // what computing costs
	Trace func(*Event) // hears every event; nil costs nothing
}

// Net is a virtual network and its clock. It is for one goroutine.
//
// Everything that falls on one instant happens in this order: arrivals, alarms
// and At's calls, as they were scheduled; then every node that has something
// to do takes in all that waits for it and is polled once. So what arrived
// together is answered together, as udp.Socket does it.
type Net struct {
	cfg   Config
	path  path // of cfg.Fault
	now   time.Duration
	dated time.Duration // the time that date is of
	date  time.Time

	calendar calendar
	calls    []func() // of At; a call's index is its event's number

	nodes  []*Node
	byPort [256]*[256]uint16 // by the port's two bytes: index in nodes, plus one; few ports of all are in use
	ready  []*Node           // have something to do at this instant

	line    queue         // nodes that wait for a core of the host
	working int           // cores that are not idle
	lag     time.Duration // that the present turn has computed for
	cost    time.Duration // of a datagram that it sends

	ports     []uint16 // scratch, of a machine's addresses
	flights   []flight
	unused    []int32 // indices of flights that are over
	elsewhere link    // scratch, for ports that no node has
	injected  uint32
	stats     Stats
	event     Event // scratch
}

// Stats counts what became of the datagrams, one for each port that one goes
// to. When nothing is on its way and nothing waits,
//
//	Sent + Duplicated = Taken + Lost + Cut + Overflowed + Unreachable
type Stats struct {
	Sent        uint64 // handed to the network
	Taken       uint64 // stepped by a machine
	Lost        uint64 // by chance
	Cut         uint64 // by a partition
	Duplicated  uint64 // delivered once more
	Overflowed  uint64 // the queue was full
	Unreachable uint64 // nobody listened on the port, or not for long enough
	Events      uint64 // of any kind, that the clock stopped at
}

// flight is one datagram on its way to some ports. It stays until the last has
// taken it.
type flight struct {
	data []byte
	to   []uint16
	from uint16
	refs int32
	step time.Duration // between one port and the next, where they follow one another
}

// New makes a Net with nobody in it, at time 0. It panics if the fault or the
// host is invalid; their Validate tells beforehand.
func New(cfg Config) *Net {
	if err := cfg.Host.Validate(); err != nil {
		panic("simnet: " + err.Error())
	}
	return &Net{cfg: cfg, path: cfg.Fault.path(), date: Start}
}

// Now is the time since Start.
func (n *Net) Now() time.Duration { return n.now }

// Stats is a copy of the counters so far.
func (n *Net) Stats() Stats { return n.stats }

// Nodes are all nodes, in the order in which they were added.
func (n *Net) Nodes() []*Node { return n.nodes }

// Node is the node on a port, nil where there is none.
func (n *Net) Node(port uint16) *Node {
	if i := n.indexOf(port); i >= 0 {
		return n.nodes[i]
	}
	return nil
}

// indexOf is -1 where there is none.
func (n *Net) indexOf(port uint16) int {
	if low := n.byPort[port>>8]; low != nil {
		return int(low[port&0xFF]) - 1
	}
	return -1
}

// Add adds a node on a port of its own, not running yet: each Launch asks
// launch for a new machine, with the node's time of day.
func (n *Net) Add(port uint16, launch func(now time.Time) core.Machine) *Node {
	if port == 0 || n.Node(port) != nil || len(n.nodes) == maxNodes {
		panic(fmt.Sprintf("simnet: cannot add node %d on port %d", len(n.nodes)+1, port))
	}
	x := &Node{net: n, port: port, launch: launch, limit: n.cfg.Queue, index: len(n.nodes)}
	n.nodes = append(n.nodes, x)
	if n.byPort[port>>8] == nil {
		n.byPort[port>>8] = new([256]uint16)
	}
	n.byPort[port>>8][port&0xFF] = uint16(len(n.nodes))
	return x
}

// AddServer adds a core.Directory on ServerPort. Launch panics if cfg is invalid.
func (n *Net) AddServer(cfg core.DirectoryConfig) *Node {
	cfg.Addr = Addr(ServerPort)
	return n.Add(ServerPort, func(now time.Time) core.Machine { return Must(core.NewDirectory(cfg, now)) })
}

// AddPeer adds a core.Peer on the port of cfg.Self, with the server on ServerPort.
// Launch panics if cfg is invalid.
func (n *Net) AddPeer(cfg core.PeerConfig) *Node {
	cfg.Server = Addr(ServerPort)
	return n.Add(cfg.Self.Addr.Port(), func(now time.Time) core.Machine { return Must(core.NewPeer(cfg, now)) })
}

// Must returns m, and panics on an error, which is one of the simulation's own configuration.
func Must[M any](m M, err error) M {
	if err != nil {
		panic(err)
	}
	return m
}

// At calls f when the clock reaches t, or first in the next Run if t has passed. f may do
// anything to the Net but Run it; trace functions and observers must use At instead of changing
// the Net.
func (n *Net) At(t time.Duration, f func()) {
	n.schedule(event{at: max(t, n.now), kind: calling, number: int32(len(n.calls))})
	n.calls = append(n.calls, f)
}

// Inject sends one datagram from a port, whoever has it, through the faults of
// that link.
func (n *Net) Inject(from, to uint16, datagram []byte) {
	n.injected++
	n.send(n.Node(from), from, 1<<31|n.injected, datagram, []uint16{to})
}

// Run advances the clock to until, and does everything that happens by then.
func (n *Net) Run(until time.Duration) {
	for n.RunInstant(until) {
	}
	n.now = max(n.now, until)
}

// RunInstant advances the clock to the next instant at which something
// happens, no later than until, and lets it happen; false where nothing does.
func (n *Net) RunInstant(until time.Duration) bool {
	by := n.now
	if len(n.ready) == 0 {
		by = until
	}
	e, ok := n.calendar.pop(by)
	if !ok && len(n.ready) == 0 {
		return false
	}
	for ; ok; e, ok = n.calendar.pop(n.now) {
		n.now = e.at
		n.stats.Events++
		switch e.kind {
		case arriving:
			n.arrive(e)
		case alarm:
			if x := n.nodes[e.number]; x.wake == e.at {
				x.wake = 0
				n.rouse(x)
			}
		case calling:
			f := n.calls[e.number]
			n.calls[e.number] = nil
			f()
		case computing:
			n.compute(n.nodes[e.number])
		case finished:
			n.finish(n.nodes[e.number])
		}
	}
	if n.cfg.Host.Cores > 0 {
		n.assign()
		return true
	}
	for i := 0; i < len(n.ready); i++ {
		x := n.ready[i]
		x.ready, x.again = false, false
		if x.machine != nil && !x.paused {
			x.work()
		}
	}
	n.ready = n.ready[:0]
	return true
}

func (n *Net) schedule(e event) { n.calendar.push(e) }

// rouse makes a node run and poll its machine at this instant, or when it has its turn if
// computing takes time.
func (n *Net) rouse(x *Node) {
	x.ask = true
	n.run(x)
}

// run is rouse, but the machine need not be polled unless it says so.
func (n *Net) run(x *Node) {
	if x.ready {
		x.again = true
		return
	}
	if x.machine != nil && !x.paused {
		x.ready = true
		n.ready = append(n.ready, x)
	}
}

// send puts a datagram on its way to some ports: one event for each run of ports that get
// it at the same instant. nth tells the sender's datagrams apart.
func (n *Net) send(x *Node, from uint16, nth uint32, datagram []byte, ports []uint16) {
	n.stats.Sent += uint64(len(ports))
	n.trace(Sent, from, 0, ports, datagram)
	number := n.take()
	f := &n.flights[number]
	f.from = from
	f.data = append(f.data[:0], datagram...)
	f.to = f.to[:0]

	f.step = 0

	cost := n.cost
	e := event{kind: arriving, number: number}
	if (x == nil || x.links == nil) && n.path.plain {
		f.to = append(f.to, ports...)
		e.at = n.now + n.lag + cost + n.path.delay
		e.hi = int32(len(f.to))
		if cost > 0 {
			f.step, e.hi = cost, min(e.hi, 1)
			n.lag += cost * time.Duration(len(f.to))
		}
	} else {
		for _, to := range ports {
			n.lag += cost
			n.cross(x, f, &e, to, nth)
		}
	}
	f.refs = int32(len(f.to))
	if f.refs == 0 {
		n.unused = append(n.unused, number)
	} else {
		n.schedule(e)
	}
}

// cross sends a flight over one link. It adds the port to the flight as often
// as it arrives, and schedules the run e of earlier ports once one arrives at
// another instant.
func (n *Net) cross(x *Node, f *flight, e *event, to uint16, nth uint32) {
	l := n.link(x, to)
	if l.cuts > 0 {
		n.stats.Cut++
		n.trace(Cut, f.from, to, nil, f.data)
		return
	}
	p := &n.path
	if l.path != nil {
		p = l.path
	}
	dice := newDice(n.cfg.Seed, f.from, to, nth)
	copies := 1
	if dice.hit(p.duplicate) {
		copies = 2
		n.stats.Duplicated++
		n.trace(Duplicated, f.from, to, nil, f.data)
	}
	for ; copies > 0; copies-- {
		if p.lost(&dice, &l.bad) {
			n.stats.Lost++
			n.trace(Lost, f.from, to, nil, f.data)
		} else {
			at := n.now + n.lag + p.travel(&dice)
			if at != e.at && e.lo != e.hi {
				n.schedule(*e)
				e.lo = e.hi
			}
			e.at = at
			f.to = append(f.to, to)
			e.hi++
		}
	}
}

// link is the way from a node to a port. Where the network has no node at
// either end it is one like any other.
func (n *Net) link(x *Node, to uint16) *link {
	i := n.indexOf(to)
	if x == nil || i < 0 {
		n.elsewhere = link{}
		return &n.elsewhere
	}
	if i >= len(x.links) {
		x.links = append(x.links, make([]link, len(n.nodes)-len(x.links))...)
	}
	return &x.links[i]
}

// arrive queues a datagram at those of its ports that it has reached.
func (n *Net) arrive(e event) {
	if f := &n.flights[e.number]; f.step > 0 && int(e.hi) < len(f.to) {
		n.schedule(event{at: e.at + f.step, kind: arriving, number: e.number, lo: e.hi, hi: e.hi + 1})
	}
	for i := e.lo; i < e.hi; i++ {
		to := n.flights[e.number].to[i]
		x := n.Node(to)
		switch {
		case x == nil || x.machine == nil:
			n.discard(&n.stats.Unreachable, Unreachable, e.number, to)
		case x.limit > 0 && x.queue.n >= x.limit:
			x.lost++
			n.discard(&n.stats.Overflowed, Overflowed, e.number, to)
		default:
			x.queue.push(e.number)
			n.run(x)
		}
	}
}

// discard counts off an arrival that no machine takes.
func (n *Net) discard(count *uint64, what What, number int32, to uint16) {
	f := &n.flights[number]
	*count++
	n.trace(what, f.from, to, nil, f.data)
	n.release(number)
}

// take finds a flight that is free; release counts one of its arrivals off.
func (n *Net) take() int32 {
	if last := len(n.unused) - 1; last >= 0 {
		number := n.unused[last]
		n.unused = n.unused[:last]
		return number
	}
	n.flights = append(n.flights, flight{})
	return int32(len(n.flights) - 1)
}

func (n *Net) release(number int32) {
	f := &n.flights[number]
	if f.refs--; f.refs == 0 {
		n.unused = append(n.unused, number)
	}
}

func (n *Net) trace(what What, from, to uint16, ports []uint16, datagram []byte) {
	if n.cfg.Trace != nil {
		n.tell(what, from, to, ports, datagram)
	}
}

func (n *Net) tell(what What, from, to uint16, ports []uint16, datagram []byte) {
	n.event = Event{n.now, what, from, to, ports, datagram}
	n.cfg.Trace(&n.event)
}
