package main

import (
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net"
	"strconv"
	"strings"
	"time"
	"unicode/utf16"
	"unicode/utf8"

	"p2plocal/bench/result"
	"p2plocal/core"
)

// An event is what one line says: its text for people, which follows the process's own
// name, and the fields of its JSON form, a key and its value in turn. The usage text
// documents them.
type event struct {
	kind, text string
	fields     []any
}

// entry is a core.Member in JSON.
type entry struct {
	Name string `json:"name"`
	Port uint16 `json:"port"`
	Host string `json:"host,omitempty"` // of the wide dialect
}

func entryOf(m core.Member) entry { return entry{Name: string(m.Name), Port: m.Addr.Port()} }

func (e entry) String() string { return label(e.Name) + e.place() }

// place is where a peer is to be found.
func (e entry) place() string {
	if e.Host != "" {
		return " at " + net.JoinHostPort(e.Host, strconv.Itoa(int(e.Port)))
	}
	return fmt.Sprintf(" on port %d", e.Port)
}

// fields are e's own and those that follow.
func (e entry) fields(more ...any) []any {
	fields := []any{"name", e.Name, "port", e.Port}
	if e.Host != "" {
		fields = append(fields, "host", e.Host)
	}
	return append(fields, more...)
}

func started(address string, granted int) event {
	return event{"started", "listens on " + address, []any{"address", address, "buffer_granted", granted}}
}

// as adds who a peer is to its started.
func (e event) as(self entry, server string) event {
	return event{e.kind, e.text + ", its server is " + server, append(e.fields, self.fields("server", server)...)}
}

func born(e entry) event { return event{"born", fmt.Sprintf("received birth of %v", e), e.fields()} }

func repeated(e entry) event {
	return event{"repeated", fmt.Sprintf("received birth of %v again", e), e.fields()}
}

func conflict(e, holder entry) event {
	why := fmt.Sprintf("the port is %s's", label(holder.Name))
	if e.Name == holder.Name {
		why = "the name is taken by the one" + holder.place()
		if holder.Host == "" {
			why = fmt.Sprintf("the name is taken by port %d", holder.Port)
		}
	}
	return event{"conflict", fmt.Sprintf("refused birth of %v: %s", e, why), e.fields("holder", holder)}
}

func unknown(name, from string) event {
	return event{"unknown", fmt.Sprintf("refused keep-alive of %s from %s: it is not in the directory", label(name), from),
		[]any{"name", name, "from", from}}
}

func replaced(e, by entry) event {
	why := ", which sent no keep-alive,"
	if e.Host != "" {
		why = "" // it is silent, or the newcomer is where it was
	}
	return event{"replaced", fmt.Sprintf("replaced %v%s by %v", e, why, by), e.fields("by", by)}
}

func removed(e entry, silence time.Duration) event {
	return event{"removed", fmt.Sprintf("removed %v: silent for %v", e, rounded(silence)), e.fields("silence_ms", milliseconds(silence))}
}

// directory tells of one that was sent or received (verb) and what is new in it.
func directory(verb string, all, added, removed []entry) event {
	var changes []string
	if len(added) > 0 {
		changes = append(changes, "added "+names(added))
	}
	if len(removed) > 0 {
		changes = append(changes, "removed "+names(removed))
	}
	if len(changes) == 0 {
		changes = append(changes, "unchanged")
	}
	text := "has an empty directory"
	if len(all) > 0 {
		text = fmt.Sprintf("%s directory of %s: %s", verb, count(len(all), "peer"), names(all))
	}
	return event{"directory", fmt.Sprintf("%s (%s)", text, strings.Join(changes, ", ")), []any{"peers", all, "added", added, "removed", removed}}
}

func names(list []entry) string {
	var words []string
	for _, e := range list[:min(len(list), core.MaxPeers)] {
		words = append(words, short(e.Name))
	}
	if more := len(list) - len(words); more > 0 {
		words = append(words, fmt.Sprintf("and %d more", more))
	}
	return strings.Join(words, " ")
}

// most is how many bytes of a text are shown to people.
const most = 1000

// payload is a text of any bytes, for people and in JSON.
func payload(text []byte) (quoted string, fields []any) {
	fields = []any{"text", string(text)}
	if !utf8.Valid(text) {
		fields = append(fields, "hex", hex.EncodeToString(text))
	}
	if len(text) <= most {
		return strconv.Quote(string(text)), fields
	}
	return fmt.Sprintf("%q and %d bytes more", text[:most], len(text)-most), fields
}

func message(from entry, text []byte) event {
	quoted, fields := payload(text)
	return event{"message", "received vanilla message: " + quoted, from.fields(fields...)}
}

func unanswered(waited time.Duration, server string) event {
	return event{"unanswered", fmt.Sprintf("is in no directory after %v, and goes on trying: is the server up at %s, and are this name and port free?",
		rounded(waited), server), []any{"waited_ms", milliseconds(waited)}}
}

// shownBytes is how many bytes of a refused datagram are shown.
const shownBytes = 16

func refused(reason, from string, datagram []byte) event {
	shown := hex.EncodeToString(datagram[:min(len(datagram), shownBytes)])
	text := strings.TrimSpace(count(len(datagram), "byte") + " " + shown)
	if len(datagram) > shownBytes {
		text += "..."
	}
	return event{"refused", fmt.Sprintf("refused %s from %s: %s", text, from, reason),
		[]any{"reason", reason, "from", from, "bytes", len(datagram), "hex", shown}}
}

func more(reason string, n uint64) event {
	return event{"more", fmt.Sprintf("counted %d more: %s", n, reason), []any{"reason", reason, "count", n}}
}

func lost(lines uint64) event {
	return event{"lost", fmt.Sprintf("has not printed %s: the output was too slow", count(lines, "line")), []any{"lines", lines}}
}

// sent tells of a message to one peer, or with to "" to all of so many.
func sent(to string, peers int, text []byte) event {
	quoted, fields := payload(text)
	e := event{"sent", fmt.Sprintf("sent %s to %s", quoted, count(peers, "peer")), append([]any{"to", to, "peers", peers}, fields...)}
	switch {
	case to != "":
		e.text = fmt.Sprintf("sent %s to %s", quoted, label(to))
	case peers == 0:
		e.text = "has nobody to send to: no other peer is in its directory"
	}
	return e
}

func peers(online, joined bool, all []entry) event {
	text := "is connected and knows "
	switch {
	case !online:
		text = "is disconnected and last knew "
	case !joined:
		text = "is in no directory yet and knows "
	}
	text += count(len(all), "other peer") + places(all)
	return event{"peers", text, []any{"online", online, "joined", joined, "peers", all}}
}

// members is what a server says when it is asked who is there.
func members(all []entry) event {
	text := "has an empty directory"
	if len(all) > 0 {
		text = "has a directory of " + count(len(all), "peer") + places(all)
	}
	return event{"peers", text, []any{"peers", all}}
}

// places are all and where they are, after what says how many.
func places(all []entry) string {
	text, sep := "", ": "
	for _, x := range all {
		text += sep + short(x.Name) + x.place()
		sep = ", "
	}
	return text
}

func connected() event { return event{"connected", "is born again", nil} }

func disconnected() event {
	return event{"disconnected", "is silent until \"connect\"; it still hears", nil}
}

func broadcasting(interval time.Duration) event {
	text := "does not broadcast"
	if interval > 0 {
		text = fmt.Sprintf("broadcasts every %v", rounded(interval))
	}
	return event{"broadcasting", text, []any{"interval_ms", milliseconds(interval)}}
}

func failure(err error) event {
	return event{"error", "cannot do that: " + err.Error(), []any{"error", err.Error()}}
}

func help(text string) event {
	return event{"help", "takes these commands:\n" + text, []any{"text", text}}
}

func milliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

// rounded is a time for people.
func rounded(d time.Duration) time.Duration { return d.Round(time.Millisecond) }

func count[T int | uint64](n T, noun string) string { return result.Plural(uint64(n), noun) }

// appendJSON appends e as one line.
func appendJSON(b []byte, now time.Time, e event) []byte {
	at := now.UTC().Format("2006-01-02T15:04:05.000000Z")
	return append(appendObject(b, append([]any{"time", at, "event", e.kind}, e.fields...)), '\n')
}

// appendObject appends an object of fields. Like everything printed it is safe to look
// at on a terminal: what JSON lets stand but is not printable is escaped.
func appendObject(b []byte, fields []any) []byte {
	for i, x := range fields {
		encoded, err := json.Marshal(x)
		if err != nil {
			panic(err) // fields are plain data
		}
		b = append(b, "{:,:"[min(i, 2+i%2)])
		for _, r := range string(encoded) {
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
	}
	return append(b, '}')
}
