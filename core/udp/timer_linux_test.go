//go:build !portable

package udp

import (
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"p2plocal/core"
)

// The lead becomes what one wake-up in ten is quicker than, and no more than a tenth of a
// millisecond where all are slow; an expiry at once teaches nothing.
func TestClockLead(t *testing.T) {
	c := &clock{}
	now := time.Now()
	learn := func(n int, delay func(i int) time.Duration) {
		for i := range n {
			c.expiry = now
			c.learn(now.Add(delay(i)))
		}
	}
	learn(4000, func(i int) time.Duration { return time.Duration(20+i*37%100) * time.Microsecond })
	if c.lead < 25*time.Microsecond || c.lead > 35*time.Microsecond {
		t.Errorf("lead %v where wake-ups take 20 to 119 µs", c.lead)
	}
	learn(1000, func(int) time.Duration { return time.Second })
	if c.lead != 100*time.Microsecond {
		t.Errorf("lead %v where wake-ups take 1 s", c.lead)
	}
	c.expiry = time.Time{}
	if c.learn(now); c.lead != 100*time.Microsecond {
		t.Errorf("lead %v after an expiry at once", c.lead)
	}
	if learn(100, func(int) time.Duration { return 0 }); c.lead != 0 {
		t.Errorf("lead %v where wake-ups take no time", c.lead)
	}
}

// Alarms ring once and never early, though the timerfd expires before their times, moved ones at their last time, ones taken back not at
// all; whoever would have to wait keeps nobody else from ringing.
func TestClock(t *testing.T) {
	t.Parallel()
	c, err := newClock()
	if err != nil {
		t.Fatal(err)
	}
	c.lead = 100 * time.Microsecond
	const n = 60
	begin := time.Now()
	at := func(i int) time.Time { return begin.Add(time.Duration((i*37)%n) * time.Millisecond) }
	var all [n]alarm
	rings := make(chan int, 2*n)
	release := make(chan bool)
	for i := range all {
		rang := func() {
			if i%2 > 0 || time.Now().Before(at(i)) {
				t.Errorf("alarm %d rings, taken back or %v early", i, time.Until(at(i)))
			}
			rings <- i
		}
		all[i].ring = func() {
			if i%4 == 0 { // it is in use
				<-release
			}
			rang()
		}
		all[i].tryRing = func() bool {
			if i%4 > 0 {
				rang()
			}
			return i%4 > 0
		}
		c.add(&all[i])
		c.set(&all[i], begin.Add(time.Hour+time.Duration(i*41%n)))
	}
	for i := range all {
		if i%2 > 0 {
			c.set(&all[i], time.Time{})
		} else {
			c.set(&all[i], at(i))
		}
	}
	for range n / 4 {
		if i := await(t, rings, "an alarm"); i%4 == 0 {
			t.Errorf("alarm %d rings while it is in use", i)
		}
	}
	close(release)
	for range n / 4 {
		await(t, rings, "an alarm that is in use no longer")
	}
	rung := make(chan bool, 3)
	a := alarm{tryRing: func() bool { rung <- true; return true }, ring: func() { rung <- true }}
	c.add(&a)
	c.set(&a, spent)
	await(t, rung, "an alarm that is spent")
	c.set(&a, time.Now().Add(10*time.Millisecond))
	c.set(&all[0], begin.Add(time.Hour)) // a later one does not put it off
	await(t, rung, "an alarm before a later one")
	for i := range all {
		c.remove(&all[i])
	}
	if len(c.alarms) != 1 || len(rings) != 0 || len(rung) != 0 {
		t.Errorf("%d alarms are left, %d have rung again", len(c.alarms), len(rings)+len(rung))
	}
}

// While nothing is due the timerfd has not expired, so that nothing has to look at it.
func TestClockSleeps(t *testing.T) {
	t.Parallel()
	c, err := newClock()
	if err != nil {
		t.Fatal(err)
	}
	a := alarm{at: time.Now().Add(time.Hour)}
	c.add(&a)
	c.set(&a, a.at)
	var left unix.ItimerSpec
	if err := unix.TimerfdGettime(c.fd, &left); err != nil || left.Value.Sec < 1800 || left.Value.Sec > 3600 {
		t.Errorf("an alarm in an hour has the timerfd expire in %d s, %v", left.Value.Sec, err)
	}
	c.set(&a, time.Time{})
}

// The timerfd expires as much earlier as nine in ten wake-ups take at least, and not before now.
func TestClockLearns(t *testing.T) {
	t.Parallel()
	const us = time.Microsecond
	begin := time.Now()
	for _, x := range []struct{ took, lead, want time.Duration }{
		{51 * us, 50 * us, 50*us + 200}, {50 * us, 50 * us, 48*us + 200}, {0, us, 0}, {us, 0, 200}, {time.Second, 100 * us, 100 * us},
	} {
		c := clock{fd: -1, lead: x.lead, expiry: begin}
		if c.learn(begin.Add(x.took)); c.lead != x.want {
			t.Errorf("after a wake-up of %v the lead of %v becomes %v, want %v", x.took, x.lead, c.lead, x.want)
		}
	}
	late := clock{fd: -1, expiry: begin}
	if late.ringDue(0); late.lead != 200 {
		t.Errorf("after an expiry that rang nobody the lead is %v, want 200 ns", late.lead)
	}
	c := clock{fd: -1, lead: 50 * us}
	if c.learn(begin); c.lead != 50*us {
		t.Errorf("a wake-up for nothing makes a lead of %v", c.lead)
	}
	at := begin.Add(time.Hour)
	if c.arm(at); !c.expiry.Equal(at.Add(-50 * us)) {
		t.Errorf("it expires %v before the alarm, want 50 us", at.Sub(c.expiry))
	}
	if c.arm(begin); !c.expiry.IsZero() {
		t.Errorf("of one that expires at once %v is expected", c.expiry)
	}
}

// A socket whose machine is in use does what is due when it no longer is, and keeps none of
// the others from their timers meanwhile.
func TestBusyMachine(t *testing.T) {
	t.Parallel()
	busy, other := listen(t, 0), listen(t, 0)
	polled := make(chan bool, 1)
	timer := func(rung *atomic.Int64) script {
		return script{poll: func(now time.Time) (o core.Outgoing, next time.Time) {
			rung.Add(1)
			select {
			case polled <- true:
			default:
			}
			return o, now.Add(time.Millisecond)
		}}
	}
	var polls, others atomic.Int64
	serve(t, t.Context(), busy, timer(&polls))
	serve(t, t.Context(), other, timer(&others))
	for polls.Load() == 0 {
		await(t, polled, "a poll")
	}
	busy.Do(func(time.Time) {
		before, held := others.Load(), polls.Load()
		for others.Load() < before+20 {
			await(t, polled, "another socket's timer")
		}
		if polls.Load() != held {
			t.Error("a machine is polled while it is in use")
		}
	})
	for before := polls.Load(); polls.Load() < before+3; {
		await(t, polled, "a timer after its machine was in use")
	}
}
