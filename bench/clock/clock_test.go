package clock

import (
	"context"
	"errors"
	"math/rand/v2"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"p2plocal/bench/record"
)

// exchanges are some with a clock that shows what ahead says, over ways of random lengths.
func exchanges(rng *rand.Rand, n int, every time.Duration, ahead func(at int64) int64) (all []Exchange) {
	way := func() int64 { return 10_000 + int64(rng.ExpFloat64()*50_000) }
	for i := range n {
		x := Exchange{Sent: 1e9 + int64(i)*int64(every)}
		there := x.Sent + way()
		back := there + 5_000
		x.There, x.Back = there+ahead(there), back+ahead(back)
		x.Received = back + way()
		all = append(all, x)
	}
	return all
}

// The line stays within its bound of the other clock, as long as it is to last: for clocks that are
// ahead or behind and drift, however few exchanges there are.
func TestFit(t *testing.T) {
	t.Parallel()
	rng := rand.New(rand.NewPCG(1, 1))
	for range 1000 {
		offset, rate := rng.Int64N(2e12)-1e12, (rng.Float64()*2-1)*1e-4
		ahead := func(at int64) int64 { return offset + int64(rate*float64(at)) }
		all := exchanges(rng, 1+rng.IntN(200), 10*time.Millisecond, ahead)
		e, err := Fit(all, 100*time.Millisecond)
		if err != nil {
			t.Fatal(err)
		}
		for _, at := range []int64{e.At, e.Until} {
			if off := e.Ahead(at) - ahead(at); max(off, -off) > e.Bound {
				t.Fatalf("off by %d ns of a bound of %d, after %d exchanges", off, e.Bound, len(all))
			}
		}
		if len(all) == 200 && e.Bound > 200_000 {
			t.Errorf("a bound of %d ns after %d exchanges", e.Bound, len(all))
		}
	}
	if _, err := Fit(nil, 0); err == nil {
		t.Error("a line through nothing")
	}
}

// A clock that has jumped is near no line: the bound is as wide as the jump, until the exchanges from
// before it are forgotten.
func TestJump(t *testing.T) {
	t.Parallel()
	rng := rand.New(rand.NewPCG(1, 1))
	const jump = 5e6
	for n := 2; n < 200; n += 7 {
		all := exchanges(rng, 200, 10*time.Millisecond, func(at int64) int64 {
			if at >= 1e9+int64(n)*1e7 {
				return jump
			}
			return 0
		})
		e, _ := Fit(all, 100*time.Millisecond)
		if off := e.Ahead(e.At) - jump; max(off, -off) > e.Bound {
			t.Errorf("off by %d ns of a bound of %d, after a jump at exchange %d", off, e.Bound, n)
		}
	}
	f := new(Follower)
	f.line.Store(new(record.Line))
	for i, x := range exchanges(rng, 400, 10*time.Millisecond, func(at int64) int64 {
		if at >= 3e9 {
			return jump
		}
		return 0
	}) {
		if f.add(x); i == 199 && f.Worst() > jump/2 {
			t.Errorf("a bound of %d ns before the jump", f.Worst())
		}
	}
	if f.Worst() < jump {
		t.Errorf("a clock jumped by %v ns, and the bound is %d", float64(jump), f.Worst())
	}
}

// The first line is drawn through many exchanges, or soon, where a machine is slow.
func TestFirstLine(t *testing.T) {
	t.Parallel()
	rng := rand.New(rand.NewPCG(1, 1))
	for every, want := range map[time.Duration]int{10 * time.Millisecond: 40, 300 * time.Millisecond: 8, 5 * time.Second: 2} {
		f := Follower{got: make(chan struct{})}
		for n, x := range exchanges(rng, 100, every, func(int64) int64 { return 1e9 }) {
			f.add(x)
			select {
			case <-f.got:
			default:
				continue
			}
			if n+1 != want {
				t.Errorf("with an exchange every %v it is drawn through %d, want %d", every, n+1, want)
			}
			want = 0
			break
		}
		if want > 0 {
			t.Errorf("with an exchange every %v none is drawn", every)
		}
	}
}

// Answers that come later than the next datagram is sent count all the same: where a machine is busy,
// no others may come for a long time.
func TestLateAnswers(t *testing.T) {
	t.Parallel()
	loopback := netip.AddrFrom4([4]byte{127, 0, 0, 1})
	server, err := Serve(loopback)
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	relay, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.AddrPortFrom(loopback, 0)))
	if err != nil {
		t.Fatal(err)
	}
	defer relay.Close()
	go func() { // gives on each only when the second one after it has come
		var held [][]byte
		var client netip.AddrPort
		for {
			b := make([]byte, size)
			n, from, err := relay.ReadFromUDPAddrPort(b)
			switch {
			case errors.Is(err, net.ErrClosed):
				return
			case err != nil:
			case from == server.Addr():
				relay.WriteToUDPAddrPort(b[:n], client)
			default:
				client = from
				if held = append(held, b[:n]); len(held) > 2 {
					relay.WriteToUDPAddrPort(held[0], server.Addr())
					held = held[1:]
				}
			}
		}
	}()
	ctx, cancel := context.WithCancel(t.Context())
	var all []Exchange
	Follow(ctx, loopback, relay.LocalAddr().(*net.UDPAddr).AddrPort(), func() time.Duration { return 0 }, func(x Exchange) {
		if all = append(all, x); len(all) == 3 {
			cancel()
		}
	})
	for _, x := range all {
		if off, within := x.ahead(); max(off, -off) > within || time.Duration(within) < patience/4 {
			t.Errorf("off by %d ns of a bound of %d, after %v", off, within, x)
		}
	}
	if len(all) < 3 {
		t.Errorf("%d exchanges, want 3", len(all))
	}
}

// Who has never answered is not waited for for ever.
func TestNobody(t *testing.T) {
	t.Parallel()
	loopback := netip.AddrFrom4([4]byte{127, 0, 0, 1})
	mute, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.AddrPortFrom(loopback, 0)))
	if err != nil {
		t.Fatal(err)
	}
	defer mute.Close()
	err = follow(t.Context(), loopback, mute.LocalAddr().(*net.UDPAddr).AddrPort(), 2, func() time.Duration { return 0 }, nil)
	if err == nil || !strings.Contains(err.Error(), "none of 2 datagrams") {
		t.Errorf("%v, want that it has answered none of 2", err)
	}
	if err = follow(t.Context(), loopback, netip.MustParseAddrPort("[2001:db8::1]:9"), 1, func() time.Duration { return 0 }, nil); err == nil || strings.Contains(err.Error(), "datagrams") {
		t.Errorf("%v, want why nothing can be sent", err)
	}
}
