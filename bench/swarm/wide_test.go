package swarm

import (
	"bytes"
	"net/netip"
	"slices"
	"testing"
	"time"

	"p2plocal/core"
	"p2plocal/core/simnet"
	"p2plocal/core/wide"
)

func TestWideSwarmIsClean(t *testing.T) {
	t.Parallel()
	for _, keyed := range []bool{false, true} {
		tally := Swarm(t.Context(), 1, 50, Meshes{Wide: true, Key: keyed})
		for _, f := range tally.Findings {
			t.Errorf("key %v: %+v", keyed, f)
		}
		if tally.Seeds != 50 || tally.Taken == 0 {
			t.Errorf("%+v", tally)
		}
	}
}

// A run is a function of its script.
func TestWideTwice(t *testing.T) {
	t.Parallel()
	logOf := func() []byte {
		var b bytes.Buffer
		trace, flush := simnet.Log(&b)
		for seed := range uint64(5) {
			Wide(Core, seed%2 == 0)(t.Context(), Draw(seed), 0, trace)
		}
		flush()
		return b.Bytes()
	}
	if one := logOf(); len(one) == 0 || !bytes.Equal(one, logOf()) {
		t.Error("two runs of the same seeds differ")
	}
}

// spoilt is a machine with a fault.
type spoilt struct {
	core.Machine
	step func(now time.Time, from netip.AddrPort, b []byte) bool // false: it does not come to the machine
	poll func(core.Outgoing) core.Outgoing                       // what it sends instead
	over *core.Outgoing                                          // what it sends besides

	uncounted uint64 // datagrams
}

func (s *spoilt) Step(now time.Time, from netip.AddrPort, b []byte) bool {
	return (s.step == nil || s.step(now, from, b)) && s.Machine.Step(now, from, b) || s.over != nil
}

func (s *spoilt) Poll(now time.Time) (core.Outgoing, time.Time) {
	if s.over != nil {
		out := *s.over
		s.over = nil
		return out, now
	}
	out, next := s.Machine.Poll(now)
	if s.poll != nil && !out.Empty() {
		out = s.poll(out)
	}
	return out, next
}

// The checker reads these of the machine inside.
func (s *spoilt) Lost(now time.Time)     { s.Machine.(server).Lost(now) }
func (s *spoilt) Members() []core.Member { return s.Machine.(server).Members() }
func (s *spoilt) Len() int               { return s.Machine.(server).Len() }
func (s *spoilt) Others() []core.Member  { return s.Machine.(member).Others() }
func (s *spoilt) Joined() bool           { return s.Machine.(member).Joined() }
func (s *spoilt) Counters() core.Counters {
	c := s.Machine.(interface{ Counters() core.Counters }).Counters()
	c.In.Vanilla.Datagrams += s.uncounted
	return c
}

func spoiltServer(keyed bool, spoil func(*spoilt)) Simulation {
	return Wide(Machines{Server: func(cfg core.DirectoryConfig, id *wide.Identity, now time.Time) core.Machine {
		s := &spoilt{Machine: Core.Server(cfg, id, now)}
		spoil(s)
		return s
	}, Peer: Core.Peer}, keyed)
}

func spoiltPeer(keyed bool, spoil func(*spoilt)) Simulation {
	return Wide(Machines{Server: Core.Server, Peer: func(cfg core.PeerConfig, id *wide.Identity, now time.Time) core.Machine {
		s := &spoilt{Machine: Core.Peer(cfg, id, now)}
		spoil(s)
		return s
	}}, keyed)
}

// twins are one peer twice. The second hears no message for the first time, so that none
// that comes again is a repeat to it.
type twins struct {
	*spoilt
	second core.Machine
	heard  map[string]bool
}

func (x *twins) Step(now time.Time, from netip.AddrPort, b []byte) bool {
	if from == serverAddr || x.heard[string(b)] {
		x.second.Step(now, from, b)
	}
	x.heard[string(b)] = true
	x.Machine.Step(now, from, b)
	return true
}

func (x *twins) Poll(now time.Time) (core.Outgoing, time.Time) {
	for out, _ := x.second.Poll(now); !out.Empty(); out, _ = x.second.Poll(now) {
	}
	return x.Machine.Poll(now)
}

// A fault against each invariant is found within 1,000 seeds.
func TestWidePlanted(t *testing.T) {
	t.Parallel()
	is := func(b []byte, what core.Type) bool { return b[0] == byte(what) }
	wrongs := map[string]Simulation{
		"size": spoiltServer(false, func(s *spoilt) {
			s.poll = func(out core.Outgoing) core.Outgoing {
				if !is(out.Datagram, core.TypeDirectory) {
					return out
				}
				out.Datagram = append(slices.Clone(out.Datagram), make([]byte, wide.MaxDatagram)...)
				return out
			}
		}),
		// Pages of two versions are taken for one.
		"view": spoiltPeer(false, func(s *spoilt) {
			var old []byte
			const head = 18 // of a page, before its entries
			s.step = func(at time.Time, from netip.AddrPort, b []byte) bool {
				if len(b) < head || !is(b, core.TypeDirectory) || from != serverAddr {
					return true
				}
				mixed := slices.Clone(b)
				if len(old) == len(b) {
					copy(mixed[head:], old[head:])
				}
				old = slices.Clone(b)
				s.Machine.Step(at, from, mixed)
				return false
			}
		}),
		"unvalidated": spoiltServer(false, func(s *spoilt) {
			s.poll = func(out core.Outgoing) core.Outgoing {
				if is(out.Datagram, core.TypeRetry) {
					s.over = &core.Outgoing{Datagram: slices.Clone(out.Datagram), To: slices.Clone(out.To)}
				}
				return out
			}
		}),
		"once": Wide(Machines{Server: Core.Server, Peer: func(cfg core.PeerConfig, id *wide.Identity, now time.Time) core.Machine {
			first := &spoilt{Machine: Core.Peer(cfg, id, now)}
			observe := cfg.Observe
			cfg.Observe = func(e *core.Event) {
				if e.Kind == core.Heard {
					observe(e)
				}
			}
			return &twins{first, Core.Peer(cfg, id, now), map[string]bool{}}
		}}, true),
		// Whom it has heard late it removes early.
		"early-removal": Wide(Machines{Server: func(cfg core.DirectoryConfig, id *wide.Identity, now time.Time) core.Machine {
			cfg.Timing.Deadline = cfg.Timing.Heartbeat * 9 / 8
			return Core.Server(cfg, id, now)
		}, Peer: Core.Peer}, false),
		"page": Wide(Machines{Server: func(cfg core.DirectoryConfig, id *wide.Identity, now time.Time) core.Machine {
			observe := cfg.Observe
			cfg.Observe = func(e *core.Event) {
				if e.Kind == core.Sent && is(e.Data, core.TypeDirectory) {
					e.Data = e.Data[:len(e.Data)-1]
				}
				observe(e)
			}
			return Core.Server(cfg, id, now)
		}, Peer: Core.Peer}, false),
		"accounts": spoiltPeer(false, func(s *spoilt) { s.uncounted = 1 }),
		"heal": spoiltPeer(false, func(s *spoilt) {
			s.step = func(_ time.Time, _ netip.AddrPort, b []byte) bool {
				return len(b) == 0 || !is(b, core.TypeRetry) || !s.Joined()
			}
		}),
		// A server for those without a key stands beside the one for those with it.
		"key": Wide(Machines{Server: func(cfg core.DirectoryConfig, id *wide.Identity, now time.Time) core.Machine {
			s := &spoilt{Machine: Core.Server(cfg, id, now)}
			plain := *id
			plain.Keys = nil
			open := Core.Server(core.DirectoryConfig{Addr: cfg.Addr, Timing: cfg.Timing}, &plain, now)
			s.step = func(now time.Time, from netip.AddrPort, b []byte) bool {
				open.Step(now, from, b)
				if out, _ := open.Poll(now); !out.Empty() {
					s.over = &core.Outgoing{Datagram: slices.Clone(out.Datagram), To: slices.Clone(out.To)}
				}
				return true
			}
			return s
		}, Peer: Core.Peer}, true),
	}
	for invariant, wrong := range wrongs {
		t.Run(invariant, func(t *testing.T) {
			t.Parallel()
			for seed := range uint64(1000) {
				r := wrong(t.Context(), Draw(seed), 0, nil)
				if r.Finding == nil {
					continue
				}
				if r.Finding.Invariant != invariant {
					t.Errorf("seed %d: %v, want %s", seed, r.Finding, invariant)
				}
				return
			}
			t.Error("not found")
		})
	}
}
