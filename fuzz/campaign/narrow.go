package campaign

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
	"time"

	"p2plocal/core/wire"
	"p2plocal/fuzz/hostile"
)

// asFound is a batch that sends shots as they were sent when something was found.
func (c *campaign) asFound(shots []hostile.Shot) batch {
	b := batch{mode: "replay", what: c.Role.Prefix() + "replay", shots: shots, linger: true}
	of := func(what string) func(hostile.Shot) bool {
		return func(s hostile.Shot) bool { return strings.HasPrefix(s.Case, c.Role.Prefix()+what+"/") }
	}
	b.flood, b.burst = slices.ContainsFunc(shots, of("flood")), slices.ContainsFunc(shots, of("burst"))
	isLead := func(s hostile.Shot) bool { return s.Case == leadCase }
	if rest := slices.DeleteFunc(slices.Clone(shots), isLead); len(rest) > 0 && len(rest) < len(shots) && rest[0].At == rest[len(rest)-1].At {
		b.quiet = rest[0].At + 50*time.Millisecond
	} else if len(rest) < len(shots) && len(rest) > 0 && rest[len(rest)-1].At > repeats*apart {
		b.insist = repeats * apart
	}
	return b
}

const mostLate = 4 // times as long as on its clock may a trial take

// narrowing is what it takes to reduce a suspicion to the shots that bring it about.
type narrowing struct {
	*campaign
	ctx      context.Context
	suspect  *suspicion
	shots    []hostile.Shot
	units    []int         // of each shot: those of one are tried together; -1: it is in every trial
	lanes    []*lane       // the campaign itself first
	deadline time.Time     // while the machine is late
	spent    time.Duration // on the clocks of trials
	why      string        // what came of the last that failed
	void     bool          // nothing could be said of some trials
	err      error         // why no target could be tried
	coarse   bool          // there was no time to leave out all that is not necessary
}

// narrow reduces a finding, with a new target for each trial; false: what was suspected does
// not come about again.
func (c *campaign) narrow(ctx context.Context, s *suspicion, f *Finding) bool {
	n := &narrowing{campaign: c, ctx: ctx, suspect: s, lanes: []*lane{{campaign: c}}, deadline: time.Now().Add(mostLate * c.Narrow)}
	defer n.closeLanes()
	units := n.confirm(s.shots)
	if units == nil && n.err == nil && len(s.more) > len(s.shots) {
		units = n.confirm(s.more)
	}
	if n.err != nil { // it was seen once, and that it is not again is no fault of the target's
		c.Log(fmt.Sprintf("%s cannot be narrowed down: %v", s.kind, n.err))
		f.coarse = true
		return true
	}
	if units == nil {
		if n.void {
			c.result.tally(c.what(s.shots[0].Case)).Unjudged++
		}
		return false
	}
	if !c.asFound(n.of(units)).flood {
		units = n.reduce(units)
	}
	f.Shots, f.What, f.coarse = n.of(units), n.why, n.coarse
	return true
}

// confirm makes it come about again, by all shots or, at once, by some of them, beginning with
// those that name the victim; nil: it does not.
func (n *narrowing) confirm(shots []hostile.Shot) []int {
	all := n.unite(shots)
	n.moreLanes(len(all))
	lists := [][]int{all}
	if parts := len(n.lanes) - 2; parts > 0 && len(all) > 1 && !n.asFound(shots).flood {
		likely, others := n.likely(all)
		if len(likely) == 0 || len(others) == 0 {
			lists = append(split(all, parts), all)
		} else {
			lists = append(split(likely, parts), others, all)
		}
	}
	if i := n.first(lists); i >= 0 {
		return lists[i]
	}
	return nil
}

// unite says which shots are tried together: where there is a lead, those of a case; else each by
// itself.
func (n *narrowing) unite(shots []hostile.Shot) (all []int) {
	n.shots, n.units = shots, make([]int, len(shots))
	cases := casesOf(shots)
	count := len(shots)
	if n.suspect.lead {
		count = len(cases)
	}
	for i, x := range shots {
		if n.units[i] = i; n.suspect.lead {
			n.units[i] = slices.Index(cases, x.Case)
		}
	}
	for unit := range count {
		all = append(all, unit)
	}
	return all
}

// of are the shots of some units, in order, and those that are in every trial.
func (n *narrowing) of(units []int) (some []hostile.Shot) {
	for i, unit := range n.units {
		if _, in := slices.BinarySearch(units, unit); in || unit < 0 {
			some = append(some, n.shots[i])
		}
	}
	return some
}

// likely are the units that name the victim, and the others.
func (n *narrowing) likely(all []int) (likely, others []int) {
	for _, unit := range all {
		to := &others
		if slices.ContainsFunc(n.of([]int{unit}), func(x hostile.Shot) bool { return n.suspect.victim.in(x.Datagram) }) {
			to = &likely
		}
		*to = append(*to, unit)
	}
	return likely, others
}

// victim is the member that something has happened to; zero: it is not known.
type victim wire.Entry

// in reports that a datagram of either dialect may be about it.
func (v victim) in(d []byte) bool {
	name := byte(v.Name)
	return v.Name != 0 && (bytes.Contains(d, binary.LittleEndian.AppendUint16(nil, v.Port)) || bytes.Contains(d, []byte{name, 0}) || bytes.Contains(d, []byte{1, name}))
}

// casesOf are the cases of some shots, in their order.
func casesOf(shots []hostile.Shot) (cases []string) {
	for _, x := range shots {
		if x.Case != leadCase && !slices.Contains(cases, x.Case) {
			cases = append(cases, x.Case)
		}
	}
	return cases
}

// split cuts a list into parts.
func split[T any](all []T, parts int) [][]T {
	return slices.Collect(slices.Chunk(slices.Clone(all), (len(all)+parts-1)/parts))
}

// stop reports that it has taken too long.
func (n *narrowing) stop() bool {
	n.coarse = n.coarse || n.ctx.Err() != nil || n.spent > n.Narrow || time.Now().After(n.deadline)
	return n.coarse
}

// reduce is delta debugging (Zeller, Hildebrandt: Simplifying and Isolating Failure-Inducing Input,
// 2002). It ends with a list that still fails and from which nothing can be left out, unless that
// takes too long. It begins with as many parts as can be tried at once.
func (n *narrowing) reduce(all []int) []int {
	width := max(len(n.lanes), 2)
	for parts := width; len(all) > 1 && !n.stop(); {
		lists := split(all, min(parts, len(all)))
		if k := len(lists); k > 2 {
			for i := range k {
				lists = append(lists, slices.Concat(slices.Concat(lists[:i]...), slices.Concat(lists[i+1:k]...)))
			}
		}
		switch i := n.first(lists); {
		case i >= 0 && len(lists[i]) <= (len(all)+1)/2:
			all, parts = lists[i], width
		case i >= 0:
			all, parts = lists[i], max(parts-1, 2)
		case parts >= len(all):
			return all
		default:
			parts = min(2*parts, len(all))
		}
	}
	return all
}

// look is what a datagram looks like apart from its names and ports, of which only members' are
// told from others. Datagrams that look alike have the same effect.
func (c *campaign) look(s hostile.Shot) string {
	const most = 12
	d := append(slices.Clone(s.Datagram[:min(len(s.Datagram), most)]), 0)
	text := fmt.Sprint(s.From, min(len(s.Datagram), 2*most))
	for i := 0; i+1 < len(d); i += 2 {
		w := binary.LittleEndian.Uint16(d[i:])
		named := slices.ContainsFunc(c.members, func(p *endpoint) bool { return uint16(p.entry.Name) == w })
		bound := slices.ContainsFunc(c.members, func(p *endpoint) bool { return p.entry.Port == w })
		switch {
		case i > 0 && w < 0x7F && wire.Name(w).Valid():
			text += fmt.Sprint(" name ", named)
		case i > 0 && w >= 1024:
			text += fmt.Sprint(" port ", bound, w == c.server().Port())
		default:
			text += fmt.Sprintf(" %x", w)
		}
	}
	return text
}
