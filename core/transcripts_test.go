package core_test

import (
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"p2plocal/core"
)

// The transcripts are what the original was sent and what it sent back:
// server.json to its server on port 3000, peer.json to its peer A on port 3101.
// here.json has, for every case, how this implementation answers: as the
// original, byte for byte, or with a difference that is named in words.
const (
	transcripts = "testdata/transcripts"
	serverPort  = 3000
	peerPort    = 3101
	// The original sleeps 10 ms a datagram and polls its sockets; a transcript's
	// times are later than their causes by that, by two such sleeps where two
	// datagrams come at once, and by a little of the recorder's own.
	sleep = 25 * time.Millisecond
)

// A transcript is one case.
type transcript struct {
	Case     string     `json:"case"`
	Sent     []datagram `json:"sent"`
	Observed []datagram `json:"observed"`
	Survived bool       `json:"original_survived"`
	Summary  *summary   `json:"observed_summary"` // where Observed is a selection
}

// A summary stands for what is left out of Observed.
type summary struct {
	Datagrams uint64 `json:"datagrams"`
	Largest   int    `json:"largest_bytes"`
}

// A datagram's From is a port, or the name of an ephemeral one.
type datagram struct {
	Millis int    `json:"t_ms"`
	To     uint16 `json:"to"`
	From   any    `json:"from"`
	Hex    string `json:"hex"`
}

func (d datagram) at() time.Duration { return time.Duration(d.Millis) * time.Millisecond }

// An expectation is what is wanted of this implementation.
type expectation struct {
	Case      string      `json:"case"`
	Differs   string      `json:"differs"`      // from the original, in words
	Observed  *[]datagram `json:"observed"`     // instead of the original's
	Tolerance int         `json:"tolerance_ms"` // the phase of the original's reaper is not known
	Dropped   struct {
		Malformed   uint64 `json:"malformed"`
		Rejected    uint64 `json:"rejected"`
		Misdirected uint64 `json:"misdirected"`
		Stranger    uint64 `json:"stranger"`
	} `json:"dropped"`
}

// a send is one datagram of ours to one port.
type send struct {
	at    time.Duration
	to    uint16
	bytes string
	used  bool
}

func read(t *testing.T, name string, into any) {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(transcripts, name))
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(b, into); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
}

// Every datagram that is sent in normal operation is the original's, byte for
// byte, to the same port; and where here.json names a difference, it is that
// one and no other.
func TestTranscripts(t *testing.T) {
	var here map[string][]expectation
	read(t, "here.json", &here)
	start := time.Unix(0, 0)
	host := netip.MustParseAddr("127.0.0.1")
	server := netip.AddrPortFrom(host, serverPort)
	for _, end := range []struct {
		file string
		make func(observe func(*core.Event)) (core.Machine, error)
	}{
		{"server", func(observe func(*core.Event)) (core.Machine, error) {
			return core.NewDirectory(core.DirectoryConfig{Addr: server, Timing: core.DefaultTiming(), Observe: observe}, start)
		}},
		{"peer", func(observe func(*core.Event)) (core.Machine, error) {
			return core.NewPeer(core.PeerConfig{Self: core.Member{Name: "A", Addr: netip.AddrPortFrom(host, peerPort)}, Server: server,
				Timing: core.DefaultTiming(), Observe: observe}, start)
		}},
	} {
		var cases []transcript
		read(t, end.file+".json", &cases)
		if len(cases) != len(here[end.file]) {
			t.Errorf("%s.json has %d cases, here.json %d of them", end.file, len(cases), len(here[end.file]))
		}
		for i, c := range cases {
			t.Run(end.file+"/"+c.Case, func(t *testing.T) {
				want := here[end.file][i]
				if want.Case != c.Case {
					t.Fatalf("case %d is %s, in here.json it is %s", i, c.Case, want.Case)
				}
				tolerance := sleep
				if want.Tolerance > 0 {
					tolerance = time.Duration(want.Tolerance) * time.Millisecond
				}
				if want.Observed != nil && want.Differs == "" {
					t.Error("here.json wants other datagrams than the original's and does not say why")
				}
				if !c.Survived && want.Observed == nil {
					t.Error("the original did not survive this; here.json has to say what is wanted instead")
				}
				if want.Observed != nil {
					c.Observed = *want.Observed
					tolerance = 0 // these are this implementation's own times
				}

				var sends []send
				m, err := end.make(func(e *core.Event) {
					if e.Kind != core.Sent {
						return
					}
					for _, to := range e.To {
						sends = append(sends, send{at: e.At.Sub(start), to: to.Port(), bytes: canonical(e.Data)})
					}
				})
				if err != nil {
					t.Fatal(err)
				}
				play(t, m, start, host, c, tolerance)

				compare(t, sends, c, tolerance)
				counters := m.(interface{ Counters() core.Counters }).Counters()
				if got, want := counters.Events[:core.Born], want.Dropped; !slices.Equal(got, []uint64{want.Malformed, want.Rejected, want.Misdirected, want.Stranger}) {
					t.Errorf("dropped %v, want %v (malformed, rejected, misdirected, stranger)", got, want)
				}
			})
		}
	}
}

// play gives m what was sent, in virtual time, until what was observed is over.
func play(t *testing.T, m core.Machine, start time.Time, host netip.Addr, c transcript, tolerance time.Duration) {
	end := tolerance
	for _, d := range append(slices.Clone(c.Sent), c.Observed...) {
		end = max(end, d.at()+tolerance)
	}
	poll := func(now time.Time) (next time.Time) {
		for {
			out, next := m.Poll(now)
			if out.Empty() {
				return next
			}
		}
	}
	next := poll(start)
	wait := func(until time.Time) {
		for !next.IsZero() && next.Before(until) {
			next = poll(next)
		}
	}
	for _, d := range c.Sent {
		port := uint16(40000)
		if from, ok := d.From.(float64); ok {
			port = uint16(from)
		}
		b, err := hex.DecodeString(d.Hex)
		if err != nil {
			t.Fatal(err)
		}
		now := start.Add(d.at())
		wait(now)
		m.Step(now, netip.AddrPortFrom(host, port), b)
		next = poll(now)
	}
	wait(start.Add(end + 1))
}

// compare finds for each datagram observed the one of ours that it is: the
// same bytes to the same port, no later, and earlier by no more than tolerance
// (where that is the reaper's interval, as much later). Ours has no others.
func compare(t *testing.T, sends []send, c transcript, tolerance time.Duration) {
	for _, d := range c.Observed {
		b, err := hex.DecodeString(d.Hex)
		if err != nil {
			t.Fatal(err)
		}
		early, late := d.at()-tolerance, d.at()
		if tolerance > sleep {
			late += tolerance
		}
		i := slices.IndexFunc(sends, func(s send) bool {
			return !s.used && s.to == d.To && s.bytes == canonical(b) && early <= s.at && s.at <= late
		})
		if i < 0 {
			t.Errorf("the original's %s to %d at %v is not among ours:\n%s", d.Hex, d.To, d.at(), list(sends))
			continue
		}
		sends[i].used = true
	}
	if c.Summary != nil {
		largest := 0
		for _, s := range sends {
			largest = max(largest, len(s.bytes))
		}
		if got := (summary{uint64(len(sends)), largest}); got != *c.Summary {
			t.Errorf("%+v sent, want %+v", got, *c.Summary)
		}
		return
	}
	if extra := slices.DeleteFunc(sends, func(s send) bool { return s.used }); len(extra) > 0 {
		t.Errorf("sent also\n%s", list(extra))
	}
}

func list(sends []send) string {
	var b strings.Builder
	for _, s := range sends {
		fmt.Fprintf(&b, "\t%v %x to %d\n", s.at, s.bytes, s.to)
	}
	return b.String()
}

// canonical is a datagram with a directory's entries, whose order is free, sorted.
func canonical(datagram []byte) string {
	var v core.Message
	if err := new(core.Exact).Parse(&v, datagram); err != nil || v.Type != core.TypeDirectory {
		return string(datagram)
	}
	var entries []string
	for rest := datagram[4:]; len(rest) > 0; rest = rest[4:] {
		entries = append(entries, string(rest[:4]))
	}
	slices.Sort(entries)
	return string(datagram[:4]) + strings.Join(entries, "")
}
