package scenario

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"p2plocal/bench/mesh"
	"p2plocal/bench/result"
	"p2plocal/fuzz/hostile"
)

// Whatever is sent, and at whom: every hostile datagram is accounted, and no
// more are sent than were asked for.
func TestGarbage(t *testing.T) {
	t.Parallel()
	for _, x := range []struct {
		kind, at string
		refused  bool // counted as such, all of them
	}{
		{"garbage", "server", true}, {"keepalive", "server", false}, {"conflict", "server", false}, {"fill", "server", false},
		{"garbage", "peer", true}, {"conflict", "peer", true},
	} {
		t.Run(x.kind+"/"+x.at, func(t *testing.T) {
			t.Parallel()
			cfg := quick(4, "garbage")
			if x.kind != "fill" { // whose ghosts are to make room for newcomers again
				cfg = patient(cfg)
			}
			cfg.Options.Garbage.Kind, cfg.Options.Garbage.At = x.kind, x.at
			cfg.Options.Garbage.Rate, cfg.Options.Duration = 1000, 2*time.Second
			garbageSimulated(t, cfg.Options.Garbage, x.refused)
			r := execute(t, cfg)
			s := r.Runs[0].Scenarios[0]
			a, calm := s.Accounts, !stood(s)
			if a.Unexplained != 0 {
				t.Errorf("the accounts do not add up: %+v", *a)
			}
			sent, taken := flat(t, r, "garbage.hostile_sent"), flat(t, r, "garbage.hostile_taken")
			const underway = 10 // of the mesh's own
			if sent == 0 || taken == 0 || taken+float64(a.Kernel)+underway < sent || taken > sent {
				t.Errorf("%v sent, %v taken, %v lost in the kernel", sent, taken, a.Kernel)
			}
			strangers := !calm || flat(t, r, "garbage.false_positives") > 0 // whose messages are refused, too
			if got := float64(a.Dropped); x.refused && (got < taken || got > sent && !strangers) || !x.refused && got >= taken && !strangers {
				t.Errorf("%v refused of %v hostile datagrams taken", got, taken)
			}
			if rate := flat(t, r, "garbage.hostile_rate"); rate > 1.1*cfg.Options.Garbage.Rate {
				t.Errorf("%v a second, asked for %v", rate, cfg.Options.Garbage.Rate)
			}
			newcomers := func() float64 { return flat(t, r, "garbage.admit.n") + flat(t, r, "garbage.shut_out") }
			if newcomers() == 0 { // a busy machine: for longer than any is waited for
				cfg.Options.Duration = newcomerLimit + time.Second
				if r = execute(t, cfg); newcomers() == 0 && !stood(r.Runs[0].Scenarios[0]) {
					t.Error("no newcomer was let in, nor shut out")
				}
			}
			if flat(t, r, "garbage.sent") == 0 {
				t.Error("no message was sent")
			}
		})
	}
}

// garbageSimulated has every datagram taken, and refused or not.
func garbageSimulated(t *testing.T, g result.Garbage, refused bool) {
	t.Helper()
	cfg := simulated(4, "garbage")
	cfg.Options.Garbage = g
	r := execute(t, cfg)
	a := r.Runs[0].Scenarios[0].Accounts
	sent, taken := flat(t, r, "garbage.hostile_sent"), flat(t, r, "garbage.hostile_taken")
	if got := float64(a.Dropped); sent < 1000 || taken != sent || a.Unexplained != 0 || refused && got != taken || !refused && got >= taken {
		t.Errorf("simulated: %v sent, %v taken, %v refused, %+v", sent, taken, got, *a)
	}
}

// A full mesh has no name left to fill, nor one that nobody has.
func TestGarbageForAFullMesh(t *testing.T) {
	t.Parallel()
	cfg := quick(95, "garbage")
	cfg.Options.Garbage.Kind = "fill"
	s := execute(t, cfg).Runs[0].Scenarios[0]
	if len(s.Notes) == 0 || !s.Notes[0].Bad || !strings.Contains(s.Notes[0].Text, "fill") {
		t.Errorf("notes %+v", s.Notes)
	}
}

func TestGarbageOptions(t *testing.T) {
	t.Parallel()
	for _, x := range []struct {
		g    result.Garbage
		want string
	}{
		{result.Garbage{Rate: -1, Kind: "garbage", At: "server"}, "-1 datagrams"},
		{result.Garbage{Rate: 1e10, Kind: "garbage", At: "server"}, "1e+10 datagrams"},
		{result.Garbage{Rate: 1, Kind: "rubbish", At: "server"}, `"rubbish"`},
		{result.Garbage{Rate: 1, Kind: "fill", At: "moon"}, `"moon"`},
	} {
		if err := validateGarbage(x.g); err == nil || !strings.Contains(err.Error(), x.want) {
			t.Errorf("%+v: %v, want %s", x.g, err, x.want)
		}
	}
	for _, kind := range hostile.FloodKinds {
		if err := validateGarbage(result.Garbage{Rate: 0, Kind: kind, At: "server"}); err != nil {
			t.Error(err)
		}
	}
	for s, want := range map[string]float64{"500k": 500e3, "1.2M": 1.2e6, "7": 7, "max": 0} {
		if got, err := result.ParseRate(s); err != nil || got != want {
			t.Errorf("rate %s is %v, %v; want %v", s, got, err, want)
		}
	}
	for _, s := range []string{"", "0", "-1k", "fast", "1x", "NaN"} {
		if _, err := result.ParseRate(s); err == nil || !strings.Contains(err.Error(), s) {
			t.Errorf("rate %q: %v", s, err)
		}
	}
}

func TestSenderWithoutOrder(t *testing.T) {
	t.Parallel()
	for _, in := range []string{"", "{", "[]\n"} {
		var out bytes.Buffer
		if err := mesh.SendGarbage(strings.NewReader(in), &out); err == nil || !strings.Contains(err.Error(), "no order") {
			t.Errorf("%q: %v, answer %q", in, err, out.String())
		}
	}
}
