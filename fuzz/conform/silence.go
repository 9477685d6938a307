package conform

import (
	"fmt"
	"slices"
	"time"
)

// wantSilence ensures that an endpoint was sent nothing since a mark. Where others use
// the server, what tells of their changes is no noise.
func (l *trial) wantSilence(p *endpoint, since int, expected string) {
	earlier, came := l.split(p, since)
	if len(came) == 0 {
		return
	}
	before, _ := last(earlier)
	known := whole(before)
	for _, e := range came {
		if e.directory == nil {
			l.surely(p, since, expected, fmt.Sprintf("%s was sent what is no directory", p))
		}
		now := whole(*e.directory)
		if slices.Equal(now, known) {
			l.surely(p, since, expected, fmt.Sprintf("%s was sent the same directory again", p))
		}
		known = now
	}
	if l.alone {
		l.fail(p, since, expected, fmt.Sprintf("%s was sent %s", p, plural(len(came), "datagram")))
	}
}

// wantNothing ensures that an endpoint that is in no directory was sent nothing.
func (l *trial) wantNothing(p *endpoint, expected string) {
	l.sleep(settle) // what is under way arrives
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
		l.surely(p, 0, expected, fmt.Sprintf("%s told %s nothing new", plural(n, "directory"), p))
	}
}
