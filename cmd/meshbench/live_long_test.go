//go:build long && linux

package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"math"
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

// BenchmarkLive measures what pages cost that are open: within one run, of a mesh of 40 peers that broadcast ten
// times a second, for a second and a half each there is no page, one, and twenty slow ones, then the other way round.
// It gives the medians, over all such rounds, of the ratios to no page, and their 95 % intervals.
func BenchmarkLive(b *testing.B) {
	const (
		rounds = 14
		settle = 400 * time.Millisecond
		block  = 1300 * time.Millisecond
		lasts  = 3*rounds*(settle+block) + 5*time.Second
	)
	fs := flag.NewFlagSet("meshbench", flag.ContinueOnError)
	cfg, v := benchFlags(fs, cli.NewGroups(fs)), &view{}
	if err := fs.Parse([]string{"-scenario", "steady", "-peers", "40", "-interval", "100ms", "-duration", lasts.String()}); err != nil {
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
	time.Sleep(3 * time.Second) // until all have joined, and broadcast
	cpu := map[string][]float64{}
	for round := range rounds {
		order := []string{"none", "one", "slow"}
		if round%2 == 1 {
			order = []string{"slow", "one", "none"}
		}
		for _, state := range order {
			toggle[state]()
			time.Sleep(settle)
			if n := v.server.Pages(); (n > 0) != (state != "none") {
				b.Fatalf("%d pages, want %s", n, state)
			}
			status.Live.Note("block", state)
			used, began := target.CPUOf(os.Getpid()), time.Now()
			time.Sleep(block)
			cpu[state] = append(cpu[state], (target.CPUOf(os.Getpid())-used).Seconds()/time.Since(began).Seconds())
			status.Live.Note("block", "")
			toggle[state]()
		}
	}
	time.Sleep(2 * sample.Every * time.Millisecond)
	var all sample.Snapshot
	events, _ := v.feed.After(0)
	if err := json.Unmarshal(bytes.Join(events[0].Data, nil), &all); err != nil {
		b.Fatal(err)
	}
	cancel()
	if err := <-over; err != nil {
		b.Fatal(err)
	}
	figures := map[string]map[string][]float64{"cpu": cpu, "p50": {}, "p99": {}}
	marks := slices.DeleteFunc(all.Marks, func(m *sample.Mark) bool { return m.Kind != "block" })
	for i, m := range marks {
		if m.Text == "" { // the end of one
			continue
		}
		var bins sample.Bins
		for _, s := range all.Samples {
			if s.T-sample.Every >= m.T && s.T < marks[i+1].T {
				for _, x := range s.Hist {
					bins.Add(x[0]-1, uint64(x[1]))
				}
			}
		}
		var of sample.Sample
		of.SetLatency(bins.List())
		figures["p50"][m.Text] = append(figures["p50"][m.Text], float64(*of.P50))
		figures["p99"][m.Text] = append(figures["p99"][m.Text], float64(*of.P99))
	}
	for _, name := range []string{"cpu", "p50", "p99"} {
		for _, state := range []string{"one", "slow"} {
			var ratios []float64
			for i, x := range figures[name][state] {
				ratios = append(ratios, x/figures[name]["none"][i])
			}
			low, high, _ := result.Interval(ratios)
			half := math.Max(*high-result.Median(ratios), result.Median(ratios)-*low)
			b.Logf("%s with %-4s pages: %.3f [%.3f, %.3f] of that without", name, state, result.Median(ratios), *low, *high)
			b.ReportMetric(result.Median(ratios), name+"-"+state+"/none")
			b.ReportMetric(half, "±"+name+"-"+state)
		}
		b.Logf("%s without: %v", name, result.Median(figures[name]["none"]))
	}
	b.ReportMetric(0, "ns/op")
}
