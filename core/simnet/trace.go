package simnet

import (
	"bufio"
	"fmt"
	"io"
	"strconv"
	"time"

	"p2plocal/core"
	"p2plocal/core/wire"
)

// What says what an Event is about.
type What uint8

const (
	Sent        What = iota // a machine or Inject handed a datagram to the network, for Ports
	Taken                   // the machine on To has stepped it
	Lost                    // it will not arrive, by chance
	Cut                     // nor by a partition
	Duplicated              // it will arrive twice
	Overflowed              // it arrived at a full queue
	Unreachable             // it arrived where nobody listens
	Launched                // From began
	Killed                  // From ended
	Paused                  // From stopped
	Resumed                 // From went on
)

func (w What) String() string {
	return [...]string{"sent", "taken", "lost", "cut", "duplicated", "overflowed", "unreachable",
		"launched", "killed", "paused", "resumed"}[w]
}

// Event is one line of the event log. It is valid during the call only.
type Event struct {
	At       time.Duration
	What     What
	From     uint16
	To       uint16   // 0 for Sent, Launched, Killed, Paused, Resumed
	Ports    []uint16 // Sent: all that it is for
	Datagram []byte
}

// Append appends the event's line, without a newline:
//
//	12.500020000 taken 3101>3000 keep-alive A
func (e *Event) Append(b []byte) []byte {
	b = fmt.Appendf(b, "%d.%09d %s %d", e.At/time.Second, e.At%time.Second, e.What, e.From)
	switch {
	case e.What >= Launched:
		return b
	case e.To != 0:
		b = strconv.AppendUint(append(b, '>'), uint64(e.To), 10)
	default:
		for i, port := range e.Ports {
			b = strconv.AppendUint(append(b, ">,"[min(i, 1)]), uint64(port), 10)
		}
	}
	return appendDatagram(append(b, ' '), e.Datagram)
}

// appendDatagram describes a datagram on one line of printable ASCII.
func appendDatagram(b, datagram []byte) []byte {
	m, err := wire.Parse(datagram)
	if err != nil {
		return fmt.Appendf(b, "%d bytes %x: %v", len(datagram), datagram[:min(len(datagram), 32)], err)
	}
	b = append(b, m.Type.String()...)
	switch m.Type {
	case core.TypeBirth:
		b = fmt.Appendf(b, " %v", m.Entry)
	case core.TypeKeepAlive:
		b = fmt.Appendf(b, " %v", m.Entry.Name)
	case core.TypeVanilla:
		b = strconv.AppendQuoteToASCII(append(b, ' '), string(m.Payload[:min(len(m.Payload), 64)]))
	case core.TypeDirectory:
		for i := range m.Entries.Len() {
			b = fmt.Appendf(b, " %v", m.Entries.At(i))
		}
	}
	return b
}

// Log is a Config.Trace that writes every event to w, a line each. Call flush
// at the end; it returns the first error that w gave.
func Log(w io.Writer) (trace func(*Event), flush func() error) {
	buffered := bufio.NewWriter(w)
	var line []byte
	return func(e *Event) {
		line = append(e.Append(line[:0]), '\n')
		buffered.Write(line) // the error stays until Flush
	}, buffered.Flush
}
