package mesh

import (
	"context"
	"fmt"
	"math"
	"runtime"
	"sync/atomic"
	"time"

	"p2plocal/bench/faults"
	"p2plocal/bench/record"
	"p2plocal/bench/result"
)

// makingTime is the time allowed for setting up one peer before all join at one instant.
const makingTime = 50 * time.Microsecond

// JoinAll has all peers join, at once or spread over a time, and waits until every view is
// complete.
func (m *Mesh) JoinAll(ctx context.Context, spread, patience time.Duration) error {
	at := int64(0)
	if _, here := m.World.(*udpWorld); here && spread == 0 { // what making them takes is not the mesh's time,
		runtime.GC() // nor what this process has thrown away before
		at = m.Clock.Now() + int64(makingTime)*int64(m.N)
	}
	for i := range m.N {
		if spread > 0 && i > 0 {
			if !m.Sleep(ctx, time.Duration(m.Rng.ExpFloat64()*float64(spread)/float64(m.N))) {
				return ctx.Err()
			}
		}
		if err := m.birth(i, at); err != nil {
			return err
		}
	}
	if !m.WaitUntil(ctx, patience, m.Agreed) {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		return NotWhole(patience)
	}
	return nil
}

// Unmeasured is why something could not be measured although the measurement itself is sound.
type Unmeasured string

func (u Unmeasured) Error() string { return string(u) }

// NotWhole says that the mesh was not complete within a time.
func NotWhole(patience time.Duration) Unmeasured {
	return Unmeasured(fmt.Sprintf("not every view was complete within %v of the last birth", patience))
}

// Sleep lets time pass; false: ctx ended it. What a watch, an order or a script wants done
// meanwhile is done between two steps of the world, when nothing else happens.
func (m *Mesh) Sleep(ctx context.Context, d time.Duration) bool {
	end := m.Clock.Now() + int64(d)
	for {
		now := m.Clock.Now()
		if !m.World.Sleep(ctx, time.Duration(min(end, m.interruption(now))-now)) || !m.interrupt(ctx) {
			return false
		}
		if m.Clock.Now() >= end {
			return true
		}
	}
}

// interruption is up to when time may pass before something has to be done.
func (m *Mesh) interruption(now int64) int64 {
	const look = 10 * time.Millisecond // often enough for orders, and too seldom to be among what is measured
	switch {
	case m.takesOrders() && m.Cfg.Simulation == nil, len(m.planned) > 0:
		return now + int64(look)
	case m.watch != nil:
		return m.watch.next
	}
	return math.MaxInt64
}

// interrupt does what is due.
func (m *Mesh) interrupt(ctx context.Context) bool {
	now := m.Clock.Now()
	if m.watch != nil {
		m.watch.pace(ctx, now)
	}
	for len(m.planned) > 0 && m.planned[0].at <= now {
		if err := m.planned[0].do(); err != nil {
			m.Tell("hand", -1, "the script's fault does nothing: %v", err)
		}
		m.planned = m.planned[1:]
	}
	if m.takesOrders() {
		m.obey(ctx)
	}
	return ctx.Err() == nil
}

// WaitUntil waits for a condition, looking as often as the world allows; what is measured has times
// of its own. All that had happened by then is in the store afterwards.
func (m *Mesh) WaitUntil(ctx context.Context, most time.Duration, ok func() bool) bool {
	if w, over := m.World.(*hostsWorld); over {
		defer w.settle()
	}
	deadline := m.Clock.Now() + int64(most)
	for !ok() {
		if m.Clock.Now() >= deadline || !m.World.Step(ctx, deadline) || !m.interrupt(ctx) {
			return ok()
		}
	}
	return true
}

// Drain waits until nothing is under way: all that was sent, and that the impairment has let go, is
// accounted for, or nothing has changed for a second and a hundred looks. (A busy machine keeps a
// receiver waiting for less; a process that was itself stopped for a second has not looked so
// often.) It returns the accounts as they were then: a server that is not ours goes on sending, and
// a second reading might fall between the two counts of one directory.
func (m *Mesh) Drain(most time.Duration) result.Accounts {
	// Faults end here, but for deaths: a peer that is stopped cannot be asked, and a flood never
	// ends.
	for _, end := range m.loose {
		end()
	}
	m.endFaults(func(f *faults.Fault) bool { return f.Verb != faults.Crash })
	ctx := context.Background()
	deadline := m.Clock.Now() + int64(most)
	last, since, looks := int64(-1), m.Clock.Now(), 0
	for {
		a := m.World.Accounts(m)
		way := a.Unexplained + int64(a.Queued-m.held())
		now := m.Clock.Now()
		if way == 0 || now >= deadline {
			return a
		}
		if way != last {
			last, since, looks = way, now, 0
		}
		const many = 100
		if looks++; looks > many && now-since > int64(time.Second) {
			return a
		}
		m.Sleep(ctx, time.Millisecond)
	}
}

// held is how many datagrams the impairment holds now.
func (m *Mesh) held() uint64 {
	return m.Store.Sum(func(s *record.Slot) *atomic.Uint64 { return &s.Held })
}

// StopSending makes everybody stop sending and waits for what is under way.
func (m *Mesh) StopSending() result.Accounts {
	for i, p := range m.Peers {
		p.Do(Command{Do: Resume})
		if m.Alive.Has(i) {
			p.Do(Command{Do: Silence})
		}
	}
	if m.opt.Driver != nil { // whose members go on talking
		m.Store.Impairing.Store(false)
	}
	const most = 10 * time.Second
	m.WaitUntil(context.Background(), most, func() bool { return m.held() == 0 })
	return m.Drain(most)
}
