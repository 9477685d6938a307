package record

import (
	"runtime"
	"testing"
	"time"
)

// A virtual network's clock shows the network's time, whatever time a node on it is told.
func TestVirtualClock(t *testing.T) {
	t.Parallel()
	net := 7 * time.Second
	c := VirtualClock(func() time.Duration { return net }, 100)
	if got, want := c.Now(), int64(7*time.Second)+100; got != want || c.At(time.Unix(5, 0)) != want {
		t.Errorf("it shows %d, and %d at some time, want %d", got, c.At(time.Unix(5, 0)), want)
	}
	now := time.Unix(1000, 0)
	for _, d := range []time.Duration{0, time.Second, -time.Second} {
		if got := c.Time(now, c.Now()+int64(d)); !got.Equal(now.Add(d)) {
			t.Errorf("what is %v from now is at %v, want %v", d, got, now.Add(d))
		}
	}
}

// The machine's clock is the system's monotonic one, which other processes read as well.
func TestClock(t *testing.T) {
	t.Parallel()
	c := NewClock()
	before, ok := Monotonic()
	now := c.Now()
	after, _ := Monotonic()
	if !ok {
		t.Skip("the system has none")
	}
	const most = int64(10 * time.Millisecond) // what its two readings may be apart, the best of 16
	if now < before-most || now > after+most {
		t.Errorf("it shows %d between %d and %d", now, before, after)
	}
	at := time.Now()
	if d := c.At(at.Add(time.Second)) - c.At(at); d != int64(time.Second) {
		t.Errorf("a second later it shows %d ns more", d)
	}
	if got := c.Time(at, c.At(at)+5); !got.Equal(at.Add(5)) {
		t.Errorf("what is 5 ns from %v is at %v", at, got)
	}
}

// Monotonic is the clock that Go's own differences are by, where the system has it.
func TestMonotonic(t *testing.T) {
	t.Parallel()
	begin := time.Now()
	before, ok := Monotonic()
	time.Sleep(time.Millisecond)
	after, _ := Monotonic()
	if most := int64(time.Since(begin)); ok != (runtime.GOOS == "linux") || ok && (after-before < int64(time.Millisecond) || after-before > most) {
		t.Errorf("%d ns of at most %d, known: %v", after-before, most, ok)
	}
}
