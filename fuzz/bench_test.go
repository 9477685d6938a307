package fuzz

import (
	"bufio"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// limit is the C program of testdata/limits: a socket that is read as fast as
// can be, and for each line that the program gets a turn of sending to it.
type limit struct {
	b   *testing.B
	in  interface{ Write([]byte) (int, error) }
	out *bufio.Reader
}

func startLimit(b *testing.B, args ...string) *limit {
	b.Helper()
	exe := filepath.Join(b.TempDir(), "sender")
	if out, err := exec.Command("gcc", "-O2", "-o", exe, "testdata/limits/sender.c", "-lpthread").CombinedOutput(); err != nil {
		b.Fatalf("gcc: %v: %s", err, out)
	}
	cmd := exec.Command(exe, args...)
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		b.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		b.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		in.Close()
		cmd.Wait()
	})
	return &limit{b, in, bufio.NewReader(out)}
}

// number is the next line that the program prints.
func (l *limit) number() float64 {
	l.b.Helper()
	line, err := l.out.ReadString('\n')
	if err != nil {
		l.b.Fatalf("the C program ended: %v", err)
	}
	n, err := strconv.ParseFloat(strings.TrimSpace(line), 64)
	if err != nil {
		l.b.Fatal(err)
	}
	return n
}

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
			c := startLimit(b, mode.send, "16", mode.gro)
			s := dial(b, netip.AddrPortFrom(localhost, uint16(c.number())))
			l := Pack(slices.Repeat([][]byte{filled(16, 'x')}, batchSize), mode.send == "gso")
			var ours, theirs, ratios []float64
			for b.Loop() {
				fmt.Fprintln(c.in)
				them := c.number()
				before, start := s.Counts().Sent, time.Now()
				for time.Since(start) < 50*time.Millisecond {
					s.Send(l)
				}
				us := float64(s.Counts().Sent-before) / time.Since(start).Seconds()
				ours, theirs, ratios = append(ours, us), append(theirs, them), append(ratios, us/them)
			}
			b.ReportMetric(0, "ns/op") // the time of a turn says nothing
			b.ReportMetric(median(ours), "datagrams/s")
			b.ReportMetric(median(theirs), "C-datagrams/s")
			b.ReportMetric(median(ratios), "xC")
		})
	}
}

func median(x []float64) float64 {
	slices.Sort(x)
	return x[len(x)/2]
}
