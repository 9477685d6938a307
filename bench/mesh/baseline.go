package mesh

import (
	"context"
	"net"
	"net/netip"
	"time"

	"p2plocal/bench/record"
	"p2plocal/bench/result"
	"p2plocal/fuzz/target"
)

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
			return result.Baseline{}, err
		}
		if _, err := socks[0].Read(ball); err == nil {
			h.Record(int64(time.Since(now)))
			rounds++
		}
	}
	return result.Baseline{RoundTrip: h.Distribution()}, nil
}
