package wide

import (
	"bytes"
	"math/rand/v2"
	"runtime"
	"strings"
	"testing"
	"time"

	"p2plocal/core"
	"p2plocal/core/simnet"
)

func TestParseKeys(t *testing.T) {
	a, b := strings.Repeat("0a", 32), strings.Repeat("B1", 32)
	for _, c := range []struct {
		text string
		keys int
		err  string
	}{
		{a, 1, ""}, {a + "\n", 1, ""}, {"# old and new\n" + a + "\r\n\n" + b + "\n", 2, ""},
		{"", 0, "no key"}, {"# nothing", 0, "no key"}, {a[1:], 0, "line 1"}, {a + "\n" + a + "00", 0, "line 2"}, {a + "x", 0, "line 1"},
	} {
		keys, err := ParseKeys(c.text)
		if len(keys) != c.keys || (err == nil) != (c.err == "") || err != nil && (!strings.Contains(err.Error(), c.err) || strings.Contains(err.Error(), a[:8])) {
			t.Errorf("%q: %d keys, %v", c.text, len(keys), err)
		}
	}
}

// No key is made twice, and no seed.
func TestNewKeys(t *testing.T) {
	seen := map[[32]byte]bool{{}: true}
	for range 10 {
		keys, err := ParseKeys(NewKey())
		if err != nil || len(keys) != 1 {
			t.Fatalf("%d keys, %v", len(keys), err)
		}
		for _, x := range [][32]byte{keys[0], NewIdentity(nil).Seed} {
			if seen[x] {
				t.Fatalf("%x again", x)
			}
			seen[x] = true
		}
	}
}

func session(i byte) (s [16]byte) { s[0] = i; return s }

func TestSealed(t *testing.T) {
	old, fresh := [32]byte{1}, [32]byte{2}
	a, b := NewSealer(Keys{old}, session(1), nil), NewSealer(Keys{fresh, old}, session(2), nil)
	other := NewSealer(Keys{{3}}, session(3), nil)
	one := bytes.Clone(a.Seal([]byte("one")))
	two := bytes.Clone(a.Seal([]byte("two")))
	if len(one) != 3+overhead || bytes.Contains(one, []byte("one")) {
		t.Errorf("sealed as %q", one)
	}
	if one[0] != 0xC5 || one[1] != 0x57 || one[18] != 1 || two[18] != 2 {
		t.Errorf("%x and %x, want type 57c5, a session and counters 1 and 2", one[:26], two[:26])
	}
	skips := NewSealer(Keys{old}, session(5), nil)
	if skips.Skip(3); skips.Seal(nil)[18] != 4 {
		t.Errorf("%d after 3 are left out", skips.Seal(nil)[18]-1)
	}
	opens := func(s *Sealer, d []byte, want string) {
		t.Helper()
		before := s.refused
		got, ok := s.open(begin, server, d)
		if ok != (want != "") || string(got) != want {
			t.Errorf("opens as %q, %v; want %q", got, ok, want)
		}
		if refused := s.refused.Datagrams - before.Datagrams; refused == 0 != ok || !ok && s.refused.Bytes-before.Bytes != uint64(len(d)) {
			t.Errorf("%d refused", refused)
		}
	}
	opens(b, two, "two") // overtaken
	opens(b, one, "one")
	opens(b, one, "") // replayed
	opens(b, two, "")
	opens(a, one, "")     // reflected
	opens(other, one, "") // another mesh
	three := bytes.Clone(a.Seal([]byte("three")))
	for i := range three { // forged: every bit counts
		for bit := range 8 {
			d := bytes.Clone(three)
			d[i] ^= 1 << bit
			opens(b, d, "")
		}
	}
	for i := range three {
		opens(b, three[:i], "")
	}
	opens(b, append(bytes.Clone(three), 0), "")
	opens(b, nil, "")
	opens(b, []byte("one"), "")
	opens(b, three, "three") // nothing of that has used up its counter

	// The newer key seals, and whoever has it as second one opens. Who has the old one only does not.
	reply := bytes.Clone(b.Seal([]byte("reply")))
	opens(NewSealer(Keys{old, fresh}, session(4), nil), reply, "reply")
	opens(a, reply, "")
}

// No nonce comes twice: neither of a machine nor of the same machine launched again.
func TestNoncesNeverRepeat(t *testing.T) {
	seen := map[string]bool{}
	for seed := range byte(4) {
		id := Identity{Seed: [32]byte{seed}, Keys: someKey}
		s := id.sealer(nil)
		for range 5000 {
			b := s.Seal(nil)
			if b := string(b[2:headerSize]); seen[b] {
				t.Fatalf("session and counter %x again", b)
			} else {
				seen[b] = true
			}
		}
	}
	s := NewSealer(someKey, session(1), nil)
	s.counter = 1<<64 - 1
	defer func() {
		if recover() == nil {
			t.Error("a counter wraps")
		}
	}()
	s.Seal(nil)
}

// The window against a set of everything that has come.
func TestWindow(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	for range 50 {
		var w window
		seen, top := map[uint64]bool{}, uint64(0)
		step := uint64(1) << r.IntN(12)
		for range 5000 {
			c := top + r.Uint64N(step)
			if back := r.Uint64N(2048); r.IntN(2) == 0 && back < top {
				c = top - back
			}
			fresh := c > 0 && !seen[c] && c+960 > top
			if got := w.fresh(c); got != fresh {
				t.Fatalf("counter %d, top %d: fresh %v, want %v", c, top, got, fresh)
			}
			if fresh {
				w.take(c)
				seen[c], top = true, max(top, c)
			}
		}
	}
	w := window{}
	w.take(1<<64 - 1)
	if w.fresh(1<<64-1) || !w.fresh(1<<64-2) || w.fresh(5) {
		t.Error("the last counter")
	}
}

// What is remembered of others is bounded.
func TestSessionsBounded(t *testing.T) {
	s := NewSealer(someKey, session(1), nil)
	one := &stream{}
	s.keep(session(9), one)
	for i := range maxSessions * 3 {
		s.keep([16]byte{1, byte(i), byte(i >> 8), byte(i >> 16)}, one)
		if s.find(session(9)) == nil {
			t.Fatalf("forgets after %d others one that speaks", i)
		}
	}
	if n := len(s.recent) + len(s.older); n > 2*maxSessions {
		t.Errorf("remembers %d", n)
	}
}

// Everything that has ever been sent, played again to everybody, from where it came from
// and from elsewhere, and a copy of each without the key: nothing comes of it.
func TestReplay(t *testing.T) {
	m := newMesh(t, 1, 10, someKey, simnet.Fault{Delay: time.Millisecond})
	type datagram struct {
		from uint16
		data []byte
	}
	var recorded []datagram
	m.record = func(e *simnet.Event) {
		if e.What == simnet.Sent {
			recorded = append(recorded, datagram{e.From, bytes.Clone(e.Datagram)})
		}
	}
	m.launchAll()
	m.net.Run(time.Second)
	for _, x := range m.peers {
		x.node.Do(func(now time.Time) { x.peer.Send(now, "", []byte("hello")) })
	}
	m.net.Run(3 * time.Second)
	m.peers[4].node.Launch() // a fresh one, which has heard nothing
	m.net.Run(4 * time.Second)
	m.record = nil
	heard, server := 0, m.server.Counters()
	for _, x := range m.peers {
		heard += len(x.heard)
	}
	if len(recorded) < 100 || heard != 9*9 {
		t.Fatalf("%d datagrams, %d heard", len(recorded), heard)
	}
	before := m.net.Stats().Sent
	for _, d := range recorded {
		for _, x := range append([]*member{{node: m.hub}}, m.peers...) {
			m.net.Inject(d.from, x.node.Port(), d.data)
			m.net.Inject(7777, x.node.Port(), d.data)
		}
	}
	injected := m.net.Stats().Sent - before
	m.net.Run(4*time.Second + 400*time.Millisecond)
	after := 0
	for _, x := range m.peers {
		after += len(x.heard)
	}
	now := m.server.Counters()
	if after != heard || m.net.Stats().Sent-before-injected > 10 {
		t.Errorf("%d more messages heard, %d datagrams in answer", after-heard, m.net.Stats().Sent-before-injected)
	}
	// It opens the messages that were for others, once.
	refused := now.Events[core.Stranger] + now.Events[core.Misdirected] - server.Events[core.Stranger]
	if refused != uint64(2*len(recorded)) {
		t.Errorf("the server has refused %d, want %d", refused, 2*len(recorded))
	}
	if in := now.In.Total().Datagrams; in != now.Events.Dropped()+now.Events.Taken() {
		t.Errorf("%d in, %+v", in, now.Events)
	}
	m.net.Run(8 * time.Second)
	m.wantComplete(true)
}

// A mesh without the key, and one with another, are no part of it, and hear nothing.
func TestWithoutKey(t *testing.T) {
	for _, keys := range []Keys{nil, {{7}}} {
		m := newMesh(t, 1, 3, someKey, simnet.Fault{})
		outsider := m.net.Add(5000, func(now time.Time) core.Machine {
			id := m.identity()
			id.Keys = keys
			p, err := NewPeer(core.PeerConfig{Self: core.Member{Name: "outsider"}, Server: simnet.Addr(simnet.ServerPort), Timing: DefaultTiming()}, id, now)
			if err != nil {
				t.Fatal(err)
			}
			return p
		})
		m.launchAll()
		outsider.Launch()
		m.net.Run(20 * time.Second)
		p := outsider.Machine().(*Peer)
		if c := p.Counters(); c.In.Total().Datagrams != 0 || c.Out.Birth.Datagrams < 10 || m.server.Len() != 3 {
			t.Errorf("the outsider has heard %+v; %d members", c.In, m.server.Len())
		}
		m.wantComplete(true)
	}
}

// Old and new key: a mesh that is changed over, process by process, never stops.
func TestRotation(t *testing.T) {
	old, fresh := [32]byte{1}, [32]byte{2}
	m := newMesh(t, 1, 6, Keys{old}, simnet.Fault{Delay: time.Millisecond})
	m.launchAll()
	m.net.Run(time.Second)
	for _, keys := range []Keys{{old, fresh}, {fresh, old}, {fresh}} {
		m.keys = keys
		for _, x := range append([]*member{{node: m.hub}}, m.peers...) {
			x.node.Launch()
			m.net.Run(m.net.Now() + bound(time.Millisecond))
			m.wantComplete(true)
		}
	}
}

// Machines of one process have a session's cipher in common, and so have peers a directory; neither
// is kept for longer than somebody has it.
func TestCommon(t *testing.T) {
	a, b, from := NewSealer(someKey, session(1), nil), NewSealer(someKey, session(2), nil), NewSealer(someKey, session(3), nil)
	d := from.Seal([]byte("to both"))
	for _, s := range []*Sealer{a, b} {
		if _, ok := s.Unseal(d); !ok || s.recent[session(3)].aead != from.aead {
			t.Errorf("opened %v, with the cipher that the sender has: %v", ok, s.recent[session(3)].aead == from.aead)
		}
	}
	v := core.Message{Version: core.Version{Incarnation: 1, Number: 1}, Pages: 1}
	of := func(name core.Name) *core.Listing {
		v.List = directory(v.Version, core.Member{Name: name, Addr: peerAddr(0)})[0][pageSize:]
		return listing(v.Version, []*core.Page{page(&v)})
	}
	one := of("ana")
	if of("ana") != one || of("bö") == one {
		t.Error("listings of the same pages are not one, or others are")
	}
	runtime.KeepAlive(one)
	key := keyed{someKey[0], session(3)}
	remembered := func() bool {
		aeads.mu.Lock()
		defer aeads.mu.Unlock()
		_, ok := aeads.of[key]
		return ok
	}
	for a, b, from = nil, nil, nil; aeads.find(key) != nil || remembered(); runtime.GC() {
	}
}
