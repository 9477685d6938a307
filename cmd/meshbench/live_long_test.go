//go:build long && linux

package main

import (
	"bufio"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"p2plocal/bench/result"
	"p2plocal/bench/sample"
	"p2plocal/bench/scenario"
	"p2plocal/cmd/internal/cli"
	"p2plocal/fuzz/target"
)

// pagesEnv makes the test program one that has pages open: that many slow ones, or one that reads, at the URL that
// it is set to. A line of its input opens them, the next closes them.
const pagesEnv = "P2PLOCAL_TEST_PAGES"

func init() {
	if at := os.Getenv(pagesEnv); at != "" {
		slow, where, _ := strings.Cut(at, " ")
		openPages(where, slow == "slow")
		os.Exit(0)
	}
}

const slowPages = 20

func openPages(where string, slow bool) {
	u, err := url.Parse(where)
	if err != nil {
		panic(err)
	}
	open := func() net.Conn {
		c, err := net.Dial("tcp", u.Host)
		if err != nil {
			panic(err)
		}
		if slow {
			c.(*net.TCPConn).SetReadBuffer(2 << 10)
		}
		fmt.Fprintf(c, "GET /events?%s HTTP/1.1\r\nHost: %s\r\n\r\n", u.RawQuery, u.Host)
		if !slow {
			go io.Copy(io.Discard, c)
		}
		return c
	}
	lines := make(chan string)
	go func() {
		defer close(lines)
		for in := bufio.NewScanner(os.Stdin); in.Scan(); {
			lines <- in.Text()
		}
	}()
	for range lines {
		all := []net.Conn{open()}
		for slow && len(all) < slowPages {
			all = append(all, open())
		}
		// One that has been given up, after 10 s, comes back.
		again := time.NewTicker(10 * time.Second / slowPages)
		for here := true; here; {
			select {
			case <-lines:
				here = false
			case <-again.C:
				if slow {
					all[0].Close()
					all = append(all[1:], open())
				}
			}
		}
		again.Stop()
		for _, c := range all {
			c.Close()
		}
	}
}

// pages starts such a program, and gives what opens and closes them.
func pages(b *testing.B, kind, where string) (toggle func()) {
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), pagesEnv+"="+kind+" "+where)
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { in.Close(); cmd.Wait() })
	return func() { io.WriteString(in, "\n") }
}

// BenchmarkLive measures what pages cost that are open: within one run there is no page, one, and twenty slow ones,
// for four samples each, of which the first is left out; then the other way round. Turns that short are alike but for
// the pages, and so many that what disturbs some of them decides nothing. It gives the medians, over all rounds, of the
// ratios to no page, and their 95 % intervals, and what these say of the three percent that pages may cost.
//
// A mesh whose peers broadcast at times of their own is what one measures, but its 99th percentile is made by the few
// broadcasts during which the machine did something else: no minute decides it. Where all broadcast in step, it is how
// long the machine takes for all they send.
func BenchmarkLive(b *testing.B) {
	b.Run("spread", func(b *testing.B) { benchmarkPages(b, "-peers=40") })
	b.Run("in-step", func(b *testing.B) { benchmarkPages(b, "-peers=80", "-in-step") })
}

func benchmarkPages(b *testing.B, mesh ...string) {
	const (
		rounds  = 22
		settle  = 1 // samples
		block   = 3
		allowed = 1.03
	)
	open := map[string]int{"none": 0, "one": 1, "slow": slowPages}
	fs := flag.NewFlagSet("meshbench", flag.ContinueOnError)
	cfg, v := benchFlags(fs, cli.NewGroups(fs)), &view{}
	if err := fs.Parse(append(mesh, "-scenario=steady", "-interval=100ms", "-duration=2m")); err != nil {
		b.Fatal(err)
	}
	c := &call{fs: fs, given: cli.Given(fs), stdout: io.Discard, stderr: io.Discard}
	if err := cfg.finish(b.Context(), c); err != nil {
		b.Fatal(err)
	}
	var status scenario.Status
	v.at.Set("true")
	stop, err := v.start(c, &cfg.Config, nil, &status)
	if err != nil {
		b.Fatal(err)
	}
	defer stop()
	toggle := map[string]func(){"none": func() {}, "one": pages(b, "read", v.server.URL()), "slow": pages(b, "slow", v.server.URL())}
	ctx, cancel := context.WithCancel(b.Context())
	over := make(chan error, 1)
	go func() {
		_, err := scenario.Execute(ctx, cfg.Config, result.Tool{}, &status)
		over <- err
	}()
	v.feed.Note(sample.Mark{Kind: "scenario"}) // an event to begin after
	seq := uint64(1)
	samples := func(n int) (bins sample.Bins) {
		for n > 0 {
			events, changed := v.feed.After(seq)
			for _, e := range events {
				seq = e.Seq
				var s sample.Sample
				if e.Name != "sample" {
					continue
				} else if err := json.Unmarshal(e.Data[0], &s); err != nil {
					b.Fatal(err)
				}
				for _, x := range s.Hist {
					bins.Add(x[0]-1, uint64(x[1]))
				}
				n--
			}
			<-changed
		}
		return bins
	}
	samples(25) // until all have joined, and broadcast
	figures := map[string]map[string][]float64{"cpu": {}, "p50": {}, "p99": {}}
	for round := range rounds {
		order := []string{"none", "one", "slow"}
		if round%2 == 1 {
			slices.Reverse(order)
		}
		for _, state := range order {
			toggle[state]()
			for v.server.Pages() != open[state] {
				samples(1)
			}
			samples(settle)
			used, began := target.CPUOf(os.Getpid()), time.Now()
			bins := samples(block)
			used, took := target.CPUOf(os.Getpid())-used, time.Since(began)
			toggle[state]()
			var of sample.Sample
			of.SetLatency(bins.List())
			for name, x := range map[string]float64{"cpu": used.Seconds() / took.Seconds(), "p50": float64(*of.P50), "p99": float64(*of.P99)} {
				figures[name][state] = append(figures[name][state], x)
			}
		}
	}
	cancel()
	if err := <-over; err != nil {
		b.Fatal(err)
	}
	for _, name := range []string{"cpu", "p50", "p99"} {
		for _, state := range []string{"one", "slow"} {
			var ratios []float64
			for i, x := range figures[name][state] {
				ratios = append(ratios, x/figures[name]["none"][i])
			}
			low, high, _ := result.Interval(ratios)
			says := "open"
			if *high <= allowed {
				says = "within 3 %"
			} else if *low > allowed {
				says = "more than 3 %"
			}
			b.Logf("%s with %-4s pages: %.3f [%.3f, %.3f] of that without: %s", name, state, result.Median(ratios), *low, *high, says)
			b.ReportMetric(result.Median(ratios), name+"-"+state+"/none")
			b.ReportMetric((*high-*low)/2, "±"+name+"-"+state)
		}
		b.Logf("%s without: %.4g", name, result.Median(figures[name]["none"]))
	}
	b.ReportMetric(0, "ns/op")
}
