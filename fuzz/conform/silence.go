package conform

import (
	"fmt"
	"slices"
	"time"

	"p2plocal/core"
)

// wantQuiet ensures that these are sent nothing for a time. Where others use the
// server, what tells of their changes is no noise.
func (l *trial) wantQuiet(d time.Duration, expected string, endpoints ...*endpoint) {
	since := l.mark()
	l.sleep(d)
	for _, p := range endpoints {
		l.wantSilence(p, since, expected)
	}
}

// wantSilence is wantQuiet for the time since a mark.
func (l *trial) wantSilence(p *endpoint, since int, expected string) {
	earlier, came := l.split(p, since)
	if len(came) == 0 {
		return
	}
	var last []core.Entry
	if before := directories(earlier); len(before) > 0 {
		last = whole(before[len(before)-1])
	}
	for _, e := range came {
		all := directories([]event{e})
		if len(all) == 0 {
			l.surely(p, since, expected, fmt.Sprintf("%s was sent what is no directory", p))
		}
		now := whole(all[0])
		if slices.Equal(now, last) {
			l.surely(p, since, expected, fmt.Sprintf("%s was sent the same directory again", p))
		}
		last = now
	}
	if l.alone {
		l.fail(p, since, expected, fmt.Sprintf("%s was sent %s", p, plural(len(came), "datagram")))
	}
}

// wantNothing ensures that an endpoint that is in no directory was sent nothing.
func (l *trial) wantNothing(p *endpoint, expected string) {
	l.sleep(settle) // what is under way arrives
	if n := len(l.got(p, 0)); n > 0 {
		l.fail(p, 0, expected, fmt.Sprintf("%s was sent %s", p, plural(n, "datagram")))
	}
}

// wantNewsOnly ensures that no directory has told a peer nothing new since a time.
func (l *trial) wantNewsOnly(p *endpoint, since time.Time, expected string) {
	if n := l.again(p, since); n > 0 {
		l.surely(p, 0, expected, fmt.Sprintf("%s told %s nothing new", plural(n, "directory"), p))
	}
}
