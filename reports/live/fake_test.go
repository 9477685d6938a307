package live

import (
	"context"
	"fmt"
	"io"
	"net/netip"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"p2plocal/bench/sample"
)

// Fake is a mesh by script, on a clock that a test steps: peers join one after the other,
// know each other, broadcast, and die; the server is flooded. What a page orders happens.
type Fake struct {
	Feed  *sample.Feed
	Peers []string

	mu     sync.Mutex
	now    time.Duration // the virtual time
	states []byte
	views  []string // last told
	known  [][]byte
	flood  int

	Directory bool // what it shows is a server's directory
}

// NewFake has so many peers; nothing has happened yet.
func NewFake(peers int) *Fake {
	f := &Fake{states: []byte(strings.Repeat("-", peers)), views: make([]string, peers)}
	for i := range peers {
		f.Peers = append(f.Peers, string(rune('!'+i%94))+strings.Repeat("'", i/94))
		f.known = append(f.known, make([]byte, (peers+7)/8))
	}
	f.Feed = sample.NewFeed(sample.Head{Title: fmt.Sprintf("fake mesh of %d", peers), Control: true, Server: true, Peers: f.Peers})
	return f
}

// Step lets time pass, a sample at a time.
func (f *Fake) Step(d time.Duration) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for end := f.now + d; f.now < end; {
		f.now += sample.Every * time.Millisecond
		f.script()
		f.sample()
	}
}

func (f *Fake) t() float64 { return float64(f.now) / 1e6 }

func (f *Fake) mark(kind string, peer int, format string, args ...any) {
	f.Feed.Note(sample.MarkOf(f.t(), kind, peer, format, args...))
}

// script is what happens at this time.
func (f *Fake) script() {
	n := len(f.Peers)
	switch tick := int(f.now / (100 * time.Millisecond)); {
	case tick == 1:
		f.mark("scenario", -1, "join begins")
	case tick == n/4+10:
		f.mark("scenario", -1, "steady begins")
	case tick == n/4+100:
		f.kill(1 % n)
	case tick == n/4+150:
		f.mark("removal", 1%n, "%s is removed by the server", f.Peers[1%n])
	case tick == n/4+200:
		f.flood = 5000
		f.mark("flood", -1, "a flood of kind mixed at 5,000 a second begins")
	case tick == n/4+300:
		f.flood = 0
		f.mark("flood", -1, "the flood ends")
	}
	for i := range n { // four are born at a time
		if f.states[i] == sample.Unborn && int(f.now/(25*time.Millisecond)) > i {
			f.states[i] = sample.Alive
			f.mark("join", i, "%s joins", f.Peers[i])
		}
	}
}

func (f *Fake) kill(i int) {
	f.states[i] = sample.Dead
	f.mark("kill", i, "%s is killed", f.Peers[i])
}

func (f *Fake) sample() {
	s := sample.Sample{T: f.t(), Phase: "steady", Headline: fmt.Sprintf("%d simulated peers: nothing lost so far.", len(f.Peers)), Load: 0.42}
	alive, complete := 0, 0
	s.Views = make(map[int][]byte)
	for i, state := range f.states {
		if state == sample.Alive {
			alive++
		}
		clear(f.known[i])
		for j, other := range f.states {
			if state == sample.Alive && (other == sample.Alive || other == sample.Paused) {
				f.known[i][j/8] |= 1 << (j % 8)
			}
		}
		if view := string(f.known[i]); view != f.views[i] {
			f.views[i] = view
			s.Views[i] = []byte(view)
		}
	}
	complete = alive
	left := max(0, 60_000-s.T)
	s.Left, s.States = &left, string(f.states)
	s.Doing = fmt.Sprintf("%d of %d views complete", complete, len(f.Peers))
	s.Delivered = uint64(alive * (alive - 1) / 10)
	if f.flood > 0 {
		s.Sent, s.Taken, s.Drops, s.Lost = uint64(f.flood/10), uint64(f.flood/12), uint64(f.flood/60), 2
	}
	wave := int64(f.now/time.Millisecond/100) % 20
	s.SetLatency([][2]int64{{1 << 14, 10 + wave}, {1 << 15, 50}, {1 << 16, 30 - wave}, {1 << 19, 1}})
	queue, memory, cpu := int64(f.flood), int64(64<<20)+int64(f.now/time.Millisecond), 0.3+float64(f.flood)/10_000
	s.Queue, s.Memory, s.CPU = &queue, &memory, &cpu
	for i := range len(f.Peers) {
		if j := (i + int(wave) + 1) % len(f.Peers); f.states[i] == sample.Alive && f.states[j] == sample.Alive {
			s.Edges = append(s.Edges, [3]uint16{uint16(i), uint16(j), uint16(1 + i%3)})
		}
	}
	s.Assertions = []sample.Assertion{{Text: "join.complete<2s", State: "held"}, {Text: "steady.lost=0", State: "open"}}
	if f.flood > 0 {
		s.Assertions[1].State = "failed"
	}
	if f.Directory {
		s.Phase, s.Views, s.Edges, s.Assertions, s.Refused = "server", nil, nil, nil, uint64(f.flood/10)
		s.Doing = fmt.Sprintf("%d members", alive)
		for i := range f.Peers {
			s.Ages = append(s.Ages, int64(i*37%20)*100)
		}
	}
	f.Feed.Add(s)
}

// Obey does what a page orders, as a mesh would.
func (f *Fake) Obey(_ context.Context, o sample.Order) (string, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	i := slices.Index(f.Peers, o.Peer)
	if i < 0 && slices.Contains([]string{"kill", "pause", "resume", "relaunch"}, o.Verb) {
		return "", fmt.Errorf("peer %q, want one of the mesh's", o.Peer)
	}
	switch o.Verb {
	case "kill":
		f.kill(i)
	case "pause":
		f.states[i] = sample.Paused
		f.mark("pause", i, "%s is paused", o.Peer)
	case "resume", "relaunch":
		f.states[i] = sample.Alive
		f.mark("resume", i, "%s is back", o.Peer)
	case "restart", "cut", "heal", "impair":
		f.mark(o.Verb, -1, "%s", o.Verb)
	case "flood":
		f.flood = o.Rate
		f.mark("flood", -1, "a flood of kind %s at %d a second begins", o.Kind, o.Rate)
	case "calm":
		f.flood = 0
		f.mark("flood", -1, "the flood ends")
	default:
		return "", fmt.Errorf("order %q, want kill, pause, resume, relaunch, restart, cut, heal, impair, flood or calm", o.Verb)
	}
	return fmt.Sprintf("%v %s %s", f.now, o.Verb, o.Peer), nil
}

// Report is a report.
func (f *Fake) Report(w io.Writer) error {
	_, err := io.WriteString(w, "<!doctype html><title>report</title><h1>The report</h1>")
	return err
}

// serve serves the fake, until the test ends.
func (f *Fake) serve(t testing.TB, stalled time.Duration) *Server {
	t.Helper()
	return serve(t, Config{Feed: f.Feed, Obey: f.Obey, Report: f.Report, Stalled: stalled})
}

func serve(t testing.TB, c Config) *Server {
	t.Helper()
	s, err := Listen(netip.MustParseAddrPort("127.0.0.1:0"), c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

// TestDemo serves a fake mesh that goes on in real time, for whoever works on the page:
// LIVE_DEMO=95 go test ./reports/live -run Demo -timeout 0 -v
func TestDemo(t *testing.T) {
	peers := 0
	if _, err := fmt.Sscan(os.Getenv("LIVE_DEMO"), &peers); err != nil {
		t.Skip("LIVE_DEMO, the number of peers, is not set")
	}
	f := NewFake(peers)
	s := f.serve(t, 0)
	fmt.Println(s.URL())
	for range 2000 {
		f.Step(100 * time.Millisecond)
		time.Sleep(100 * time.Millisecond)
	}
	f.Feed.End(true)
	time.Sleep(time.Hour)
}
