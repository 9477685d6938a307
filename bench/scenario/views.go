package scenario

import (
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"p2plocal/bench/mesh"
	"p2plocal/bench/record"
	"p2plocal/bench/result"
)

// fail says that somebody died or fell silent who is not ours, but on whom the measurement depends:
// what was measured after that says nothing of it.
func (s *Run) fail(format string, args ...any) {
	text := sentence(format, args)
	s.warn("%s", text)
	if s.out.Failed == "" {
		s.out.Failed = text
	}
}

// checkStandstills names the times in which this machine or process stood still. Members that a
// server then removes are alive; and where it stood still for longer than the protocol forgives,
// only broadcasts, which are owed, are still measured.
func (s *Run) checkStandstills() {
	if s.monitor == nil {
		return
	}
	t, times, longest := s.cfg.Timing, 0, time.Duration(0)
	for _, x := range s.monitor.Standstills(time.Time{}) {
		times, longest = times+1, max(longest, x.Took())
		s.Roster.Forget(s.Clock.At(x.From), s.Clock.At(x.To)+int64(2*t.Deadline+t.Reap))
	}
	if times == 0 {
		return
	}
	s.warn("this machine, or process, stood still %s, for up to %v", result.Plural(uint64(times), "time"), longest.Round(10*time.Millisecond))
	if longest > t.Deadline-t.Heartbeat && !s.scenario.Broadcasts && s.out.Unmeasured == "" {
		s.out.Unmeasured = "this machine, or process, stood still for " + result.Span(longest.Round(10*time.Millisecond))
		s.void = true
	}
}

// forgetTimes drops the scenario's own times, which a standstill has made.
func (s *Run) forgetTimes() {
	for _, d := range s.scenario.Metrics {
		name := s.out.Name + "." + d.Name
		if m, ok := s.out.Metrics[name]; ok && m.Unit == "s" {
			s.out.Metrics[name] = result.Never("s")
			delete(s.out.Histograms, name)
		}
	}
	s.out.Charts.Noticed = nil
}

// checkAlive says which peers should be alive and are not. It must come before the mesh falls
// silent, which ends the others.
func (s *Run) checkAlive() {
	m := s.Mesh
	m.MarkExited()
	m.Ping()
	var silent []string
	for i, p := range m.Peers {
		switch p := p.(type) {
		case *mesh.ExternalPeer:
			switch {
			case p.Proc == nil:
			case p.Proc.Ended() != "":
				s.fail("external peer %s died: %s", record.QuoteName(i), p.Proc.Ended())
			case s.unseen(i):
				silent = append(silent, record.QuoteName(i))
			}
		case *mesh.ProcessPeer:
			if p.Died != "" {
				s.fail("the process of peer %s %s", record.QuoteName(i), p.Died)
			}
		}
	}
	switch len(silent) {
	case 0:
	case 1:
		s.fail("external peer %s is silent: its process runs, but it was never in anybody's view", silent[0])
	default:
		s.fail("external peers %s are silent: their processes run, but they were never in anybody's view", strings.Join(silent, " "))
	}
	if how := m.Server.Died(); how != "" {
		s.died(how)
	}
}

// died says that the server, the driver or a host has died.
func (s *Run) died(how string) {
	if !s.driven() && s.opt.Hosts == 0 {
		how = "the server died: " + how
	}
	s.fail("%s", how)
}

// answerLimit is how long a server may take to answer at the end: one that takes 10 ms for a
// datagram has a full queue to read first.
const answerLimit = 10 * time.Second

// askServer finds out whether a server that is not ours still answers, and whom it knows: any
// server answers a birth that repeats a member's exactly by a directory. One that has lost all
// others would tell nobody else.
func (s *Run) askServer() {
	m := s.Mesh
	if s.ctx.Err() != nil || s.out.Failed != "" || s.driven() {
		return
	}
	heard := uint64(0)
	m.EachView(func(_ int, slot *record.Slot) { heard += slot.Directories.Datagrams.Load() })
	if heard == 0 && m.External < m.N {
		s.fail("the server at %v never answered: no directory came", m.Server.Addr())
		return
	}
	for i := m.External; i < m.N; i++ {
		if !m.Alive.Has(i) {
			continue
		}
		directories := &m.Store.Slots[i].Directories.Datagrams
		before := directories.Load()
		m.Peers[i].Do(mesh.Command{Do: mesh.Rebirth}) // repeated until it is answered
		how := ""
		ended := m.WaitUntil(s.ctx, answerLimit, func() bool {
			how = m.Server.Died()
			return how != "" || directories.Load() > before
		})
		switch {
		case how != "":
			s.died(how)
		case !ended && s.ctx.Err() == nil:
			s.fail("the server at %v fell silent: a birth repeated at the end was not answered within %v", m.Server.Addr(), answerLimit)
		}
		return
	}
}

// unseen reports that a living external peer was never in anybody's view.
func (s *Run) unseen(i int) bool {
	if s.ctx.Err() != nil || s.External == s.N || !s.Alive.Has(i) || s.Mesh.Server.Died() != "" {
		return false
	}
	seen, asked := false, false
	s.EachView(func(j int, slot *record.Slot) {
		for _, v := range slot.Changes() {
			asked = asked || v.Set.Has(j)
			seen = seen || v.Set.Has(i)
		}
	})
	return asked && !seen
}

func crashTime(c *result.Config) time.Duration {
	return c.Timing.Deadline + c.Timing.Reap/2 + c.Timing.Heartbeat + time.Second
}

// joinAndSleep has all join, and lets a random time pass.
func (s *Run) joinAndSleep() error {
	if err := s.joinAll(); err != nil {
		return err
	}
	return s.sleepRandomly()
}

// sleepRandomly lets a second and a random part of a keep-alive interval pass, so that what comes
// next has no fixed phase to the mesh's timers.
func (s *Run) sleepRandomly() error {
	d := time.Second + time.Duration(s.Rng.Int64N(int64(s.cfg.Timing.Heartbeat)))
	if !s.Sleep(s.ctx, d) {
		return s.ctx.Err()
	}
	return nil
}

// choosePeers draws up to k living peers, and leaves one alive.
func (s *Run) choosePeers(k int) []int {
	living := slices.DeleteFunc(s.Rng.Perm(s.N), func(i int) bool { return !s.Alive.Has(i) })
	return living[:min(k, max(len(living)-1, 0))]
}

// noticeLimit is how long a scenario waits for what the protocol promises: the longest that it can
// take, and some more for a slow machine.
func (s *Run) noticeLimit() time.Duration {
	t := s.cfg.Timing
	return t.Deadline + 2*t.Reap + t.Heartbeat + s.opt.TimeoutTime()
}

// nobody is what reach leaves out where it leaves out no peer.
const nobody = -1

// reach waits, for limit at most, until ok holds for the view of every living peer but one, and
// records how long after since that was; metric "": it only waits.
func (s *Run) reach(metric string, since int64, limit time.Duration, but int, ok func(record.Set) bool) bool {
	s.WaitUntil(s.ctx, limit, func() bool {
		s.MarkExited()
		all := true
		s.EachView(func(i int, slot *record.Slot) { all = all && (i == but || !s.Alive.Has(i) || ok(slot.View())) })
		return all
	})
	who := s.Alive
	if but != nobody {
		who.Remove(but)
	}
	last, before, all := s.whenAll(who, since, func(_ int, view record.Set) bool { return ok(view) })
	if metric != "" {
		s.seconds(metric, since, last, all && last > 0)
		if s.alreadyTrue(metric, before); all && before > 0 && last == 0 {
			s.unmeasured(mesh.Unmeasured(metric + ": no view had to change"))
		}
	}
	return all && last > 0
}

// alreadyTrue notes how many views were as they should become before anything happened: those are
// no events, and in no figure.
func (s *Run) alreadyTrue(metric string, times int) {
	if times > 0 {
		s.note("%s: %s a view was so already, which is no event and left out", metric, result.Plural(uint64(times), "time"))
	}
}

// whenAll is when, after since, ok last came to hold for one of those views of who that can be
// seen; 0: for none. Views for which it held before are only counted.
func (s *Run) whenAll(who record.Set, since int64, ok func(i int, view record.Set) bool) (last int64, before int, all bool) {
	all = true
	s.EachView(func(i int, slot *record.Slot) {
		if !who.Has(i) {
			return
		}
		at, held := slot.When(since, func(view record.Set) bool { return ok(i, view) })
		if all = all && held; held && at < since {
			before++
		} else if held {
			last = max(last, at)
		}
	})
	return last, before, all
}

// isTruth reports that a view holds those who live.
func (s *Run) isTruth(view record.Set) bool { return view == s.Alive }

// injected are the datagrams that the impairment lost; measuredInjected, the
// measured messages among them.
func injected(slot *record.Slot) *atomic.Uint64         { return &slot.Injected }
func measuredInjected(slot *record.Slot) *atomic.Uint64 { return &slot.MeasuredInjected }
