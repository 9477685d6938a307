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
	deadline := time.Now().Add(mostLate * c.Narrow) // while the machine is late
	var spent time.Duration                         // on the clocks of trials
	var once func(shots []hostile.Shot) (fails, void bool)
	fails := func(shots []hostile.Shot) bool {
		for range mostTries {
			if yes, void := once(shots); yes || !void {
				return yes
			}
		}
		return false
	}
	once = func(shots []hostile.Shot) (fails, void bool) {
		limit := time.Now().Add(s.hold + mostLate*endTime)
		if n := len(shots); n > 0 {
			limit = limit.Add(shots[n-1].At)
		}
		if limit.Before(deadline) {
			limit = deadline
		}
		t, err := c.begin(ctx, limit)
		if err != nil {
			if t != nil {
				t.end()
			}
			return false, false
		}
		t.plain, t.wants = true, s
		c.result.Restarts++
		b := c.asFound(shots)
		b.hold = s.hold
		got, _ := t.run(&plan{c: c, first: []batch{b}, unbounded: true})
		spent += t.clock
		t.end()
		if got == nil || got.kind != s.kind {
			return false, !t.missed.IsZero()
		}
		f.What = got.why
		return true, false
	}
	if f.Shots = s.shots; !fails(f.Shots) {
		if f.Shots = s.more; len(s.more) <= len(s.shots) || !fails(f.Shots) {
			return false
		}
	}
	if c.asFound(f.Shots).flood {
		return true
	}
	stop := func() bool {
		f.coarse = ctx.Err() != nil || spent > c.Narrow || time.Now().After(deadline)
		return f.coarse
	}
	if !s.lead {
		f.Shots = reduce(f.Shots, fails, stop)
		return true
	}
	if cases := casesOf(f.Shots); len(cases) > 1 {
		of := func(some []string) []hostile.Shot {
			return slices.DeleteFunc(slices.Clone(f.Shots), func(x hostile.Shot) bool {
				return x.Case != leadCase && !slices.Contains(some, x.Case)
			})
		}
		f.Shots = of(reduce(cases, func(some []string) bool { return fails(of(some)) }, stop))
	}
	return true
}

func casesOf(shots []hostile.Shot) (cases []string) {
	for _, x := range shots {
		if x.Case != leadCase && !slices.Contains(cases, x.Case) {
			cases = append(cases, x.Case)
		}
	}
	return cases
}

// reduce is delta debugging (Zeller, Hildebrandt: Simplifying and Isolating
// Failure-Inducing Input, 2002): a shortest list that still fails, in that nothing
// can be left out, unless stop says that it has taken too long.
func reduce[T any](all []T, fails func([]T) bool, stop func() bool) []T {
	for parts := 2; len(all) > 1 && !stop(); {
		smaller := false
		size := (len(all) + parts - 1) / parts
		for from := 0; from < len(all) && !stop(); from += size {
			to := min(from+size, len(all))
			part := slices.Clone(all[from:to])
			rest := slices.Concat(all[:from], all[to:])
			if fails(part) {
				all, parts, smaller = part, 2, true
				break
			}
			if parts > 2 && fails(rest) {
				all, parts, smaller = rest, max(parts-1, 2), true
				break
			}
		}
		if !smaller {
			if parts >= len(all) {
				break
			}
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
