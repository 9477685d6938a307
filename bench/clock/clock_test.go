package clock

import (
	"math/rand/v2"
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
