package bench

import (
	"context"
	"time"

	"p2plocal/core"
)

// roster keeps who was alive when, as views are compared with it.
type roster []view

// mark notes who is alive from at on.
func (r *roster) mark(at int64, alive set) { *r = append(*r, view{at, alive}) }

// lived reports that peer i was alive through all of [from, to].
func (m *mesh) lived(i int, from, to int64) bool {
	for k, v := range m.roster {
		if v.at > to {
			break
		}
		gone := k+1 < len(m.roster) && m.roster[k+1].at <= from
		if !gone && !v.set.has(i) {
			return false
		}
	}
	return len(m.roster) > 0 && m.roster[0].at <= from
}

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
	s.set("admit", samples("s", admit))
	s.set("propagate", samples("s", propagate))
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
	trace := ViewTrace{Peer: seatName(i).String()}
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

// steady: everybody broadcasts.

func steadyScenario(s *stage) error {
	return s.with(setup{}, func() error {
		if err := s.joinAll(s.ctx, 0); err != nil {
			return err
		}
		s.talk(s.opt.Warmup, s.opt.Duration, s.opt.Interval)
		return nil
	})
}

// hush ends all broadcasting.
func (s *stage) hush() {
	for i, p := range s.peers {
		if s.alive.has(i) {
			p.broadcast(0, 0, 0, s.opt.Payload)
		}
	}
}

// lead is the time between the order to broadcast and the first due time.
const lead = 100 * time.Millisecond

// talk has everybody broadcast through a measured window and writes down how
// that went.
func (s *stage) talk(warmup, duration, interval time.Duration) {
	s.sum(s.window(warmup, duration, interval))
}

// sum ends the broadcasting and writes down what became of the window.
func (s *stage) sum(w window) {
	if s.ctx.Err() == nil {
		s.meterOff()
	}
	s.hush()
	s.settled(10 * time.Second)
	s.messages(w)
	s.chartLatency()
	s.out.Histograms = map[string]string{
		s.out.Name + ".latency":     s.board.latency.encode(),
		s.out.Name + ".latency_due": s.board.due.encode(),
		s.out.Name + ".timer_error": s.board.timer.encode(),
	}
}

// window is a measured stretch of broadcasting.
type window struct {
	from, to int64
	interval time.Duration
	ticks    uint64 // that the schedule has in it
}

func (s *stage) window(warmup, duration, interval time.Duration) window {
	start := s.clock.now() + int64(lead)
	ticked := s.ticked()
	w := window{from: start + int64(warmup), to: start + int64(warmup+duration), interval: interval}
	s.board.open(w.from, w.to, interval)
	s.spreadBroadcasts(start, interval)
	for i, p := range s.peers {
		if s.alive.has(i) {
			p.broadcast(s.schedule[i], w.to, interval, s.opt.Payload)
		}
	}
	if s.world.sleep(s.ctx, time.Duration(w.from-s.clock.now())) {
		s.meterOn()
		s.world.sleep(s.ctx, time.Duration(w.to-s.clock.now()))
	}
	if s.ctx.Err() != nil {
		w.to = max(min(w.to, s.clock.now()), w.from)
		s.board.to.Store(w.to)
		s.hush()
	}
	for i := s.external; i < s.n; i++ {
		w.ticks += ticksWithin(s.schedule[i], int64(interval), w.from, w.to)
	}
	// Late ones may still come, until they are given up.
	ctx := context.WithoutCancel(s.ctx)
	s.until(ctx, min(s.cfg.Timing.Deadline+100*time.Millisecond, 2*time.Second), func() bool { return s.ticked()-ticked >= w.ticks })
	return w
}

// ticksWithin counts first, first+interval, … within [from, to).
func ticksWithin(first, interval, from, to int64) uint64 {
	count := func(t int64) int64 { // those before t
		if t <= first {
			return 0
		}
		return (t - first + interval - 1) / interval
	}
	return uint64(count(to) - count(from))
}

// ticked is how many broadcasts of the window have been sent.
func (m *mesh) ticked() (n uint64) {
	for i := range m.n {
		n += m.board.seats[i].ticks.Load()
	}
	return n
}

// messages writes down what became of the window's messages.
func (s *stage) messages(w window) {
	var sent, delivered, duplicated, reordered, late, theirs, theirsLost uint64
	var jitter []float64
	for i := range s.n {
		for j := range s.n {
			p := &s.board.pairs[i][j]
			if i < s.external {
				if p.order.started {
					theirs += uint64(p.delivered)
					theirsLost += uint64(p.order.high-p.first) + 1 - min(uint64(p.delivered), uint64(p.order.high-p.first)+1)
				}
				continue
			}
			if j < s.external {
				continue // what it hears is not known
			}
			sent += uint64(p.sent.Load())
			delivered += uint64(p.delivered)
			duplicated += uint64(p.duplicated)
			reordered += uint64(p.reordered)
			late += uint64(p.late)
			if p.delivered > 1 {
				jitter = append(jitter, p.jitter/1e9)
			}
		}
	}
	ticked := s.ticked()
	s.count("due", w.ticks*uint64(max(s.n-s.external-1, 0)))
	s.count("sent", sent)
	s.count("delivered", delivered)
	s.count("lost", sent-min(sent, delivered))
	s.count("duplicated", duplicated)
	s.count("reordered", reordered)
	s.count("late", late)
	s.count("missed", w.ticks-min(w.ticks, ticked))
	s.value("loss", "ratio", float64(sent-min(sent, delivered))/float64(sent)) // none sent: null
	s.value("rate", "messages/s", float64(delivered)/(float64(w.to-w.from)/1e9))
	s.set("latency", s.board.latency.distribution())
	s.set("latency_due", s.board.due.distribution())
	s.set("timer_error", s.board.timer.distribution())
	s.set("jitter", samples("s", jitter))
	if s.n > 1 && w.ticks > ticked {
		s.bad("%d broadcasts were due but never sent", w.ticks-ticked)
	}
	if s.external > 0 {
		s.note("external peers: %d of their messages arrived here, %d are missing by their counters", theirs, theirsLost)
	}
}

// crash: some vanish.

func crashScenario(s *stage) error {
	return s.with(setup{interval: s.cfg.Timing.Broadcast}, func() error {
		if err := s.joinAll(s.ctx, 0); err != nil {
			return err
		}
		if err := s.ageRandomly(); err != nil {
			return err
		}
		s.crash(s.victims(s.opt.Kill))
		return s.ctx.Err()
	})
}

// ageRandomly lets a second pass and then a random part of a keep-alive
// interval, so that what comes next has no fixed phase to the mesh's timers.
func (s *stage) ageRandomly() error {
	d := time.Second + time.Duration(s.rng.Int64N(int64(s.cfg.Timing.Heartbeat)))
	if !s.world.sleep(s.ctx, d) {
		return s.ctx.Err()
	}
	return nil
}

// victims draws up to k of those who live, and leaves one alive.
func (s *stage) victims(k int) []int {
	var living []int
	for _, i := range s.rng.Perm(s.n) {
		if s.alive.has(i) {
			living = append(living, i)
		}
	}
	return living[:min(k, max(len(living)-1, 0))]
}

// patience is how long a scenario waits for what the protocol promises: the
// longest that it can take, and ten seconds for a machine that is slow.
func (s *stage) patience() time.Duration {
	t := s.cfg.Timing
	return t.Deadline + 2*t.Reap + t.Heartbeat + 10*time.Second
}

// crash kills the victims and measures who notices when.
func (s *stage) crash(victims []int) {
	if len(victims) == 0 {
		s.bad("nobody to kill and be survived: one peer")
		return
	}
	died := make(map[int]int64)
	for _, v := range victims {
		died[v] = s.clock.now()
		s.kill(v)
	}
	s.until(s.ctx, s.patience(), s.agreed)
	var detect, silence []float64
	first, last, blind := int64(1<<62), int64(0), 0
	for _, v := range victims {
		first = min(first, died[v])
		alive := s.board.seats[v].alive.Load()
		s.seen(func(i int, seat *seatBoard) {
			if !s.alive.has(i) {
				return
			}
			at, ok := seat.when(died[v], func(view set) bool { return !view.has(v) })
			if !ok {
				blind++
				return
			}
			last = max(last, at)
			took := float64(at-died[v]) / 1e9
			detect = append(detect, took)
			if alive > 0 {
				silence = append(silence, float64(at-alive)/1e9)
			}
			s.out.Charts.Noticed = append(s.out.Charts.Noticed, Noticed{seatName(i).String(), seatName(v).String(), took})
		})
	}
	s.set("detect", samples("s", detect))
	if s.out.Name == "crash" {
		s.set("detect_silence", samples("s", silence))
		s.seconds("converge", first, last, blind == 0)
	}
	if blind > 0 {
		s.bad("%d of %d times a survivor did not notice within %v", blind, blind+len(detect), s.patience())
	}
	low, high := s.ideal()
	s.out.Charts.Ideal = &[2]float64{low, high}
}

// ideal is the protocol's window from a kill to its notice: between Deadline
// and Deadline + Reap after the last sign of life, which is up to a Heartbeat
// before the kill.
func (s *stage) ideal() (low, high float64) {
	t := s.cfg.Timing
	return (t.Deadline - t.Heartbeat).Seconds(), (t.Deadline + t.Reap).Seconds()
}

// relaunch: the killed come back, before and after they are missed.

func relaunchScenario(s *stage) error {
	return s.with(setup{interval: s.cfg.Timing.Broadcast}, func() error {
		if err := s.joinAll(s.ctx, 0); err != nil {
			return err
		}
		for _, round := range []string{"early", "late"} {
			if err := s.ageRandomly(); err != nil {
				return err
			}
			victims := s.victims(s.opt.Kill)
			if len(victims) == 0 {
				return cannot("nobody to relaunch and be missed: one peer")
			}
			for _, v := range victims {
				s.kill(v)
			}
			if round == "late" && !s.until(s.ctx, s.patience(), s.agreed) {
				return cannot("the killed peers were not missed by all")
			}
			if err := s.comeBack(round, victims); err != nil {
				return err
			}
		}
		return nil
	})
}

func (s *stage) comeBack(round string, victims []int) error {
	since := s.clock.now()
	for _, v := range victims {
		if err := s.birth(v); err != nil {
			return err
		}
	}
	if !s.until(s.ctx, s.patience(), s.agreed) && s.ctx.Err() == nil {
		s.bad("%s: not everybody was back in every view within %v", round, s.patience())
	}
	var admit, back []float64
	for _, v := range victims {
		seat := &s.board.seats[v]
		born := max(seat.born.Load(), since)
		if at := seat.admitted.Load(); at > 0 {
			admit = append(admit, float64(at-born)/1e9)
		}
		if at, ok := s.everywhere(v, born, true); ok {
			back = append(back, float64(at-born)/1e9)
		}
	}
	s.set(round+".admit", samples("s", admit))
	s.set(round+".back", samples("s", back))
	return s.ctx.Err()
}

// churn: peers die and return.

func churnScenario(s *stage) error {
	return s.with(setup{interval: s.cfg.Timing.Broadcast}, func() error {
		if err := s.joinAll(s.ctx, 0); err != nil {
			return err
		}
		if s.n < 2 {
			return cannot("nobody to see the others come and go: one peer")
		}
		from := s.clock.now()
		end := from + int64(s.opt.Duration)
		events, last := uint64(0), from
		for due := from; ; {
			due += int64(s.rng.ExpFloat64() / s.opt.Churn * 1e9)
			if due >= end || !s.world.sleep(s.ctx, time.Duration(due-s.clock.now())) {
				break
			}
			if err := s.flip(); err != nil {
				return err
			}
			events, last = events+1, s.clock.now()
		}
		if s.ctx.Err() == nil {
			s.world.sleep(s.ctx, time.Duration(end-s.clock.now()))
		}
		to := min(end, s.clock.now())
		whole := s.until(s.ctx, s.patience(), s.agreed)
		s.count("events", events)
		s.disagreement(from, to)
		converged := last
		s.seen(func(i int, seat *seatBoard) {
			if s.alive.has(i) {
				at, ok := seat.when(last, func(v set) bool { return v == s.alive })
				converged, whole = max(converged, at), whole && ok
			}
		})
		s.seconds("converge", last, converged, whole)
		if !whole && s.ctx.Err() == nil {
			s.bad("views still differed %v after the last event", s.patience())
		}
		return s.ctx.Err()
	})
}

// flip kills a living peer or has a dead one return. Half of them live always.
func (s *stage) flip() error {
	living := 0
	for i := range s.n {
		if s.alive.has(i) {
			living++
		}
	}
	i := s.rng.IntN(s.n)
	for s.alive.has(i) && living <= (s.n+1)/2 {
		i = s.rng.IntN(s.n)
	}
	if s.alive.has(i) {
		s.kill(i)
		return nil
	}
	return s.birth(i)
}

// disagreement integrates, over the living peers, the time in which a view
// was not the truth.
func (s *stage) disagreement(from, to int64) {
	const slices = 120
	width := max((to-from)/slices, 1)
	wrong, total := make([]float64, slices+1), make([]float64, slices+1)
	s.seen(func(i int, seat *seatBoard) {
		log := seat.changes()
		k := -1
		for r, truth := range s.roster {
			end := to
			if r+1 < len(s.roster) {
				end = min(to, s.roster[r+1].at)
			}
			at := max(truth.at, from)
			if !truth.set.has(i) {
				continue
			}
			for at < end {
				for k+1 < len(log) && log[k+1].at <= at {
					k++
				}
				until := min(end, from+((at-from)/width+1)*width)
				if k+1 < len(log) {
					until = min(until, log[k+1].at)
				}
				slice := min((at-from)/width, slices)
				total[slice] += float64(until - at)
				if k < 0 || log[k].set != truth.set {
					wrong[slice] += float64(until - at)
				}
				at = until
			}
		}
	})
	var sumWrong, sumTotal float64
	for i := range total {
		sumWrong, sumTotal = sumWrong+wrong[i], sumTotal+total[i]
		if total[i] > 0 {
			s.out.Charts.Disagreement = append(s.out.Charts.Disagreement, Point{float64(i) * float64(width) / 1e9, wrong[i] / total[i]})
		}
	}
	s.value("disagreement", "ratio", sumWrong/sumTotal)
}

// restart: the server dies and comes back.

func restartScenario(s *stage) error {
	if s.opt.Server != "" {
		s.bad("server %s was not started here and cannot be restarted", s.opt.Server)
		return cannot("no restart")
	}
	if s.cfg.Peers < 2 {
		s.bad("nobody to come after the restart: one peer")
		return cannot("one peer")
	}
	for _, refresh := range []time.Duration{0, s.opt.Refresh} {
		if err := s.with(setup{refresh: &refresh}, func() error { return s.restart(refresh) }); err != nil {
			return err
		}
	}
	return nil
}

// restart has all but one join, lets the server die for a second and, when it
// is back, the last one be born: it shows whom the server knows.
func (s *stage) restart(refresh time.Duration) error {
	probe := s.n - 1
	for i := range probe {
		if err := s.birth(i); err != nil {
			return err
		}
	}
	if !s.until(s.ctx, joinPatience, s.agreed) {
		return errNotWhole
	}
	if err := s.mesh.server.kill(); err != nil {
		return cannot(err.Error())
	}
	if !s.world.sleep(s.ctx, time.Second) {
		return s.ctx.Err()
	}
	back := s.clock.now()
	if err := s.mesh.server.restart(); err != nil {
		return err
	}
	// A server that knows nobody makes views shrink. That is no false cull, so
	// everybody counts as newly arrived.
	s.roster.mark(back-1, set{})
	s.roster.mark(back, s.alive)
	if err := s.birth(probe); err != nil {
		return err
	}
	patience := 3*s.opt.Refresh + s.cfg.Timing.Deadline + s.cfg.Timing.Reap
	if refresh > 0 {
		patience += 10 * time.Second // as in patience: what never comes is waited for in the other case
	}
	whole := s.until(s.ctx, patience, s.agreed)
	last := back
	s.seen(func(i int, seat *seatBoard) {
		at, ok := seat.when(back, func(v set) bool { return v == s.alive })
		last, whole = max(last, at), whole && ok
	})
	if refresh > 0 {
		s.seconds("refresh.whole", back, last, whole)
		if !whole {
			s.bad("with a refresh of %v the mesh was not whole %v after the server's return", refresh, patience)
		}
		return nil
	}
	s.seconds("whole", back, last, whole)
	known := 0
	view := s.board.seats[probe].view()
	for i := range s.n {
		if view.has(i) {
			known++
		}
	}
	s.count("stranded", uint64(s.n-known))
	if !whole {
		s.note("without refresh: never whole again (looked for %v). The returned server knows %d of %d: keep-alives do not tell it who they are from", patience, known, s.n)
	}
	return nil
}

// pause: a peer's process is stopped for longer than the deadline.

func pauseScenario(s *stage) error {
	if s.cfg.Peers < 2 {
		s.bad("nobody to miss the stopped peer: one peer")
		return cannot("one peer")
	}
	for _, refresh := range []time.Duration{0, s.opt.Refresh} {
		if err := s.with(setup{refresh: &refresh, interval: s.cfg.Timing.Broadcast}, func() error { return s.pause(refresh) }); err != nil {
			return err
		}
	}
	return nil
}

func (s *stage) pause(refresh time.Duration) error {
	if err := s.joinAll(s.ctx, 0); err != nil {
		return err
	}
	if err := s.ageRandomly(); err != nil {
		return err
	}
	v := s.n - 1 // not an external one, if there is any of ours
	stopped := s.clock.now()
	if err := s.peers[v].pause(); err != nil {
		return cannot(err.Error())
	}
	s.depart(v)
	culled := s.until(s.ctx, s.patience(), s.agreed)
	last := stopped
	s.seen(func(i int, seat *seatBoard) {
		if s.alive.has(i) {
			at, ok := seat.when(stopped, func(view set) bool { return !view.has(v) })
			last, culled = max(last, at), culled && ok
		}
	})
	if refresh == 0 {
		s.seconds("cull", stopped, last, culled)
	}
	on := s.clock.now()
	s.peers[v].resume()
	s.arrive(v)
	if refresh > 0 {
		s.backIn("refresh.back", v, on, 2*refresh+s.patience())
		return s.ctx.Err()
	}
	if patience := s.cfg.Timing.Deadline + 2*s.cfg.Timing.Reap; !s.backIn("back", v, on, patience) {
		s.note("without refresh: never back (looked for %v). The server ignores the keep-alives of a culled peer, and nobody tells it", patience)
		again := s.clock.now()
		s.peers[v].rebirth()
		s.backIn("rebirth.back", v, again, s.patience())
	}
	return s.ctx.Err()
}

// backIn waits until v is in every other view, and writes down when that was.
func (s *stage) backIn(metric string, v int, since int64, patience time.Duration) bool {
	in := func() bool {
		ok := true
		s.seen(func(i int, seat *seatBoard) { ok = ok && (i == v || !s.alive.has(i) || seat.view().has(v)) })
		return ok
	}
	s.until(s.ctx, patience, in)
	at, ok := s.everywhere(v, since, false)
	s.seconds(metric, since, at, ok)
	return ok
}

// loss: steady and crash again, under an impairment of every link.

func lossScenario(s *stage) error {
	return s.with(setup{impair: s.opt.Impair, interval: 0}, func() error {
		if err := s.joinAll(s.ctx, 0); err != nil {
			return err
		}
		s.board.impairing.Store(true) // from here on: a join that loses a directory stays incomplete without refresh
		began := s.clock.now()
		s.talk(s.opt.Warmup, s.opt.Duration, s.opt.Interval)
		seconds := float64(s.n) * float64(s.clock.now()-began) / 1e9
		var injected, measured, sent, doubled, reordered uint64
		for i := range s.board.seats {
			seat := &s.board.seats[i]
			injected += seat.injected.Load()
			measured += seat.mInjected.Load()
			doubled += seat.mDoubled.Load()
			reordered += seat.mReordered.Load()
			sent += seat.messages.Load()
		}
		s.count("injected", injected)
		s.count("duplicated_injected", doubled)
		s.count("reordered_injected", reordered)
		s.value("loss_injected", "ratio", float64(measured)/float64(sent))
		p := s.opt.Impair.Loss
		s.value("false_culls_expected", "1", 2*p*p*p*(1-p)*seconds)
		s.value("peer_seconds", "s", seconds)
		s.note("every link under %v", s.opt.Impair)
		if s.n > 1 && s.ctx.Err() == nil {
			s.crash(s.victims(s.opt.Kill))
		}
		return s.ctx.Err()
	})
}
