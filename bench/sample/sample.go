// Package sample is a mesh's course as it happens: figures ten times a second, marks of
// what was done to it, and the state of it all. A Feed keeps them, bounded in memory, for
// whoever looks on; what looks on is never waited for.
package sample

import (
	"fmt"
	"sync"
	"time"
)

// Every is how often a mesh is sampled, in milliseconds.
const Every = 100

// A Sample is the time since the sample before. Times are milliseconds since the run began,
// virtual in a simulation; durations nanoseconds; counts those of this sample alone.
type Sample struct {
	Seq       uint64     `json:"seq"`
	T         float64    `json:"t"`
	Phase     string     `json:"phase"`    // the scenario
	Doing     string     `json:"doing"`    // what it does now
	Left      *float64   `json:"left"`     // ms until all is over, about; null: until it is ended
	Headline  string     `json:"headline"` // the result's, so far
	Load      float64    `json:"load"`     // of the machine, over a minute
	Delivered uint64     `json:"delivered"`
	Lost      uint64     `json:"lost"` // sent half a second ago, and not there
	Late      uint64     `json:"late"` // after their sender's next
	P50       *int64     `json:"p50"`  // of the latency from due time; null: nothing arrived
	P99       *int64     `json:"p99"`
	Hist      [][2]int64 `json:"hist"`  // how many took up to how long
	Queue     *int64     `json:"queue"` // bytes that wait at the server's socket, datagrams in a simulation; null: not known
	Drops     uint64     `json:"drops"` // by the kernel, at the server's socket
	Sent      uint64     `json:"hostile_sent"`
	Taken     uint64     `json:"hostile_taken"`
	CPU       *float64   `json:"cpu"`    // cores; null in a simulation
	Memory    *int64     `json:"memory"` // bytes
	Refused   uint64     `json:"refused,omitempty"`

	// What has changed since the sample before:
	States     string         `json:"states,omitempty"` // a State for each peer
	Views      map[int][]byte `json:"views,omitempty"`  // by peer, bit j: it knows peer j
	Edges      [][3]uint16    `json:"edges,omitempty"`  // from, to, messages: the busiest
	Assertions []Assertion    `json:"assertions,omitempty"`
	Ages       []int64        `json:"ages,omitempty"` // ms since each peer's last sign of life
}

// The letters of States.
const (
	Unborn  = '-'
	Alive   = 'a'
	Removed = 'f' // though it lives
	Dead    = 'd'
	Paused  = 'p'
)

// An Assertion is one -assert and how it stands: open, held or failed.
type Assertion struct {
	Text  string `json:"text"`
	State string `json:"state"`
}

// A Mark is something that happened.
type Mark struct {
	Seq  uint64  `json:"seq"`
	T    float64 `json:"t"`
	Kind string  `json:"kind"` // join, kill, removal, restart, filter, pause, resume, cut, heal, impair, flood, hand, order, scenario or standstill
	Text string  `json:"text"`
	Peer *int    `json:"peer"` // whose; null: nobody's
}

// MarkOf is one of what happens to a peer; -1: to nobody in particular.
func MarkOf(t float64, kind string, peer int, format string, args ...any) Mark {
	m := Mark{T: t, Kind: kind, Text: fmt.Sprintf(format, args...)}
	if peer >= 0 {
		m.Peer = &peer
	}
	return m
}

// A Socket is a server's, as it was when the last sample was taken.
type Socket struct {
	Drops    uint64 // by the kernel
	filtered bool
}

// Read puts into a sample what waits at the socket and what the kernel has thrown away since,
// and gives a mark of its filter if that has been switched.
func (k *Socket) Read(s *Sample, socket interface {
	Waiting() (queued int64, drops uint64, ok bool)
}) []Mark {
	if queued, drops, ok := socket.Waiting(); ok {
		s.Queue, s.Drops, k.Drops = &queued, drops-min(k.Drops, drops), drops
	}
	f, ok := socket.(interface{ Filtered() bool }) // a virtual one has none
	if !ok || f.Filtered() == k.filtered {
		return nil
	}
	k.filtered = !k.filtered
	return []Mark{MarkOf(s.T, "filter", -1, "the kernel's filter is %s", map[bool]string{true: "on", false: "off"}[k.filtered])}
}

// Head is what does not change.
type Head struct {
	Title   string   `json:"title"`
	Control bool     `json:"control"` // it takes orders
	Server  bool     `json:"server"`  // the server is ours
	Peers   []string `json:"peers"`
}

// About is how it is now.
type About struct {
	Seq uint64 `json:"seq"`
	Head
	Over   bool `json:"over"`
	Report bool `json:"report"`
}

// Snapshot is everything there is.
type Snapshot struct {
	About
	Samples []*Sample `json:"samples"` // the oldest first
	Marks   []*Mark   `json:"marks"`
}

// Over says that it is, and whether there is a report.
type Over struct {
	Seq    uint64  `json:"seq"`
	T      float64 `json:"t"`
	Report bool    `json:"report"`
}

// Order is what a page wants done.
type Order struct {
	Verb  string  `json:"verb"` // kill, pause, resume, relaunch, restart, cut, heal, impair, flood or calm
	Peer  string  `json:"peer"`
	Other string  `json:"other"`
	Half  bool    `json:"half"`
	Loss  float64 `json:"loss"`
	Delay string  `json:"delay"`
	Kind  string  `json:"kind"`
	Rate  int     `json:"rate"`
}

// Regularly calls do after each such time, until stop, which waits for the last call.
func Regularly(every time.Duration, do func()) (stop func()) {
	end := make(chan struct{})
	var over sync.WaitGroup
	over.Go(func() {
		tick := time.NewTicker(every)
		defer tick.Stop()
		for {
			select {
			case <-end:
				return
			case <-tick.C:
				do()
			}
		}
	})
	return func() {
		close(end)
		over.Wait()
	}
}
