package conform

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"p2plocal/core/wire"
)

// directories are the sound ones among some events.
func directories(events []event) (all []directorySeen) {
	for _, e := range events {
		if e.directory != nil {
			all = append(all, *e.directory)
		}
	}
	return all
}

// last is the last directory among some events; false: there is none.
func last(events []event) (directorySeen, bool) {
	for i := len(events) - 1; i >= 0; i-- {
		if d := events[i].directory; d != nil {
			return *d, true
		}
	}
	return directorySeen{}, false
}

// directorySeen is a directory that somebody was sent.
type directorySeen struct {
	at      time.Time
	entries wire.Entries
}

func (d directorySeen) lists(x wire.Entry) bool { return d.entries.Contains(x) }

// ownEntries are the entries of a directory that concern the case, sorted.
func (l *trial) ownEntries(d directorySeen) (own []wire.Entry) {
	for e := range d.entries.Each() {
		foreign := slices.Contains(l.residents, e) ||
			!l.alone && !slices.Contains(l.names, e.Name) && !slices.ContainsFunc(l.endpoints, func(p *endpoint) bool { return p.entry.Name != 0 && p.addr.Port() == e.Port })
		if !foreign {
			own = append(own, e)
		}
	}
	return sorted(own)
}

func sorted(entries []wire.Entry) []wire.Entry {
	entries = slices.Clone(entries)
	slices.SortFunc(entries, func(a, b wire.Entry) int { return int(a.Name) - int(b.Name) })
	return entries
}

func entriesOf(endpoints []*endpoint) (entries []wire.Entry) {
	for _, p := range endpoints {
		entries = append(entries, p.entry)
	}
	return entries
}

// awaitPeers waits until the last directory that a peer was sent has just these entries.
func (l *trial) awaitPeers(p *endpoint, want ...*endpoint) directorySeen {
	return l.awaitEntries(soon, 0, p, entriesOf(want))
}

// awaitEntries is awaitPeers within a time, and for directories since a mark only.
func (l *trial) awaitEntries(within time.Duration, since int, p *endpoint, entries []wire.Entry) (d directorySeen) {
	entries = sorted(entries)
	l.expect(p, since, within, fmt.Sprintf("%s is told within %v of %s", p, within, l.listed(entries)), func() bool {
		var ok bool
		d, ok = last(l.came(p, since))
		return ok && slices.Equal(l.ownEntries(d), entries)
	})
	return d
}

// first waits for the first directory that names a peer, which must have just these entries.
// Entries that the server has wrongly let in show there, however soon they are reaped again.
func (l *trial) first(p *endpoint, entries []wire.Entry) {
	entries = sorted(entries)
	var got []wire.Entry
	if !l.wait(soon, func() bool {
		for _, d := range directories(l.came(p, 0)) {
			if d.lists(p.entry) {
				got = l.ownEntries(d)
				return true
			}
		}
		return false
	}) || !slices.Equal(got, entries) {
		l.fail(p, 0, fmt.Sprintf("the first directory that %s is sent within %v is of %s", p, soon, l.listed(entries)), "")
	}
}

// listed is a list of entries in words.
func (l *trial) listed(entries []wire.Entry) string {
	var b strings.Builder
	if l.alone {
		b.WriteString("exactly")
	} else {
		b.WriteString("of this case's names exactly")
	}
	if len(entries) == 0 {
		b.WriteString(" nobody")
	}
	for i, e := range entries {
		if i == 12 {
			fmt.Fprintf(&b, " and %d more", len(entries)-i)
			break
		}
		fmt.Fprintf(&b, " %v", e)
	}
	return b.String()
}

func whole(d directorySeen) []wire.Entry { return sorted(slices.Collect(d.entries.Each())) }

// repeats is how many directories since a time said the same as the one before.
func repeats(came []event, since time.Time) (n int) {
	var last []wire.Entry
	for i, d := range directories(came) {
		now := whole(d)
		if slices.Equal(now, last) && i > 0 && !d.at.Before(since) {
			n++
		}
		last = now
	}
	return n
}
