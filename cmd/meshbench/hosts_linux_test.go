package main

import (
	"bytes"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"

	"p2plocal/bench/result"
	"p2plocal/bench/work/natstest"
	"p2plocal/fuzz/target/netns"
)

// rehearsal is three workers on hosts of their own, each of whose clocks shows another time, and a NATS
// server that they reach.
type rehearsal struct {
	t       *testing.T
	nats    *natstest.Server
	workers [3]*exec.Cmd
	said    [3]*bytes.Buffer
	link    func(host int, state string)
}

func rehearse(t *testing.T, number int) *rehearsal {
	number += 2 * (os.Getpid() % 24) // this process has an address of that net, and another may rehearse beside it
	names, link := netns.Hosts(t, number, 3, true)
	r := &rehearsal{t: t, link: link, nats: natstest.Start(t, func(o *server.Options) { o.Host = fmt.Sprintf("10.%d.0.254", number) })}
	for i, name := range names {
		cmd := exec.Command("ip", "netns", "exec", name, "unshare", "-T", "--monotonic", fmt.Sprint(1000*(i+1)), os.Args[0], "worker", "-nats", r.nats.ClientURL(), "-cores", "1")
		cmd.Env = append(os.Environ(), selfEnv+"=1")
		r.said[i] = new(bytes.Buffer)
		cmd.Stdout, cmd.Stderr = r.said[i], r.said[i]
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		r.workers[i] = cmd
		t.Cleanup(func() {
			cmd.Process.Kill()
			cmd.Wait()
			if t.Failed() {
				t.Logf("worker %d: %s", i+1, r.said[i])
			}
		})
	}
	for deadline := time.Now().Add(5 * time.Minute); ; time.Sleep(50 * time.Millisecond) {
		if _, list, _ := invoke(t.Context(), "workers", "-nats", r.nats.ClientURL()); strings.HasPrefix(list, "3 workers") {
			return r
		}
		if time.Now().After(deadline) {
			t.Fatal("the workers do not come")
		}
	}
}

// mesh measures one over so many hosts, and gives its exit code, and result.
func (r *rehearsal) mesh(hosts int, args string) (int, *result.Result, string) {
	r.t.Helper()
	file := filepath.Join(r.t.TempDir(), "result.json")
	code, _, stderr := invoke(r.t.Context(), strings.Fields(fmt.Sprintf("-wide -quiet -nats %s -hosts %d -json %s %s", r.nats.ClientURL(), hosts, file, args))...)
	got, err := readFile(file)
	if err != nil {
		r.t.Fatalf("exit code %d, %v: %s", code, err, stderr)
	}
	return code, got, stderr
}

// A mesh over three hosts whose clocks show different times knows by how much, within what it says, and
// accounts for every datagram.
func TestMeshOverHosts(t *testing.T) {
	t.Parallel()
	r := rehearse(t, 79)
	code, got, stderr := r.mesh(3, "-peers 12 -scenario join,steady -duration 1s -interval 200ms -deadline 1m -timeout 1m")
	if code != 0 {
		t.Errorf("exit code %d: %s", code, stderr)
	}
	for _, s := range got.Runs[0].Scenarios {
		if s.Accounts.Unexplained != 0 || s.Accounts.Sent == 0 {
			t.Errorf("%s: %+v", s.Name, s.Accounts)
		}
		for i, h := range s.Hosts {
			apart := func(j int) float64 { return math.Round(s.Hosts[j].Ahead/1000) * 1000 }
			if off := math.Abs(h.Ahead - apart(i)); off > h.Bound || i > 0 && (h.Ahead == 0 || h.Bound <= 0) || h.Addr == "" {
				t.Errorf("%s: the clock of host %d is %v s off, within %v s: %+v", s.Name, i, off, h.Bound, h)
			}
		}
		if h := s.Hosts; math.Abs(h[1].Ahead-h[2].Ahead) < 900 {
			t.Errorf("%s: hosts %+v", s.Name, h)
		}
	}
	if s := got.Runs[0].Scenarios[1]; len(s.Links) != 9 || *s.Metrics["steady.lost"].Value != 0 || s.Metrics["steady.latency"].Bound <= 0 {
		t.Errorf("links %+v, %v lost", s.Links, *s.Metrics["steady.lost"].Value)
	}
}
