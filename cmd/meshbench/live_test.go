package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"runtime"
	"strings"
	"testing"
	"time"

	"p2plocal/bench/result"
	"p2plocal/bench/sample"
	"p2plocal/bench/scenario"
)

// played is a simulated mesh to play with, whose clock a test steps: it stands still every two
// seconds until it is let go on.
type played struct {
	t      *testing.T
	v      *view
	posted chan bool // an order is there, to be obeyed once the clock goes on
	held   chan bool
	step   chan bool
	events <-chan string // "name data"
	done   chan *result.Result
}

func playTest(t *testing.T, lasts time.Duration, faults ...string) *played {
	cfg := scenario.Simulated(6, scenario.Play)
	cfg.Options.Interval, cfg.Options.Play, cfg.Simulation.Faults = 500*time.Millisecond, lasts, faults
	p := &played{t: t, v: &view{control: true}, posted: make(chan bool, 1), held: make(chan bool), step: make(chan bool), done: make(chan *result.Result, 1)}
	var status scenario.Status
	stop, err := p.v.start(&call{stderr: io.Discard}, &cfg, nil, &status)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(stop)
	obey := p.v.server.Obey
	p.v.server.Obey = func(ctx context.Context, o sample.Order) (string, error) {
		p.posted <- true
		return obey(ctx, o)
	}
	p.v.feed.Note(sample.Mark{Kind: "scenario"}) // an event to begin after: what a page has of an empty feed is no place in it
	p.events = p.read("")
	look := status.Live.Look
	status.Live.Look = func(r *result.Result) (string, []sample.Assertion) {
		p.held <- true
		<-p.step
		return look(r)
	}
	go func() {
		r, err := scenario.Execute(t.Context(), cfg, result.Tool{Name: result.ToolName}, &status)
		if err != nil {
			t.Error(err)
		}
		close(p.held)
		p.done <- r
	}()
	return p
}

// read reads the events after one, until the page is closed.
func (p *played) read(after string) <-chan string {
	answer, err := http.Get(strings.Replace(p.v.server.URL(), "/?", "/events?after="+after+"&", 1))
	if err != nil {
		p.t.Fatal(err)
	}
	p.t.Cleanup(func() { answer.Body.Close() })
	events := make(chan string, 10_000)
	go func() {
		defer close(events)
		in := bufio.NewScanner(answer.Body)
		in.Buffer(nil, 16<<20)
		name := ""
		for in.Scan() {
			if what, ok := strings.CutPrefix(in.Text(), "event: "); ok {
				name = what
			} else if data, ok := strings.CutPrefix(in.Text(), "data: "); ok {
				events <- name + " " + data
			}
		}
	}()
	return events
}

// pass lets two seconds pass.
func (p *played) pass() bool {
	_, ok := <-p.held
	if ok {
		p.step <- true
	}
	return ok
}

// order posts one while the clock stands, and lets it go on until that has been done.
func (p *played) order(body string) (answer struct{ Script, Error string }) {
	p.t.Helper()
	at, token, _ := strings.Cut(p.v.server.URL(), "?token=")
	done := make(chan error, 1)
	go func() {
		r, _ := http.NewRequest("POST", at+"hand", strings.NewReader(body))
		r.Header.Set("Authorization", "Bearer "+token)
		r.Header.Set("Content-Type", "application/json")
		a, err := http.DefaultClient.Do(r)
		if err == nil {
			defer a.Body.Close()
			err = json.NewDecoder(a.Body).Decode(&answer)
		}
		done <- err
	}()
	wait := 20 * time.Millisecond // for it to be waited with; if it is not, more time passes
	for held := chan bool(nil); ; {
		select {
		case err := <-done:
			if err != nil {
				p.t.Fatal(err)
			}
			return answer
		case <-p.posted:
			held = p.held
		case _, ok := <-held:
			if !ok {
				p.t.Fatalf("%s: the mesh has ended", body)
			}
			time.Sleep(wait)
			wait *= 4
			p.step <- true
		}
	}
}

// until gives the first event that is so.
func (p *played) until(kind string, so func(data []byte) bool) {
	p.t.Helper()
	for e := range p.events {
		if name, data, _ := strings.Cut(e, " "); name == kind && so([]byte(data)) {
			return
		} else if name == "over" {
			break
		}
	}
	p.t.Fatalf("there is no such %s", kind)
}

// TestKillByPost has a page kill a peer and relaunch it: the cell empties and the mark stands at the
// virtual time of the script's line; what others see follows; and the script gives the same
// again.
func TestKillByPost(t *testing.T) {
	const lasts = 22 * time.Second // as many events as are kept one by one
	p := playTest(t, lasts)
	p.pass() // at a tenth of a second, when nobody has joined,
	p.pass() // and later: an order is taken after that
	killed := p.order(`{"verb":"kill","peer":"A"}`)
	for range 2 { // past the deadline
		p.pass()
	}
	back := p.order(`{"verb":"relaunch","peer":"A"}`)
	cut := p.order(`{"verb":"cut","peer":"B","other":"C"}`)
	if refused := p.order(`{"verb":"resume","peer":"D"}`); refused.Error == "" {
		t.Error("one that is not paused was resumed")
	}
	for p.pass() {
	}
	r := <-p.done
	p.v.end(canceled(), &call{stderr: io.Discard}, r)
	var from, to time.Duration
	parse := func(line string) {
		span, _, _ := strings.Cut(line, " ")
		a, b, _ := strings.Cut(span, "-")
		from, _ = time.ParseDuration(a)
		to, _ = time.ParseDuration(b)
	}
	if parse(killed.Script); from < time.Second || to != time.Hour || !strings.HasSuffix(killed.Script, " crash 3001") {
		t.Errorf("kill is %+v", killed)
	}
	seq := uint64(0)
	p.until("mark", func(data []byte) bool {
		var m sample.Mark
		json.Unmarshal(data, &m)
		seq = m.Seq
		return m.Kind == "kill" && *m.Peer == 0 && m.T == float64(from)/1e6
	})
	p.until("mark", func(data []byte) bool { // a page that is opened later knows that the run is touched
		var m sample.Mark
		json.Unmarshal(data, &m)
		return m.Kind == "order" && m.Text == "ordered: "+killed.Script
	})
	p.until("sample", func(data []byte) bool {
		var s sample.Sample
		json.Unmarshal(data, &s)
		if s.States != "daaaaa" {
			t.Errorf("sample %d, the first after the kill, has states %s", s.Seq, s.States)
		}
		return true
	})
	p.until("mark", func(data []byte) bool {
		var m sample.Mark
		json.Unmarshal(data, &m)
		since := m.T - float64(from)/1e6
		return m.Kind == "removal" && *m.Peer == 0 && since > 1000 && since < 3000
	})
	p.until("over", func([]byte) bool { return true })
	missed := <-p.read(fmt.Sprint(seq)) // what came after, without a gap
	if !strings.Contains(missed, fmt.Sprintf(`"seq":%d,`, seq+1)) {
		t.Errorf("after %d comes %.80s", seq, missed)
	}
	parse(back.Script)
	hands := r.Runs[0].Scenarios[0].Hands
	begun := regexp.MustCompile(`-\S+`) // what was cut to the end has ended with it
	got, want := begun.ReplaceAllString(strings.Join(hands, "\n"), ""), begun.ReplaceAllString(back.Script+"\n"+cut.Script, "")
	if got != want || hands[0] != back.Script || to <= from || !r.Touched() {
		t.Errorf("the result has %q, want %q", hands, want)
	}
	again := playTest(t, lasts, hands...)
	for again.pass() {
	}
	replayed := <-again.done
	if replayed.Touched() || !reflect.DeepEqual(replayed.Runs[0].Scenarios[0].Traffic, r.Runs[0].Scenarios[0].Traffic) {
		t.Errorf("the replay sent %+v, the session %+v", replayed.Runs[0].Scenarios[0].Traffic, r.Runs[0].Scenarios[0].Traffic)
	}
}

func canceled() context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	return ctx
}

// TestTouched: what was touched is compared with nothing.
func TestTouched(t *testing.T) {
	r := result.Result{Schema: 1, Tool: result.Tool{Name: result.ToolName}, Runs: []result.Run{{Scenarios: []result.Scenario{{Name: "steady", Hands: []string{"1s-2s crash 3001"}}}}}}
	err := new(comparing).finish(&call{stdout: io.Discard}, [2]string{"old", "new"}, [2]*result.Result{{}, &r})
	if err == nil || !strings.Contains(err.Error(), "new result was touched") {
		t.Errorf("%v, want that it was touched", err)
	}
}

// TestLiveLooksOn: a simulated result is the same, byte for byte, whether somebody looks on or not.
func TestLiveLooksOn(t *testing.T) {
	var results [2]bytes.Buffer
	for i, more := range []string{"-quiet", "-live"} {
		args := []string{"-sim", "-peers", "8", "-scenario", "join,steady,crash,pause,restart", "-duration", "2s", "-interval", "200ms", "-json", "-", more}
		if err := run(t.Context(), args, &results[i], io.Discard); err != nil {
			t.Fatal(err)
		}
	}
	if !bytes.Equal(results[0].Bytes(), results[1].Bytes()) {
		t.Error("the results differ")
	}
}

// TestLiveOpen opens the page with what the system has for that; where it has nothing, or that
// fails, one line says so, and the measurement goes on.
func TestLiveOpen(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("xdg-open is a script here")
	}
	for _, c := range []struct{ script, says string }{
		{"#!/bin/sh\necho $# $1 >$0.opened\n", ""},
		{"#!/bin/sh\nexit 3\n", "meshbench: cannot open the page: xdg-open: exit status 3\n"},
		{"", `meshbench: cannot open the page: exec: "xdg-open": executable file not found in $PATH` + "\n"},
	} {
		path := filepath.Join(t.TempDir(), "xdg-open")
		if c.script != "" {
			if err := os.WriteFile(path, []byte(c.script), 0o755); err != nil {
				t.Fatal(err)
			}
		}
		t.Setenv("PATH", filepath.Dir(path))
		var stdout, stderr bytes.Buffer
		if err := run(t.Context(), []string{"-sim", "-peers", "3", "-scenario", "join", "-quiet", "-live-open"}, &stdout, &stderr); err != nil || !strings.Contains(stdout.String(), "join") {
			t.Errorf("%v, with %s", err, &stdout)
		}
		live, said, _ := strings.Cut(stderr.String(), "\n")
		_, url, _ := strings.Cut(live, " live at ")
		opened, _ := os.ReadFile(path + ".opened")
		if want := map[bool]string{true: "1 " + url + "\n"}[c.says == ""]; url == "" || string(opened) != want || said != c.says {
			t.Errorf("opened %q, want %q; it says %q, want %q", opened, want, said, c.says)
		}
	}
}

// TestFaultsOverUDP cuts a link, one way, from the start; and a peer that is still stopped at the
// end, as a flood that goes on, does not hold that up.
func TestFaultsOverUDP(t *testing.T) {
	cfg := scenario.Simulated(4, scenario.Play)
	cfg.Simulation, cfg.Isolation, cfg.Faults = nil, "goroutine", []string{"0s-1h cut 3001 3002", "300ms-1h pause 3004", "300ms-1h flood server garbage 100"}
	cfg.Options.Interval, cfg.Options.Play = 50*time.Millisecond, time.Second
	r, err := scenario.Execute(t.Context(), cfg, result.Tool{}, new(scenario.Status))
	if err != nil {
		t.Fatal(err)
	}
	p := r.Runs[0].Scenarios[0].Charts.Pairs
	if p == nil || p.Sent[1] == 0 || p.Lost[1] != p.Sent[1] || p.Sent[4] == 0 || p.Lost[4] == p.Sent[4] {
		t.Errorf("pairs %+v: want all of A's to B lost, and not B's to A", p)
	}
}
