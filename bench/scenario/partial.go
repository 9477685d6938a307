package scenario

import (
	"cmp"
	"slices"
	"time"

	"p2plocal/bench/mesh"
	"p2plocal/bench/record"
	"p2plocal/bench/result"
)

// failure is what partial does to some members, each on a mesh of its own.
type failure struct {
	name, text string
	members    func(n int) int           // that are to fail, of so many
	fail       func(s *Run, i, part int) // has one of them fail, at the begin of each of the parts
	parts      int                       // of half a -rest; 0: until all healthy ones agree
}

// The failures of Suresh et al., Stable and Consistent Membership at Scale with Rapid,
// USENIX ATC 2018, section 7.
var failures = []failure{
	{"dead", "ten members die at once", func(n int) int { return min(10, n/2) }, func(s *Run, i, _ int) { s.Kill(i) }, 0},
	{"one_way", "what 1 % of the members are sent is lost, every other half of -rest", hundredth, func(s *Run, i, part int) { s.Store.Lose(i, 0, float64(1-part%2)) }, 4},
	{"receive", "80 % of what 1 % of the members are sent is lost", hundredth, func(s *Run, i, _ int) { s.Store.Lose(i, 0, 0.8) }, 2},
	{"send", "80 % of what 1 % of the members send is lost", hundredth, func(s *Run, i, _ int) { s.Store.Lose(i, 0.8, 0) }, 2},
}

// hundredth is 1 % of the members, one at least.
func hundredth(n int) int { return (n + 99) / 100 }

var partial = Scenario{
	Name: "partial",
	Text: "some members fail or half fail, and how stable the views of the healthy ones are: " + func() (all string) {
		for i, f := range failures {
			if i > 0 {
				all += "; "
			}
			all += f.text
		}
		return all
	}(),
	Metrics: func() (all []Metric) {
		for _, f := range failures {
			all = append(all,
				Metric{f.name + ".detect", "s", false, 0, "from when " + f.text + " until no healthy member's view has any of them; null: not within the time given"},
				Metric{f.name + ".views", "1", false, -1, "most different views that healthy members had at once"},
				Metric{f.name + ".disagreement", "s", false, -1, "time in which they had different views"},
				Metric{f.name + ".changes", "1", false, -1, "changes of a healthy member's view, the mean"},
				Metric{f.name + ".removed", "1", false, -1, "times that a healthy member was removed"})
		}
		return all
	}(),
	Summary: func() (all []string) {
		for _, f := range failures {
			all = append(all, f.name+".detect", f.name+".views", f.name+".disagreement", f.name+".changes", f.name+".removed")
		}
		return all
	}(),
	Cannot: func(c *result.Config) string {
		if c.Peers < 3 {
			return "it takes three peers or more, two of them healthy"
		}
		return onlyOurs(c)
	},
	Expect:   func(c *result.Config) time.Duration { return 4*c.Options.RestTime() + 4*crashTime(c) },
	Commands: []string{"join", "kill", "bind"},
	Run: func(s *Run) error {
		for _, f := range failures {
			if err := s.with(mesh.Setup{Divide: true, Refresh: &s.opt.Refresh}, func() error { return s.partial(f) }); err != nil {
				return err
			}
		}
		return nil
	},
	About:    func(*result.Options) string { return ", some of which fail or half fail" },
	Headline: []Said{{"dead.detect", "noticed in %v that many died at once", "did not all notice that many died at once"}},
	Lossy:    true,
}

// partial has some members fail, and follows the views of the others.
func (s *Run) partial(f failure) error {
	if err := s.joinAndSleep(); err != nil {
		return err
	}
	removed, failing := s.removedSoFar(), s.choosePeers(f.members(s.N))
	healthy := s.Alive
	for _, i := range failing {
		healthy.Remove(i)
	}
	since := s.Clock.Now()
	s.Store.Impairing.Store(true)
	for part := range max(f.parts, 1) {
		for _, i := range failing {
			if f.fail(s, i, part); s.Alive.Has(i) {
				s.Depart(i) // that it is removed is what is wanted, and its own view is not asked
			}
		}
		if f.parts > 0 && !s.Sleep(s.ctx, s.opt.RestTime()/2) {
			return s.ctx.Err()
		}
	}
	if f.parts == 0 {
		s.WaitUntil(s.ctx, s.noticeLimit(), s.Agreed)
	}
	last, _, all := s.whenAll(healthy, since, func(_ int, view record.Set) bool { return !slices.ContainsFunc(failing, view.Has) })
	s.seconds(f.name+".detect", since, last, all && last > 0)
	most, apart, changes := s.stability(healthy, since, s.Clock.Now())
	s.count(f.name+".views", uint64(most))
	s.value(f.name+".disagreement", "s", apart.Seconds())
	s.value(f.name+".changes", "1", float64(changes)/float64(healthy.Len()))
	s.count(f.name+".removed", uint64(max(s.removedSoFar()-removed, 0)))
	return s.ctx.Err()
}

// stability is how many different views some members had at once, at most, for how long they had
// more than one, and how often their views changed, within a time.
func (s *Run) stability(of record.Set, from, to int64) (most int, apart time.Duration, changes int) {
	type change struct {
		at          int64
		before, now record.Set
	}
	var all []change
	holders := map[record.Set]int{} // of each view
	s.EachView(func(i int, slot *record.Slot) {
		if !of.Has(i) {
			return
		}
		var before record.Set
		log := slot.Changes()
		for len(log) > 0 && log[0].At <= from {
			before, log = log[0].Set, log[1:]
		}
		holders[before]++
		for _, v := range log {
			if v.At <= to {
				all = append(all, change{v.At, before, v.Set})
				before = v.Set
			}
		}
	})
	slices.SortFunc(all, func(a, b change) int { return cmp.Compare(a.at, b.at) })
	for k, at := 0, from; ; {
		next := to
		if k < len(all) {
			next = all[k].at
		}
		if most = max(most, len(holders)); len(holders) > 1 {
			apart += time.Duration(next - at)
		}
		if at = next; k == len(all) {
			return most, apart, len(all)
		}
		for ; k < len(all) && all[k].at == at; k++ { // what a simulated mesh learns at once
			if holders[all[k].before]--; holders[all[k].before] == 0 {
				delete(holders, all[k].before)
			}
			holders[all[k].now]++
		}
	}
}
