package scenario

import (
	"strings"
	"testing"
	"time"

	"p2plocal/bench/result"
)

// What is merged is what one invocation would have measured, and is read back.
func TestMerge(t *testing.T) {
	t.Parallel()
	cfg := simulated(5, "join", "steady")
	cfg.Repeat = 7
	whole := execute(t, cfg)
	a, b := cfg, cfg
	a.Repeat, b.Repeat, b.Seed = 3, 4, cfg.Seed+3
	first, second := execute(t, a), execute(t, b)
	assert, err := Definitions.ParseAssertion("steady.loss==0")
	if err != nil {
		t.Fatal(err)
	}
	whole.Assertions, second.Assertions = result.Evaluate([]result.Assert{assert}, whole), []result.Assertion{{Text: "steady.loss==0"}}
	whole.Tool.Args = []string{"report"}
	got, err := Definitions.Merge([]*result.Result{first, second}, []string{"report"})
	if err != nil {
		t.Fatal(err)
	}
	var g, w strings.Builder
	got.Write(&g)
	whole.Write(&w)
	if g.String() != w.String() {
		t.Errorf("merged:\n%.2000s\nwant\n%.2000s", g.String(), w.String())
	}
	if r, err := result.Read(strings.NewReader(g.String())); err != nil || len(r.Runs) != 7 || r.Summary[0].N != 7 {
		t.Errorf("read back: %v", err)
	}

	refused := func(why string, change func(r *result.Result)) {
		t.Helper()
		r := *second
		change(&r)
		if _, err := Definitions.Merge([]*result.Result{first, &r}, nil); err == nil || !strings.Contains(err.Error(), why) {
			t.Errorf("error %v, want one with %q", err, why)
		}
	}
	refused("peers is 5 and 6", func(r *result.Result) { r.Config.Peers = 6 })
	refused(`interval is`, func(r *result.Result) { r.Config.Options.Interval = time.Hour })
	refused(`cpu is "" and "x"`, func(r *result.Result) { r.Env.CPU = "x" })
	refused(`commit "y"`, func(r *result.Result) { r.Tool.Commit = "y" })
	refused("a result is there twice: its runs, from seed 1 on", func(r *result.Result) { r.Runs = first.Runs })

	first.Env.Simulated, second.Env.Simulated = false, false // then only the figures tell runs apart
	second.Env.Time = first.Env.Time.Add(time.Hour)
	if whole, err = Definitions.Merge([]*result.Result{first, second}, nil); err != nil {
		t.Fatal(err)
	}
	for _, r := range []*result.Result{first, second} {
		if _, err := Definitions.Merge([]*result.Result{whole, r}, nil); err == nil || !strings.Contains(err.Error(), "there twice") {
			t.Errorf("error %v of what has been merged before", err)
		}
	}
}
