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

// makingTime is for one peer to be made, before all are born at once.
const makingTime = 50 * time.Microsecond

// JoinAll has everybody born, at once or spread, and waits until all views
// are complete.
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

// Unmeasured is why something could not be measured although nothing is wrong
// with the measurement.
type Unmeasured string

func (u Unmeasured) Error() string { return string(u) }

// NotWhole says that the mesh did not come about within a time.
func NotWhole(patience time.Duration) Unmeasured {
	return Unmeasured(fmt.Sprintf("not every view was complete within %v of the last birth", patience))
}

// Sleep lets time pass; false: ctx ended it. What a watch, an order or a script has to do
// meanwhile is done between two steps of the world: so nothing else is done at that time.
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

// interruption is when time must stand for something to be done.
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

// WaitUntil waits for a condition, looking as often as the world lets it; what is
// measured has its own times. All that there was by then is in the store after.
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

// Drain waits until nothing is under way any more: all that was sent, and that the
// impairment has let go, is accounted for, or nothing has changed for a second and many looks, which is
// longer than a busy machine keeps a receiver waiting: one that is stopped for a
// second has no time for the looks. It gives the accounts as they were then:
// a server that is not ours goes on sending, and read once more they might fall
// between two counts of one directory.
func (m *Mesh) Drain(most time.Duration) result.Accounts {
	// What is under way by a script or by hand ends here, but for deaths: a peer that is stopped
	// cannot be asked, and a flood has no end.
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

// held is how many datagrams the impairment holds at present.
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
