package scenario

import (
	"time"

	"p2plocal/bench/mesh"
	"p2plocal/bench/record"
	"p2plocal/bench/result"
	"p2plocal/core"
)

// join: everybody is born, at once or spread.

func joinScenario(s *stage) error {
	return s.with(mesh.Setup{}, func() error {
		spread := time.Duration(0)
		if s.opt.Join == "spread" {
			spread = s.opt.Spread
		}
		err := s.JoinAll(s.ctx, spread)
		total := s.sentSoFar()
		s.joined(err == nil)
		s.count("join_datagrams", total.Datagrams)
		s.value("join_bytes", "bytes", float64(total.Bytes))
		return err
	})
}

// sentSoFar is all that server and peers have sent.
func (s *stage) sentSoFar() (t core.Traffic) {
	for i := range s.Store.Slots {
		slot := &s.Store.Slots[i]
		t = t.Plus(slot.ByType().Total())
		if s.Ours == nil {
			t = t.Plus(slot.Directories.Load())
		}
	}
	return t
}

func (s *stage) joined(whole bool) {
	first, last := int64(1<<62), int64(0)
	for i := s.External; i < s.N; i++ {
		if born := s.Store.Slots[i].Born.Load(); born > 0 {
			first = min(first, born)
		}
	}
	full := s.everybody()
	var admit, propagate []float64
	s.EachView(func(i int, seat *record.Slot) {
		born := seat.Born.Load()
		if at := seat.Admitted.Load(); at > 0 {
			admit = append(admit, float64(at-born)/1e9)
		}
		if at, ok := s.everywhere(i, born, false); ok {
			propagate = append(propagate, float64(at-born)/1e9)
		}
		at, ok := seat.When(born, func(v record.Set) bool { return v == full })
		if !ok {
			whole = false
		}
		last = max(last, at)
		s.chartView(i, seat, first)
	})
	whole = whole && last > 0
	s.seconds("converge", first, last, whole)
	s.set("admit", result.Samples("s", admit))
	s.set("propagate", result.Samples("s", propagate))
	if whole {
		at := float64(last-first) / 1e9
		s.out.Charts.Converged = &at
	}
}

func (s *stage) everybody() (all record.Set) {
	for i := range s.N {
		all.Add(i)
	}
	return all
}

// everywhere is when, from since on, all living peers had peer i in their
// view; with whole, i's own view must also have held all living peers.
func (s *stage) everywhere(i int, since int64, whole bool) (last int64, ok bool) {
	ok = true
	s.EachView(func(r int, seat *record.Slot) {
		if !s.Alive.Has(r) || r == i && !whole {
			return
		}
		at, yes := seat.When(since, func(v record.Set) bool {
			if r == i {
				return v == s.Alive
			}
			return v.Has(i)
		})
		ok, last = ok && yes, max(last, at)
	})
	return last, ok && last > 0 // 0: there are no others
}

// chartView adds the growth of one view.
func (s *stage) chartView(i int, seat *record.Slot, zero int64) {
	const most = 64 // points a view; a join takes a handful
	log := seat.Changes()
	trace := result.ViewTrace{Peer: string(record.SlotName(i))}
	for _, v := range log[:min(len(log), most)] {
		n := 0
		for p := range s.N {
			if v.Set.Has(p) {
				n++
			}
		}
		trace.T = append(trace.T, max(float64(v.At-zero)/1e9, 0))
		trace.N = append(trace.N, n)
	}
	s.out.Charts.Views = append(s.out.Charts.Views, trace)
}
