package udp

import (
	"runtime"
	"slices"
	"testing"
	"time"

	"p2plocal/core"
)

// 95 births at once over real UDP, until all 95 directories are complete. The
// original takes 990 ms (PROTOCOL.md, "Measured on the original").
func BenchmarkJoin95(b *testing.B) {
	var took []time.Duration
	var announcements uint64
	for b.Loop() {
		t, d, s, end := join(b, core.MaxPeers)
		s.Do(func(time.Time) { announcements += d.Counters().Events[core.Announced] })
		end()
		took = append(took, t)
	}
	slices.Sort(took)
	const original = 990 * time.Millisecond
	half := took[len(took)/2]
	b.ReportMetric(0, "ns/op") // includes opening and closing 96 sockets
	b.ReportMetric(half.Seconds()*1e3, "median-ms")
	b.ReportMetric(took[len(took)-1].Seconds()*1e3, "max-ms")
	b.ReportMetric(float64(original)/float64(half), "x-faster-than-the-original")
	b.ReportMetric(float64(announcements)/float64(len(took)), "announcements")
}

// What a member of a running mesh takes of Go's memory: heap and stacks, with
// its goroutine, socket, machine and directory; a 95th of the server's included.
func BenchmarkPeerMemory(b *testing.B) {
	used := func() float64 {
		var m runtime.MemStats
		runtime.GC()
		runtime.GC() // the second empties the pools
		runtime.ReadMemStats(&m)
		return float64(m.HeapAlloc + m.StackInuse)
	}
	var each []float64
	for b.Loop() {
		before := used()
		_, _, _, end := join(b, core.MaxPeers)
		each = append(each, (used()-before)/core.MaxPeers)
		end()
	}
	slices.Sort(each)
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(each[len(each)/2], "B/peer")
}
