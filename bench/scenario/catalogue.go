package scenario

import "p2plocal/bench/result"

// metric is a definition under its name within a scenario.
type metric result.Definition

// Common metrics are those of every scenario, each under the scenario's name.
var common = []metric{
	{"false_culls", "1", false, -1, "times that a live peer disappeared from the views of others"},
	{"unexplained", "1", false, -1, "datagrams that the accounts cannot place; anything but 0 is a fault of the measurement"},
	{"kernel_drops", "1", false, -1, "datagrams lost in a receiver's full socket buffer, or kept out by the server's filter under a flood, as the kernel counts them"},
	{"dropped", "1", false, 0, "datagrams that arrived and that the protocol refused, for whatever reason"},
	{"datagrams", "1", false, 0, "datagrams that server and peers sent during the scenario, one for each receiver"},
	{"bytes", "bytes", false, 0, "UDP payload of those datagrams"},
	{"cpu", "cores", false, -1, "CPU time that the whole mesh and its measurement took, by wall-clock time"},
	{"server_cpu", "cores", false, -1, "CPU time of a server that is not ours, all its processes, measured from outside over the same time"},
	{"memory", "bytes", false, -1, "most resident memory of the benchmark's process during the scenario; with peer processes, what all have together at its end, pages that they share counted once (PSS)"},
	{"server_memory", "bytes", false, -1, "most resident memory of a server that is not ours, all its processes, measured from outside"},
}

// messages are the metrics of scenarios that measure broadcasts. They cover
// the messages that were due in the measured window, after the warm-up.
var messages = []metric{
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

// scenarios' own metrics.
var own = map[string][]metric{
	"join": {
		{"converge", "s", false, -1, "first birth sent until every peer's view is complete"},
		{"propagate", "s", true, -1, "each birth sent until all other peers list it"},
		{"admit", "s", true, -1, "each birth sent until a directory that names it has come back"},
		{"join_datagrams", "1", false, -1, "datagrams that server and peers sent until then"},
		{"join_bytes", "bytes", false, -1, "UDP payload of those datagrams"},
	},
	"crash": {
		{"detect", "s", true, -1, "of each survivor, from the kill until its view has dropped the killed peer"},
		{"detect_silence", "s", true, -1, "the same from the killed peer's last sign of life; the protocol's ideal is 1.5 to 2.0 s"},
		{"converge", "s", false, -1, "from the kill until the last survivor's view has dropped all killed peers"},
	},
	"relaunch": {
		{"early.admit", "s", true, -1, "relaunched at once, before the reap: birth until its own directory names it"},
		{"early.back", "s", true, -1, "relaunched at once: birth until it is in every view, its own included"},
		{"late.admit", "s", true, -1, "relaunched after the reap: birth until its own directory names it"},
		{"late.back", "s", true, -1, "relaunched after the reap: birth until it is in every view, its own included"},
	},
	"churn": {
		{"events", "1", false, 0, "deaths and returns"},
		{"disagreement", "ratio", false, -1, "peer-seconds in which a live peer's view differs from the truth, by peer-seconds"},
		{"converge", "s", false, -1, "from the last event until every view equals the truth"},
	},
	"restart": {
		{"whole", "s", false, -1, "from the server's return until it and all views know everybody again, without refresh; null: never"},
		{"refresh.whole", "s", false, -1, "the same with refresh"},
		{"stranded", "1", false, -1, "peers that the returned server still does not know at the end, without refresh"},
	},
	"pause": {
		{"cull", "s", false, 0, "from the stop until every other view has dropped the stopped peer"},
		{"back", "s", false, -1, "from its going on until it is in every view again, without refresh; null: never"},
		{"refresh.back", "s", false, -1, "the same with refresh"},
		{"rebirth.back", "s", false, -1, "from a new birth until it is in every view again"},
	},
	"loss": {
		{"injected", "1", false, 0, "datagrams that the impairment lost on purpose"},
		{"loss_injected", "ratio", false, 0, "injected loss among the measured messages, from the impairment's own log"},
		{"duplicated_injected", "1", false, 0, "measured messages that the impairment sent twice, from its own log"},
		{"reordered_injected", "1", false, 0, "measured messages that the impairment sent after a later one, from its own log"},
		{"delay_injected", "s", true, 0, "how long the impairment held each measured message that it let go, lateness included, from its own log; what latency is longer is the way from socket to socket"},
		{"removed", "1", false, -1, "false positives: times that our server removed a live peer (of ours) under the impairment, by its own account"},
		{"removed_expected", "1", false, 0, "the same as independent losses make it, for this timing, with refresh or without: the mean over many runs"},
		{"removed_low", "1", false, 0, "in 999 of 1,000 runs it is at least this,"},
		{"removed_high", "1", false, 0, "and at most this"},
		{"removal_rate", "1/h", false, -1, "removed by the hours in which the server had those peers as members"},
		{"removal_rate_expected", "1/h", false, 0, "the same as independent losses make it"},
		{"overhead", "messages/s", false, -1, "datagrams a second of the whole mesh that are no broadcasts: keep-alives, births, directories"},
		{"unnoticed", "ratio", false, -1, "survivors whose view still had a killed peer when the scenario gave up waiting, by all who had it when it died"},
		{"peer_seconds", "s", false, 0, "time that live peers spent under the impairment, added up"},
		{"detect", "s", true, -1, "as crash.detect, under the impairment"},
		{"detect_silence", "s", true, -1, "as crash.detect_silence, under the impairment: lost keep-alives have the silence begin earlier than the kill"},
		{"converge", "s", false, -1, "as crash.converge, under the impairment; null: some survivor never noticed, its directory being lost"},
	},
	"garbage": {
		{"hostile_sent", "1", false, 0, "hostile datagrams that the kernel took from their sender"},
		{"hostile_rate", "messages/s", false, 0, "those by the time that the sender ran"},
		{"hostile_taken", "1", false, 0, "those that the target took from its socket; the rest the kernel dropped there"},
		{"hostile_cpu", "cores", false, 0, "CPU time of the sender, a process of its own, by the time that it ran"},
		{"admit", "s", true, -1, "of newcomers, one born each second beside the flood: first birth until a directory names it"},
		{"shut_out", "1", false, -1, "newcomers that were not let in within 7 s"},
		{"memory_growth", "bytes", false, -1, "growth of the most resident memory of the benchmark's process while the sender ran"},
	},
	"saturate": {
		{"rate_lossless", "messages/s", false, 1, "highest offered load that lost nothing, as the search defines it: the lower bound of the first goal"},
		{"rate_goal", "messages/s", false, 1, "the same for the goal -loss-ratio"},
		{"latency_due", "s", true, -1, "latency from due time at the lossless rate, over all trials at it"},
		{"latency_due_goal", "s", true, -1, "the same at the rate of the goal -loss-ratio"},
		{"trials", "1", false, 0, "trials made, at all loads"},
	},
}

// Scenarios are the names of all scenarios, in the order they run.
var Scenarios = []string{"join", "steady", "crash", "relaunch", "churn", "restart", "pause", "loss", "garbage", "saturate"}

// Metrics are the definitions of all scenarios' metrics.
var Metrics = func() *result.Definitions {
	var all []result.Definition
	add := func(scenario string, defs []metric) {
		for _, d := range defs {
			d.Name = scenario + "." + d.Name
			all = append(all, result.Definition(d))
		}
	}
	for _, s := range Scenarios {
		add(s, own[s])
		if s == "steady" || s == "loss" || s == "garbage" {
			add(s, messages)
		}
		add(s, common)
	}
	return result.NewDefinitions(all)
}()
