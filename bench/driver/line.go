// Package driver speaks with a program that hosts the members of any mesh, by
// PROTOCOL.md: commands to its standard input, reports from its standard
// output, one JSON object a line. Start is the harness's side, Serve that of a
// driver written in Go, and ForDrivers has conform try whether one keeps to the protocol.
package driver

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"slices"
	"strings"

	"p2plocal/bench/record"
)

const (
	Version = 1
	MaxLine = 64 << 10 // bytes, with the line feed
)

// Now is the time that reports are stamped with; 0, as if it were left out, where
// processes share no clock.
func Now() int64 {
	ns, _ := record.Monotonic()
	return ns
}

// Member is one of those who can live.
type Member struct {
	Name string `json:"name"`
	Place
}

// Place is where somebody is reached, and is bound where that is elsewhere.
type Place struct {
	Addr netip.AddrPort `json:"addr"`
	Bind netip.AddrPort `json:"bind,omitzero"`
}

// Local is where to bind.
func (p Place) Local() netip.AddrPort {
	if p.Bind.IsValid() {
		return p.Bind
	}
	return p.Addr
}

// Command is a line to a driver.
type Command struct {
	Type    string            `json:"type"`
	Version int               `json:"version,omitempty"`
	Members []Member          `json:"members,omitempty"`
	Server  *Place            `json:"server,omitempty"`
	Options map[string]string `json:"options,omitempty"`
	Member  string            `json:"member,omitempty"`
	ID      uint64            `json:"id,omitempty"`
	Size    int               `json:"size,omitempty"`
}

// Report is a line of a driver's. Its members are their names: a Reader keeps
// one string for each, so that a line about messages costs no allocation.
type Report struct {
	Type        string   `json:"type"`
	Name        string   `json:"name,omitempty"`
	Version     string   `json:"version,omitempty"`
	Unsupported []string `json:"unsupported,omitempty"`
	Do          string   `json:"do,omitempty"`
	Member      string   `json:"member,omitempty"`
	From        string   `json:"from,omitempty"`
	ID          uint64   `json:"id,omitempty"`
	At          int64    `json:"at,omitempty"` // ns of CLOCK_MONOTONIC
	Up          []string `json:"up,omitzero"`
	Down        []string `json:"down,omitzero"`
	Members     []string `json:"members,omitzero"`
	Text        string   `json:"text,omitempty"`
	Stats
}

// Stats are what the mesh has used since init; nil is not known.
type Stats struct {
	CPU       *int64 `json:"cpu,omitempty"`    // ns
	Memory    *int64 `json:"memory,omitempty"` // bytes
	Datagrams *int64 `json:"datagrams,omitempty"`
	Bytes     *int64 `json:"bytes,omitempty"`
}

// ErrLine is a line that is against the protocol. It ends a run.
var ErrLine = errors.New("the driver's line")

// needs are the fields that reports of each type must have.
var needs = map[string][]string{
	"ready":       {"name", "version"},
	"joined":      {"member"},
	"done":        {"member", "do"},
	"view":        {"member", "up, down or members"},
	"sent":        {"member"},
	"message":     {"member", "from"},
	"stats":       {},
	"echo":        {},
	"log":         {"text"},
	"unsupported": {"do"},
	"failed":      {"text"},
}

// has reports whether a field of needs is there.
func (r *Report) has(field string) bool {
	switch field {
	case "name":
		return r.Name != ""
	case "version":
		return r.Version != ""
	case "member":
		return r.Member != ""
	case "from":
		return r.From != ""
	case "do":
		return r.Do != ""
	case "text":
		return r.Text != ""
	default: // of a view exactly one: an empty list of members is one, too
		n := 0
		for _, list := range [][]string{r.Up, r.Down, r.Members} {
			if list != nil {
				n++
			}
		}
		return n == 1
	}
}

// Reader reads reports.
type Reader struct {
	in    *bufio.Reader
	names map[string]string
	line  int
}

// NewReader reads reports about these members from a driver's output.
func NewReader(r io.Reader, members []Member) *Reader {
	names := make(map[string]string, len(members))
	for _, m := range members {
		names[m.Name] = m.Name
	}
	return &Reader{in: bufio.NewReaderSize(r, MaxLine), names: names}
}

// Next reads the next report into r. The error wraps ErrLine and quotes the
// line, or is one of reading; io.EOF is the end between two lines.
func (d *Reader) Next(r *Report) error {
	d.line++
	line, err := d.in.ReadSlice('\n')
	switch {
	case errors.Is(err, bufio.ErrBufferFull):
		return d.wrong(line, fmt.Sprintf("is longer than %d bytes", MaxLine))
	case err == io.EOF && len(line) > 0:
		return d.wrong(line, "is cut off: it has no line feed")
	case err != nil:
		return err
	}
	line = bytes.TrimSpace(line)
	if d.message(line, r) {
		return nil
	}
	*r = Report{}
	if err := json.Unmarshal(line, r); err != nil {
		return d.wrong(line, "is no report: "+strings.TrimPrefix(err.Error(), "json: "))
	}
	fields, known := needs[r.Type]
	if !known {
		return d.wrong(line, fmt.Sprintf("has the type %q, which is no report's", r.Type))
	}
	for _, field := range fields {
		if !r.has(field) {
			return d.wrong(line, fmt.Sprintf("has no %s, which %q needs", field, r.Type))
		}
	}
	switch r.Type {
	case "failed", "unsupported", "ready", "stats", "log": // may be about somebody who is none
		return nil
	}
	who := slices.Concat(r.Up, r.Down, r.Members)
	for _, name := range []string{r.Member, r.From} { // where they are needed, they are there
		if name != "" {
			who = append(who, name)
		}
	}
	for _, name := range who {
		if _, ok := d.names[name]; !ok {
			return d.wrong(line, fmt.Sprintf("names %q, who is no member", name))
		}
	}
	return nil
}

func (d *Reader) wrong(line []byte, what string) error {
	const shown = 200
	quoted := fmt.Sprintf("%q", line[:min(len(line), shown)])
	if len(line) > shown {
		quoted += "…"
	}
	return fmt.Errorf("%w %d %s: %s", ErrLine, d.line, what, quoted)
}

// message reads what most lines are, a message as Serve writes it, at a tenth
// of what encoding/json takes. False: it is another line, or spelled otherwise.
func (d *Reader) message(line []byte, r *Report) bool {
	rest, ok := bytes.CutPrefix(line, []byte(`{"type":"message","member":"`))
	if !ok {
		return false
	}
	member, rest, ok1 := d.name(rest, `","from":"`)
	from, rest, ok2 := d.name(rest, `","id":`)
	id, rest, ok3 := number(rest, `,"at":`)
	at, rest, ok4 := number(rest, `}`)
	if !ok1 || !ok2 || !ok3 || !ok4 || len(rest) > 0 || at >= 1<<63 {
		return false
	}
	*r = Report{Type: "message", Member: member, From: from, ID: id, At: int64(at)}
	return true
}

// name is a member's at the beginning of b, up to what stands behind it.
func (d *Reader) name(b []byte, behind string) (name string, rest []byte, ok bool) {
	i := bytes.IndexByte(b, '"')
	if i < 0 {
		return "", nil, false
	}
	name, ok = d.names[string(b[:i])] // does not allocate
	rest, found := bytes.CutPrefix(b[i:], []byte(behind))
	return name, rest, ok && found
}

// number is likewise a number of at most 19 digits.
func number(b []byte, behind string) (n uint64, rest []byte, ok bool) {
	i := 0
	for ; i < len(b) && i < 19 && '0' <= b[i] && b[i] <= '9'; i++ {
		n = n*10 + uint64(b[i]-'0')
	}
	rest, ok = bytes.CutPrefix(b[i:], []byte(behind))
	return n, rest, ok && i > 0 && (b[0] != '0' || i == 1)
}
