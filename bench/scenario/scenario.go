package scenario

import (
	"flag"
	"fmt"
	"slices"
	"strings"
	"time"

	"p2plocal/bench/result"
)

// Scenario is one thing that is done to a mesh and measured. Validation, -h, assertions, comparison
// and reports loop over such values: nothing else depends on which one it is.
type Scenario struct {
	Name       string
	Text       string   // one sentence: what it does
	Metrics    []Metric // its own, by their names within it
	Broadcasts bool     // it measures broadcasts, and has the metrics of those
	Summary    []string // the figures that stand for it where several runs are summed up
	Flags      func(fs *flag.FlagSet, o *result.Options)
	Check      func(o *result.Options) error        // names the first of its options that makes no sense
	Cannot     func(c *result.Config) string        // why it cannot be run with these options; "": it can
	Expect     func(c *result.Config) time.Duration // that it takes, about
	Run        func(*Run) error
	Commands   []string // that a driver must obey for it; none: it is about this project's own protocol

	About    func(o *result.Options) string // behind "20 peers", what is done to them
	Headline []Said                         // its clauses of the headline, behind what became of its broadcasts

	Lossy    bool // messages are lost, duplicated and reordered on purpose
	Overruns bool // the kernel's buffers are filled on purpose
	Filtered bool // the server's filter may keep datagrams out
}

// Said is how the headline tells a figure: in a format with one verb, which is a measure or a
// number of times, and in what words that it never came about; "": that is not told.
type Said struct{ Metric, Format, Never string }

// Metric is a definition, by its name within a scenario.
type Metric result.Definition

// List are the scenarios in the order they run.
var List = []Scenario{join, steady, crash, relaunch, churn, restart, pause, loss, partition, garbage, saturate, rest, partial, play}

// Known are the names of those that end by themselves.
var Known = func() (names []string) {
	for _, s := range List[:len(List)-1] {
		names = append(names, s.Name)
	}
	return names
}()

// Find is the scenario of a name; nil: there is none.
func Find(name string) *Scenario {
	if i := slices.IndexFunc(List, func(s Scenario) bool { return s.Name == name }); i >= 0 {
		return &List[i]
	}
	return nil
}

// CannotRun says why it cannot be run with these options; "": it can.
func (s *Scenario) CannotRun(c *result.Config) string {
	if d := c.Options.Driver; d != nil {
		if s.Commands == nil {
			return "it is about this project's own protocol, not about a driver's mesh"
		}
		for _, command := range s.Commands {
			if slices.Contains(d.Unsupported, command) {
				return fmt.Sprintf("the driver does not support %q", command)
			}
		}
	}
	if s.Cannot == nil {
		return ""
	}
	return s.Cannot(c)
}

// needsTwo is a Cannot.
func needsTwo(c *result.Config) string {
	if c.Peers < 2 {
		return "it takes two peers or more, one to see what becomes of another"
	}
	return ""
}

// onlyOurs is a Cannot.
func onlyOurs(c *result.Config) string {
	if o := &c.Options; o.Server != "" || o.ServerExec != "" || o.External > 0 {
		return "only what our own server and peers send can be cut or lost"
	}
	return ""
}

// common are the metrics of every scenario, each under the scenario's name.
var common = []Metric{
	{"false_positives", "1", false, -1, "times that a live peer was removed: by our server's own account, or from the views of others and from what another's server tells newcomers and a member that asks at the end"},
	{"unexplained", "1", false, -1, "datagrams that the accounts cannot place; anything but 0 is a fault of the measurement"},
	{"kernel_drops", "1", false, -1, "datagrams lost in a receiver's full socket buffer, or kept out by the server's filter under a flood, as the kernel counts them"},
	{"dropped", "1", false, 0, "datagrams that arrived and that the protocol refused, for whatever reason"},
	{"datagrams", "1", false, 0, "datagrams that server and peers sent during the scenario, one for each receiver"},
	{"bytes", "bytes", false, 0, "UDP payload of those datagrams"},
	{"cpu", "cores", false, -1, "CPU time that the whole mesh and its measurement took, by wall-clock time"},
	{"pipe", "s", true, 0, "behind a driver: half of the time from an echo line to its answer, which is in each time that the harness stamps"},
	{"harness_cpu", "cores", false, -1, "behind a driver: CPU time of this process, which measures it, over the same time"},
	{"server_cpu", "cores", false, -1, "CPU time of a server that is not ours, or of a driver, all its processes, measured from outside over the same time"},
	{"memory", "bytes", false, -1, "most memory of the benchmark's process during the scenario, without the pages of program files, which the system has once for all processes; with peer processes, what all have together at its end, pages that they share counted once (PSS)"},
	{"memory_before", "bytes", false, -1, "of that, what the benchmark's process had before the scenario: the rest is the mesh and what measures it"},
	{"server_memory", "bytes", false, -1, "most memory, likewise, of a server that is not ours, or of a driver, all its processes, measured from outside"},
}

// broadcasts are the metrics of scenarios that measure broadcasts. They cover
// the messages that were due in the measured window, after the warm-up.
var broadcasts = []Metric{
	{"due", "1", false, 0, "messages that the schedule asked for: ticks times all other peers (of ours)"},
	{"sent", "1", false, 0, "messages sent, one for each receiver"},
	{"delivered", "1", false, 0, "messages that arrived, each counted once"},
	{"lost", "1", false, -1, "messages sent that never arrived"},
	{"loss", "ratio", false, -1, "lost by sent"},
	{"duplicated", "1", false, -1, "messages that arrived again"},
	{"reordered", "1", false, -1, "messages that arrived after a later one of the same sender (RFC 4737)"},
	{"late", "1", false, -1, "messages that arrived after their sender's next one was due"},
	{"missed", "1", false, -1, "broadcasts that were due but never sent, because the sender was held up for longer than the deadline"},
	{"rate", "messages/s", false, 1, "delivered messages by the length of the window"},
	{"latency", "s", true, -1, "from just before the sender's system call to just after the receiver's; a broadcast is serial, so its last receiver waits for all others"},
	{"latency_due", "s", true, -1, "from when the message was due by the schedule, so that a late sender shows (no coordinated omission)"},
	{"jitter", "s", true, -1, "of each sender-receiver pair, at the end of the window (RFC 3550, section 6.4.1, corrected for its start at 0)"},
	{"timer_error", "s", true, -1, "how late after its due time a broadcast is handed to the socket: the tool's own error"},
}

// broadcastSummary are the figures that stand for them.
var broadcastSummary = []string{"latency.p50", "latency.p99", "latency.p99.9", "latency.max", "latency_due.p99", "jitter.p50", "timer_error.p99", "rate", "latency_due.p50"}

// A MetricGroup is the metrics of one scenario, or what several have.
type MetricGroup struct {
	Of      string // a sentence, without its full stop
	Metrics []Metric
}

// MetricGroups are all metrics, each once.
func MetricGroups() []MetricGroup {
	var with []string
	var own []MetricGroup
	for _, s := range List {
		if s.Broadcasts {
			with = append(with, s.Name)
		}
		if len(s.Metrics) > 0 {
			own = append(own, MetricGroup{s.Name + ": " + s.Text, s.Metrics})
		}
	}
	return append([]MetricGroup{
		{"every scenario", common},
		{strings.Join(with, ", ") + ": of the messages that were due in the measured window", broadcasts},
	}, own...)
}

// Definitions are those of all scenarios' metrics.
var Definitions = func() *result.Definitions {
	var all []result.Definition
	add := func(scenario string, defs []Metric) {
		for _, d := range defs {
			if d.Unit == "cores" && !Find(scenario).Broadcasts {
				d.Better = 0 // it is over as long as the scenario happens to take
			}
			d.Name = scenario + "." + d.Name
			all = append(all, result.Definition(d))
		}
	}
	for _, s := range List {
		add(s.Name, s.Metrics)
		if s.Broadcasts {
			add(s.Name, broadcasts)
		}
		add(s.Name, common)
	}
	return result.NewDefinitions(all)
}()

// span is a duration in a sentence, on one line with its unit.
func span(d time.Duration) string { return strings.ReplaceAll(result.Span(d), " ", "\u00a0") }
