package target

import (
	"syscall"
	"testing"
	"time"
)

// Who is stopped by others has waited meanwhile, and by us has not.
func TestStoppedIsWaiting(t *testing.T) {
	t.Parallel()
	for _, byUs := range []bool{false, true} {
		p, err := Start(Command{Line: "cat", Input: true})
		if err != nil {
			t.Fatal(err)
		}
		defer p.Kill()
		stop := func(s syscall.Signal) error { return syscall.Kill(p.Pid(), s) }
		if byUs {
			stop = p.Signal
		}
		// Of all that it waits for, which is more on a busy machine, this is what others have stopped it for.
		held := func() (d time.Duration, now bool) {
			p.mu.Lock()
			defer p.mu.Unlock()
			if now = !p.still.IsZero(); now {
				return p.held + time.Since(p.still), now
			}
			return p.held, now
		}
		until := func(what string, ok func() bool) {
			for end := time.Now().Add(time.Minute); !ok(); time.Sleep(time.Millisecond) {
				if time.Now().After(end) {
					t.Fatalf("by us %v: it is not %s", byUs, what)
				}
			}
		}
		const still = 300 * time.Millisecond
		stop(Stop)
		if byUs {
			time.Sleep(still)
		} else {
			until("stopped", func() bool { d, _ := held(); return d > still })
			if waited, _ := p.Waited(); waited < still {
				t.Errorf("stopped for more than %v it has waited for %v", still, waited)
			}
		}
		stop(Continue)
		until("going on", func() bool { _, now := held(); return !now })
		after, _ := held()
		time.Sleep(still / 3)
		if later, _ := held(); later != after || byUs != (later == 0) {
			t.Errorf("by us %v: others have stopped it for %v, then %v", byUs, after, later)
		}
	}
}
