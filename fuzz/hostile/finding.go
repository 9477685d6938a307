package hostile

import (
	"bufio"
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"p2plocal/core"
)

// Shot is one datagram of a campaign: what a line of a findings file holds.
type Shot struct {
	At       time.Duration // after the first
	Datagram []byte
	From     Origin
	Case     string
	Comment  string
}

// Setup is what a findings file's first line says of how it came about, so that it can be sent again.
type Setup struct {
	As       string `json:"as"`
	Target   string `json:"target"`
	Exec     string `json:"exec,omitempty"`
	PeerExec string `json:"peer_exec,omitempty"`
	Wide     bool   `json:"wide,omitempty"`
	Key      string `json:"key,omitempty"` // the file
	Ports    uint16 `json:"ports"`
}

type shotLine struct {
	Setup        *Setup  `json:"setup,omitempty"` // nothing else is in its line
	OffsetMicros int64   `json:"offset_us"`
	Hex          *string `json:"hex,omitempty"`
	From         string  `json:"from,omitempty"` // a stranger where there is none
	Case         string  `json:"case,omitempty"`
	Comment      string  `json:"comment,omitempty"`
}

// WriteShots writes one JSON line for the setup, if there is one, and one a datagram.
func WriteShots(w io.Writer, setup Setup, shots []Shot) error {
	e := json.NewEncoder(w)
	if setup != (Setup{}) {
		if err := e.Encode(map[string]Setup{"setup": setup}); err != nil {
			return err
		}
	}
	for _, s := range shots {
		digits := hex.EncodeToString(s.Datagram)
		if err := e.Encode(shotLine{nil, s.At.Microseconds(), &digits, origins[s.From], s.Case, s.Comment}); err != nil {
			return err
		}
	}
	return nil
}

// origins are how a line names them.
var origins = [...]string{FromStranger: "", FromServer: "server", FromMember: "member", FromSelf: "self", FromElsewhere: "elsewhere", FromDouble: "double"}

// originOf is that of a name, a stranger's where there is none.
func originOf(name string) Origin { return Origin(max(0, slices.Index(origins[:], name))) }

const (
	longestLine   = 1 << 18               // bytes: a full datagram in hex and room to spare
	longestReplay = 24 * 3600 * 1_000_000 // µs
)

// ReadShots reads what WriteShots wrote. An error names the line.
func ReadShots(r io.Reader) (setup Setup, shots []Shot, err error) {
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, longestLine)
	last := time.Duration(0)
	n := 1
	for ; lines.Scan(); n++ {
		if len(bytes.TrimSpace(lines.Bytes())) == 0 {
			continue
		}
		var l shotLine
		d := json.NewDecoder(bytes.NewReader(lines.Bytes()))
		d.DisallowUnknownFields()
		if err := d.Decode(&l); err != nil {
			return setup, nil, fmt.Errorf("line %d: %s, want a JSON object such as {\"offset_us\":0,\"hex\":\"c300\"}", n, wrongJSON(err))
		}
		if _, err := d.Token(); err != io.EOF {
			return setup, nil, fmt.Errorf("line %d: something follows the datagram, want one JSON object a line", n)
		}
		if l.Setup != nil && l.Hex == nil && n == 1 {
			setup = *l.Setup
			continue
		}
		if l.Hex == nil {
			return setup, nil, fmt.Errorf("line %d: no hex, want a datagram's, \"\" for one of no bytes", n)
		}
		b, err := hex.DecodeString(*l.Hex)
		if err != nil || len(b) > core.MaxDatagram {
			return setup, nil, fmt.Errorf("line %d: hex %.40q of %d digits is no datagram", n, *l.Hex, len(*l.Hex))
		}
		if l.OffsetMicros < last.Microseconds() || l.OffsetMicros > longestReplay {
			return setup, nil, fmt.Errorf("line %d: offset_us %d, want %d to %d", n, l.OffsetMicros, last.Microseconds(), int64(longestReplay))
		}
		last = time.Duration(l.OffsetMicros) * time.Microsecond
		from := slices.Index(origins[:], l.From)
		if from < 0 {
			return setup, nil, fmt.Errorf("line %d: from %.40q, want none or one of %s", n, l.From, strings.Join(origins[1:], ", "))
		}
		shots = append(shots, Shot{last, b, Origin(from), l.Case, l.Comment})
	}
	if errors.Is(lines.Err(), bufio.ErrTooLong) {
		return setup, nil, fmt.Errorf("line %d: longer than %d bytes, and so no datagram", n, longestLine)
	}
	return setup, shots, lines.Err()
}

// wrongJSON is an error of the decoder without Go's names.
func wrongJSON(err error) string {
	var mistyped *json.UnmarshalTypeError
	switch {
	case !errors.As(err, &mistyped):
		return strings.TrimPrefix(err.Error(), "json: ")
	case mistyped.Field == "":
		return "a JSON " + mistyped.Value
	}
	return fmt.Sprintf("%s is a JSON %s", mistyped.Field, mistyped.Value)
}
