package campaign

import (
	"context"
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
	"time"

	"p2plocal/core/wire"
	"p2plocal/fuzz/hostile"
)

// asFound are shots as they were sent when something was found by them.
func (c *campaign) asFound(shots []hostile.Shot) batch {
	b := batch{mode: "replay", what: c.Role.Prefix() + "replay", shots: shots, linger: true}
	of := func(what string) func(hostile.Shot) bool {
		return func(s hostile.Shot) bool { return strings.HasPrefix(s.Case, c.Role.Prefix()+what+"/") }
	}
	b.flood, b.burst = slices.ContainsFunc(shots, of("flood")), slices.ContainsFunc(shots, of("burst"))
	isLead := func(s hostile.Shot) bool { return s.Case == leadCase }
	if rest := slices.DeleteFunc(slices.Clone(shots), isLead); len(rest) > 0 && len(rest) < len(shots) && rest[0].At == rest[len(rest)-1].At {
		b.quiet = rest[0].At + 50*time.Millisecond
	}
	return b
}

const mostLate = 4 // times as long as on its clock may a trial take

// narrow reduces a finding, with a new target for each trial; false: what was suspected does
// not come about again.
func (c *campaign) narrow(ctx context.Context, s *suspicion, f *Finding) bool {
	n := &narrowing{campaign: c, ctx: ctx, suspect: s, lanes: []*campaign{c}, deadline: time.Now().Add(mostLate * c.Narrow)}
	defer n.closeLanes()
	if slices.Contains([]Kind{Hung, Deaf, Removed, Ghost, Slow}, s.kind) {
		n.moreLanes(max(s.hold, slowEffect))
	}
	if !n.confirm(s.shots, f) && (len(s.more) <= len(s.shots) || !n.confirm(s.more, f)) {
		return false
	}
	if !c.asFound(f.Shots).flood {
		if s.lead {
			n.reduceCases(f)
		} else {
			f.Shots = reduce(f.Shots, len(n.lanes), n.first, func() bool { return n.stop(f) })
		}
	}
	f.What = n.why
	return true
}

// confirm has it come about again, by all shots or, at once, by a part of them.
func (n *narrowing) confirm(shots []hostile.Shot, f *Finding) bool {
	lists := [][]hostile.Shot{shots}
	if parts := len(n.lanes) - 1; parts > 1 && len(shots) > 1 && !n.suspect.lead && !n.asFound(shots).flood {
		lists = append(split(shots, parts), shots)
	}
	i := n.first(lists)
	if i >= 0 {
		f.Shots = lists[i]
	}
	return i >= 0
}

// stop says that it has taken too long.
func (n *narrowing) stop(f *Finding) bool {
	f.coarse = n.ctx.Err() != nil || n.spent > n.Narrow || time.Now().After(n.deadline)
	return f.coarse
}

// reduceCases leaves out what is not needed of the cases that follow a lead.
func (n *narrowing) reduceCases(f *Finding) {
	cases := casesOf(f.Shots)
	if len(cases) < 2 {
		return
	}
	of := func(some []string) []hostile.Shot {
		return slices.DeleteFunc(slices.Clone(f.Shots), func(x hostile.Shot) bool {
			return x.Case != leadCase && !slices.Contains(some, x.Case)
		})
	}
	f.Shots = of(reduce(cases, len(n.lanes), func(lists [][]string) int {
		var shots [][]hostile.Shot
		for _, some := range lists {
			shots = append(shots, of(some))
		}
		return n.first(shots)
	}, func() bool { return n.stop(f) }))
}

func casesOf(shots []hostile.Shot) (cases []string) {
	for _, x := range shots {
		if x.Case != leadCase && !slices.Contains(cases, x.Case) {
			cases = append(cases, x.Case)
		}
	}
	return cases
}

// split cuts a list into so many parts, or fewer.
func split[T any](all []T, parts int) [][]T {
	return slices.Collect(slices.Chunk(slices.Clone(all), (len(all)+parts-1)/parts))
}

// reduce is delta debugging (Zeller, Hildebrandt: Simplifying and Isolating
// Failure-Inducing Input, 2002): a shortest list that still fails, in that nothing
// can be left out, unless stop says that it has taken too long. It begins with so many parts;
// first is the first list of several that fails, or -1.
func reduce[T any](all []T, width int, first func([][]T) int, stop func() bool) []T {
	width = max(width, 2)
	for parts := width; len(all) > 1 && !stop(); {
		lists := split(all, min(parts, len(all)))
		if n := len(lists); n > 2 {
			for i := range n {
				lists = append(lists, slices.Concat(slices.Concat(lists[:i]...), slices.Concat(lists[i+1:n]...)))
			}
		}
		switch i := first(lists); {
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

// look is what a datagram looks like but for its names and ports, of which only members' are
// told from others: those that look alike have the same effect.
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
