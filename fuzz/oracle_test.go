package fuzz

import (
	"net/netip"
	"testing"
	"time"

	"p2plocal/core"
)

func never() bool { return false }

func starving() time.Duration { return 0 }

// local is a mesh around a sound server in this process.
func local(t *testing.T, timeout time.Duration) *mesh {
	t.Helper()
	host := netip.AddrFrom4([4]byte{127, 0, 0, 1})
	server, err := newHouse(netip.AddrPortFrom(host, 0))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(server.leave)
	c := campaign{Config: Config{Target: server.socket.Addr(), Seed: 400}}
	release, err := c.claim()
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
	held, other := core.Entry{Name: 'x', Port: 9}, core.Entry{Name: '~', Port: 11}
	c := canary{view: core.Entries(nil).Append(held).Append(other)}
	for e, want := range map[core.Entry]bool{
		held:                     false,
		{Name: 'y', Port: 9}:     true,
		{Name: 'x', Port: 10}:    true,
		{Name: 'y', Port: 10}:    false,
		other:                    false,
		{Name: '~', Port: 65535}: true,
	} {
		if got := c.shutOut(e); got != want {
			t.Errorf("%v shut out: %v, want %v", e, got, want)
		}
	}
}

// A target that does not answer is not found late while the control is late too,
// nor while the target waits for a processor.
func TestNobodyIsLateOnASlowMachine(t *testing.T) {
	const timeout = 20 * time.Millisecond
	for name, spoil := range map[string]func(*mesh){
		"control": func(m *mesh) {
			mute, err := bind(m.server.Addr(), 0)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { mute.Close() })
			m.control.leave()
			dead, err := newHouse(netip.AddrPortFrom(m.server.Addr(), 0))
			if err != nil {
				t.Fatal(err)
			}
			dead.stop() // it holds its port but answers nobody
			<-dead.done
			m.control = dead
		},
		"processor": func(m *mesh) {
			begun := time.Now()
			m.starved = func() time.Duration { return time.Since(begun) }
		},
	} {
		m := local(t, 10*time.Second)
		m.timeout = timeout
		spoil(m)
		begun := time.Now()
		if m.await(timeout, never) {
			t.Errorf("%s: awaited what never comes", name)
		}
		if took := time.Since(begun); took < longest*timeout {
			t.Errorf("%s: late after %v, want %v or more", name, took, longest*timeout)
		}
	}
}

func TestSoundServerIsJudgedSound(t *testing.T) {
	m := local(t, 10*time.Second)
	m.settle()
	for range 20 {
		if kind, why := m.judge(0, 1, true); kind != "" {
			t.Fatalf("%s: %s", kind, why)
		}
	}
}

func TestBystanderIsInvitedByBirthAndDirectoryAlone(t *testing.T) {
	b, err := bystand(netip.MustParseAddrPort("127.0.0.1:3000"), 0)
	if err != nil {
		t.Fatal(err)
	}
	defer b.close()
	here := b.port()
	held := func(n core.Name) bool { return n == 'A' }
	for _, c := range []struct {
		what     string
		datagram []byte
		want     bool
	}{
		{"a birth here", birth('B', here), true},
		{"a birth that is refused", birth('A', here), false},
		{"a birth elsewhere", birth('B', here^1), false},
		{"half a birth", birth('B', here)[:5], false},
		{"a directory that names it", directory(core.Entry{Name: 'B', Port: here}), true},
		{"a directory that does not", directory(core.Entry{Name: 'B', Port: here ^ 1}), false},
		{"a keep-alive", keepAlive('B'), false},
	} {
		if got := b.invited(c.datagram, held); got != c.want {
			t.Errorf("%s invites: %v, want %v", c.what, got, c.want)
		}
	}
}
