package campaign

import (
	"net"
	"net/netip"
	"slices"
	"testing"
	"time"

	"p2plocal/core"
	"p2plocal/core/wire"
	"p2plocal/fuzz/hostile"
	"p2plocal/fuzz/send"
	"p2plocal/fuzz/target"
)

func never() bool { return false }

func starving() time.Duration { return 0 }

// local is a mesh around a sound server in this process.
func local(t *testing.T, timeout time.Duration) *mesh {
	t.Helper()
	host := netip.AddrFrom4([4]byte{127, 0, 0, 1})
	server, err := newLocalServer(netip.AddrPortFrom(host, 0))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(server.leave)
	c := campaign{Config: Config{Target: server.socket.Addr(), Seed: 400}}
	release, err := c.claimPorts()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(release)
	m, err := newMesh(t.Context(), c.Target, c.Ports, timeout, time.Minute, starving, never)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(m.leave)
	return m
}

// The kernel may give a probe the port of one that has gone and is not reaped
// yet, whose birth a sound server refuses.
func TestOneWhoseNameOrPortIsHeldIsShutOut(t *testing.T) {
	held, other := wire.Entry{Name: 'x', Port: 9}, wire.Entry{Name: '~', Port: 11}
	c := canary{view: wire.Entries(nil).Append(held).Append(other)}
	for e, want := range map[wire.Entry]bool{
		held:                     false,
		{Name: 'y', Port: 9}:     true,
		{Name: 'x', Port: 10}:    true,
		{Name: 'y', Port: 10}:    false,
		other:                    false,
		{Name: '~', Port: 65535}: true,
	} {
		if got := c.conflicts(e); got != want {
			t.Errorf("%v shut out: %v, want %v", e, got, want)
		}
	}
}

// A target that does not answer is not found late while this process is late too,
// nor while the target waits for a processor.
func TestNobodyIsLateOnASlowMachine(t *testing.T) {
	const timeout = 20 * time.Millisecond
	for name, spoil := range map[string]func(*mesh){
		"lateness": func(m *mesh) {
			m.late = func(time.Time) time.Duration { return timeout }
		},
		"processor": func(m *mesh) {
			started := time.Now()
			m.starved = func() time.Duration { return time.Since(started) }
		},
	} {
		m := local(t, 10*time.Second)
		m.timeout = timeout
		spoil(m)
		started := time.Now()
		if m.await(timeout, never) {
			t.Errorf("%s: awaited what never comes", name)
		}
		if took := time.Since(started); took < mostTimeouts*timeout {
			t.Errorf("%s: late after %v, want %v or more", name, took, mostTimeouts*timeout)
		}
	}
}

func TestSoundServerIsJudgedSound(t *testing.T) {
	m := local(t, 10*time.Second)
	m.reset()
	for range 20 {
		if kind, why := m.checkServer(0, 1, true); kind != "" {
			t.Fatalf("%s: %s", kind, why)
		}
	}
}

// A canary that was removed because it could not speak is born again, and no finding.
func TestCanaryThatWasSilentIsHealed(t *testing.T) {
	m := local(t, 10*time.Second)
	m.reset()
	c := m.canaries[1]
	c.socket.Do(func(time.Time) { c.peer.Disconnect() })
	if !m.await(m.timeout, func() bool { return m.missing() != "" }) {
		t.Fatal("not removed within the time")
	}
	m.timeout = time.Second
	if kind, why := m.checkHearing(); kind != "" || m.missing() != "" {
		t.Errorf("%s: %s, want the canary healed", kind, why)
	}
}

// newBystander is a bystander of a target that is a socket.
func newBystander(t *testing.T) (b *bystanders, target *net.UDPConn) {
	t.Helper()
	target, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { target.Close() })
	at := target.LocalAddr().(*net.UDPAddr).AddrPort()
	s, err := send.Dial(netip.AddrPortFrom(at.Addr(), 0), at)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	if b, err = newBystanders(at, 0, s); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.close)
	return b, target
}

// What the target has sent astray counts at once, and nobody else's datagrams do.
func TestBystandersCountWhatTheTargetHasSent(t *testing.T) {
	b, target := newBystander(t)
	other, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	for i, c := range []struct {
		from *net.UDPConn
		to   netip.AddrPort
		want uint64
	}{
		{target, b.socket.LocalAddr().(*net.UDPAddr).AddrPort(), 1},
		{other, b.socket.LocalAddr().(*net.UDPAddr).AddrPort(), 1},
		{target, b.sender.Addr(), 2},
		{target, b.sender.Addr(), 3},
	} {
		if _, err := c.from.WriteToUDPAddrPort([]byte{}, c.to); err != nil {
			t.Fatal(err)
		}
		if got := b.strays(); got != c.want {
			t.Errorf("%d strays after %d datagrams, want %d", got, i+1, c.want)
		}
	}
	target.Close()
	b.sender.Send(send.Pack([][]byte{{}}, false))
	if got := b.strays(); got != 3 || b.sender.Counts().Refused != 1 {
		t.Errorf("%d strays, %d refused when the target is gone, want 3 and 1", got, b.sender.Counts().Refused)
	}
}

// What a canary has been sent is judged, whether it has had time to read it or not.
func TestCanariesCatchUp(t *testing.T) {
	m := local(t, 10*time.Second)
	c := m.canaries[0]
	other, err := target.Listen(netip.AddrPortFrom(m.server.Addr(), 0))
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	for i := range 100 {
		c.socket.Do(func(time.Time) { // it cannot read meanwhile
			for range i {
				other.WriteToUDPAddrPort([]byte{1}, c.socket.Addr())
			}
			c.mark()
			if c.caughtUp() {
				t.Error("caught up with what it cannot have read")
			}
		})
		if m.catchUp(); !c.caughtUp() {
			t.Fatal("not caught up within the time")
		}
	}
}

func TestBystanderIsInvitedByBirthAndDirectoryAlone(t *testing.T) {
	b, _ := newBystander(t)
	here := b.port()
	held := func(n wire.Name) bool { return n == 'A' }
	for _, c := range []struct {
		what     string
		datagram []byte
		want     bool
	}{
		{"a birth here", hostile.Birth('B', here), true},
		{"a birth that is refused", hostile.Birth('A', here), false},
		{"a birth elsewhere", hostile.Birth('B', here^1), false},
		{"half a birth", hostile.Birth('B', here)[:5], false},
		{"a directory that names it", hostile.Directory(wire.Entry{Name: 'B', Port: here}), true},
		{"a directory that does not", hostile.Directory(wire.Entry{Name: 'B', Port: here ^ 1}), false},
		{"a keep-alive", hostile.KeepAlive('B'), false},
	} {
		if got := b.mayDraw(c.datagram, held); got != c.want {
			t.Errorf("%s invites: %v, want %v", c.what, got, c.want)
		}
	}
}

// A time in which this process did not run, nor maybe anybody else, is not counted.
func TestStopwatchStandsStillWithTheMachine(t *testing.T) {
	m := local(t, 10*time.Second)
	w := m.watch(m.timeout)
	ago := time.Now().Add(-2 * m.timeout)
	w.end, w.looked = ago.Add(m.timeout), ago
	if w.over() {
		t.Error("over though nobody has looked for twice the time")
	}
}

// A peer that does not broadcast to one newcomer may have been kept from it; one that
// does not to the next either is hung.
func TestSecondNewcomerTells(t *testing.T) {
	t.Parallel()
	m := local(t, 10*time.Second)
	m.timeout = time.Second
	peer, err := join(m.server, wire.Entry{Name: 'T'}, m.timeout, &m.got)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(peer.leave)
	p := targetPeer{entry: peer.entry, interval: 20 * time.Millisecond}
	if !m.await(startTimeout, func() bool { return closed(peer.joined) }) {
		t.Fatal("not let in")
	}
	judged := func(watch bool) Kind {
		kind, why := m.checkPeer(&p, m.canaries[0].heardFrom('T'), time.Now(), watch)
		t.Log(kind, why)
		return kind
	}
	if kind := judged(true); kind != Hung {
		t.Errorf("mute: %q, want hung", kind)
	}
	peer.mu.Lock()
	var old []wire.Entry
	peer.find(func(e wire.Entry) bool { old = append(old, e); return false })
	peer.mu.Unlock()
	go func() { // broadcasts from the second newcomer on
		for newcomers := map[wire.Entry]bool{}; len(newcomers) < 2; time.Sleep(time.Millisecond) {
			if closed(peer.done) {
				return
			}
			peer.mu.Lock()
			peer.find(func(e wire.Entry) bool {
				if !slices.Contains(old, e) {
					newcomers[e] = true
				}
				return false
			})
			peer.mu.Unlock()
		}
		peer.socket.Do(func(now time.Time) { peer.peer.Broadcast(core.Schedule{First: now, Interval: p.interval}) })
	}()
	if kind := judged(true); kind != "" {
		t.Errorf("mute for a while: %q, want nothing", kind)
	}
}
