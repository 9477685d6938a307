package wide

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"p2plocal/core"
	"p2plocal/core/simnet"
)

// mesh is a simulated wide mesh that holds every run to the invariants of PROTOCOL.md.
type mesh struct {
	t      testing.TB
	net    *simnet.Net
	seed   uint64
	born   uint64 // machines launched
	keys   Keys
	server *Directory
	hub    *simnet.Node
	peers  []*member

	versions  map[core.Version][]core.Member // as announced
	validated map[uint16]bool                // ports that have shown a token to this server
	received  map[uint16]int                 // bytes that the server has taken from a port
	sent      map[uint16]int                 // bytes that it has sent there
	record    func(*simnet.Event)
	failed    bool
}

// member is a peer and its node.
type member struct {
	name  core.Name
	node  *simnet.Node
	peer  *Peer
	heard map[string]bool // since it was launched
}

func (m *mesh) identity() Identity {
	m.born++
	b := binary.LittleEndian.AppendUint64(binary.LittleEndian.AppendUint64(nil, m.seed), m.born)
	return Identity{Seed: sha256.Sum256(b), Keys: m.keys}
}

func (m *mesh) fail(format string, args ...any) {
	m.t.Helper()
	if !m.failed {
		m.t.Errorf("seed %d, %v: %s", m.seed, m.net.Now(), fmt.Sprintf(format, args...))
	}
	m.failed = true
}

func newMesh(t testing.TB, seed uint64, n int, keys Keys, fault simnet.Fault) *mesh {
	m := &mesh{t: t, seed: seed, keys: keys, versions: map[core.Version][]core.Member{}}
	m.net = simnet.New(simnet.Config{Seed: seed, Fault: fault, Trace: m.trace})
	m.hub = m.net.Add(simnet.ServerPort, func(now time.Time) core.Machine {
		m.validated, m.received, m.sent = map[uint16]bool{}, map[uint16]int{}, map[uint16]int{}
		var err error
		m.server, err = NewDirectory(core.DirectoryConfig{Addr: simnet.Addr(simnet.ServerPort), Timing: DefaultTiming(), Observe: m.serverDid}, m.identity(), now)
		if err != nil {
			t.Fatal(err)
		}
		return m.server
	})
	for i := range n {
		x := &member{name: core.Name(fmt.Sprintf("peer-%0*d ö", 1+i%20, i))}
		x.node = m.net.Add(uint16(4000+i), func(now time.Time) core.Machine {
			x.heard = map[string]bool{}
			timing := DefaultTiming()
			timing.Broadcast = 0
			var err error
			x.peer, err = NewPeer(core.PeerConfig{Self: core.Member{Name: x.name}, Server: simnet.Addr(simnet.ServerPort),
				Timing: timing, Observe: func(e *core.Event) { m.peerDid(x, e) }}, m.identity(), now)
			if err != nil {
				t.Fatal(err)
			}
			return x.peer
		})
		m.peers = append(m.peers, x)
	}
	m.hub.Launch()
	return m
}

func (m *mesh) serverDid(e *core.Event) {
	switch e.Kind {
	case core.Born, core.Repeated:
		m.validated[e.Peer.Addr.Port()] = true
	case core.Conflict:
		m.validated[e.Peer.Addr.Port()] = true
	case core.Sent:
		if e.Data[0] == byte(core.TypeDirectory) {
			var v core.Message
			if err := (Codec{}).Parse(&v, e.Data); err != nil {
				m.fail("the server sends a page that is %v", err)
			}
			if v.Page == 0 {
				m.versions[v.Version] = slices.Clone(m.server.Members())
			}
		}
	}
}

func (m *mesh) peerDid(x *member, e *core.Event) {
	switch e.Kind {
	case core.Listed:
		var v core.Message
		Codec{}.Parse(&v, e.Data)
		got := slices.Collect(e.All.Each())
		if want := m.versions[v.Version]; !slices.Equal(got, want) {
			m.fail("%s takes version %v as %v, the server announced %v", x.name, v.Version, got, want)
		}
	case core.Heard:
		text := string(e.Peer.Name) + " " + string(e.Data)
		if x.heard[text] && m.keys != nil {
			m.fail("%s has accepted twice: %s", x.name, text)
		}
		x.heard[text] = true
	}
}

func (m *mesh) trace(e *simnet.Event) {
	if m.record != nil {
		m.record(e)
	}
	switch {
	case e.What == simnet.Taken && e.To == simnet.ServerPort:
		m.received[e.From] += len(e.Datagram)
	case e.What == simnet.Sent && e.From == simnet.ServerPort:
		for _, port := range e.Ports {
			m.sent[port] += len(e.Datagram)
			if m.keys != nil && port >= outside {
				m.fail("the server answers port %d, which has no key", port)
			}
			if port != e.From && !m.validated[port] && m.sent[port] > m.received[port] {
				m.fail("port %d has sent %d bytes and got %d before it was validated", port, m.received[port], m.sent[port])
			}
		}
		fallthrough
	case e.What == simnet.Sent:
		if len(e.Datagram) > MaxDatagram {
			m.fail("a datagram of %d bytes", len(e.Datagram))
		}
	}
}

// outside is the first port of those who have not the key.
const outside = 6000

func (m *mesh) launchAll() {
	for _, x := range m.peers {
		x.node.Launch()
	}
}

// others are whom a peer knows, sorted.
func (x *member) others() (names []string) {
	for _, o := range x.peer.Others() {
		names = append(names, string(o.Name))
	}
	slices.Sort(names)
	return names
}

// wantComplete checks that all who run are members, and know each other; strictly: and nobody else.
func (m *mesh) wantComplete(strictly bool) {
	m.t.Helper()
	var live []string
	for _, x := range m.peers {
		if x.node.Running() {
			live = append(live, string(x.name))
		}
	}
	slices.Sort(live)
	for _, x := range m.peers {
		if !x.node.Running() {
			continue
		}
		if !x.peer.Joined() {
			m.fail("%s is no member", x.name)
		}
		got := x.others()
		missing := 0
		for _, name := range live {
			if _, found := slices.BinarySearch(got, name); !found && name != string(x.name) {
				missing++
			}
		}
		if missing > 0 || strictly && len(got) != len(live)-1 {
			m.fail("%s knows %d of %d others, lacks %d", x.name, len(got), len(live)-1, missing)
		}
	}
}

// bound is how long healing takes where a datagram takes up to so long.
func bound(delay time.Duration) time.Duration {
	return 2*DefaultTiming().Heartbeat + 2*delay
}

var someKey = Keys{sha256.Sum256([]byte("a key"))}

func TestJoin(t *testing.T) {
	for _, keys := range []Keys{nil, someKey} {
		for _, n := range []int{1, 2, 95, 250} {
			m := newMesh(t, 1, n, keys, simnet.Fault{Delay: time.Millisecond})
			m.launchAll()
			m.net.Run(40 * time.Millisecond) // birth, retry, birth, pages; and pacing
			m.wantComplete(true)
			before := m.net.Stats().Sent
			m.net.Run(10 * time.Second)
			m.wantComplete(true)
			// keep-alives, and nothing else
			if sent := m.net.Stats().Sent - before; sent > uint64(20*n) {
				t.Errorf("%d peers at rest have sent %d datagrams in 10 s, want %d", n, sent, 20*n)
			}
		}
	}
}

// What the exact protocol never gets over is over within the bound.
func TestHeals(t *testing.T) {
	const delay = 5 * time.Millisecond
	for _, c := range []struct {
		name   string
		damage func(m *mesh)
	}{
		{"a directory that some have lost", func(m *mesh) {
			for _, x := range m.peers[:20] {
				m.net.Cut(simnet.ServerPort, x.node.Port())
			}
			m.peers[39].node.Launch()
			m.net.Run(m.net.Now() + 400*time.Millisecond)
			for _, x := range m.peers[:20] {
				m.net.Heal(simnet.ServerPort, x.node.Port())
			}
		}},
		{"a directory that all have lost", func(m *mesh) {
			m.net.Cut(simnet.ServerPort, 0)
			m.peers[39].node.Launch()
			m.net.Run(m.net.Now() + 300*time.Millisecond)
			m.net.Heal(simnet.ServerPort, 0)
		}},
		{"a restarted server", func(m *mesh) { m.hub.Launch() }},
		{"a server that was away", func(m *mesh) {
			m.hub.Kill()
			m.net.Run(m.net.Now() + time.Minute)
			m.hub.Launch()
		}},
		{"a partition, some removed", func(m *mesh) {
			for _, x := range m.peers[:20] {
				m.net.Cut(simnet.ServerPort, x.node.Port())
				m.net.Cut(x.node.Port(), simnet.ServerPort)
			}
			m.net.Run(m.net.Now() + 10*time.Second)
			for _, x := range m.peers[:20] {
				m.net.Heal(simnet.ServerPort, x.node.Port())
				m.net.Heal(x.node.Port(), simnet.ServerPort)
			}
		}},
		{"relaunched peers", func(m *mesh) {
			for _, x := range m.peers[:20] {
				x.node.Launch()
			}
		}},
		{"a birth that was lost", func(m *mesh) {
			m.net.Cut(m.peers[39].node.Port(), 0)
			m.peers[39].node.Launch()
			m.net.Run(m.net.Now() + 20*time.Second)
			m.net.Heal(m.peers[39].node.Port(), 0)
		}},
	} {
		for _, keys := range []Keys{nil, someKey} {
			t.Run(fmt.Sprintf("%s, key %v", c.name, keys != nil), func(t *testing.T) {
				m := newMesh(t, 1, 40, keys, simnet.Fault{Delay: delay})
				for i, x := range m.peers[:39] {
					m.net.At(time.Duration(i)*7*time.Millisecond, x.node.Launch)
				}
				m.net.Run(20 * time.Second)
				c.damage(m)
				m.net.Run(m.net.Now() + bound(delay))
				m.wantComplete(false)
				m.net.Run(m.net.Now() + 3*time.Second)
				m.wantComplete(true)
			})
		}
	}
}

// Who has a name keeps it against others while it lives, and no longer.
func TestTakeover(t *testing.T) {
	for _, c := range []struct {
		name       string
		keys       Keys
		same       bool // the newcomer is the holder itself, moved
		dead       bool
		takesAfter time.Duration
	}{
		{"an impostor", nil, false, false, 0},
		{"an impostor with the holder's incarnation", nil, true, false, 0},
		{"an impostor with the key", someKey, false, false, 0},
		{"the holder, moved, with the key", someKey, true, false, 100 * time.Millisecond},
		{"another, when the holder is dead", nil, false, true, 2 * time.Second},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := newMesh(t, 1, 3, c.keys, simnet.Fault{Delay: time.Millisecond})
			var last Identity
			second := m.net.Add(5000, func(now time.Time) core.Machine {
				id := m.identity()
				if c.same { // the incarnation, but not the session
					id.Seed = last.Seed
				}
				p, err := NewPeer(core.PeerConfig{Self: core.Member{Name: m.peers[0].name}, Server: simnet.Addr(simnet.ServerPort), Timing: DefaultTiming()}, id, now)
				if err != nil {
					t.Fatal(err)
				}
				if c.same && c.keys != nil {
					fresh := m.identity()
					p.sealer = fresh.sealer(nil)
				}
				return p
			})
			m.peers[0].node.Launch()
			last = Identity{Seed: sha256.Sum256(binary.LittleEndian.AppendUint64(binary.LittleEndian.AppendUint64(nil, m.seed), m.born)), Keys: m.keys}
			m.peers[1].node.Launch()
			m.net.Run(1100 * time.Millisecond)
			if c.dead {
				m.peers[0].node.Kill()
			}
			second.Launch()
			holder := func() uint16 {
				for _, x := range m.server.Members() {
					if x.Name == m.peers[0].name {
						return x.Addr.Port()
					}
				}
				return 0
			}
			var took time.Duration
			for start := m.net.Now(); m.net.Now() < start+5*time.Second; {
				m.net.Run(m.net.Now() + 10*time.Millisecond)
				if took == 0 && holder() == 5000 {
					took = m.net.Now() - start
				}
			}
			if (took > 0) != (c.takesAfter > 0) || took > c.takesAfter || c.dead && took < 400*time.Millisecond {
				t.Errorf("takes over after %v (0: never), want %v", took, c.takesAfter)
			}
		})
	}
}

// A server takes what strangers send it, and gives them no more than that.
func TestUnvalidated(t *testing.T) {
	m := newMesh(t, 1, 40, nil, simnet.Fault{Delay: time.Millisecond})
	m.launchAll()
	m.net.Run(time.Second)
	var all [][]byte
	for _, b := range samples() {
		all = append(all, b)
	}
	stolen := m.server.Members()[0]
	all = append(all, encode(core.Message{Type: core.TypeKeepAlive, Member: stolen}), encode(core.Message{Type: core.TypeBirth, Member: stolen}))
	// a token of another address
	t40 := m.server.tokensOf(m.net, simnet.Addr(4040))
	all = append(all, encode(core.Message{Type: core.TypeBirth, Member: core.Member{Name: "thief"}, Incarnation: 1, Seq: 1, Token: t40}))
	for i := range 200 {
		for _, b := range all {
			m.net.Inject(uint16(6000+i), simnet.ServerPort, b)
		}
	}
	m.net.Run(2 * time.Second) // the trace checks
	if n := m.server.Len(); n != 40 {
		t.Errorf("%d members, want 40", n)
	}
	// an old one of its own
	old := m.server.tokensOf(m.net, simnet.Addr(6000))
	m.net.Run(14 * time.Second)
	m.net.Inject(6000, simnet.ServerPort, encode(core.Message{Type: core.TypeBirth, Member: core.Member{Name: "late"}, Incarnation: 1, Seq: 1, Token: old}))
	m.net.Run(14*time.Second + 100*time.Millisecond)
	if n := m.server.Len(); n != 40 {
		t.Errorf("a token of 12 s ago is good: %d members, want 40", n)
	}
	m.wantComplete(true)
}

// Whoever has no identity speaks the exact dialect.
func TestDialectOf(t *testing.T) {
	now, at := time.Now(), addr("127.0.0.1:3000")
	for _, id := range []*Identity{nil, {}} {
		s, err := ServerOf(core.DirectoryConfig{Addr: at, Timing: DefaultTiming()}, id, now)
		if _, exact := s.(*core.Directory); err != nil || exact != (id == nil) {
			t.Errorf("identity %v: a server %T, %v", id, s, err)
		}
		p, inner, err := PeerOf(core.PeerConfig{Self: core.Member{Name: "A", Addr: addr("127.0.0.1:3001")}, Server: at, Timing: DefaultTiming()}, id, now)
		if _, exact := p.(*core.Peer); err != nil || inner == nil || exact != (id == nil) {
			t.Errorf("identity %v: a peer %T, %v", id, p, err)
		}
	}
}

// A token is good at the server that gave it, from the address and port that it was given to, for 10 s.
func TestToken(t *testing.T) {
	const at = "192.0.2.1:4000"
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	of := func(seed byte) *tokens {
		d, err := NewDirectory(core.DirectoryConfig{Addr: addr("192.0.2.9:3000"), Timing: DefaultTiming()}, Identity{Seed: [32]byte{seed}}, now)
		if err != nil {
			t.Fatal(err)
		}
		return d.tokens
	}
	mine := of(1)
	given := mine.append(nil, now, addr(at))
	if len(given) != 20 {
		t.Fatalf("a token of %d bytes, want 20", len(given))
	}
	for _, x := range []struct {
		after time.Duration
		from  string
		ok    bool
	}{
		{0, at, true}, {10 * time.Second, at, true}, {11 * time.Second, at, false}, {-time.Second, at, false},
		{0, "192.0.2.2:4000", false}, {0, "192.0.2.1:4001", false}, {0, "192.0.2.1:41000", false}, {0, "[2001:db8::1]:4000", false},
	} {
		if ok := mine.valid(given, now.Add(x.after), addr(x.from)); ok != x.ok {
			t.Errorf("a token for %s is good from %s after %v: %v", at, x.from, x.after, ok)
		}
	}
	if of(2).valid(given, now, addr(at)) {
		t.Error("another server's token is good")
	}
	for i := range given {
		if bad := slices.Clone(given); mine.valid(given[:i], now, addr(at)) || func() bool { bad[i] ^= 1; return mine.valid(bad, now, addr(at)) }() {
			t.Errorf("a token with byte %d wrong, or cut there, is good", i)
		}
	}
}

// A server with a key has use for births and keep-alives that are sealed, one without for those that are not.
func TestSealedAreAccepted(t *testing.T) {
	for _, keys := range []Keys{nil, someKey} {
		id := Identity{Keys: keys}
		d, err := NewDirectory(core.DirectoryConfig{Addr: addr("192.0.2.9:3000"), Timing: DefaultTiming()}, id, time.Now())
		if err != nil {
			t.Fatal(err)
		}
		for typ, plain := range samples() {
			sealed := NewSealer(someKey, [16]byte{1}, nil).Seal(plain)
			for _, b := range [][]byte{plain, sealed, plain[:len(plain)-1], sealed[:len(sealed)-1], append(slices.Clone(sealed), 0)} {
				accepted := slices.ContainsFunc(d.Accepts(), func(s core.Shape) bool {
					for i := range len(s.Low) {
						if b[i] < s.Low[i] || b[i] > s.High[i] {
							return false
						}
					}
					return len(b) >= s.Shortest && len(b) <= s.Longest
				})
				whole := keys == nil && len(b) == len(plain) || keys != nil && len(b) == len(sealed)
				is := typ == core.TypeBirth || typ == core.TypeKeepAlive || keys != nil && (len(plain) == 67 || len(plain) == 59) // what is sealed tells only its size
				if want := whole && is; accepted != want {
					t.Errorf("keys %v: %v of %d bytes is accepted: %v", keys != nil, typ, len(b), accepted)
				}
			}
		}
	}
}

// tokensOf is a token that the server would give now.
func (d *Directory) tokensOf(n *simnet.Net, to netip.AddrPort) []byte {
	return d.tokens.append(nil, simnet.Start.Add(n.Now()), to)
}

func TestNamesOfOthers(t *testing.T) {
	m := newMesh(t, 1, 12, nil, simnet.Fault{})
	m.launchAll()
	m.net.Run(100 * time.Millisecond)
	x := m.peers[3]
	x.node.Do(func(now time.Time) {
		if err := x.peer.Send(now, m.peers[5].name, []byte("for one")); err != nil {
			t.Error(err)
		}
		if err := x.peer.Send(now, "nobody", nil); err == nil || !strings.Contains(err.Error(), `"nobody"`) {
			t.Errorf("sending to nobody: %v", err)
		}
	})
	m.net.Run(200 * time.Millisecond)
	for i, y := range m.peers {
		if y.heard[string(x.name)+" for one"] != (i == 5) {
			t.Errorf("peer %d has heard %v", i, y.heard)
		}
	}
}
