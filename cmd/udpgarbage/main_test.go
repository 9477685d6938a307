package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"p2plocal/cmd/internal/cli"
	"p2plocal/fuzz/campaign"
	"p2plocal/fuzz/target"
	"p2plocal/fuzz/target/virtual"
)

// inVirtualTime calls f in a bubble whose time is virtual, with a host there whose commands are broken_test.go's.
func inVirtualTime(t *testing.T, f func(t *testing.T, on *virtual.Host)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		f(t, virtual.New(program))
		time.Sleep(time.Second) // what is under way arrives
	})
}

// outcome is what the command comes to.
type outcome struct {
	campaign.Result
	stdout, stderr string
	err            error
}

// attack runs the command on a host, with a result for programs.
func attack(ctx context.Context, t *testing.T, on target.Host, args ...string) (o outcome) {
	t.Helper()
	if !slices.Contains(args, "-findings") {
		args = append([]string{"-findings", t.TempDir()}, args...)
	}
	var stdout, stderr bytes.Buffer
	options, err := parse(append([]string{"-json", "-"}, args...), &stdout)
	if err != nil {
		t.Fatal(err)
	}
	options.Host = on
	o.err = options.attack(ctx, &stdout, &stderr)
	o.stdout, o.stderr = stdout.String(), stderr.String()
	if err := json.Unmarshal(stdout.Bytes(), &o.Result); err != nil && stdout.Len() > 0 {
		t.Fatalf("%v: %s", err, o.stdout)
	}
	t.Logf("%q: %v\n%s", args, o.err, o.stderr)
	for _, f := range o.Findings {
		t.Logf("%s by %s, %d datagrams: %s", f.Kind, f.Case, f.Count, f.What)
	}
	return o
}

// running has a host run a server with one fault for the test's duration, where the command looks for one.
func running(t *testing.T, on *virtual.Host, fault string) {
	t.Helper()
	p, err := on.Start(target.Command{Line: fmt.Sprintf(aServer, fault), Listen: netip.MustParseAddrPort("127.0.0.1:3000")})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Kill)
	synctest.Wait()
}

// One of each kind for each role; fuzz/campaign has all others, and long_test.go what only memory shows.
func TestFaultsAreFound(t *testing.T) {
	t.Parallel()
	for _, f := range []struct {
		fault string
		kind  campaign.Kind
		args  []string
	}{
		{"die-on-byte", campaign.Died, []string{"-exec", aServer}},
		{"poison", campaign.Poisoned, []string{"-exec", aServer}},
		{"die-on-duplicate", campaign.Died, []string{"-as", "peer", "-peer-exec", aPeer}},
		{"spill", campaign.Spilled, []string{"-as", "peer", "-peer-exec", aPeer}},
	} {
		t.Run(f.fault, func(t *testing.T) {
			inVirtualTime(t, func(t *testing.T, on *virtual.Host) {
				last := len(f.args) - 1
				f.args[last] = fmt.Sprintf(f.args[last], f.fault)
				dir := t.TempDir()
				o := attack(t.Context(), t, on, append(f.args, "-seed", "5", "-mode", "catalogue", "-findings-max", "1", "-findings", dir)...)
				if !errors.Is(o.err, cli.Failed) || len(o.Findings) != 1 || o.Findings[0].Kind != f.kind || o.Findings[0].Count != 1 || len(o.Missing) == 0 {
					t.Fatalf("%v, %d findings, missing %q, want one: %s by one datagram, and no more sent then", o.err, len(o.Findings), o.Missing, f.kind)
				}
				files, _ := filepath.Glob(filepath.Join(dir, "*"))
				if len(files) != 1 || files[0] != o.Findings[0].File || !strings.Contains(o.stderr, "in "+files[0]+"\n") {
					t.Fatalf("files %q, want the finding's alone, and that it is told", files)
				}
				// the file says all that is needed
				if again := attack(t.Context(), t, on, "-mode", "replay", files[0]); !errors.Is(again.err, cli.Failed) || len(again.Findings) != 1 || again.Findings[0].Kind != f.kind || again.Ports != o.Ports {
					t.Errorf("replayed from port %d on: %v, %d findings, want the same from %d on", again.Ports, again.err, len(again.Findings), o.Ports)
				}
			})
		})
	}
}

func TestBadArguments(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{
		{"-target", "localhost"}, {"-target", "10.0.0.1:3000"}, {"-mode", "x"}, {"-mode", "replay"}, {"file"},
		{"-rate", "-1"}, {"-rate", "NaN"}, {"-duration", "-1s"}, {"-probe-timeout", "0s"},
		{"-findings", os.DevNull},
	} {
		var out bytes.Buffer
		if err := run(context.Background(), args, &out, &out); err == nil || !strings.Contains(err.Error(), strings.Trim(args[len(args)-1], "-")[:1]) {
			t.Errorf("%q: %v, want an error that names the value", args, err)
		}
	}
}
