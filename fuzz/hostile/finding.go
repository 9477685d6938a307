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

type shotLine struct {
	OffsetMicros int64   `json:"offset_us"`
	Hex          *string `json:"hex"`
	From         string  `json:"from,omitempty"` // a stranger where there is none
	Case         string  `json:"case,omitempty"`
	Comment      string  `json:"comment,omitempty"`
}

// WriteShots writes one JSON line a datagram.
func WriteShots(w io.Writer, shots []Shot) error {
	e := json.NewEncoder(w)
	for _, s := range shots {
		digits := hex.EncodeToString(s.Datagram)
		if err := e.Encode(shotLine{s.At.Microseconds(), &digits, origins[s.From], s.Case, s.Comment}); err != nil {
			return err
		}
	}
	return nil
}

// origins are how a line names them.
var origins = [...]string{FromStranger: "", FromServer: "server", FromMember: "member", FromSelf: "self", FromElsewhere: "elsewhere", FromDouble: "double"}

const (
	longestLine   = 1 << 18               // bytes: a full datagram in hex and room to spare
	longestReplay = 24 * 3600 * 1_000_000 // µs
)

// ReadShots reads what WriteShots wrote. An error names the line.
func ReadShots(r io.Reader) (shots []Shot, err error) {
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
			return nil, fmt.Errorf("line %d: %s, want a JSON object such as {\"offset_us\":0,\"hex\":\"c300\"}", n, wrongJSON(err))
		}
		if _, err := d.Token(); err != io.EOF {
			return nil, fmt.Errorf("line %d: something follows the datagram, want one JSON object a line", n)
		}
		if l.Hex == nil {
			return nil, fmt.Errorf("line %d: no hex, want a datagram's, \"\" for one of no bytes", n)
		}
		b, err := hex.DecodeString(*l.Hex)
		if err != nil || len(b) > core.MaxDatagram {
			return nil, fmt.Errorf("line %d: hex %.40q of %d digits is no datagram", n, *l.Hex, len(*l.Hex))
		}
		if l.OffsetMicros < last.Microseconds() || l.OffsetMicros > longestReplay {
			return nil, fmt.Errorf("line %d: offset_us %d, want %d to %d", n, l.OffsetMicros, last.Microseconds(), int64(longestReplay))
		}
		last = time.Duration(l.OffsetMicros) * time.Microsecond
		from := slices.Index(origins[:], l.From)
		if from < 0 {
			return nil, fmt.Errorf("line %d: from %.40q, want none or one of %s", n, l.From, strings.Join(origins[1:], ", "))
		}
		shots = append(shots, Shot{last, b, Origin(from), l.Case, l.Comment})
	}
	if errors.Is(lines.Err(), bufio.ErrTooLong) {
		return nil, fmt.Errorf("line %d: longer than %d bytes, and so no datagram", n, longestLine)
	}
	return shots, lines.Err()
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
