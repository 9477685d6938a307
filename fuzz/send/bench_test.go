package send

import (
	"net/netip"
	"runtime"
	"slices"
	"testing"
	"time"

	"p2plocal/core/udp/baseline"
)

// BenchmarkSender sends 16 byte datagrams in turns of 50 ms with the C program,
// both to the same socket; xC is the median over the turns of our rate divided by
// the program's. gso-split has the kernel cut the trains apart because the receiver,
// as every implementation of the protocol does, takes single datagrams; in gso it
// takes whole trains.
func BenchmarkSender(b *testing.B) {
	if runtime.GOOS != "linux" {
		b.Skip("sendmmsg and UDP_SEGMENT are Linux's")
	}
	for _, mode := range []struct{ name, send, gro string }{
		{"mmsg", "mmsg", "0"}, {"gso-split", "gso", "0"}, {"gso", "gso", "1"},
	} {
		b.Run(mode.name, func(b *testing.B) {
			c := baseline.Start(b, "testdata/limits/sender.c", mode.send, "16", mode.gro)
			s := dial(b, netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), uint16(c.Number())))
			l := Pack(slices.Repeat([][]byte{make([]byte, 16)}, BatchSize), mode.send == "gso")
			var ours, theirs, ratios []float64
			for b.Loop() {
				them := c.Turn()
				before, start := s.Counts().Sent, time.Now()
				for time.Since(start) < 50*time.Millisecond {
					s.Send(l)
				}
				us := float64(s.Counts().Sent-before) / time.Since(start).Seconds()
				ours, theirs, ratios = append(ours, us), append(theirs, them), append(ratios, us/them)
			}
			b.ReportMetric(0, "ns/op") // the time of a turn says nothing
			b.ReportMetric(baseline.Median(ours), "datagrams/s")
			b.ReportMetric(baseline.Median(theirs), "C-datagrams/s")
			b.ReportMetric(baseline.Median(ratios), "xC")
		})
	}
}
