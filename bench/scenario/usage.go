package scenario

import (
	"os"
	"time"

	"p2plocal/bench/machine"
	"p2plocal/bench/result"
	"p2plocal/bench/sample"
	"p2plocal/fuzz/target"
)

// usage is what a scenario takes of this machine, over all its meshes.
type usage struct {
	stolen, ticks float64 // CPU time that others had taken as it began, of all

	on   reading       // when the meter was last turned on; zero: it is off
	used reading       // CPU time while it was on, and the most memory of a server that is not ours
	over time.Duration // how long it was on

	before int64 // memory of this process as the scenario began
	memory int64 // most of our processes together, at the end of a mesh
}

// reading is one reading of CPU time: of all that is ours, and of a server that is not.
type reading struct {
	at           time.Time
	cpu, server  time.Duration
	own          time.Duration // of cpu, this process's
	serverMemory int64
}

// meterOn starts metering CPU time; meterOff ends it, and does nothing if it is off.
func (s *Run) meterOn() {
	if !s.simulated() {
		s.usage.on = s.read()
	}
}

func (s *Run) meterOff() {
	u := &s.usage
	if u.on.at.IsZero() {
		return
	}
	now := s.read()
	u.used.cpu += now.cpu - u.on.cpu
	u.used.own += now.own - u.on.own
	u.used.server += now.server - u.on.server
	u.used.serverMemory = max(u.used.serverMemory, now.serverMemory)
	u.over += now.at.Sub(u.on.at)
	u.on = reading{}
}

func (s *Run) read() reading {
	own := target.CPUOf(os.Getpid())
	m := reading{at: time.Now(), own: own, cpu: own + time.Duration(s.Spent.Load())}
	for _, pid := range s.Processes() {
		m.cpu += target.CPUOf(pid)
	}
	m.server, m.serverMemory = s.Mesh.ServerUsage()
	return m
}

// sampleMemory adds up the memory of our processes, where peers have processes of their own.
func (s *Run) sampleMemory() {
	pids := s.Mesh.Processes()
	if len(pids) == 0 {
		return
	}
	memory := target.ShareOf(os.Getpid())
	for _, pid := range pids {
		memory += target.ShareOf(pid)
	}
	s.usage.memory = max(s.usage.memory, memory)
}

// noisy is the share of CPU time that others may take unmentioned.
const noisy = 0.02

// machine records what the scenario took of this machine, and what others took meanwhile.
func (s *Run) machine() {
	u := &s.usage
	if machine.Processes {
		over := u.over.Seconds()
		s.out.Metered = over
		s.value("cpu", "cores", u.used.cpu.Seconds()/over)
		if s.driven() {
			s.value("harness_cpu", "cores", u.used.own.Seconds()/over)
		}
		if s.opt.ServerExec != "" || s.driven() {
			s.value("server_cpu", "cores", u.used.server.Seconds()/over)
			s.value("server_memory", "bytes", float64(u.used.serverMemory))
		}
		s.value("memory", "bytes", float64(max(u.memory, target.PeakOf(os.Getpid()))))
		s.value("memory_before", "bytes", float64(u.before))
	}
	stolen, ticks := machine.Stolen()
	if part := (stolen - u.stolen) / (ticks - u.ticks); part > noisy {
		s.warn("a noisy machine: the hypervisor gave %.1f %% of the CPU time to others", part*100)
	}
}

// usageEvery is how often CPU time and memory are read: often enough to draw them, too seldom to
// count among what is measured.
const usageEvery = 200 * time.Millisecond

// watchUsage notes what this process takes of the machine, until it is stopped.
func (s *Run) watchUsage() (stop func()) {
	if s.simulated() || !machine.Processes || s.cfg.Isolation == "process" || s.driven() {
		return func() {}
	}
	pid, last := os.Getpid(), time.Now()
	used := target.CPUOf(pid)
	return sample.Regularly(usageEvery, func() {
		now, cpu := time.Now(), target.CPUOf(pid)
		s.out.Charts.Usage = append(s.out.Charts.Usage, result.Usage{
			T: now.Sub(s.progress.Started).Seconds(), CPU: (cpu - used).Seconds() / now.Sub(last).Seconds(), Memory: float64(target.MemoryOf(pid))})
		last, used = now, cpu
	})
}
