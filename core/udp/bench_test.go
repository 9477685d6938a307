package udp

import (
	"runtime"
	"slices"
	"testing"

	"p2plocal/core"
)

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
