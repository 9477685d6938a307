// Package machine is what there is to know of the machine that measures: what it is, what it takes
// there to send a datagram at all, and what others have of it meanwhile.
package machine

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"runtime"
	"runtime/debug"
	"time"

	"p2plocal/bench/record"
	"p2plocal/bench/result"
	"p2plocal/core/udp"
	"p2plocal/fuzz/target"
)

// Loopback is where all is, unless it is said otherwise.
var Loopback = netip.AddrFrom4([4]byte{127, 0, 0, 1})

// Survey says what machine this is, at the time given.
func Survey(now time.Time, readBuffer int) result.Env {
	e := result.Env{Time: now.UTC().Truncate(time.Second), Go: runtime.Version(), OS: runtime.GOOS, Arch: runtime.GOARCH, Cores: runtime.NumCPU()}
	describe(&e)
	if s, err := udp.Listen(netip.AddrPortFrom(Loopback, 0), readBuffer); err == nil {
		e.BufferHave = s.Stats().ReceiveBuffer
		s.Close()
	}
	return e
}

// Version says what this program was built from, and how it was called, without passwords.
func Version(args []string) result.Tool {
	t := result.Tool{Name: result.ToolName, Version: "devel", Args: redacted(args)}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return t
	}
	if v := info.Main.Version; v != "" && v != "(devel)" {
		t.Version = v
	}
	for _, s := range info.Settings {
		switch s.Key {
		case "vcs.revision":
			t.Commit = s.Value
		case "vcs.modified":
			t.Dirty = s.Value == "true"
		}
	}
	return t
}

// MeasureBaseline sends a datagram back and forth between two bare loopback
// sockets, a goroutine each, for a while and until there are some round trips, for
// which a busy machine may need longer: the least that a message and its answer can
// take on this machine now.
func MeasureBaseline(ctx context.Context, d time.Duration) (result.Baseline, error) {
	const least, most, lost = 1000, 10 * time.Second, 100 * time.Millisecond
	var socks [2]*net.UDPConn
	for i := range socks {
		s, err := target.Listen(netip.AddrPortFrom(Loopback, 0))
		if err != nil {
			return result.Baseline{}, err
		}
		defer s.Close()
		socks[i] = s
	}
	go func() {
		for b := make([]byte, 64); ; {
			n, from, err := socks[1].ReadFromUDPAddrPort(b)
			if err != nil {
				return
			}
			socks[1].WriteToUDPAddrPort(b[:n], from)
		}
	}()
	var h record.Histogram
	ball, to := []byte("peerA_broadcast_"), socks[1].LocalAddr().(*net.UDPAddr).AddrPort()
	start := time.Now()
	for rounds, now := 0, start; now.Sub(start) < d || rounds < least && now.Sub(start) < most; now = time.Now() {
		if ctx.Err() != nil {
			break
		}
		socks[0].SetReadDeadline(now.Add(lost))
		if _, err := socks[0].WriteToUDPAddrPort(ball, to); err != nil {
			return result.Baseline{}, fmt.Errorf("cannot send to %v; the loopback interface must be up: %w", to.Addr(), err)
		}
		if _, err := socks[0].Read(ball); err == nil {
			h.Record(int64(time.Since(now)))
			rounds++
		}
	}
	return result.Baseline{RoundTrip: h.Distribution()}, nil
}
