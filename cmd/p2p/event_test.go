package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"net/netip"
	"strconv"
	"strings"
	"testing"
	"time"

	"p2plocal/core"
	"p2plocal/core/udp"
)

var (
	noon = time.Date(2026, 1, 2, 12, 0, 0, 5000, time.FixedZone("CET", 3600))
	a, b = entry{Name: "A", Port: 3001}, entry{Name: "B", Port: 3002}
)

// everyEvent is one of each kind at least, for people and as JSON.
var everyEvent = []struct {
	event event
	text  string
	json  string // after the time
}{
	{started("127.0.0.1:3000", 1048576),
		`listens on 127.0.0.1:3000`,
		`"event":"started","address":"127.0.0.1:3000","buffer_granted":1048576}`},
	{started("127.0.0.1:3001", 0).as(a, "127.0.0.1:3000"),
		`listens on 127.0.0.1:3001, its server is 127.0.0.1:3000`,
		`"event":"started","address":"127.0.0.1:3001","buffer_granted":0,"name":"A","port":3001,"server":"127.0.0.1:3000"}`},
	{born(a), `received birth of peerA on port 3001`, `"event":"born","name":"A","port":3001}`},
	{born(entry{Name: "'", Port: 1}), `received birth of peer'\'' on port 1`, `"event":"born","name":"'","port":1}`},
	{repeated(a), `received birth of peerA on port 3001 again`, `"event":"repeated","name":"A","port":3001}`},
	{conflict(entry{Name: "A", Port: 3009}, a), `refused birth of peerA on port 3009: the name is taken by port 3001`,
		`"event":"conflict","name":"A","port":3009,"holder":{"name":"A","port":3001}}`},
	{conflict(entry{Name: "C", Port: 3001}, a), `refused birth of peerC on port 3001: the port is peerA's`,
		`"event":"conflict","name":"C","port":3001,"holder":{"name":"A","port":3001}}`},
	{unknown("<", "127.0.0.1:9"), `refused keep-alive of peer'<' from 127.0.0.1:9: it is not in the directory`,
		`"event":"unknown","name":"\u003c","from":"127.0.0.1:9"}`},
	{replaced(a, b), `replaced peerA on port 3001, which sent no keep-alive, by peerB on port 3002`,
		`"event":"replaced","name":"A","port":3001,"by":{"name":"B","port":3002}}`},
	{removed(b, 1523250*time.Microsecond), `removed peerB on port 3002: silent for 1.523s`,
		`"event":"removed","name":"B","port":3002,"silence_ms":1523.25}`},
	{directory("sent", []entry{{Name: " ", Port: 1}, a}, []entry{a}, []entry{b}),
		`sent directory of 2 peers: ' ' A (added A, removed B)`,
		`"event":"directory","peers":[{"name":" ","port":1},{"name":"A","port":3001}],"added":[{"name":"A","port":3001}],"removed":[{"name":"B","port":3002}]}`},
	{directory("received", []entry{a}, []entry{}, []entry{}),
		`received directory of 1 peer: A (unchanged)`,
		`"event":"directory","peers":[{"name":"A","port":3001}],"added":[],"removed":[]}`},
	{directory("received", []entry{}, []entry{}, []entry{a, b}),
		`has an empty directory (removed A B)`,
		`"event":"directory","peers":[],"added":[],"removed":[{"name":"A","port":3001},{"name":"B","port":3002}]}`},
	{message(b, []byte("peerB_broadcast_0")), `received vanilla message: "peerB_broadcast_0"`,
		`"event":"message","name":"B","port":3002,"text":"peerB_broadcast_0"}`},
	{message(b, []byte("\x1b]0;\"x\"\a\r\n\x7f é\u0085\u202e\U000e0001")),
		`received vanilla message: "\x1b]0;\"x\"\a\r\n\x7f é\u0085\u202e\U000e0001"`,
		`"event":"message","name":"B","port":3002,"text":"\u001b]0;\"x\"\u0007\r\n\u007f é\u0085\u202e\udb40\udc01"}`},
	{message(b, []byte("a\xff\x9b")), `received vanilla message: "a\xff\x9b"`,
		`"event":"message","name":"B","port":3002,"text":"a\ufffd\ufffd","hex":"61ff9b"}`},
	{unanswered(3*time.Second, "127.0.0.1:3000"),
		`is in no directory after 3s, and goes on trying: is the server up at 127.0.0.1:3000, and are this name and port free?`,
		`"event":"unanswered","waited_ms":3000}`},
	{refused("malformed: port 0", "127.0.0.1:9", []byte("\xc0\x00A\x00\x00\x00")), `refused 6 bytes c00041000000 from 127.0.0.1:9: malformed: port 0`,
		`"event":"refused","reason":"malformed: port 0","from":"127.0.0.1:9","bytes":6,"hex":"c00041000000"}`},
	{refused("malformed: x", "127.0.0.1:9", nil), `refused 0 bytes from 127.0.0.1:9: malformed: x`,
		`"event":"refused","reason":"malformed: x","from":"127.0.0.1:9","bytes":0,"hex":""}`},
	{more("malformed: port 0", 7), `counted 7 more: malformed: port 0`, `"event":"more","reason":"malformed: port 0","count":7}`},
	{lost(1), `has not printed 1 line: the output was too slow`, `"event":"lost","lines":1}`},
	{sent("B", 1, []byte("x")), `sent "x" to peerB`, `"event":"sent","to":"B","peers":1,"text":"x"}`},
	{sent("", 2, []byte("x")), `sent "x" to 2 peers`, `"event":"sent","to":"","peers":2,"text":"x"}`},
	{peers(true, true, []entry{a, b}), `is connected and knows 2 other peers: A on port 3001, B on port 3002`,
		`"event":"peers","online":true,"joined":true,"peers":[{"name":"A","port":3001},{"name":"B","port":3002}]}`},
	{peers(true, false, []entry{}), `is in no directory yet and knows 0 other peers`,
		`"event":"peers","online":true,"joined":false,"peers":[]}`},
	{peers(false, false, []entry{a}), `is disconnected and last knew 1 other peer: A on port 3001`,
		`"event":"peers","online":false,"joined":false,"peers":[{"name":"A","port":3001}]}`},
	{connected(), `is born again`, `"event":"connected"}`},
	{disconnected(), `is silent until "connect"; it still hears`, `"event":"disconnected"}`},
	{broadcasting(4 * time.Second), `broadcasts every 4s`, `"event":"broadcasting","interval_ms":4000}`},
	{broadcasting(0), `does not broadcast`, `"event":"broadcasting","interval_ms":0}`},
	{failure(errors.New("no")), `cannot do that: no`, `"event":"error","error":"no"}`},
	{help("  x"), "takes these commands:\n  x", `"event":"help","text":"  x"}`},
	{stats{elapsed: 1500 * time.Millisecond, goroutines: 3, server: true}.event("stats", "has run for"), "has run for 1.5s\n" +
		"  in  0 datagrams, 0 bytes\n  out 0 datagrams, 0 bytes\n" +
		"  births 0, repeated 0, refused 0, replaced 0; removed 0; announcements 0, held back 0; keep-alives 0, of nobody 0\n" +
		"  dropped: malformed 0, rejected 0, misdirected 0, stranger 0; by the kernel: in unknown, out 0",
		`"event":"stats","seconds":1.5,"counters":` + counters(core.Counters{}) +
			`,"send_failures":0,"kernel_drops":null,"buffer_granted":0,"goroutines":3}`},
	{stats{elapsed: time.Minute, counters: busy(), socket: udp.Stats{SendFailures: 8, Drops: 9, DropsKnown: true}}.event("ended", "ended after"), "ended after 1m0s\n" +
		"  in  3 datagrams, 60 bytes: directory 2, other 1\n  out 1 datagram, 6 bytes: birth 1\n" +
		"  directories 2; messages received 0; broadcasts 4, skipped 5\n" +
		"  dropped: malformed 1, rejected 0, misdirected 2, stranger 3; by the kernel: in 9, out 8",
		`"event":"ended","seconds":60,"counters":` + counters(busy()) +
			`,"send_failures":8,"kernel_drops":9,"buffer_granted":0,"goroutines":0}`},
}

func busy() (c core.Counters) {
	c.In.Directory, c.In.Other = core.Traffic{Datagrams: 2, Bytes: 20}, core.Traffic{Datagrams: 1, Bytes: 40}
	c.Out.Birth = core.Traffic{Datagrams: 1, Bytes: 6}
	n := &c.Events
	n[core.Malformed], n[core.Misdirected], n[core.Stranger] = 1, 2, 3
	n[core.Listed], n[core.Broadcast], n[core.Skipped] = 2, 4, 5
	return c
}

// counters is what core makes of them in JSON: that form is core's.
func counters(c core.Counters) string {
	b, err := json.Marshal(c)
	if err != nil {
		panic(err)
	}
	return string(b)
}

func TestEvents(t *testing.T) {
	t.Parallel()
	for _, test := range everyEvent {
		if got := test.event.text; got != test.text {
			t.Errorf("%s as text:\n%s\nwant\n%s", test.event.kind, got, test.text)
		}
		want := `{"time":"2026-01-02T11:00:00.000005Z",` + test.json + "\n"
		if got := string(appendJSON(nil, noon, test.event)); got != want {
			t.Errorf("%s as JSON:\n%swant\n%s", test.event.kind, got, want)
		}
	}
}

// TestHostileBytes prints every byte and many runes as a payload and as the
// name that a lying server or sender could claim.
func TestHostileBytes(t *testing.T) {
	t.Parallel()
	var payloads [][]byte
	for i := range 256 {
		payloads = append(payloads, []byte{byte(i)}, []byte{'[', byte(i), 0x9B, 'm'})
	}
	for r := rune(0x80); r < 0x11000; r += 7 {
		payloads = append(payloads, []byte(string(r)))
	}
	payloads = append(payloads, bytes.Repeat([]byte("\x1b\xff"), core.MaxPayload/2))
	for _, text := range payloads {
		e := message(b, text)
		line := "peerA " + e.text
		if len(line) > 4*most+100 {
			t.Errorf("a line of %d bytes", len(line))
		}
		encoded := appendJSON(nil, noon, e)
		for _, s := range []string{line, strings.TrimSuffix(string(encoded), "\n")} {
			for _, r := range s {
				if !strconv.IsPrint(r) {
					t.Fatalf("payload %q is printed with %U in it: %q", text, r, s)
				}
			}
		}
		var back struct{ Text, Hex string }
		if err := json.Unmarshal(encoded, &back); err != nil {
			t.Fatalf("payload %q: %v in %s", text, err, encoded)
		}
		if back.Hex == "" && back.Text != string(text) {
			t.Errorf("payload %q comes back as %q", text, back.Text)
		}
	}
}

func TestLongText(t *testing.T) {
	t.Parallel()
	e := message(b, bytes.Repeat([]byte("x"), most+5))
	if want := `received vanilla message: "` + strings.Repeat("x", most) + `" and 5 bytes more`; e.text != want {
		t.Errorf("a long text is printed as\n%s", e.text)
	}
	var back struct{ Text string }
	if err := json.Unmarshal(appendJSON(nil, noon, e), &back); err != nil || len(back.Text) != most+5 {
		t.Errorf("JSON has %d bytes of it, %v", len(back.Text), err)
	}
}

func TestRefusedGlimpse(t *testing.T) {
	t.Parallel()
	p := newPrinter("server", false, &output{})
	n := &node{out: p}
	n.refuse(&core.Event{Kind: core.Malformed, At: noon, Peer: core.Member{Addr: netip.MustParseAddrPort("127.0.0.1:9")},
		Data: bytes.Repeat([]byte{0xAB}, 17), Err: errors.New("malformed: x")})
	if got, want := string(p.outputs[0].pending), "server refused 17 bytes "+strings.Repeat("ab", 16)+"... from 127.0.0.1:9: malformed: x\n"; got != want {
		t.Errorf("printed %q, want %q", got, want)
	}
}
