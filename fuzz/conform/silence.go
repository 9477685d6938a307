package conform

import (
	"fmt"
	"slices"
	"time"

	"p2plocal/core/wire"
)

// wantChanges ensures that since a mark an endpoint was sent one directory for each of some
// changes of the case's own, and nothing else. Where others use the server, what
// tells of their changes is no noise.
func (l *trial) wantChanges(p *endpoint, since int, expected string, changes ...[]wire.Entry) {
	earlier, came := l.split(p, since)
	before, _ := last(earlier)
	for _, e := range came {
		if e.directory == nil {
			l.failCertain(p, since, expected, fmt.Sprintf("%s was sent what is no directory", p))
		}
		now := *e.directory
		if slices.Equal(whole(now), whole(before)) {
			l.failCertain(p, since, expected, fmt.Sprintf("%s was sent the same directory again", p))
		}
		own, same := l.ownEntries(now), slices.Equal(l.ownEntries(now), l.ownEntries(before))
		before = now
		if same && !l.alone {
			continue
		}
		if len(changes) == 0 || !slices.Equal(own, sorted(changes[0])) {
			l.fail(p, since, expected, fmt.Sprintf("%s was sent a %s", p, Summary(e.datagram)))
		}
		changes = changes[1:]
	}
	if len(changes) > 0 {
		l.fail(p, since, expected, "")
	}
}

// wantNothing ensures that an endpoint that is in no directory was sent nothing.
func (l *trial) wantNothing(p *endpoint, expected string) {
	l.settle() // what is under way arrives
	l.wantCount(p, 0, 0, expected)
}

// wantCount ensures that an endpoint was sent n datagrams since a mark.
func (l *trial) wantCount(p *endpoint, since, n int, expected string) {
	if is := len(l.got(p, since)); is != n {
		l.fail(p, since, expected, fmt.Sprintf("%s was sent %s", p, plural(is, "datagram")))
	}
}

// wantNewsOnly ensures that no directory has told a peer nothing new since a time.
func (l *trial) wantNewsOnly(p *endpoint, since time.Time, expected string) {
	if n := l.again(p, since); n > 0 {
		l.failCertain(p, 0, expected, fmt.Sprintf("%s told %s nothing new", plural(n, "directory"), p))
	}
}
