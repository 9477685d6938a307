package fuzz

import (
	"context"
	"encoding/json"
	"net/netip"
	"os/exec"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"p2plocal/core"
)

// null is a machine that reads and does nothing.
type null struct{}

func (null) Step(time.Time, netip.AddrPort, []byte)             {}
func (null) Poll(time.Time) (out core.Outgoing, next time.Time) { return }

// limit builds testdata/limits/udplim.c and runs it in one mode for a second:
// datagrams of 16 bytes sent each second, received by a thread of its own.
func limit(b *testing.B, mode string) float64 {
	b.Helper()
	exe := filepath.Join(b.TempDir(), "udplim")
	if out, err := exec.Command("gcc", "-O2", "-o", exe, "testdata/limits/udplim.c", "-lpthread").CombinedOutput(); err != nil {
		b.Skipf("no C baseline: %v: %s", err, out)
	}
	out, err := exec.Command(exe, mode, "16", "1").Output()
	var result struct{ Sent float64 }
	if err == nil {
		err = json.Unmarshal(out, &result)
	}
	if err != nil {
		b.Fatalf("udplim says %q: %v", out, err)
	}
	return result.Sent
}

// BenchmarkSender sends 16 byte datagrams to a socket that is read as fast as core
// can. C/op is what the C program in testdata/limits sends a second, and xC
// this sender's rate divided by that, measured right after.
func BenchmarkSender(b *testing.B) {
	for _, mode := range []string{"mmsg", "gso"} {
		b.Run(mode, func(b *testing.B) {
			baseline := 0.0
			if runtime.GOOS == "linux" {
				baseline = limit(b, mode)
			}
			socket, err := core.Listen(netip.AddrPortFrom(localhost, 0), core.ReadBuffer)
			if err != nil {
				b.Fatal(err)
			}
			ctx, cancel := context.WithCancel(b.Context())
			done := make(chan error)
			go func() { done <- socket.Serve(ctx, localhost, null{}) }()
			s := dial(b, socket.Addr())
			var datagrams [][]byte
			for range batchSize {
				datagrams = append(datagrams, filled(16, 'x'))
			}
			l := Pack(datagrams, mode == "gso")
			b.ReportAllocs()
			b.ResetTimer()
			for s.Counts().Sent < uint64(b.N) {
				s.Send(l)
			}
			b.StopTimer()
			rate := float64(s.Counts().Sent) / b.Elapsed().Seconds()
			b.ReportMetric(rate, "datagrams/s")
			if baseline > 0 {
				b.ReportMetric(baseline, "C-datagrams/s")
				b.ReportMetric(rate/baseline, "xC")
			}
			cancel()
			if err := <-done; err != nil {
				b.Error(err)
			}
		})
	}
}
