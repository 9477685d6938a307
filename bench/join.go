package bench

import (
	"time"

	"p2plocal/bench/result"
	"p2plocal/core"
)

// join: everybody is born, at once or spread.

func joinScenario(s *stage) error {
	return s.with(setup{}, func() error {
		spread := time.Duration(0)
		if s.opt.Join == "spread" {
			spread = s.opt.Spread
		}
		err := s.joinAll(s.ctx, spread)
		total := s.sentSoFar()
		s.joined(err == nil)
		s.count("join_datagrams", total.Datagrams)
		s.value("join_bytes", "bytes", float64(total.Bytes))
		return err
	})
}

// sentSoFar is all that server and peers have sent.
func (m *mesh) sentSoFar() (t core.Traffic) {
	for i := range m.board.seats {
		s := &m.board.seats[i]
		t = t.Plus(s.byType().Total())
		if m.ours == nil {
			t = t.Plus(s.directories.load())
		}
	}
	return t
}

func (s *stage) joined(whole bool) {
	first, last := int64(1<<62), int64(0)
	for i := s.external; i < s.n; i++ {
		if born := s.board.seats[i].born.Load(); born > 0 {
			first = min(first, born)
		}
	}
	full := s.everybody()
	var admit, propagate []float64
	s.seen(func(i int, seat *seatBoard) {
		born := seat.born.Load()
		if at := seat.admitted.Load(); at > 0 {
			admit = append(admit, float64(at-born)/1e9)
		}
		if at, ok := s.everywhere(i, born, false); ok {
			propagate = append(propagate, float64(at-born)/1e9)
		}
		at, ok := seat.when(born, func(v set) bool { return v == full })
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

func (m *mesh) everybody() (all set) {
	for i := range m.n {
		all.add(i)
	}
	return all
}

// everywhere is when, from since on, all living peers had peer i in their
// view; with whole, i's own view must also have held all living peers.
func (m *mesh) everywhere(i int, since int64, whole bool) (last int64, ok bool) {
	ok = true
	m.seen(func(r int, seat *seatBoard) {
		if !m.alive.has(r) || r == i && !whole {
			return
		}
		at, yes := seat.when(since, func(v set) bool {
			if r == i {
				return v == m.alive
			}
			return v.has(i)
		})
		ok, last = ok && yes, max(last, at)
	})
	return last, ok && last > 0 // 0: there are no others
}

// chartView adds the growth of one view.
func (s *stage) chartView(i int, seat *seatBoard, zero int64) {
	const most = 64 // points a view; a join takes a handful
	log := seat.changes()
	trace := result.ViewTrace{Peer: seatName(i).String()}
	for _, v := range log[:min(len(log), most)] {
		n := 0
		for p := range s.n {
			if v.set.has(p) {
				n++
			}
		}
		trace.T = append(trace.T, max(float64(v.at-zero)/1e9, 0))
		trace.N = append(trace.N, n)
	}
	s.out.Charts.Views = append(s.out.Charts.Views, trace)
}
