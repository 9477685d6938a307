package reports

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

	"p2plocal/bench/mlrsearch"
	"p2plocal/bench/result"
	"p2plocal/bench/scenario"
	"p2plocal/core"
)

// sample is a made-up result of the given scenarios, the same for the same
// seed: shapes and sizes like a real one's, so that every form has something
// to draw.
func sample(seed uint64, peers, repeat int, scenarios ...string) *result.Result {
	o := scenario.DefaultOptions()
	r := &result.Result{
		Schema: result.Schema,
		Tool:   result.Tool{Name: result.ToolName, Version: "v0.0.0-sample", Commit: "0123456789abcdef0123", Args: []string{"-peers", fmt.Sprint(peers)}},
		Env: result.Env{
			Time: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), Go: "go1.26", OS: "linux", Arch: "amd64",
			Kernel: "6.18", CPU: "Sample CPU", Cores: 2, Load: [3]float64{0.12, 0.2, 0.3},
		},
		Config: result.Config{Scenarios: scenarios, Peers: peers, Seed: seed, Repeat: repeat, Isolation: "goroutine", Timing: core.DefaultTiming(), Options: o},
	}
	for i := range repeat {
		g := &generator{rand.New(rand.NewPCG(seed, uint64(i))), peers}
		run := result.Run{Seed: seed + uint64(i), Baseline: result.Baseline{RoundTrip: g.latencies(nil, "", 2000, 12e3)}}
		for _, s := range scenarios {
			run.Scenarios = append(run.Scenarios, g.scenario(s, o))
		}
		r.Runs = append(r.Runs, run)
	}
	if repeat > 1 {
		r.Summary = scenario.Definitions.Summarize(r.Runs)
	}
	return r
}

type generator struct {
	*rand.Rand
	peers int
}

func one(unit string, v float64) result.Metric { return result.Metric{Unit: unit, Value: &v} }

func ptr(v float64) *float64 { return &v }

// latencies is a lognormal distribution around a median in ns; its histogram
// goes into s under name.
func (g *generator) latencies(s *result.Scenario, name string, n int, median float64) result.Metric {
	h := hdrhistogram.New(64, int64(time.Minute), 3)
	for range n {
		v := median * math.Exp(0.55*g.NormFloat64())
		if g.Float64() < 0.002 {
			v *= 4
		}
		h.RecordValue(int64(v))
	}
	if s != nil {
		text, err := h.Encode(hdrhistogram.V2CompressedEncodingCookieBase)
		if err != nil {
			panic(err)
		}
		if s.Histograms == nil {
			s.Histograms = make(map[string]string)
		}
		s.Histograms[name] = string(text)
	}
	d := &result.Distribution{N: uint64(n), Min: ptr(float64(h.Min()) / 1e9), Max: ptr(float64(h.Max()) / 1e9), Mean: ptr(h.Mean() / 1e9), Stddev: ptr(h.StdDev() / 1e9)}
	for _, q := range []struct {
		p  float64
		to **float64
	}{{50, &d.P50}, {90, &d.P90}, {99, &d.P99}, {99.9, &d.P999}, {99.99, &d.P9999}} {
		if float64(n)*(100-q.p)/100 >= 10 {
			*q.to = ptr(float64(h.ValueAtQuantile(q.p)) / 1e9)
		}
	}
	return result.Metric{Unit: "s", Dist: d}
}

// exact sums few values up.
func exact(values []float64) result.Metric {
	values = slices.Sorted(slices.Values(values))
	d := &result.Distribution{N: uint64(len(values))}
	if n := len(values); n > 0 {
		d.Min, d.Max, d.P50 = &values[0], &values[n-1], &values[n/2]
		if n < 20 {
			d.P50 = nil
		}
		if n >= 100 {
			d.P90 = &values[n*9/10]
		}
		var sum float64
		for _, v := range values {
			sum += v
		}
		d.Mean = ptr(sum / float64(n))
	}
	return result.Metric{Unit: "s", Dist: d}
}

func (g *generator) uniform(n int, low, high float64) []float64 {
	out := make([]float64, n)
	for i := range out {
		out[i] = low + (high-low)*g.Float64()
	}
	return out
}

func (g *generator) name(i int) string { return string(rune('!' + i)) }

func (g *generator) scenario(name string, o result.Options) result.Scenario {
	n := g.peers
	s := result.Scenario{Name: name, Peers: n, Seconds: 3, Metrics: map[string]result.Metric{
		"false_positives": one("1", 0), "unexplained": one("1", 0), "kernel_drops": one("1", 0), "dropped": one("1", 0),
		"cpu": one("cores", 0.021+0.01*g.Float64()), "memory": one("bytes", 31.4e6), "memory_before": one("bytes", 3.52e6),
	}}
	for i := range 6 {
		s.Charts.Usage = append(s.Charts.Usage, result.Usage{T: 0.2 * float64(i+1), CPU: 0.02 + 0.01*float64(i%3), Memory: 30e6 + 3e5*float64(i)})
	}
	m := s.Metrics
	keepAlives, vanilla := uint64(n*6), uint64(0)
	births, directories := uint64(0), uint64(0)
	switch name {
	case "join":
		births, directories, keepAlives = uint64(n), uint64(3*n), 0
		converge := 0.0018 + 0.0004*g.Float64()
		m["converge"] = one("s", converge)
		m["propagate"], m["admit"] = exact(g.uniform(n, converge/2, converge)), exact(g.uniform(n, converge/9, converge/2))
		m["join_datagrams"], m["join_bytes"] = one("1", float64(births+directories)), one("bytes", float64(births*6+directories*uint64(4+4*n)))
		for i := range n {
			a, b := converge*(0.2+0.2*g.Float64()), converge*(0.5+0.2*g.Float64())
			c := converge * (0.85 + 0.15*g.Float64())
			s.Charts.Views = append(s.Charts.Views, result.ViewTrace{Peer: g.name(i), T: []float64{0, a, b, c}, N: []int{0, n / 3, n * 3 / 4, n}})
		}
		s.Charts.Converged = &converge
	case "steady", "loss", "garbage":
		vanilla = uint64(3 * n * (n - 1))
		lost := 0.0
		if name == "loss" {
			lost = math.Round(float64(vanilla) * 0.01)
			m["injected"], m["loss_injected"] = one("1", lost+50), one("ratio", 0.01)
			m["removed"], m["removed_high"] = one("1", 0), one("1", 1)
			m["removed_expected"], m["peer_seconds"] = one("1", 0.002), one("s", float64(n)*13)
			m["detect"], m["detect_silence"] = exact(g.uniform(n-1, 1.5, 2.3)), exact(g.uniform(n-1, 1.5, 2.3))
			m["converge"] = one("s", 2.31)
			m["duplicated"], m["reordered"] = one("1", 19), one("1", 95)
		} else {
			if name == "garbage" {
				m["hostile_sent"], m["hostile_rate"], m["hostile_taken"] = one("1", 13e6), one("messages/s", 1e6), one("1", 12.9e6)
				m["admit"], m["shut_out"] = exact(g.uniform(13, 0.0002, 0.004)), one("1", 2)
				m["hostile_cpu"], m["memory_growth"] = one("cores", 0.98), one("bytes", 4.1e6)
			}
			m["duplicated"], m["reordered"] = one("1", 0), one("1", 0)
		}
		m["due"], m["sent"] = one("1", float64(vanilla)), one("1", float64(vanilla))
		m["delivered"], m["lost"] = one("1", float64(vanilla)-lost), one("1", lost)
		m["loss"], m["late"], m["missed"] = one("ratio", lost/float64(vanilla)), one("1", 0), one("1", 0)
		m["rate"] = one("messages/s", (float64(vanilla)-lost)/13)
		m["latency"] = g.latencies(&s, "latency", int(vanilla), 335e3)
		m["latency_due"] = g.latencies(&s, "latency_due", int(vanilla), 395e3)
		m["timer_error"] = g.latencies(nil, "", 3*n, 60e3)
		m["jitter"] = g.latencies(nil, "", n*(n-1), 90e3)
		g.messageCharts(&s, vanilla)
	case "crash":
		silence := g.uniform(n-1, 1.71, 1.712)
		late := make([]float64, len(silence))
		for i, v := range silence {
			late[i] = v - 0.213
			s.Charts.Noticed = append(s.Charts.Noticed, result.Noticed{Peer: g.name(i), Of: g.name(n - 1), Seconds: v})
		}
		m["detect"], m["detect_silence"], m["converge"] = exact(late), exact(silence), one("s", slices.Max(late))
		s.Charts.Ideal = &[2]float64{1.5, 2}
	case "relaunch":
		for _, k := range []string{"early.admit", "early.back", "late.admit", "late.back"} {
			m[k] = exact(g.uniform(1, 0.0002, 0.0009))
		}
	case "churn":
		m["events"], m["disagreement"], m["converge"] = one("1", 64), one("ratio", 0.31), one("s", 1.83)
		for t := 0.0; t < 15; t += 0.1 {
			s.Charts.Disagreement = append(s.Charts.Disagreement, result.Point{T: t, V: math.Max(0, math.Sin(t/2)) * math.Min(1, (15-t)/4) * g.Float64()})
		}
		for i := range 40 {
			s.Charts.Noticed = append(s.Charts.Noticed, result.Noticed{Peer: g.name(i % n), Of: g.name((i + 7) % n), Seconds: 1.5 + 0.5*g.Float64()})
		}
		s.Charts.Ideal = &[2]float64{1.5, 2}
	case "restart":
		m["whole"], m["refresh.whole"], m["stranded"] = result.Metric{Unit: "s"}, one("s", 0.98), one("1", float64(n))
		s.Notes = []result.Note{{Bad: true, Text: "without refresh the mesh was not whole again within 10 s: the exact protocol cannot heal this"}}
	case "pause":
		m["removal"], m["back"], m["refresh.back"], m["rebirth.back"] = one("s", 1.8), result.Metric{Unit: "s"}, one("s", 0.61), one("s", 0.0004)
	case "saturate":
		m["rate_lossless"], m["rate_goal"], m["trials"] = one("messages/s", 291e3), one("messages/s", 302e3), one("1", 9)
		m["latency_due"] = g.latencies(&s, "latency_due", 50000, 900e3)
		m["latency_due_goal"] = g.latencies(nil, "", 50000, 1200e3)
		for _, load := range []float64{1000, 2e6, 40e3, 160e3, 320e3, 240e3, 280e3, 300e3, 291e3} {
			t := mlrsearch.Trial{Offered: load, Delivered: math.Min(load, 305e3), Seconds: 1, P50: 0.0004 * (1 + load/2e5), P99: 0.0015 * (1 + load/8e4)}
			if load > 295e3 {
				t.Loss, t.Cause = 1-t.Delivered/load, "full buffers: 12 datagrams lost at the receivers"
			}
			s.Charts.Trials = append(s.Charts.Trials, t)
		}
	}
	kind := func(n uint64, size int) core.Traffic { return core.Traffic{Datagrams: n, Bytes: n * uint64(size)} }
	s.Traffic = &result.Traffic{
		Server: core.ByType{Directory: kind(directories, 4+4*n)},
		Peers:  core.ByType{Birth: kind(births, 6), Vanilla: kind(vanilla, 22), KeepAlive: kind(keepAlives, 4)},
	}
	total := s.Traffic.Server.Plus(s.Traffic.Peers).Total()
	m["datagrams"], m["bytes"] = one("1", float64(total.Datagrams)), one("bytes", float64(total.Bytes))
	s.Accounts = &result.Accounts{Sent: total.Datagrams, Taken: total.Datagrams}
	// Everything above is named within its scenario.
	s.Metrics = make(map[string]result.Metric)
	for k, v := range m {
		s.Metrics[name+"."+k] = v
	}
	histograms := s.Histograms
	s.Histograms = make(map[string]string)
	for k, v := range histograms {
		s.Histograms[name+"."+k] = v
	}
	return s
}

// messageCharts are those of a scenario that measures broadcasts.
func (g *generator) messageCharts(s *result.Scenario, vanilla uint64) {
	n := g.peers
	for t := 0.0; t < 13; t += 0.5 {
		p50 := 0.00038 * (0.9 + 0.2*g.Float64())
		s.Charts.Latency = append(s.Charts.Latency, result.LatencyBucket{T: t, Width: 0.5, N: vanilla / 26, P50: p50, P99: p50 * 3.5, Max: p50 * (5 + 4*g.Float64())})
	}
	p := &result.Pairs{}
	for i := range n {
		p.Names += g.name(i)
		for j := range n {
			var sent, miss, p99 uint32
			if i != j {
				sent, p99 = 3, uint32(500+700*g.Float64())
				if s.Name == "loss" && g.Float64() < 0.03 {
					miss = 1
				}
			}
			p.Sent, p.Lost, p.Max = append(p.Sent, sent), append(p.Lost, miss), append(p.Max, p99)
		}
	}
	s.Charts.Pairs = p
}

// spoil turns a sample into bad news of every kind, and hostile text.
func spoil(r *result.Result) *result.Result {
	const evil = "<script>alert(1)</script>,\"=cmd()|\x1b[31mred\u202e`*_#\n| a |"
	r.Interrupted, r.Env.CPU, r.Env.Load = true, evil, [3]float64{3, 2, 1}
	r.Tool.Version, r.Tool.Args = "=1+1", []string{"-peer-exec", evil}
	r.Config.Target = evil
	for i := range r.Runs {
		for j := range r.Runs[i].Scenarios {
			s := &r.Runs[i].Scenarios[j]
			s.Interrupted = true
			if s.Name == "crash" {
				s.Failed = "the server died: exit status 9" + evil
			}
			s.Notes = append(s.Notes, result.Note{Bad: true, Text: evil}, result.Note{Text: "an ordinary note"})
			s.Metrics[s.Name+".false_positives"], s.Metrics[s.Name+".unexplained"] = one("1", 3), one("1", -7)
			if s.Name == "loss" {
				s.Metrics["loss.removed"] = one("1", 3)
			}
			s.Accounts.Unexplained, s.Accounts.Kernel, s.Accounts.Unsent, s.Accounts.Injected = -7, 12, 1, 4
			if _, ok := s.Metrics[s.Name+".lost"]; ok {
				s.Metrics[s.Name+".lost"], s.Metrics[s.Name+".late"] = one("1", 12), one("1", 5)
			}
			if s.Name == "join" {
				s.Metrics["=evil"] = one("1", 1)
				s.Metrics["join.converge"] = result.Metric{Unit: "s"}
				for k := range s.Charts.Views {
					s.Charts.Views[k].Peer = evil
				}
				s.Charts.Converged = nil
			}
			for k := range s.Charts.Trials {
				s.Charts.Trials[k].Cause = evil
			}
			for k := range s.Charts.Noticed {
				s.Charts.Noticed[k].Of = "<"
			}
			if p := s.Charts.Pairs; p != nil {
				p.Names = "<>&\"'=+-@`|\\,;" + p.Names[14:]
			}
		}
	}
	r.Assertions = []result.Assertion{
		{Text: "steady.latency.p99<5ms", Actual: ptr(0.00121), OK: true},
		{Text: "steady.loss==0", Actual: ptr(12.0 / 18960)},
		{Text: "join.converge<5ms"},
	}
	return r
}
