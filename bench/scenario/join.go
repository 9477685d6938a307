package scenario

import (
	"errors"
	"flag"
	"fmt"
	"time"

	"p2plocal/bench/mesh"
	"p2plocal/bench/record"
	"p2plocal/bench/result"
	"p2plocal/core"
)

var join = Scenario{
	Name: "join",
	Text: "everybody joins, at once or spread over time",
	Metrics: []Metric{
		{"converge", "s", false, -1, "first birth sent until every peer's view is complete"},
		{"sizes", "1", false, -1, "different sizes of the mesh that peers saw on the way to the whole one, which is one of them"},
		{"propagate", "s", true, -1, "each birth sent until all other peers list it"},
		{"admit", "s", true, -1, "each birth sent until a directory that names it has come back"},
		{"join_datagrams", "1", false, -1, "datagrams that server and peers sent until then"},
		{"join_bytes", "bytes", false, -1, "UDP payload of those datagrams"},
	},
	Summary: []string{"converge", "propagate.p50", "propagate.max", "admit.max"},
	Flags: func(fs *flag.FlagSet, o *result.Options) {
		fs.StringVar(&o.Join, "join", o.Join, "all join at once or spread over time: storm, spread")
		fs.DurationVar(&o.Spread, "spread", o.Spread, "`time` over which -join spread spreads the births")
	},
	Check: func(o *result.Options) error {
		switch {
		case o.Join != "storm" && o.Join != "spread":
			return fmt.Errorf("join %q, want storm or spread", o.Join)
		case o.Spread <= 0:
			return fmt.Errorf("spread %v, want more than 0", o.Spread)
		}
		return nil
	},
	Expect: func(c *result.Config) time.Duration {
		if c.Options.Join == "spread" {
			return c.Options.Spread
		}
		return 100 * time.Millisecond
	},
	Run:      joinScenario,
	Commands: []string{"join"},
	About: func(o *result.Options) string {
		if o.Join == "spread" {
			return ", joining over " + span(o.Spread)
		}
		return ", all joining at once"
	},
	Headline: []Said{{"converge", "converged in %v", "did not converge"}},
}

func joinScenario(s *Run) error {
	return s.with(mesh.Setup{}, func() error {
		spread := time.Duration(0)
		if s.opt.Join == "spread" {
			spread = s.opt.Spread
		}
		err := s.JoinAll(s.ctx, spread, s.opt.TimeoutTime())
		datagrams, bytes := s.sentSoFar()
		s.joined(err == nil)
		s.sent("join_", datagrams, bytes)
		if errors.As(err, new(mesh.Unmeasured)) { // which is what was to be measured
			s.warn("%v", err)
			return nil
		}
		return err
	})
}

// sentSoFar is all that server and peers have sent.
func (s *Run) sentSoFar() (datagrams, bytes *int64) {
	if d := s.Driven(); d != nil {
		return d.Datagrams, d.Bytes
	}
	var t core.Traffic
	for _, slot := range s.Store.Used() {
		t = t.Plus(slot.ByType().Total())
		if s.Ours == nil {
			t = t.Plus(slot.Directories.Load())
		}
	}
	return new(int64(t.Datagrams)), new(int64(t.Bytes))
}

func (s *Run) joined(whole bool) {
	first, last := int64(1<<62), int64(0)
	for i := s.External; i < s.N; i++ {
		if born := s.Store.Slots[i].Born.Load(); born > 0 {
			first = min(first, born)
		}
	}
	full, sizes := s.everybody(), map[int]bool{}
	var admit, propagate []float64
	s.EachView(func(i int, slot *record.Slot) {
		born := slot.Born.Load()
		if at := slot.Admitted.Load(); at > 0 {
			admit = append(admit, float64(at-born)/1e9)
		}
		others := s.Alive
		others.Remove(i)
		if at, _, ok := s.whenAll(others, born, func(_ int, view record.Set) bool { return view.Has(i) }); ok && at > 0 {
			propagate = append(propagate, float64(at-born)/1e9)
		}
		at, ok := slot.When(born, func(view record.Set) bool { return view == full })
		if !ok {
			whole = false
		}
		last = max(last, at)
		for _, view := range slot.Changes() {
			sizes[view.Set.Len()] = true
		}
		if i < record.PairedPeers { // more than a page could show
			s.chartView(i, slot, first)
		}
	})
	whole = whole && last > 0
	s.seconds("converge", first, last, whole)
	delete(sizes, 0)
	s.count("sizes", uint64(len(sizes)))
	s.set("admit", result.Samples("s", admit))
	s.set("propagate", result.Samples("s", propagate))
	if whole {
		at := float64(last-first) / 1e9
		s.out.Charts.Converged = &at
	}
}

func (s *Run) everybody() (all record.Set) {
	for i := range s.N {
		all.Add(i)
	}
	return all
}

// chartView adds the growth of one view.
func (s *Run) chartView(i int, slot *record.Slot, zero int64) {
	const most = 64 // points a view; a join takes a handful
	log := slot.Changes()
	trace := result.ViewTrace{Peer: string(record.SlotName(i))}
	for _, v := range log[:min(len(log), most)] {
		trace.T = append(trace.T, max(float64(v.At-zero)/1e9, 0))
		trace.N = append(trace.N, v.Set.Len())
	}
	s.out.Charts.Views = append(s.out.Charts.Views, trace)
}
