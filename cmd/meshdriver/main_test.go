package main

import (
	"flag"
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"p2plocal/bench/driver"
	"p2plocal/bench/result"
	"p2plocal/bench/scenario"
	"p2plocal/cmd/internal/cli"
	"p2plocal/core"
	"p2plocal/fuzz/conform"
)

// The test's own binary is meshdriver where the environment says so.
const driverEnv = "MESHDRIVER_TEST"

func TestMain(m *testing.M) {
	if os.Getenv(driverEnv) != "" {
		cli.Main("meshdriver", run)
	}
	os.Setenv(driverEnv, "1")
	flag.Parse()
	flag.Set("test.parallel", "12") // drivers and their harness mostly wait
	os.Exit(m.Run())
}

var eighty = regexp.MustCompile("eighty") // members take their time on a busy machine

// Each driver keeps to the protocol, all of it (the rest is TestLongDrivers).
func TestDrivers(t *testing.T) {
	t.Parallel()
	checkDrivers(t, conform.Select(driver.Cases(), nil, nil, eighty), nil)
}

func checkDrivers(t *testing.T, cases []conform.Case, own map[string]string) {
	for _, k := range kinds {
		t.Run(k.name, func(t *testing.T) {
			t.Parallel()
			r, err := conform.Run(t.Context(), driver.ForDrivers(conform.Config{Exec: os.Args[0] + " " + k.name + own[k.name], Cases: cases}, nil))
			if err != nil {
				t.Fatal(err)
			}
			for _, x := range r.Results {
				if x.Outcome == conform.Pass || x.Outcome == conform.Seen {
					t.Logf("%-27s %-5s %6.1f s  %s", x.ID, x.Outcome, x.Took.Seconds(), x.Detail)
					continue
				}
				t.Errorf("%s: %s %s%s", x.ID, x.Outcome, x.Detail, shown(x.Failure))
			}
		})
	}
}

func shown(f *conform.Failure) string {
	if f == nil {
		return ""
	}
	return fmt.Sprintf("\nwant %s, got %s\n%s", f.Expected, f.Got, f.Output)
}

// Our own mesh behind its driver and without one: the same messages, and as late, but for
// what the pipe may delay an order to broadcast.
func TestDriverPath(t *testing.T) {
	t.Parallel()
	measure := func(d *result.Driver) map[string]result.FlatValue {
		o := scenario.DefaultOptions()
		o.Duration, o.Interval, o.Driver, o.Timeout = time.Second, 100*time.Millisecond, d, time.Minute
		timing := core.DefaultTiming()
		timing.Deadline = time.Minute // nobody is removed on a busy machine
		r, err := scenario.Execute(t.Context(), result.Config{Scenarios: []string{"join", "steady"}, Peers: 10, Seed: 1, Repeat: 1, Isolation: "goroutine",
			Timing: timing, Options: o}, result.Tool{}, new(scenario.Status))
		if err != nil {
			t.Fatal(err)
		}
		if why := r.Failure(); why != "" {
			t.Fatal(why)
		}
		return r.Runs[0].Flat()
	}
	// How late is compared again where other work may have come to one of the two alone.
	var late []string
	for range 5 {
		native, hosted := measure(nil), measure(&result.Driver{Exec: os.Args[0] + " p2plocal"})
		for _, name := range []string{"due", "sent", "delivered", "lost", "duplicated", "missed"} { // in which order they come, nobody knows
			if a, b := native["steady."+name].Value, hosted["steady."+name].Value; a == nil || b == nil || *a != *b {
				t.Errorf("steady.%s: %v native, %v behind the driver", name, a, b)
			}
		}
		late = nil
		for _, name := range []string{"latency", "latency_due"} {
			a, b, pipe := *native["steady."+name+".p50"].Value, *hosted["steady."+name+".p50"].Value, *hosted["steady.pipe.max"].Value
			if b > a+pipe {
				late = append(late, fmt.Sprintf("steady.%s.p50: %v s native, %v s behind the driver, whose pipe takes up to %v s", name, a, b, pipe))
			}
		}
		if late == nil {
			return
		}
	}
	t.Error(strings.Join(late, "\n"))
}

// A mesh ends also while messages are on their way.
func TestStopUnderTraffic(t *testing.T) {
	t.Parallel()
	for _, k := range kinds {
		members := make([]driver.Member, 10)
		for i := range members {
			members[i].Name = fmt.Sprint("m", i)
		}
		release, err := driver.Addresses(members)
		if err != nil {
			t.Fatal(err)
		}
		defer release()
		d, err := driver.Start(t.Context(), driver.Config{Exec: os.Args[0] + " " + k.name, Members: members})
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range members {
			if _, err := d.Ask(t.Context(), driver.Command{Type: "join", Member: m.Name}, time.Minute); err != nil {
				t.Error(err)
			}
		}
		for id := range uint64(30) {
			d.Tell(driver.Command{Type: "broadcast", Member: members[id%10].Name, ID: id + 1, Size: 64})
		}
		if err := d.Stop(); err != nil {
			t.Errorf("%s: %v", k.name, err)
		}
	}
}
