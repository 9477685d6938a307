//go:build !portable

package udp

import (
	"context"
	"net/netip"
	"runtime"
	"slices"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"p2plocal/core"
)

// Alarms ring once and never early, moved ones at their last time, ones taken back not at all.
func TestClock(t *testing.T) {
	t.Parallel()
	c := newClock()
	if c == nil {
		t.Fatal("the system has no timerfd")
	}
	const n = 60
	begin := time.Now()
	at := func(i int) time.Time { return begin.Add(time.Duration((i*37)%n) * time.Millisecond) }
	var all [n]alarm
	rings := make(chan int, 2*n)
	for i := range all {
		all[i].ring = func(time.Time) error {
			if i%2 > 0 || time.Now().Before(at(i)) {
				t.Errorf("alarm %d rings, taken back or %v early", i, time.Until(at(i)))
			}
			rings <- i
			return nil
		}
		c.add(&all[i])
		c.set(&all[i], begin.Add(time.Hour+time.Duration(i*41%n)))
	}
	for i := range all {
		if i%2 > 0 {
			c.set(&all[i], time.Time{})
		} else {
			c.set(&all[i], at(i))
		}
	}
	for range n / 2 {
		await(t, rings, "an alarm")
	}
	late := make(chan time.Time, 3)
	a := alarm{ring: func(deadline time.Time) error { late <- deadline; return nil }}
	c.add(&a)
	c.set(&a, spent) // at once
	if got := await(t, late, "an alarm that is spent"); got != spent {
		t.Errorf("rings with %v", got)
	}
	c.set(&a, time.Time{}) // no longer
	if got := await(t, late, "its end"); !got.IsZero() {
		t.Errorf("its deadline is %v, want none", got)
	}
	for i := range all {
		c.remove(&all[i])
	}
	if len(c.alarms) != 1 || len(rings) != 0 {
		t.Errorf("%d alarms are left, %d have rung again", len(c.alarms), len(rings))
	}
}

// BenchmarkTimers has 80 sockets wake every 250 ms, spread evenly, and reports how late
// they are, what CPU time a wake-up costs, and what a socket takes of memory: by the
// process's clock, by one clock a socket, and by Go's deadlines.
func BenchmarkTimers(b *testing.B) {
	const sockets, interval, rounds = 80, 250 * time.Millisecond, 8
	for name, clockOf := range map[string]func() *clock{
		"process-clock": processClock, "socket-clock": newClock, "deadline": func() *clock { return nil },
	} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				var before, after runtime.MemStats
				runtime.GC()
				runtime.ReadMemStats(&before)
				var mu sync.Mutex
				var late []time.Duration
				cpu := cpuTime()
				begin := time.Now().Add(50 * time.Millisecond)
				ctx, stop := context.WithDeadline(context.Background(), begin.Add(rounds*interval))
				var all sync.WaitGroup
				for i := range sockets {
					s, err := Listen(netip.AddrPortFrom(host, 0), 0)
					if err != nil {
						b.Fatal(err)
					}
					s.conn.clock.remove(&s.conn.alarm)
					if s.conn.clock = clockOf(); s.conn.clock != nil {
						s.conn.clock.add(&s.conn.alarm)
					}
					next := begin.Add(time.Duration(i) * interval / sockets)
					all.Go(func() {
						s.Serve(ctx, script{poll: func(now time.Time) (core.Outgoing, time.Time) {
							if overdue := now.Sub(next); overdue >= 0 {
								mu.Lock()
								late = append(late, overdue)
								mu.Unlock()
								next = next.Add(interval)
							}
							return core.Outgoing{}, next
						}})
					})
				}
				time.Sleep(interval)
				runtime.GC()
				runtime.ReadMemStats(&after)
				all.Wait()
				stop()
				slices.Sort(late)
				at := func(q float64) float64 { return float64(late[int(q*float64(len(late)))].Microseconds()) }
				b.ReportMetric(at(0.5), "p50-us")
				b.ReportMetric(at(0.99), "p99-us")
				b.ReportMetric(float64((cpuTime()-cpu).Microseconds())/float64(len(late)), "cpu-us/wake-up")
				b.ReportMetric(float64(after.HeapAlloc+after.StackInuse-before.HeapAlloc-before.StackInuse)/sockets, "B/socket")
			}
		})
	}
}

// cpuTime is what this process has computed for.
func cpuTime() time.Duration {
	var u unix.Rusage
	unix.Getrusage(unix.RUSAGE_SELF, &u)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
