package swarm

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"time"

	"p2plocal/bench/faults"
	"p2plocal/core"
	"p2plocal/core/simnet"
	"p2plocal/core/wide"
	"p2plocal/fuzz/hostile"
)

// WideInvariants are Invariants of the wide dialect: it has no gaps.
var WideInvariants = [][2]string{
	{"size", "no datagram but a message is above 1,200 bytes"},
	{"page", "every directory page that the server sends is valid"},
	{"view", "a peer's view is what the server announced as that version: never a mixture"},
	{"unvalidated", "the server never sends more than it got to an address that has shown no token"},
	{"once", "with a key, no message is accepted twice"},
	{"key", "with a key, who has not got it is not answered, unless with a retry to what it has recorded and the server has not seen"},
	{"early-removal", "nobody whom the server has heard within the deadline is removed"},
	{"accounts", "every machine's counters add up: what came in is what it was taken for"},
	{"heal", "two keep-alive intervals and a round trip after the last fault all are members and know each other, and soon after nobody else"},
}

// Wide is the simulation of the wide dialect, with a key or without.
func Wide(machines Machines, keyed bool) Simulation {
	return func(ctx context.Context, s faults.Script, until time.Duration, trace func(*simnet.Event)) Result {
		w := &wideMesh{machines: machines, also: trace, versions: map[core.Version][]core.Member{}, forger: rand.New(rand.NewPCG(s.Seed, 5))}
		if w.timing = wide.DefaultTiming(); keyed {
			w.keys = wide.Keys{sha256.Sum256([]byte("swarm"))}
		}
		w.run = run{Script: s, Net: simnet.New(simnet.Config{Seed: s.Seed, Fault: s.Network, Queue: s.Queue, Trace: w.trace}), end: w.whole}
		w.judge.net = w.run.Net
		w.run.Net.Add(simnet.ServerPort, w.newServer).Launch()
		w.run.launch(func(i int) *simnet.Node {
			x := &widePeer{mesh: w, name: core.Name(fmt.Sprintf("peer-%0*d", 1+i%20, i))} // of many lengths
			x.node = w.run.Net.Add(faults.PeerEntry(i).Port, x.launch)
			w.peers = append(w.peers, x)
			return x.node
		})
		for i, f := range s.Faults {
			if f.Verb == faults.Hostile {
				w.run.At(f.At, func() { w.forge(f) })
			} else {
				s.Plan(w.run.Net, i)
			}
		}
		// What was sent before the calm may come so much later.
		const underWay = 2 * time.Second
		healed := s.Calm + underWay + 2*w.timing.Heartbeat + 2*calmDelay
		w.run.At(healed, w.complete)
		w.run.healed = healed + 2*w.timing.Deadline + w.timing.Reap // by when the dead are removed, too
		return w.run.until(ctx, until, &w.judge)
	}
}

// wideMesh is a mesh and its checker.
type wideMesh struct {
	run
	judge
	machines Machines
	also     func(*simnet.Event)
	keys     wide.Keys
	launched uint64
	peers    []*widePeer
	versions map[core.Version][]core.Member // as announced

	// Of the server's present life:
	server server
	ports  map[uint16]*dealings

	recent [256][]byte // datagrams sent, for forgers
	sent   int
	forger *rand.Rand
}

// dealings are what the server has had to do with a port.
type dealings struct {
	took, gave int // bytes
	validated  bool
	heard      time.Duration
}

// with is what the server has had to do with a port.
func (w *wideMesh) with(port uint16) *dealings {
	d := w.ports[port]
	if d == nil {
		d = new(dealings)
		w.ports[port] = d
	}
	return d
}

func (w *wideMesh) identity() *wide.Identity {
	w.launched++
	b := binary.LittleEndian.AppendUint64(nil, w.Seed)
	return &wide.Identity{Seed: sha256.Sum256(binary.LittleEndian.AppendUint64(b, w.launched)), Keys: w.keys}
}

func (w *wideMesh) newServer(now time.Time) core.Machine {
	w.ports = map[uint16]*dealings{}
	m := w.machines.Server(core.DirectoryConfig{Addr: serverAddr, Timing: w.timing, Observe: w.did}, w.identity(), now)
	w.server = m.(server)
	return wideServer{w.server, w}
}

// did is what the server does.
func (w *wideMesh) did(e *core.Event) {
	switch e.Kind {
	case core.Born, core.Repeated, core.Conflict:
		w.with(e.Peer.Addr.Port()).validated = true
	case core.Removed:
		if silent := w.net.Now() - w.with(e.Peer.Addr.Port()).heard; silent < w.timing.Deadline {
			w.fail("early-removal", "%v is removed %v after it was heard", e.Peer, silent)
		}
	case core.Sent:
		if e.Data[0] != byte(core.TypeDirectory) {
			return
		}
		var v core.Message
		if err := (wide.Codec{}).Parse(&v, e.Data); err != nil {
			w.fail("page", "the server sends a page that is %v", err)
		}
		if v.Page == 0 {
			w.versions[v.Version] = slices.Clone(w.server.Members())
		}
	}
}

// wideServer stands between the server's machine and the Net.
type wideServer struct {
	server
	mesh *wideMesh
}

func (s wideServer) Step(now time.Time, from netip.AddrPort, datagram []byte) bool {
	heard := func() uint64 {
		n := s.Counters().Events
		return n[core.Born] + n[core.Repeated] + n[core.Alive]
	}
	before := heard()
	poll := s.server.Step(now, from, datagram)
	if heard() > before {
		s.mesh.with(from.Port()).heard = s.mesh.net.Now()
	}
	return poll
}

// widePeer is a peer, and stands between its machine and the Net.
type widePeer struct {
	member
	mesh     *wideMesh
	name     core.Name
	node     *simnet.Node
	messages int               // heard in this life
	accepted map[[24]byte]bool // their sessions and counters
}

func (x *widePeer) launch(now time.Time) core.Machine {
	x.messages, x.accepted = 0, map[[24]byte]bool{}
	w := x.mesh
	x.member = w.machines.Peer(core.PeerConfig{Self: core.Member{Name: x.name}, Server: serverAddr, Timing: w.timing, Observe: x.did}, w.identity(), now).(member)
	return x
}

func (x *widePeer) did(e *core.Event) {
	switch e.Kind {
	case core.Listed:
		var v core.Message
		wide.Codec{}.Parse(&v, e.Data)
		got := slices.Collect(e.All.Each())
		if want := x.mesh.versions[v.Version]; !slices.Equal(got, want) {
			x.mesh.fail("view", "%s takes version %v as %d members, and the server announced %d, or others", x.name, v.Version, len(got), len(want))
		}
	case core.Heard:
		x.messages++
	}
}

func (x *widePeer) Step(now time.Time, from netip.AddrPort, datagram []byte) bool {
	before := x.messages
	poll := x.member.Step(now, from, datagram)
	if x.messages == before || x.mesh.keys == nil {
		return poll
	}
	var number [24]byte
	if copy(number[:], datagram[2:]); x.accepted[number] {
		x.mesh.fail("once", "%s has accepted a message of %v twice", x.name, from)
	}
	x.accepted[number] = true
	return poll
}

// trace is the Net's.
func (w *wideMesh) trace(e *simnet.Event) {
	if w.also != nil {
		w.also(e)
	}
	switch {
	case e.What == simnet.Taken && e.To == simnet.ServerPort:
		w.with(e.From).took += len(e.Datagram)
	case e.What != simnet.Sent || e.From >= faults.Stranger:
		return
	case e.From == simnet.ServerPort:
		for _, port := range e.Ports {
			d := w.with(port)
			d.gave += len(e.Datagram)
			switch {
			case w.keys != nil && port >= forgers:
				w.fail("key", "the server answers port %d, which has no key", port)
			case !d.validated && d.gave > d.took:
				w.fail("unvalidated", "port %d has sent %d bytes and got %d without a token", port, d.took, d.gave)
			}
		}
		fallthrough
	default:
		if len(e.Datagram) > wide.MaxDatagram {
			w.fail("size", "port %d sends a datagram of %d bytes", e.From, len(e.Datagram))
		}
		w.recent[w.sent%len(w.recent)] = append(w.recent[w.sent%len(w.recent)][:0], e.Datagram...)
		w.sent++
	}
}

// forgers are the ports from which what nobody has sent comes; what has been recorded comes from
// the other strangers'.
const forgers = faults.Stranger + 500

// forge plays what has been sent again, as it was or changed, from elsewhere.
func (w *wideMesh) forge(f faults.Fault) {
	known := w.recent[:min(w.sent, len(w.recent))]
	for range f.N {
		var b []byte
		from := forgers + uint16(w.forger.IntN(500))
		switch kind := w.forger.IntN(4); {
		case len(known) == 0 || kind == 0:
			b = hostile.Noise(w.forger)
		case kind == 1: // well-formed, and not sealed
			b = wide.Codec{}.Append(nil, &core.Message{Type: []core.Type{core.TypeBirth, core.TypeKeepAlive}[w.forger.IntN(2)],
				Member: core.Member{Name: w.peers[w.forger.IntN(len(w.peers))].name}, Incarnation: w.forger.Uint64(), Seq: w.forger.Uint32()})
		case kind == 2:
			if b = hostile.Mutate(w.forger, known); !slices.ContainsFunc(known, func(sent []byte) bool { return bytes.Equal(sent, b) }) {
				break
			}
			fallthrough
		default:
			b, from = slices.Clone(known[w.forger.IntN(len(known))]), from-500
		}
		w.Inject(from, f.A, b)
	}
}

// complete checks that all are members and know each other.
func (w *wideMesh) complete() {
	for _, x := range w.peers {
		known := map[core.Name]bool{x.name: true}
		for _, o := range x.Others() {
			known[o.Name] = true
		}
		missing := slices.DeleteFunc(slices.Clone(w.peers), func(o *widePeer) bool { return known[o.name] })
		switch {
		case !x.Joined():
			w.fail("heal", "%s is no member", x.name)
		case len(missing) > 0:
			w.fail("heal", "%s does not know %s, nor %d others", x.name, missing[0].name, len(missing)-1)
		}
	}
}

// whole checks that, and that nobody else is known; and the counters.
func (w *wideMesh) whole() {
	w.complete()
	w.account(simnet.ServerPort, w.server.Counters())
	for _, x := range w.peers {
		w.account(x.node.Port(), x.Counters())
		if n := len(x.Others()); n > len(w.peers)-1 {
			w.fail("heal", "%s knows %d others, and there are %d", x.name, n, len(w.peers)-1)
		}
	}
}
