package udp

import (
	"context"
	"net/netip"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"p2plocal/core"
	"p2plocal/core/udp/baseline"
)

// BenchmarkTimers has 80 sockets wake every 250 ms, spread evenly, and reports how late
// they are, beside a C program that is woken as often by a timer of the kernel's; what CPU
// time a wake-up costs, and what a socket takes of memory. With -tags portable it does so by
// Go's deadlines.
func BenchmarkTimers(b *testing.B) {
	const sockets, interval, rounds = 80, 250 * time.Millisecond, 8
	limit := baseline.Start(b, filepath.Join("testdata", "limits", "timer.c"),
		strconv.Itoa(int(interval.Microseconds())/sockets), strconv.Itoa(sockets*rounds))
	for b.Loop() {
		bare, bare99 := limit.Turn()/1e3, limit.Number()/1e3
		var before, after runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&before)
		var mu sync.Mutex
		var late []time.Duration
		begin := time.Now().Add(50 * time.Millisecond)
		count := begin.Add(interval) // the first round is not like the others
		ctx, stop := context.WithDeadline(context.Background(), count.Add(rounds*interval))
		var all sync.WaitGroup
		for i := range sockets {
			s, err := Listen(netip.AddrPortFrom(host, 0), 0)
			if err != nil {
				b.Fatal(err)
			}
			next := begin.Add(time.Duration(i) * interval / sockets)
			all.Go(func() {
				s.Serve(ctx, script{poll: func(now time.Time) (core.Outgoing, time.Time) {
					if overdue := now.Sub(next); overdue >= 0 {
						mu.Lock()
						if now.After(count) {
							late = append(late, overdue)
						}
						mu.Unlock()
						next = next.Add(interval)
					}
					return core.Outgoing{}, next
				}})
			})
		}
		time.Sleep(time.Until(count.Add(-interval / 4)))
		runtime.GC()
		runtime.ReadMemStats(&after)
		time.Sleep(time.Until(count))
		cpu := cpuTime()
		all.Wait()
		cpu = cpuTime() - cpu
		stop()
		slices.Sort(late)
		at := func(q float64) float64 { return float64(late[int(q*float64(len(late)))].Nanoseconds()) / 1e3 }
		b.ReportMetric(0, "ns/op")
		b.ReportMetric(at(0.5), "p50-us")
		b.ReportMetric(bare, "c-p50-us")
		b.ReportMetric(at(0.5)/bare, "ratio")
		b.ReportMetric(at(0.9), "p90-us")
		b.ReportMetric(at(0.99), "p99-us")
		b.ReportMetric(bare99, "c-p99-us")
		b.ReportMetric(float64(cpu.Nanoseconds())/1e3/float64(len(late)), "cpu-us/wake-up")
		b.ReportMetric(float64(after.HeapAlloc+after.StackInuse-before.HeapAlloc-before.StackInuse)/sockets, "B/socket")
	}
}

// cpuTime is what this process has computed for.
func cpuTime() time.Duration {
	var u unix.Rusage
	unix.Getrusage(unix.RUSAGE_SELF, &u)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
