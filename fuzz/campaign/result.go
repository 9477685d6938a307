package campaign

import (
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
	"time"

	"p2plocal/core"
	"p2plocal/fuzz/figure"
	"p2plocal/fuzz/hostile"
	"p2plocal/fuzz/target"
)

// Kind is the class of a finding.
type Kind string

const (
	Died      Kind = "died"      // the target's process ended, or one of its own peers'
	Hung      Kind = "hung"      // the target answers nobody any more, or lets no fresh peer in
	Slow      Kind = "slow"      // it answers too late
	Removed   Kind = "removed"   // a live peer is missing from the directory
	Deaf      Kind = "deaf"      // a peer does not broadcast to whom a directory named to it
	Poisoned  Kind = "poisoned"  // the target sends what is no directory
	Amplified Kind = "amplified" // the same directory again, though nothing has changed, and more bytes than came in
	Leaked    Kind = "leaked"    // the target's memory or descriptors grow
	Ghost     Kind = "ghost"     // one who is silent, or never was born, is in the directory
	Strayed   Kind = "strayed"   // the target sends to a place that has asked for nothing
	Spilled   Kind = "spilled"   // a peer prints what it must drop, or much more than has come in
)

// Finding is one way in which the target did not survive.
type Finding struct {
	Kind  Kind           `json:"kind"`
	Case  string         `json:"case"` // of the first datagram left
	What  string         `json:"what"`
	Shots []hostile.Shot `json:"-"`
	Count int            `json:"datagrams"` // different ones, beside those that bring a silent member in
	Bytes int            `json:"bytes"`
	Times int            `json:"times"`          // that it was found
	Also  []string       `json:"also,omitempty"` // cases that have the same cause
	Seen  float64        `json:"seen_s"`         // seconds from the campaign's start until it was first seen
	After float64        `json:"after_s"`        // seconds from the campaign's start until it was narrowed down
	Ports uint16         `json:"ports"`          // that it wants again
	File  string         `json:"file,omitempty"`

	coarse bool // there was no time to narrow it down to what is necessary
}

// hostile are the shots beside those that bring a silent member in.
func (f *Finding) hostile() []hostile.Shot {
	some := slices.DeleteFunc(slices.Clone(f.Shots), func(s hostile.Shot) bool { return s.Case == leadCase })
	if len(some) == 0 {
		return f.Shots
	}
	return some
}

func (f *Finding) count() {
	seen := map[string]bool{}
	for _, s := range f.hostile() {
		if key := string(s.Datagram); !seen[key] || f.Shots[0].Case != leadCase {
			seen[key] = true
			f.Count++
			f.Bytes += len(s.Datagram)
		}
	}
}

// sameCause says that two findings have the same effect, and that what they were narrowed down
// to is of the same types, or of one datagram of the same length each. Where it is several
// datagrams, some of them may have nothing to do with it: all types of one among the other's will
// do, or one of them where there was no time to find out.
func (f *Finding) sameCause(g *Finding) bool {
	if f.Kind != g.Kind || f.Kind == Died && ending(f.What) != ending(g.What) {
		return false
	}
	if f.Count == 1 && g.Count == 1 {
		return slices.Equal(f.types(), g.types()) || f.Bytes == g.Bytes
	}
	a, b := f.types(), g.types()
	both := 0
	for _, t := range a {
		if slices.Contains(b, t) {
			both++
		}
	}
	return both == min(len(a), len(b)) || both > 0 && (f.coarse || g.coarse)
}

// ending is how a process ended, without what it said.
func ending(what string) string {
	what, _, _ = strings.Cut(what, ", ")
	return what
}

// types are those that the datagrams claim.
func (f *Finding) types() (all []core.Type) {
	for _, s := range f.hostile() {
		all = append(all, claimed(s.Datagram))
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// claimed is the type that a datagram claims, 0 where it is too short for one.
func claimed(d []byte) core.Type {
	if len(d) < 2 {
		return 0
	}
	return core.Type(binary.LittleEndian.Uint16(d))
}

// Tally is what one mode or one group of cases came to.
type Tally struct {
	What     string `json:"what"`
	Batches  int    `json:"batches"`
	Sent     uint64 `json:"sent"` // datagrams
	Bytes    uint64 `json:"bytes"`
	Skipped  int    `json:"skipped"`  // datagrams that there is no socket to send from
	Unjudged int    `json:"unjudged"` // batches that nothing can be said of
	Findings int    `json:"findings"`

	random bool
}

func (t *Tally) add(b batch) {
	if t.Batches++; b.tries == 0 {
		t.Skipped += b.skipped
	}
	t.random = b.random()
}

// Conclusive says that something can be said of all that is in it, or that it is random: whom
// that kept or removed may be unknown, but not that the target lives.
func (t *Tally) Conclusive() bool { return t.Unjudged == 0 || t.random }

// Result is what a campaign came to.
type Result struct {
	Seed      uint64        `json:"seed"`
	Ports     uint16        `json:"ports"`   // as used
	Missing   []string      `json:"missing"` // what was not begun
	Elapsed   time.Duration `json:"elapsed_ns"`
	Unwatched bool          `json:"unwatched"` // it has ended before the last datagrams' late effects could show
	Sent      uint64        `json:"sent"`      // datagrams, trials included
	Bytes     uint64        `json:"bytes"`
	Flooding  time.Duration `json:"flooding_ns"`
	Flood     uint64        `json:"flood"`           // datagrams sent in that time
	Taken     uint64        `json:"flood_delivered"` // less those that the kernel then threw away
	Tallies   []*Tally      `json:"tallies"`
	Findings  []*Finding    `json:"findings"`
	Restarts  int           `json:"restarts"`
}

func (r *Result) tally(what string) *Tally {
	for _, t := range r.Tallies {
		if t.What == what {
			return t
		}
	}
	r.Tallies = append(r.Tallies, &Tally{What: what})
	return r.Tallies[len(r.Tallies)-1]
}

// Batches are those of all modes.
func (r *Result) Batches() (n int) {
	for _, t := range r.Tallies {
		n += t.Batches
	}
	return n
}

// Skipped is how many datagrams there was no socket to send from.
func (r *Result) Skipped() (n int) {
	for _, t := range r.Tallies {
		n += t.Skipped
	}
	return n
}

const (
	memoryGrown      = 24 << 20 // bytes that a sound target's caches stay below
	descriptorsGrown = 32
)

// grown says what a process has far more of than at first.
func grown(u, first target.Usage) string {
	if n := u.Memory - first.Memory; first.Memory > 0 && n > memoryGrown {
		return fmt.Sprintf("its memory grew by %d MB", n>>20)
	}
	if n := u.Descriptors - first.Descriptors; first.Descriptors > 0 && n > descriptorsGrown {
		return fmt.Sprintf("its descriptors grew by %s", figure.Grouped(n))
	}
	return ""
}
