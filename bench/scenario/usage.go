package scenario

import (
	"os"
	"sync"
	"time"

	"p2plocal/bench/mesh"
	"p2plocal/bench/result"
)

// usageEvery is how often CPU time and memory are looked at: often enough to draw,
// too seldom to be among what is measured.
const usageEvery = 200 * time.Millisecond

// watchUsage notes what this process takes of the machine, until it is stopped.
func (s *Run) watchUsage() (stop func()) {
	if s.simulated() || !mesh.Processes || s.cfg.Isolation == "process" {
		return func() {}
	}
	pid, end := os.Getpid(), make(chan struct{})
	var watching sync.WaitGroup
	watching.Go(func() {
		tick := time.NewTicker(usageEvery)
		defer tick.Stop()
		last, used := time.Now(), mesh.CPUOf(pid)
		for {
			select {
			case <-end:
				return
			case <-tick.C:
			}
			now, cpu := time.Now(), mesh.CPUOf(pid)
			s.out.Charts.Usage = append(s.out.Charts.Usage, result.Usage{
				T: now.Sub(s.progress.Started).Seconds(), CPU: (cpu - used).Seconds() / now.Sub(last).Seconds(), Memory: float64(mesh.ResidentOf(pid))})
			last, used = now, cpu
		}
	})
	return func() { close(end); watching.Wait() }
}
