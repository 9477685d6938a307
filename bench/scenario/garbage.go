package scenario

import (
	"context"
	"flag"
	"fmt"
	"net/netip"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"p2plocal/bench/mesh"
	"p2plocal/bench/record"
	"p2plocal/bench/result"
	"p2plocal/core"
	"p2plocal/core/udp"
	"p2plocal/fuzz/hostile"
	"p2plocal/fuzz/target"
)

// garbageTargets are what -garbage-at may be.
var garbageTargets = []string{"server", "peer"}

// validateGarbage names what makes no sense.
func validateGarbage(g result.Garbage) error {
	switch {
	case !(g.Rate >= 0 && g.Rate <= 1e9):
		return fmt.Errorf("garbage at %v datagrams a second, want 0 (as fast as can be) to 1G", g.Rate)
	case !slices.Contains(hostile.FloodKinds, g.Kind):
		return fmt.Errorf("garbage of kind %q, want one of %s", g.Kind, strings.Join(hostile.FloodKinds, ", "))
	case !slices.Contains(garbageTargets, g.At):
		return fmt.Errorf("garbage at %q, want one of %s", g.At, strings.Join(garbageTargets, ", "))
	}
	return nil
}

// drainLimit is how long a target may take to read what waits for it.
const drainLimit = 10 * time.Second

var garbage = Scenario{
	Name: "garbage",
	Text: "a steady mesh beside a sender of hostile datagrams",
	Metrics: []Metric{
		{"hostile_sent", "1", false, 0, "hostile datagrams that the kernel took from their sender"},
		{"hostile_rate", "messages/s", false, 0, "those by the time that the sender ran"},
		{"hostile_taken", "1", false, 0, "those that the target took from its socket; the rest the kernel dropped there"},
		{"hostile_cpu", "cores", false, 0, "CPU time of the sender, a process of its own, by the time that it ran"},
		{"admit", "s", true, -1, "of newcomers, born one after the other beside the flood: first birth until a directory names it"},
		{"shut_out", "1", false, -1, "newcomers that were not let in within 7 s"},
		{"memory_growth", "bytes", false, -1, "growth of the most memory of the benchmark's process while the sender ran"},
	},
	Broadcasts: true,
	Summary:    slices.Concat([]string{"admit.max"}, broadcastSummary),
	Flags: func(fs *flag.FlagSet, o *result.Options) {
		fs.Var((*rate)(&o.Garbage.Rate), "garbage", "hostile datagrams a second (`rate`), which may end in k or M; max: as many as one core can send. From 100k on each is sent 64 times in a row (UDP_SEGMENT)")
		fs.StringVar(&o.Garbage.Kind, "garbage-kind", o.Garbage.Kind, "what they are (`kind`): "+strings.Join(hostile.FloodKinds, ", "))
		fs.StringVar(&o.Garbage.At, "garbage-at", o.Garbage.At, "whom they are sent to (`target`): "+strings.Join(garbageTargets, ", "))
	},
	Check: func(o *result.Options) error { return validateGarbage(o.Garbage) },
	Cannot: func(c *result.Config) string {
		switch g := c.Options.Garbage; {
		case c.Options.Hosts > 0:
			return "no worker sends anything but what its part of a mesh does"
		case g.At == "peer" && c.Peers == c.Options.External:
			return "its target is a peer, and none is ours"
		case g.Rate == 0 && c.Simulation != nil:
			return "a simulated sender has no core that bounds how fast it sends, give it a rate such as 100k"
		}
		return ""
	},
	Expect: steadyTime,
	Run:    garbageScenario,
	About: func(o *result.Options) string {
		rate := "as fast as one core can"
		if o.Garbage.Rate > 0 {
			rate = result.FormatRate(o.Garbage.Rate) + " a second"
		}
		return fmt.Sprintf(" beside a flood of kind %s at the %s, %s, for %s", o.Garbage.Kind, o.Garbage.At, rate, span(o.Duration))
	},
	Headline: []Said{{"hostile_rate", "beside %v hostile datagrams", ""}},
	Overruns: true, Filtered: true,
}

func garbageScenario(s *Run) error {
	return s.with(mesh.Setup{}, func() error {
		slot, at := int(record.ServerSlot), s.Mesh.Server.Addr()
		if s.opt.Garbage.At == "peer" {
			slot = s.External // the first of ours
			at = s.Peers[slot].Socket().Addr()
		}
		env := s.HostileEnv()
		guests := newcomers{Mesh: s.Mesh}
		if !s.simulated() {
			guests.name(&env, s.opt.Garbage.Kind == "fill")
		}
		set, err := hostile.Flood(s.opt.Garbage.Kind, env, s.seed)
		if err != nil {
			return mesh.Unmeasured(err.Error())
		}
		if err := s.JoinAll(s.ctx, 0, s.opt.TimeoutTime()); err != nil {
			return err
		}
		before := target.PeakOf(os.Getpid())
		x, err := s.World.Attack(mesh.Attack{Target: at, Rate: s.opt.Garbage.Rate, Datagrams: set, Peers: s.N})
		if err != nil {
			return err
		}
		s.Tell("flood", -1, "a flood of kind %s begins, at %s a second at the %s", s.opt.Garbage.Kind, result.FormatRate(s.opt.Garbage.Rate), s.opt.Garbage.At)
		stop := guests.start(s.ctx)
		w := s.window(s.opt.Warmup, s.opt.Duration, s.opt.Interval, true)
		after := target.PeakOf(os.Getpid())
		stop()
		v, err := x.Stop()
		s.Tell("flood", -1, "the flood ends")
		s.Mesh.Hostile[slot] = v.Sent
		s.Mesh.Hostile[record.ServerSlot] += guests.sent
		s.finishWindow(w)
		if err != nil {
			return err
		}
		s.WaitUntil(context.WithoutCancel(s.ctx), drainLimit, func() bool { return s.World.Accounts(s.Mesh).Unexplained == 0 })
		guests.report(s)
		others := uint64(0)
		if slot == record.ServerSlot {
			others = guests.sent
		}
		s.hostileFigures(v, slot, others)
		if !s.simulated() {
			s.value("memory_growth", "bytes", float64(after-before))
		}
		return nil
	})
}

// hostileFigures records what was sent to a slot and how much of it arrived: what the slot took
// that is neither the mesh's nor of the others given.
func (s *Run) hostileFigures(v mesh.AttackResult, slot int, others uint64) {
	s.count("hostile_sent", v.Sent)
	s.value("hostile_rate", "messages/s", float64(v.Sent)/v.Elapsed.Seconds())
	if !s.simulated() {
		s.value("hostile_cpu", "cores", v.CPU.Seconds()/v.Elapsed.Seconds())
	}
	took, known := s.took(slot)
	if !known {
		return
	}
	s.count("hostile_taken", took-min(took, others+s.Store.Addressed(slot).Load()))
	if v.Refused > 0 {
		s.warn("%s nobody listened on the port that the hostile datagrams were for", result.Plural(v.Refused, "time"))
	}
}

// took is how many datagrams a slot has taken from its socket; it is not known of a server that is
// not ours.
func (s *Run) took(slot int) (n uint64, known bool) {
	if slot != record.ServerSlot {
		return s.Store.Slots[slot].Taken.Load() + s.Store.Slots[slot].Dropped.Load(), true
	}
	if s.Ours == nil {
		return 0, false
	}
	return s.Ours.Counters().In.Total().Datagrams, true
}

// rate is a result.Rate, or max, which is 0.
type rate float64

func (r *rate) Get() any       { return float64(*r) }
func (r *rate) String() string { return result.FormatRate(float64(*r)) }
func (r *rate) Set(s string) error {
	v, err := result.ParseRate(s)
	*r = rate(v)
	return err
}

// newcomers join one after the other while the mesh is under attack, and leave once they are let
// in: they show how long that takes.
type newcomers struct {
	*mesh.Mesh
	names       []core.Name
	sent        uint64        // datagrams to the server, that the kernel took
	directories []record.View // whom of the mesh the directories name that let them in
	took        []float64     // seconds from the first birth until let in
	shut        int           // not let in
	failed      error         // no socket
}

const (
	newcomerEvery = time.Second
	newcomerLimit = 7 * time.Second // two more births
	newcomerNames = 8               // so that one is free when it is used again
)

// name reserves names for them out of env, so that the attack uses others, unless it is to contest
// all.
func (x *newcomers) name(env *hostile.Env, contested bool) {
	own := min(newcomerNames, len(env.Spare)/2)
	for _, e := range env.Spare[:own] {
		x.names = append(x.names, core.Name(e.Name.String()))
	}
	if !contested {
		env.Spare = env.Spare[own:]
	}
}

// start starts the first at once, and each next one a second after the last has left.
func (x *newcomers) start(ctx context.Context) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	x.directories = []record.View{{At: x.Clock.Now(), Set: x.Alive}}
	var done sync.WaitGroup
	done.Go(func() {
		for i := 0; len(x.names) > 0 && x.failed == nil; i++ {
			x.failed = x.one(ctx, x.names[i%len(x.names)])
			if !mesh.Sleep(ctx, newcomerEvery) {
				return
			}
		}
	})
	return func() { cancel(); done.Wait() }
}

// one is the whole life of a newcomer.
func (x *newcomers) one(ctx context.Context, name core.Name) error {
	server, timing := x.Server.Addr(), x.Cfg.Timing
	timing.Broadcast = 0
	socket, err := udp.Listen(netip.AddrPortFrom(server.Addr(), 0), udp.ReadBuffer)
	if err != nil {
		return err
	}
	self := core.Member{Name: name, Addr: socket.Addr()}
	in := make(chan struct{})
	var born, admitted time.Time
	var sent uint64
	p, err := x.NewGuest(core.PeerConfig{Self: self, Server: server, Timing: timing, Observe: func(e *core.Event) {
		switch e.Kind {
		case core.Sent:
			if sent++; born.IsZero() {
				born = e.At
			}
		case core.Listed:
			if admitted.IsZero() && e.All.Contains(self) {
				admitted = e.At
				x.directories = append(x.directories, record.View{At: x.Clock.At(e.At), Set: x.Store.Listed(e.All)})
				close(in)
			}
		}
	}}, time.Now())
	if err != nil {
		socket.Close()
		return err
	}
	serving, stop := context.WithCancel(context.Background())
	var served sync.WaitGroup
	served.Go(func() { socket.Serve(serving, p) })
	late := false
	select {
	case <-in:
	case <-time.After(newcomerLimit):
		late = true
	case <-ctx.Done():
	}
	stop()
	served.Wait()
	x.sent += sent - socket.Stats().SendFailures
	if !admitted.IsZero() {
		x.took = append(x.took, admitted.Sub(born).Seconds())
	} else if late {
		x.shut++
	}
	return nil
}

// report records how they fared.
func (x *newcomers) report(s *Run) {
	s.directories = x.directories
	s.set("admit", result.Samples("s", x.took))
	if s.count("shut_out", uint64(x.shut)); x.shut > 0 {
		s.warn("%s not let in within %v", result.Plural(uint64(x.shut), "newcomer"), newcomerLimit)
	}
	if x.failed != nil {
		s.warn("a newcomer had no socket: %v", x.failed)
	}
}
