package core

import (
	"testing"
	"time"
)

// With Rules, a burst and the wait for those who were sent a retry are as the Rules have them.
func TestPacerOfRules(t *testing.T) {
	p := pacer{rules: &Rules{Cost: time.Millisecond, Burst: 20 * time.Millisecond}}
	at := func(what string, got time.Time, want time.Duration) {
		t.Helper()
		if d := got.Sub(start); d != want {
			t.Errorf("%s at %v, want %v", what, d, want)
		}
	}
	p.charge(start, 15)
	at("room for 5", p.roomAt(5), 0)
	at("room for 6", p.roomAt(6), time.Millisecond)
	at("room for as many as a burst", p.roomAt(20), 15*time.Millisecond)
	at("room for more than a burst", p.roomAt(1000), 15*time.Millisecond)

	p.change(start)
	at("settled with 8 members", p.settledAt(8), 2*time.Millisecond)
	at("settled with more than a burst", p.settledAt(1000), 5*time.Millisecond)
	p.expect(start.Add(time.Millisecond)) // and 1 to come
	at("settled with one to come, as 2 cost", p.settledAt(1), 16*time.Millisecond)
	p.change(start.Add(10 * time.Millisecond))
	at("settled while others change, at most", p.settledAt(1), 16*time.Millisecond)
	p.came()
	at("settled when it has come", p.settledAt(1), 8*time.Millisecond)
}

// Who was sent a retry so long ago that it will not come any more is waited for no longer.
func TestPacerGivesUp(t *testing.T) {
	p := pacer{rules: &Rules{Cost: time.Millisecond, Burst: 20 * time.Millisecond}}
	for range 3 {
		p.expect(start)
	}
	p.expect(start.Add(settling * p.rules.Burst))
	if p.expected != 4 {
		t.Errorf("%d are expected, want all 4", p.expected)
	}
	p.expect(start.Add(2*settling*p.rules.Burst + 1))
	if p.expected != 1 {
		t.Errorf("%d are expected, want the last one", p.expected)
	}
}
