package main

import (
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode/utf16"
	"unicode/utf8"

	"p2plocal/core"
)

// An event is what one line says. Its exported fields are its JSON form; the
// usage text documents them.
type event interface {
	kind() string
	text() string // for people, to follow the process's own name
}

// entry is a core.Member in JSON.
type entry struct {
	Name string `json:"name"`
	Port uint16 `json:"port"`
}

func entryOf(m core.Member) entry { return entry{string(m.Name), m.Addr.Port()} }

func (e entry) label() string { return label(core.Name(e.Name)) }

type started struct {
	Address       string `json:"address"`
	BufferGranted int    `json:"buffer_granted"`
	*peerOf
}

type peerOf struct {
	entry
	Server string `json:"server"`
}

func (started) kind() string { return "started" }
func (e started) text() string {
	if e.peerOf == nil {
		return "listens on " + e.Address
	}
	return "listens on " + e.Address + ", its server is " + e.Server
}

type born struct{ entry }

func (born) kind() string   { return "born" }
func (e born) text() string { return fmt.Sprintf("received birth of %s on port %d", e.label(), e.Port) }

type repeated struct{ entry }

func (repeated) kind() string { return "repeated" }
func (e repeated) text() string {
	return fmt.Sprintf("received birth of %s on port %d again", e.label(), e.Port)
}

type conflict struct {
	entry
	Holder entry `json:"holder"`
}

func (conflict) kind() string { return "conflict" }
func (e conflict) text() string {
	why := fmt.Sprintf("the port is %s's", e.Holder.label())
	if e.Name == e.Holder.Name {
		why = fmt.Sprintf("the name is taken by port %d", e.Holder.Port)
	}
	return fmt.Sprintf("refused birth of %s on port %d: %s", e.label(), e.Port, why)
}

type unknown struct {
	Name string `json:"name"`
	From string `json:"from"`
}

func (unknown) kind() string { return "unknown" }
func (e unknown) text() string {
	return fmt.Sprintf("refused keep-alive of %s from %s: it is not in the directory", label(core.Name(e.Name)), e.From)
}

type replaced struct {
	entry
	By entry `json:"by"`
}

func (replaced) kind() string { return "replaced" }
func (e replaced) text() string {
	return fmt.Sprintf("replaced %s on port %d, which sent no keep-alive, by %s on port %d", e.label(), e.Port, e.By.label(), e.By.Port)
}

type removed struct {
	entry
	Silence float64 `json:"silence_ms"`
}

func (removed) kind() string { return "removed" }
func (e removed) text() string {
	return fmt.Sprintf("removed %s on port %d: silent for %v", e.label(), e.Port, duration(e.Silence))
}

type directory struct {
	Peers   []entry `json:"peers"`
	Added   []entry `json:"added"`
	Removed []entry `json:"removed"`
	sent    bool
}

func (directory) kind() string { return "directory" }
func (e directory) text() string {
	var changes []string
	if len(e.Added) > 0 {
		changes = append(changes, "added "+names(e.Added))
	}
	if len(e.Removed) > 0 {
		changes = append(changes, "removed "+names(e.Removed))
	}
	if len(changes) == 0 {
		changes = append(changes, "unchanged")
	}
	verb := "received"
	if e.sent {
		verb = "sent"
	}
	if len(e.Peers) == 0 {
		return fmt.Sprintf("has an empty directory (%s)", strings.Join(changes, ", "))
	}
	return fmt.Sprintf("%s directory of %s: %s (%s)", verb, count(len(e.Peers), "peer"), names(e.Peers), strings.Join(changes, ", "))
}

func names(list []entry) string {
	var b strings.Builder
	for i, e := range list {
		if i > 0 {
			b.WriteByte(' ')
		}
		b.WriteString(short(core.Name(e.Name)))
	}
	return b.String()
}

// payload is text of any bytes.
type payload struct {
	Text string `json:"text"`
	Hex  string `json:"hex,omitempty"`
}

func payloadOf(text []byte) payload {
	p := payload{Text: string(text)}
	if !utf8.Valid(text) {
		p.Hex = hex.EncodeToString(text)
	}
	return p
}

// most is how many bytes of a text are shown to people.
const most = 1000

func (p payload) quoted() string {
	if len(p.Text) <= most {
		return strconv.Quote(p.Text)
	}
	return fmt.Sprintf("%q and %d bytes more", p.Text[:most], len(p.Text)-most)
}

type message struct {
	entry
	payload
}

func (message) kind() string   { return "message" }
func (e message) text() string { return "received vanilla message: " + e.quoted() }

type unanswered struct {
	Waited float64 `json:"waited_ms"`
	server string
}

func (unanswered) kind() string { return "unanswered" }
func (e unanswered) text() string {
	return fmt.Sprintf("is in no directory after %v, and goes on trying: is the server up at %s, and are this name and port free?",
		duration(e.Waited), e.server)
}

type refused struct {
	Reason string `json:"reason"`
	From   string `json:"from"`
	Bytes  int    `json:"bytes"`
	Hex    string `json:"hex"`
}

// shownBytes is how many bytes of a refused datagram are shown.
const shownBytes = 16

func (refused) kind() string { return "refused" }
func (e refused) text() string {
	shown := ""
	if e.Bytes > 0 {
		shown = " " + e.Hex
	}
	if e.Bytes > shownBytes {
		shown += "..."
	}
	return fmt.Sprintf("refused %s%s from %s: %s", count(e.Bytes, "byte"), shown, e.From, e.Reason)
}

type more struct {
	Reason string `json:"reason"`
	Count  uint64 `json:"count"`
}

func (more) kind() string   { return "more" }
func (e more) text() string { return fmt.Sprintf("counted %d more: %s", e.Count, e.Reason) }

type lost struct {
	Lines uint64 `json:"lines"`
}

func (lost) kind() string { return "lost" }
func (e lost) text() string {
	return fmt.Sprintf("has not printed %s: the output was too slow", count(e.Lines, "line"))
}

type sent struct {
	To    string `json:"to"`
	Peers int    `json:"peers"`
	payload
}

func (sent) kind() string { return "sent" }
func (e sent) text() string {
	if e.To != "" {
		return fmt.Sprintf("sent %s to %s", e.quoted(), label(core.Name(e.To)))
	}
	if e.Peers == 0 {
		return "has nobody to send to: no other peer is in its directory"
	}
	return fmt.Sprintf("sent %s to %s", e.quoted(), count(e.Peers, "peer"))
}

type peers struct {
	Online bool    `json:"online"`
	Joined bool    `json:"joined"`
	Peers  []entry `json:"peers"`
}

func (peers) kind() string { return "peers" }
func (e peers) text() string {
	var b strings.Builder
	switch {
	case !e.Online:
		b.WriteString("is disconnected and last knew ")
	case !e.Joined:
		b.WriteString("is in no directory yet and knows ")
	default:
		b.WriteString("is connected and knows ")
	}
	b.WriteString(count(len(e.Peers), "other peer"))
	for i, x := range e.Peers {
		sep := ", "
		if i == 0 {
			sep = ": "
		}
		fmt.Fprintf(&b, "%s%s on port %d", sep, short(core.Name(x.Name)), x.Port)
	}
	return b.String()
}

type connected struct{}

func (connected) kind() string { return "connected" }
func (connected) text() string { return "is born again" }

type disconnected struct{}

func (disconnected) kind() string { return "disconnected" }
func (disconnected) text() string { return "is silent until \"connect\"; it still hears" }

type broadcasting struct {
	Interval float64 `json:"interval_ms"`
}

func (broadcasting) kind() string { return "broadcasting" }
func (e broadcasting) text() string {
	if e.Interval == 0 {
		return "does not broadcast"
	}
	return fmt.Sprintf("broadcasts every %v", duration(e.Interval))
}

type failure struct {
	Error string `json:"error"`
}

func (failure) kind() string   { return "error" }
func (e failure) text() string { return e.Error }

type help struct {
	Text string `json:"text"`
}

func (help) kind() string   { return "help" }
func (e help) text() string { return "takes these commands:\n" + e.Text }

// milliseconds and duration are each other's inverse but for what lies below a microsecond.
func milliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

// duration is a time for people: to the millisecond.
func duration(ms float64) time.Duration {
	return time.Duration(ms * float64(time.Millisecond)).Round(time.Millisecond)
}

func count[T int | uint64](n T, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprint(n, " ", noun, "s")
}

// appendJSON appends e as one line. Like everything printed it is safe to look
// at on a terminal: what JSON lets stand but is not printable is escaped.
func appendJSON(b []byte, now time.Time, e event) []byte {
	b = append(b, `{"time":"`...)
	b = now.UTC().AppendFormat(b, "2006-01-02T15:04:05.000000Z")
	b = append(b, `","event":"`...)
	b = append(b, e.kind()...)
	b = append(b, '"')
	fields, err := json.Marshal(e)
	if err != nil {
		panic(err) // events are plain data
	}
	if len(fields) > len("{}") {
		b = append(b, ',')
	}
	for _, r := range string(fields[1:]) {
		switch {
		case r < utf8.RuneSelf && r != 0x7F, strconv.IsPrint(r):
			b = utf8.AppendRune(b, r)
		case r < 0x10000:
			b = fmt.Appendf(b, `\u%04x`, r)
		default:
			high, low := utf16.EncodeRune(r)
			b = fmt.Appendf(b, `\u%04x\u%04x`, high, low)
		}
	}
	return append(b, '\n')
}
