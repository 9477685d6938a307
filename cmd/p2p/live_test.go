package main

import (
	"bytes"
	"io"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"time"

	"p2plocal/bench/sample"
	"p2plocal/core"
	"p2plocal/core/udp"
)

// TestShown follows a directory by a clock of its own.
func TestShown(t *testing.T) {
	socket, err := udp.Listen(anyPort, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer socket.Close()
	x := &shown{opened: time.Unix(0, 0), feed: sample.NewFeed(sample.Head{})}
	look := func(second float64, members map[string]time.Duration, events core.Counts) string {
		x.sample(time.Unix(0, int64(second*1e9)), members, events, socket)
		events2, _ := x.feed.After(0)
		return string(bytes.Join(events2[0].Data, nil))
	}
	look(1, nil, core.Counts{})
	look(2, map[string]time.Duration{"A": time.Second}, core.Counts{})
	look(3, map[string]time.Duration{"A": time.Second, "B": 20 * time.Millisecond}, core.Counts{core.Rejected: 500})
	if got := look(3.5, map[string]time.Duration{"B": 0}, core.Counts{core.Rejected: 500}); strings.Contains(got, "has ended") {
		t.Error("a flood has ended after half a second")
	}
	got := look(4, map[string]time.Duration{"B": 30 * time.Millisecond}, core.Counts{core.Rejected: 500})
	for _, want := range []string{`"states":"da"`, `"ages":[0,30]`, `"A is removed","peer":0`, `"B joins","peer":1`, "a flood begins", "the flood has ended", `"refused":500`, "1 member; 500 datagrams refused so far"} {
		if !strings.Contains(got, want) {
			t.Errorf("no %s in %s", want, got)
		}
	}
}

// TestLiveFlag prints a URL at which there is a page.
func TestLiveFlag(t *testing.T) {
	n, err := open(&options{listen: anyPort, timing: new(core.DefaultTiming())}, newPrinter("server", true, &output{w: io.Discard}), io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	defer n.socket.Close()
	o := new(options)
	if err := o.live.Set("true"); err != nil {
		t.Fatal(err)
	}
	var stderr bytes.Buffer
	stop, err := n.show(o, &stderr)
	if err != nil {
		t.Fatal(err)
	}
	defer stop()
	_, url, _ := strings.Cut(strings.TrimSpace(stderr.String()), " live at ")
	answer, err := http.Get(url)
	if err != nil || answer.StatusCode != http.StatusOK {
		t.Fatalf("%s: %v, %v", url, answer, err)
	}
	answer.Body.Close()
}

var anyPort = netip.MustParseAddrPort("127.0.0.1:0")
