package scenario

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync/atomic"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

	"p2plocal/bench/mesh"
	"p2plocal/bench/record"
	"p2plocal/bench/result"
)

// stage is one scenario while it runs: it makes meshes, and gathers what all
// scenarios have in common.
type stage struct {
	*mesh.Mesh // the present one
	ctx        context.Context
	cfg        *result.Config
	opt        *result.Options
	seed       uint64
	status     *Status
	progress   Progress
	out        result.Scenario

	steal    float64 // CPU time that others had taken by then,
	ticks    float64 // of all
	accounts result.Accounts
	traffic  result.Traffic
	culls    int
	meter    meter
	burnt    time.Duration // CPU, over
	lasted   time.Duration // this time
	server   meter         // of a server that is not ours, when s.meter was read
	theirs   meter         // what it has used over lasted
	memory   int64         // most of our processes together, at the end of a mesh
}

func newStage(ctx context.Context, cfg *result.Config, seed uint64, name string, status *Status, p Progress) *stage {
	s := &stage{ctx: ctx, cfg: cfg, opt: &cfg.Options, seed: seed, status: status, progress: p}
	if cfg.Simulation != nil {
		s.progress.virtual = new(atomic.Int64)
	} else {
		s.steal, s.ticks = mesh.Stolen()
		mesh.ResetPeak()
	}
	s.out = result.Scenario{Name: name, Peers: cfg.Peers, Metrics: make(map[string]result.Metric)}
	p = s.progress
	status.now.Store(&p)
	if status.Begun != nil {
		status.Begun(&p)
	}
	return s
}

// simulated reports that nothing of this machine is to show in the result.
func (s *stage) simulated() bool { return s.cfg.Simulation != nil }

func (s *stage) set(name string, m result.Metric)   { s.out.Metrics[s.out.Name+"."+name] = m }
func (s *stage) value(name, unit string, v float64) { s.set(name, result.Scalar(unit, v)) }
func (s *stage) count(name string, n uint64)        { s.set(name, result.Scalar("1", float64(n))) }

// seconds is a scalar made of two times by the clock.
func (s *stage) seconds(name string, from, to int64, ok bool) {
	if !ok {
		s.set(name, result.Never("s"))
		return
	}
	s.value(name, "s", float64(to-from)/1e9)
}

// keep has the result hold a distribution's raw histogram, too.
func (s *stage) keep(name string, h *hdrhistogram.Histogram) {
	if s.out.Histograms == nil {
		s.out.Histograms = make(map[string]string)
	}
	s.out.Histograms[s.out.Name+"."+name] = record.Encode(h)
}

func (s *stage) note(format string, args ...any) {
	s.out.Notes = append(s.out.Notes, result.Note{Text: fmt.Sprintf(format, args...)})
}

func (s *stage) bad(format string, args ...any) {
	s.out.Notes = append(s.out.Notes, result.Note{Bad: true, Text: fmt.Sprintf(format, args...)})
}

// with runs one mesh, and takes stock of it whatever comes.
func (s *stage) with(what mesh.Setup, run func() error) error {
	if s.simulated() {
		whole := s.ctx
		ctx, enough := context.WithCancel(whole)
		defer func() {
			if ctx.Err() == nil { // the scenario may go on with another mesh
				s.ctx = whole
			}
			enough()
		}()
		s.ctx = ctx
		what.World = mesh.NewVirtualWorld(s.cfg.Simulation, s.seed, s.out.Name, s.progress.virtual, enough)
	}
	m, err := mesh.NewMesh(s.ctx, s.cfg, s.seed, what)
	if err != nil {
		return err
	}
	s.Mesh = m
	s.progress.counts = &counts{board: m.Store}
	p := s.progress
	s.status.now.Store(&p)
	s.meterOn()
	err = run()
	var why cannot
	switch {
	case s.ctx.Err() != nil:
		s.out.Interrupted = true
	case errors.As(err, &why):
		s.bad("%s", string(why))
	case err != nil:
		s.bad("%v", err)
	}
	s.stock()
	return err
}

// meterOn starts measuring CPU anew; meterOff ends it, once.
func (s *stage) meterOn() {
	if s.simulated() {
		return
	}
	s.meter, s.server = s.read(), s.readServer()
}

func (s *stage) meterOff() {
	if s.meter.at.IsZero() {
		return
	}
	now, server := s.read(), s.readServer()
	s.burnt += now.cpu - s.meter.cpu
	s.lasted += now.at.Sub(s.meter.at)
	s.theirs.cpu += server.cpu - s.server.cpu
	s.theirs.memory = max(s.theirs.memory, server.memory)
	s.meter = meter{}
}

// meter is a reading of CPU time.
type meter struct {
	at     time.Time
	cpu    time.Duration
	memory int64
}

func (s *stage) read() meter {
	cpu := mesh.CPUOf(os.Getpid()) + s.Spent.Cpu
	for _, pid := range s.Processes() {
		cpu += mesh.CPUOf(pid)
	}
	return meter{at: time.Now(), cpu: cpu}
}

func (s *stage) readServer() meter {
	cpu, memory := s.Mesh.Server.Usage()
	return meter{cpu: cpu, memory: memory}
}

// weigh adds up the memory of our processes, where peers have their own.
func (s *stage) weigh() {
	pids := s.Mesh.Processes()
	if len(pids) == 0 {
		return
	}
	memory := mesh.ShareOf(os.Getpid())
	for _, pid := range pids {
		memory += mesh.ShareOf(pid)
	}
	s.memory = max(s.memory, memory)
}

// stock ends the mesh and adds it up.
func (s *stage) stock() {
	m := s.Mesh
	s.autopsy()
	s.culls += m.Store.FalseRemovals(&m.Roster, m.External, m.N, int64(m.Cfg.Timing.Deadline)) // those who fall silent now will be missed
	a := m.StopSending()
	if m.Ours == nil || m.External > 0 {
		a = a.WithForeign()
	}
	s.meterOff()
	s.weigh()
	s.accounts = s.accounts.Plus(a)
	for i := range m.Store.Slots {
		seat := &m.Store.Slots[i]
		switch {
		case i == record.ServerSlot && m.Ours != nil:
			s.traffic.Server = s.traffic.Server.Plus(seat.ByType())
		case i != record.ServerSlot:
			s.traffic.Peers = s.traffic.Peers.Plus(seat.ByType())
			if m.Ours == nil {
				s.traffic.Server.Directory = s.traffic.Server.Directory.Plus(seat.Directories.Load())
			}
		}
		if n := seat.Lost.Load(); n > 0 {
			s.bad("%d changes of peer %s's view found no room in the log", n, record.QuoteName(i))
		}
	}
	s.answers()
	m.Stop()
	if s.opt.Server != "" { // it goes on, and must have forgotten these peers before the next are born
		s.World.Sleep(s.ctx, s.cfg.Timing.Deadline+2*s.cfg.Timing.Reap)
	}
	s.chartPairs()
	s.progress.counts.close()
	m.Free()
}

// noisy is the part of CPU time that others may take unmentioned.
const noisy = 0.02

// finish writes down what all scenarios have in common.
func (s *stage) finish() {
	a := s.accounts
	s.out.Seconds = s.progress.Elapsed().Seconds()
	s.out.Accounts, s.out.Traffic = &a, &s.traffic
	s.count("false_culls", uint64(s.culls))
	s.value("unexplained", "1", float64(a.Unexplained))
	s.count("kernel_drops", a.Kernel)
	s.count("dropped", a.Dropped)
	total := s.traffic.Server.Total().Plus(s.traffic.Peers.Total())
	s.count("datagrams", total.Datagrams)
	s.value("bytes", "bytes", float64(total.Bytes))
	if !s.simulated() {
		s.machine()
	}
	if s.culls > 0 {
		s.bad("false culls: a live peer disappeared from the views of others %d times", s.culls)
	}
	if a.Unexplained != 0 {
		s.bad("%d datagrams unexplained: the accounts do not balance", a.Unexplained)
	}
	switch hostile := s.out.Metrics[s.out.Name+".hostile_sent"]; {
	case a.Kernel == 0:
	case hostile.Value != nil:
		s.note("%d datagrams, hostile ones or the mesh's own, found a full socket buffer or were kept out by the server's filter", a.Kernel)
	case s.out.Name == "saturate":
		s.note("%d datagrams lost in full socket buffers, in the trials that went beyond what the mesh can carry", a.Kernel)
	default:
		s.bad("%d datagrams lost in full socket buffers", a.Kernel)
	}
}

// machine writes down what the scenario took of this machine, and what others
// took meanwhile.
func (s *stage) machine() {
	if mesh.Processes {
		s.value("cpu", "cores", s.burnt.Seconds()/s.lasted.Seconds())
		if s.opt.ServerExec != "" {
			s.value("server_cpu", "cores", s.theirs.cpu.Seconds()/s.lasted.Seconds())
			s.value("server_memory", "bytes", float64(s.theirs.memory))
		}
		s.value("memory", "bytes", float64(max(s.memory, mesh.PeakOf(os.Getpid()))))
	}
	steal, ticks := mesh.Stolen()
	if part := (steal - s.steal) / (ticks - s.ticks); part > noisy {
		s.bad("a noisy machine: the hypervisor gave %.1f %% of the CPU time to others", part*100)
	}
}

// chartPairs adds the messages' matrices, where there are any.
func (s *stage) chartPairs() {
	p := &result.Pairs{}
	any := false
	for i := range s.N {
		p.Names += string(record.SlotName(i))
		for j := range s.N {
			pair := &s.Store.Pairs[i][j]
			sent := pair.Sent.Load()
			any = any || sent > 0
			p.Sent = append(p.Sent, sent)
			p.Lost = append(p.Lost, sent-min(sent, pair.Delivered))
			p.P99 = append(p.P99, uint32(min(pair.Latency.Quantile(0.99)/1000, 1<<32-1)))
		}
	}
	if any {
		s.out.Charts.Pairs = p
	}
}

// chartLatency adds the window's time slices.
func (s *stage) chartLatency() {
	width := float64(s.Store.Width.Load()) / 1e9
	for i := range s.Store.Buckets {
		b := &s.Store.Buckets[i]
		sent, delivered := b.Sent.Load(), b.Delivered.Load()
		if sent == 0 {
			continue
		}
		s.out.Charts.Latency = append(s.out.Charts.Latency, result.LatencyBucket{
			T: float64(i) * width, Width: width, N: delivered, Lost: sent - min(sent, delivered),
			P50: float64(b.Due.Quantile(0.5)) / 1e9, P99: float64(b.Due.Quantile(0.99)) / 1e9, Max: float64(b.Max.Load()) / 1e9,
		})
	}
}
