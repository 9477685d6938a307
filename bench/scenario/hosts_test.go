package scenario

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"p2plocal/bench/mesh"
	"p2plocal/bench/result"
	"p2plocal/core"
	"p2plocal/fuzz/target"
)

// threeHosts are three in this process, each of which loses now and then an answer, or a request;
// second says what becomes of the second one, which is lost when it has been silent for patience.
func threeHosts(t *testing.T, patience time.Duration, second func() error) *Status {
	host := target.OwnHost() // where nobody else sends
	var links []mesh.HostLink
	for i, patience := range []time.Duration{0, patience, 0} {
		a := &mesh.Agent{Addr: host, Log: t.Logf}
		t.Cleanup(a.Close)
		var asked atomic.Int64
		links = append(links, mesh.HostLink{ID: fmt.Sprint("w", i), Host: fmt.Sprint("host-", i), Patience: patience, Ask: func(_ context.Context, q []byte) ([]byte, error) {
			if err := second(); i == 1 && err != nil {
				return nil, err
			}
			n := asked.Add(1)
			if n%7 == 3 {
				return nil, errors.New("the request was lost")
			}
			answer := a.Answer(q)
			if n%7 == 5 {
				return nil, errors.New("the answer was lost")
			}
			return answer, nil
		}})
	}
	return &Status{Hosts: func(_ context.Context, n int) ([]mesh.HostLink, error) { return links[:n], nil }}
}

func onHosts(peers int, scenarios ...string) result.Config {
	o := DefaultOptions()
	o.Wide, o.Hosts, o.Duration, o.Interval = true, 3, time.Second, 200*time.Millisecond
	o.ReadBuffer = 1 << 20
	return result.Config{Scenarios: scenarios, Peers: peers, Seed: 1, Repeat: 1, Isolation: "goroutine", Options: o, Timing: core.DefaultTiming()}
}

// What the hosts of several meshes threw away is added up, also where one threw nothing away.
func TestHostsAdd(t *testing.T) {
	t.Parallel()
	some := func(kernel map[string]uint64) (h mesh.Hosted) {
		h.Kernel = kernel
		return h
	}
	var h hosts
	for _, kernel := range []map[string]uint64{nil, {"InErrors": 2}, nil, {"InErrors": 3, "OutNoRoutes": 1}} {
		h.add([]mesh.Hosted{some(kernel)})
	}
	if got, want := h.all[0].Kernel, (map[string]uint64{"InErrors": 5, "OutNoRoutes": 1}); !maps.Equal(got, want) {
		t.Errorf("in all %v, want %v", got, want)
	}
}

// A mesh over hosts has every figure that one on a single host has, and all of its datagrams
// are accounted for.
func TestOverHosts(t *testing.T) {
	t.Parallel()
	testOverHosts(t, patient(onHosts(9, "join", "steady")))
}

func testOverHosts(t *testing.T, cfg result.Config) {
	t.Helper()
	deadline := cfg.Timing.Deadline
	r, _ := patiently(t, func(times int) *result.Result {
		cfg.Timing.Deadline = deadline * time.Duration(times)
		r, err := Execute(t.Context(), cfg, result.Tool{}, threeHosts(t, 0, func() error { return nil }))
		if err != nil {
			t.Fatal(err)
		}
		return r
	})
	single := Simulated(9, cfg.Scenarios...)
	single.Options = cfg.Options
	single.Options.Hosts = 0
	whole := execute(t, single)
	for i, s := range r.Runs[0].Scenarios {
		for name, m := range whole.Runs[0].Scenarios[i].Metrics {
			have, ok := s.Metrics[name]
			if !ok || (m.Value != nil) != (have.Value != nil) {
				t.Errorf("%s: %+v, on one host it is %+v", name, have, m)
			}
			if m.Unit == "s" && !strings.HasSuffix(name, "timer_error") && (have.Bound <= 0 || have.Bound > 1 && !stood(s)) {
				t.Errorf("%s is within %v s", name, have.Bound)
			}
		}
		if s.Accounts == nil || s.Accounts.Unexplained != 0 || s.Accounts.Sent == 0 || s.Unmeasured+s.Failed != "" {
			t.Errorf("%s: accounts %+v, unmeasured %q, failed %q", s.Name, s.Accounts, s.Unmeasured, s.Failed)
		}
		if len(s.Hosts) != 3 || s.Hosts[0].Peers != 3 {
			t.Errorf("%s: hosts %+v", s.Name, s.Hosts)
		}
	}
	steady := r.Runs[0].Scenarios[1]
	var sent, delivered uint64
	for _, l := range steady.Links {
		sent, delivered = sent+l.Sent, delivered+l.Delivered
		if (l.From == l.To) != (l.Bound == 0) {
			t.Errorf("from host %d to %d within %v s", l.From, l.To, l.Bound)
		}
	}
	if len(steady.Links) != 9 || float64(sent) != *steady.Metrics["steady.sent"].Value || float64(delivered) != *steady.Metrics["steady.delivered"].Value || delivered == 0 {
		t.Errorf("%d of %d by links, %v", delivered, sent, steady.Metrics["steady.delivered"])
	}
}

// A host that is lost ends what is measured, and is named; what was under way to it and from it is accounted for
// as dead.
func TestHostLost(t *testing.T) {
	t.Parallel()
	cfg := onHosts(6, "steady")
	cfg.Options.Duration = time.Minute
	var status *Status
	status = threeHosts(t, time.Second, func() error {
		if sent, _ := status.Now().Messages(); sent > 0 {
			return errors.New("nobody is there")
		}
		return nil
	})
	r, err := Execute(t.Context(), cfg, result.Tool{}, status)
	if err != nil {
		t.Fatal(err)
	}
	s := r.Runs[0].Scenarios[0]
	if !strings.Contains(s.Failed, "worker w1 on host-1 was lost") || s.Accounts.Unexplained != 0 || !s.Hosts[1].Lost {
		t.Errorf("failed %q, unmeasured %q, accounts %+v, hosts %+v", s.Failed, s.Unmeasured, s.Accounts, s.Hosts)
	}
}

// A host that does not answer for a while is named, and loses nothing.
func TestHostSilent(t *testing.T) {
	t.Parallel()
	cfg := onHosts(3, "steady")
	var status *Status
	var since atomic.Int64
	status = threeHosts(t, 0, func() error {
		if sent, _ := status.Now().Messages(); sent > 0 {
			since.CompareAndSwap(0, time.Now().UnixNano())
		}
		if at := since.Load(); at != 0 && time.Since(time.Unix(0, at)) < 1300*time.Millisecond {
			return errors.New("the way is cut")
		}
		return nil
	})
	r, err := Execute(t.Context(), cfg, result.Tool{}, status)
	if err != nil {
		t.Fatal(err)
	}
	s := r.Runs[0].Scenarios[0]
	if notes := fmt.Sprint(s.Notes); !strings.Contains(notes, "worker w1 on host-1 did not answer for ") || s.Accounts.Unexplained != 0 || s.Failed != "" {
		t.Errorf("%s, failed %q, accounts %+v", notes, s.Failed, s.Accounts)
	}
}

// A clock that is not known well, such as one that has jumped, is named.
func TestHostClock(t *testing.T) {
	t.Parallel()
	s := &Run{Mesh: &mesh.Mesh{N: 3}}
	for i, bound := range []int64{0, 40_000, 5_060_000} {
		s.hosts.all = append(s.hosts.all, mesh.Hosted{HostState: mesh.HostState{Bound: bound}, ID: fmt.Sprint("w", i), Host: "h"})
		s.hosts.links = append(s.hosts.links, []*mesh.Link{{}, {}, {}})
	}
	s.overHosts()
	if notes := fmt.Sprint(s.out.Notes); len(s.out.Notes) != 1 || !strings.Contains(notes, "the clock of worker w2 on h, or the first one's, jumped") || !strings.Contains(notes, "within 5.1 ms") {
		t.Errorf("%s", notes)
	}
}
