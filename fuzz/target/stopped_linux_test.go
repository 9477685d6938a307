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
		const still = 300 * time.Millisecond
		before, _ := p.Waited()
		stop(Stop)
		time.Sleep(still)
		during, _ := p.Waited()
		stop(Continue)
		after := during
		for range 100 { // the news may take a moment
			time.Sleep(10 * time.Millisecond)
			if after, _ = p.Waited(); after >= during+still/2 {
				break
			}
		}
		if counted := during-before > still/2; counted == byUs {
			t.Errorf("by us %v: it has waited for %v, then %v, then %v", byUs, before, during, after)
		}
		if later, _ := p.Waited(); later > after+still/2 {
			t.Errorf("by us %v: it waits though it runs: %v, then %v", byUs, after, later)
		}
	}
}
