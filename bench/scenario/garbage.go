package scenario

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"p2plocal/bench/mesh"
	"p2plocal/bench/record"
	"p2plocal/bench/result"
	"p2plocal/core"
	"p2plocal/fuzz/hostile"
)

// garbage: a steady mesh beside a sender of hostile datagrams.

// Validate names what makes no sense.
func validateGarbage(g result.Garbage) error {
	switch {
	case !(g.Rate >= 0 && g.Rate <= 1e9):
		return fmt.Errorf("garbage at %v datagrams a second, want 0 (as fast as can be) to 1G", g.Rate)
	case !slices.Contains(hostile.FloodKinds, g.Kind):
		return fmt.Errorf("garbage of kind %q, want one of %s", g.Kind, strings.Join(hostile.FloodKinds, ", "))
	case !slices.Contains(result.GarbageTargets, g.At):
		return fmt.Errorf("garbage at %q, want one of %s", g.At, strings.Join(result.GarbageTargets, ", "))
	}
	return nil
}

// drainPatience is how long a target may take to read what waits for it.
const drainPatience = 10 * time.Second

func garbageScenario(s *stage) error {
	return s.with(mesh.Setup{}, func() error {
		seat, target := int(record.ServerSlot), s.Mesh.Server.Addr()
		if s.opt.Garbage.At == "peer" {
			seat = s.External // the first of ours
			target = s.Socks[seat].Addr()
		}
		env := s.hostileEnv()
		guests := &newcomers{}
		if !s.simulated() {
			guests = startNewcomers(s.Mesh, &env, s.opt.Garbage.Kind == "fill")
		}
		set, err := hostile.Flood(s.opt.Garbage.Kind, env, s.seed)
		if err != nil {
			return cannot(err.Error())
		}
		if err := s.JoinAll(s.ctx, 0); err != nil {
			return err
		}
		before := mesh.PeakOf(os.Getpid())
		x, err := s.World.Attack(mesh.Attack{Target: target, Rate: s.opt.Garbage.Rate, Datagrams: set})
		if err != nil {
			return err
		}
		guests.begin(s.ctx)
		w := s.window(s.opt.Warmup, s.opt.Duration, s.opt.Interval)
		after := mesh.PeakOf(os.Getpid())
		guests.end()
		v, err := x.Stop()
		s.Mesh.Hostile[seat] = v.Sent
		s.Mesh.Hostile[record.ServerSlot] += guests.sent.Load()
		s.sum(w)
		if err != nil {
			return err
		}
		s.WaitUntil(context.WithoutCancel(s.ctx), drainPatience, func() bool { return s.World.Accounts(s.Mesh).Unexplained == 0 })
		guests.report(s)
		if seat == record.ServerSlot {
			s.assaulted(v, seat, guests.sent.Load())
		} else {
			s.assaulted(v, seat, 0)
		}
		if s.set("memory_growth", result.Never("bytes")); !s.simulated() {
			s.value("memory_growth", "bytes", float64(after-before))
		}
		return nil
	})
}

// assaulted writes down what was sent to a seat, and how much of it came: of
// what it took that is neither the mesh's nor one of others.
func (s *stage) assaulted(v mesh.AttackResult, seat int, others uint64) {
	s.count("hostile_sent", v.Sent)
	s.value("hostile_rate", "messages/s", float64(v.Sent)/v.Elapsed.Seconds())
	if s.set("hostile_cpu", result.Never("cores")); !s.simulated() {
		s.value("hostile_cpu", "cores", v.CPU.Seconds()/v.Elapsed.Seconds())
	}
	took, known := s.took(seat)
	if !known {
		s.set("hostile_taken", result.Never("1"))
		return
	}
	took -= min(took, others)
	for i := range s.Store.Slots {
		took -= min(took, s.Store.Slots[i].To[seat].Load())
	}
	s.count("hostile_taken", took)
	if v.Refused > 0 {
		s.bad("%d times nobody listened on the port that the hostile datagrams were for", v.Refused)
	}
}

// took is how many datagrams a seat has taken from its socket; known is false
// for a server that is not ours.
func (s *stage) took(seat int) (n uint64, known bool) {
	if seat != record.ServerSlot {
		return s.Store.Slots[seat].Taken.Load() + s.Store.Slots[seat].Dropped.Load(), true
	}
	if s.Ours == nil {
		return 0, false
	}
	return s.Ours.Counters().In.Total().Datagrams, true
}

// hostileEnv is the mesh as the catalogue of hostile datagrams wants it.
func (s *stage) hostileEnv() hostile.Env {
	e := hostile.Env{Server: s.Mesh.Server.Addr()}
	for i, sock := range s.Socks {
		if sock != nil {
			e.Members = append(e.Members, core.EntryOf(core.Member{Name: record.SlotName(i), Addr: sock.Addr()}))
		}
	}
	for i := s.N; i < core.MaxPeers; i++ {
		spare := core.EntryOf(core.Member{Name: record.SlotName(i)})
		spare.Port = 1 + uint16(i) // where nobody listens
		e.Spare = append(e.Spare, spare)
	}
	return e
}
