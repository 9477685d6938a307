package scenario

import (
	"context"
	"errors"
	"maps"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"p2plocal/bench/machine"
	"p2plocal/bench/mesh"
	"p2plocal/bench/record"
	"p2plocal/bench/result"
	"p2plocal/fuzz/figure"
	"p2plocal/fuzz/target"
)

func newRun(ctx context.Context, cfg *result.Config, seed uint64, what *Scenario, status *Status, p Progress) *Run {
	s := &Run{scenario: what, ctx: ctx, cfg: cfg, opt: &cfg.Options, seed: seed, status: status, progress: p}
	if cfg.Simulation != nil {
		s.progress.virtual = new(atomic.Int64)
	} else {
		s.usage.stolen, s.usage.ticks = machine.Stolen()
		machine.ResetPeak()
		s.usage.before = target.MemoryOf(os.Getpid())
	}
	s.out = result.Scenario{Name: what.Name, Peers: cfg.Peers, Metrics: make(map[string]result.Metric)}
	p = s.progress
	status.now.Store(&p)
	status.Live.begin(s)
	if status.Begun != nil {
		status.Begun(&p)
	}
	return s
}

// world chooses where a mesh lives, and watches this machine meanwhile, until leave.
func (s *Run) world(what *mesh.Setup) (leave func(), err error) {
	if s.simulated() {
		whole := s.ctx
		ctx, enough := context.WithCancel(whole)
		s.ctx = ctx
		what.World = mesh.NewVirtualWorld(s.cfg.Simulation, s.seed, s.out.Name, s.progress.virtual, enough)
		return func() {
			if ctx.Err() == nil { // the scenario may go on with another mesh
				s.ctx = whole
			}
			enough()
		}, nil
	}
	monitor, err := target.NewMonitor(target.StandstillLeast / 5)
	if err != nil {
		return nil, err
	}
	s.monitor, leave = monitor, func() { monitor.Close() }
	if n := s.opt.Hosts; n > 0 {
		links, err := s.status.Hosts(s.ctx, n)
		if err != nil {
			leave()
			return nil, err
		}
		what.World = mesh.NewHostsWorld(links, s.hosts.between(n))
	}
	return leave, nil
}

// with runs one mesh, and sums it up whatever happens.
func (s *Run) with(what mesh.Setup, run func() error) error {
	leave, err := s.world(&what)
	if err != nil {
		return err
	}
	defer leave()
	if s.status.Live != nil {
		what.Watch = s.status.Live.Watch
	}
	m, err := mesh.NewMesh(s.ctx, s.cfg, s.seed, what)
	if err != nil {
		return err
	}
	s.Mesh = m
	s.progress.counts = &counts{store: m.Store}
	p := s.progress
	s.status.now.Store(&p)
	s.meterOn()
	stop := s.watchUsage()
	err = run()
	stop()
	switch {
	case s.ctx.Err() != nil:
		s.out.Interrupted = err != nil || !endless(s.cfg)
	case err != nil:
		s.unmeasured(err)
	}
	s.finishMesh()
	return err
}

// finishMesh ends the mesh and sums it up.
func (s *Run) finishMesh() {
	m := s.Mesh
	s.checkStandstills()
	s.checkAlive()
	if m.Ours == nil {
		s.askServer()
	}
	s.falseRemovals += s.removedSoFar() // those who fall silent now will be missed
	a := m.StopSending()
	if hands := m.Hands(); len(hands) > 0 {
		s.out.Hands = append(s.out.Hands, hands...)
		s.note("touched by hand; the same again, with -faults: %s", strings.Join(hands, "; "))
	}
	if m.Ours == nil || m.External > 0 {
		a = a.WithForeign()
	}
	s.hosted(m.Driven())
	s.hosts.add(m.Hosts())
	s.meterOff()
	s.sampleMemory()
	if !s.driven() {
		s.accounts = s.accounts.Plus(a)
	}
	for i, slot := range m.Store.Used() {
		switch {
		case i == record.ServerSlot && m.Ours != nil:
			s.traffic.Server = s.traffic.Server.Plus(slot.ByType())
		case i != record.ServerSlot:
			s.traffic.Peers = s.traffic.Peers.Plus(slot.ByType())
			if m.Ours == nil {
				s.traffic.Server.Directory = s.traffic.Server.Directory.Plus(slot.Directories.Load())
			}
		}
		if n := slot.Lost.Load(); n > 0 {
			s.warn("%s of peer %s's view found no room in the log", result.Plural(uint64(n), "change"), record.QuoteName(i))
		}
	}
	m.Stop()
	if how := m.Server.Died(); s.driven() && how != "" && s.out.Failed == "" { // when it should end
		s.died(how)
	}
	if s.opt.Server != "" { // it goes on, and must have forgotten these peers before the next are born
		s.Sleep(s.ctx, s.cfg.Timing.Deadline+2*s.cfg.Timing.Reap)
	}
	s.chartPairs()
	s.progress.counts.close()
	m.Free()
}

// removedSoFar is how often the present mesh has removed a live peer.
func (s *Run) removedSoFar() int {
	if s.Ours != nil {
		times, _ := s.Ours.Removals(&s.Roster, 0, 0, s.Clock.Now())
		return times
	}
	return s.Store.FalseRemovals(&s.Roster, s.External, s.N, int64(s.cfg.Timing.Deadline), s.directories)
}

// sent records what server and peers have sent, as far as it is known.
func (s *Run) sent(prefix string, datagrams, bytes *int64) {
	if datagrams != nil {
		s.count(prefix+"datagrams", uint64(*datagrams))
	}
	if bytes != nil {
		s.value(prefix+"bytes", "bytes", float64(*bytes))
	}
}

// hosted records what a driver says of its mesh, if there is one.
func (s *Run) hosted(d *mesh.Driven) {
	if d == nil {
		return
	}
	s.sent("", d.Datagrams, d.Bytes)
	s.distribution("pipe", d.Pipe)
	if d.Relayed && d.Passed == 0 && s.out.Failed == "" && s.ctx.Err() == nil {
		s.fail("nothing that the driver's members sent passed the relays: they are to be bound where \"bind\" says, and to be reached at \"addr\"")
	}
	if n := d.Reports - d.Stamped; n > 0 {
		p := d.Pipe.HDR()
		s.note("%d of %d reports had no time of the driver's: the pipe's delay, p50 %v and p99 %v, is in theirs", n, d.Reports, time.Duration(p.ValueAtQuantile(50)), time.Duration(p.ValueAtQuantile(99)))
	}
	for _, text := range d.Texts {
		s.note("the driver says: %s", text)
	}
	for _, what := range slices.Sorted(maps.Keys(d.Refused)) {
		s.warn("the driver: %s (%s)", what, result.Plural(uint64(d.Refused[what]), "time"))
	}
}

// finish records what all scenarios have in common.
func (s *Run) finish() {
	if s.void {
		s.forgetTimes()
	}
	s.overHosts()
	a, traffic := s.accounts, s.traffic // not a part of s, which would hold its world for as long as the result lives
	s.out.Seconds = s.progress.Elapsed().Seconds()
	s.count("false_positives", uint64(s.falseRemovals))
	if !s.driven() {
		s.out.Accounts, s.out.Traffic = &a, &traffic
		s.value("unexplained", "1", float64(a.Unexplained))
		s.count("kernel_drops", a.Kernel)
		s.count("dropped", a.Dropped)
		total := s.traffic.Server.Total().Plus(s.traffic.Peers.Total())
		s.sent("", new(int64(total.Datagrams)), new(int64(total.Bytes)))
	}
	if !s.simulated() {
		s.machine()
	}
	switch {
	case s.falseRemovals == 0:
	case s.out.Charts.Trials != nil:
		s.note("false positives: a live peer was removed from the views of others %s, in the trials that went beyond what the mesh can carry", result.Plural(uint64(s.falseRemovals), "time"))
	default:
		s.warn("false positives: a live peer was removed %s", result.Plural(uint64(s.falseRemovals), "time"))
	}
	switch {
	case a.Unexplained > 0 && s.out.Hosts != nil:
		s.warn("%s that no host's kernel counts: lost by the network between the hosts, or unexplained", result.Plural(uint64(a.Unexplained), "datagram"))
	case a.Unexplained != 0:
		s.warn("%s datagrams unexplained: the accounts do not add up", figure.Grouped(a.Unexplained))
	}
	switch {
	case a.Kernel == 0:
	case s.scenario.Filtered:
		s.note("%s, hostile ones or the mesh's own, found a full socket buffer or were kept out by the server's filter", result.Plural(a.Kernel, "datagram"))
	case s.scenario.Overruns:
		s.note("%s lost in full socket buffers, in the trials that went beyond what the mesh can carry", result.Plural(a.Kernel, "datagram"))
	default:
		s.warn("%s lost in full socket buffers", result.Plural(a.Kernel, "datagram"))
	}
}

// chartPairs adds who sent to whom, where that was counted. After a search it would show the
// overload, not the mesh.
func (s *Run) chartPairs() {
	if len(s.out.Charts.Trials) > 0 {
		return // most of it is from loads that are too high
	}
	p := &result.Pairs{}
	any := false
	for i := range min(s.N, record.PairedPeers) {
		p.Names += string(record.SlotName(i))
	}
	for i, j := range s.pairs() {
		pair := s.Store.Pair(i, j)
		sent := pair.Sent.Load()
		any = any || sent > 0
		p.Sent = append(p.Sent, sent)
		p.Lost = append(p.Lost, sent-min(sent, pair.Delivered))
		p.Max = append(p.Max, pair.Max)
	}
	if any {
		s.out.Charts.Pairs = p
	}
}

// chartLatency adds the window's time slices.
func (s *Run) chartLatency() {
	width := float64(s.Store.Width.Load()) / 1e9
	for i := range s.Store.Buckets {
		b := &s.Store.Buckets[i]
		sent, delivered := b.Sent.Load(), b.Due.Count()
		if sent == 0 {
			continue
		}
		s.out.Charts.Latency = append(s.out.Charts.Latency, result.LatencyBucket{
			T: float64(i) * width, Width: width, N: delivered, Lost: sent - min(sent, delivered),
			P50: float64(b.Due.Quantile(0.5)) / 1e9, P99: float64(b.Due.Quantile(0.99)) / 1e9, Max: float64(b.Max.Load()) / 1e9,
		})
	}
}

// joinAll has all peers join, at once where the mesh is ours. A driver's mesh gets some time for
// each, since scenarios that are not about joining only want it to be there, and is measured as far
// as it came about.
func (s *Run) joinAll() error {
	if !s.driven() {
		return s.JoinAll(s.ctx, 0, s.opt.TimeoutTime())
	}
	err := s.JoinAll(s.ctx, time.Duration(s.N)*25*time.Millisecond, s.opt.TimeoutTime()/3)
	if errors.As(err, new(mesh.Unmeasured)) {
		s.warn("%v", err)
		err = nil
	}
	return err
}

// withJoined runs one mesh whose peers have all joined.
func (s *Run) withJoined(what mesh.Setup, run func() error) error {
	return s.with(what, func() error {
		if err := s.joinAll(); err != nil {
			return err
		}
		return run()
	})
}

// named is a metric's name in the mesh with refresh, or in the one without.
func named(metric string, refresh time.Duration) string {
	if refresh > 0 {
		return "refresh." + metric
	}
	return metric
}

// once is the name of a metric of the mesh without refresh that the other one does not have.
func once(metric string, refresh time.Duration) string {
	if refresh > 0 {
		return ""
	}
	return metric
}

// backLimit is how long to wait for peers that the server has removed. Without refresh they never
// come back, which shows after a removal's time.
func (s *Run) backLimit(refresh time.Duration) time.Duration {
	if s.driven() {
		return s.noticeLimit()
	}
	if refresh > 0 {
		return 2*refresh + s.noticeLimit()
	}
	return s.cfg.Timing.Deadline + 2*s.cfg.Timing.Reap
}

// twice runs two meshes: one whose peers do not refresh, and one whose peers do.
func (s *Run) twice(what mesh.Setup, run func(refresh time.Duration) error) error {
	both := []time.Duration{0, s.opt.Refresh}
	if s.driven() {
		both = both[:1] // which is a matter of this protocol's
	}
	for _, refresh := range both {
		what.Refresh = &refresh
		if err := s.with(what, func() error { return run(refresh) }); err != nil {
			return err
		}
	}
	return nil
}
