package fuzz_test

import (
	"errors"
	"testing"
	"time"

	"p2plocal/core"
	"p2plocal/fuzz/hostile"
)

// FuzzDirectory: whatever comes and whenever, the server does what
// directoryModel says, after every step.
func FuzzDirectory(f *testing.F) {
	env := hostile.DefaultEnv()
	f.Fuzz(func(t *testing.T, schedule []byte) {
		m := directoryModel{port: int(env.Server.Port()), reaped: epoch, heard: map[int]map[byte]int{}, fates: map[core.Kind]int{}}
		last := map[core.Member]time.Time{} // sign of life
		var d *core.Directory
		d, err := core.NewDirectory(core.DirectoryConfig{Addr: env.Server, Timing: core.DefaultTiming(), Observe: func(e *core.Event) {
			switch e.Kind {
			case core.Born, core.Repeated:
				last[e.Peer] = e.At
			case core.Replaced:
				delete(last, e.Peer)
			case core.Removed:
				// The keep-alives are in the model alone, so a removal is judged by silence.
				silence := e.Elapsed
				if silence <= 1500*time.Millisecond || silence > 2*time.Second || last[e.Peer].IsZero() {
					m.fail("%v removed at %v after %v of silence", e.Peer, e.At.Sub(epoch), silence)
				}
				delete(last, e.Peer)
			case core.Malformed, core.Rejected, core.Misdirected, core.Stranger:
				if len(e.Data) > core.MaxDatagram || !errors.Is(e.Err, core.ErrMalformed) && !errors.Is(e.Err, core.ErrMisdirected) && !errors.Is(e.Err, core.ErrRejected) {
					m.fail("%x dropped because %v", e.Data, e.Err)
				}
			}
		}}, epoch)
		if err != nil {
			t.Fatal(err)
		}
		drive(d, schedule, env.Address, 2200*time.Millisecond, m.step, m.polled, func(now, next time.Time) { m.idle(now, next, d) })
		if m.err == nil && d.Len() != 0 {
			m.fail("after 2.2 s of silence the directory has %d entries", d.Len())
		}
		if m.err != nil {
			t.Fatal(m.err)
		}
	})
}

// FuzzPeer: whatever comes and whenever, the peer does what peerModel says,
// after every step. The first byte's lowest bit gives it a refresh interval.
func FuzzPeer(f *testing.F) {
	env := hostile.DefaultEnv()
	f.Fuzz(func(t *testing.T, schedule []byte) {
		timing := core.DefaultTiming()
		if len(schedule) > 0 {
			if schedule[0]&1 == 1 {
				timing.Refresh = 1300 * time.Millisecond
			}
			schedule = schedule[1:]
		}
		p, err := core.NewPeer(core.PeerConfig{Self: env.Self.Member(env.Server.Addr()), Server: env.Server, Timing: timing}, epoch)
		if err != nil {
			t.Fatal(err)
		}
		m := peerModel{env: env, refresh: timing.Refresh, birth: epoch, alive: epoch.Add(500 * time.Millisecond), tick: epoch.Add(4 * time.Second), fates: map[core.Kind]int{}}
		drive(p, schedule, env.Address, 9*time.Second, m.step, m.polled, func(now, next time.Time) { m.idle(now, next, p) })
		if m.err != nil {
			t.Fatal(m.err)
		}
	})
}
