package udp

import "time"

// A besieged machine goes on when more datagrams are sent to it than it can
// take: it is told when the kernel has thrown some away, and what it does not
// take at all may be kept from it. Directory is one.
type besieged interface {
	Lost(now time.Time)
}

// The filter is in place while more than siegeDrops datagrams are thrown away
// within siegeLook.
const (
	siegeDrops = 1000
	siegeLook  = time.Second
	// While the filter is in place, few datagrams come that would lead to a look.
	siegeGlance = 50 * time.Millisecond
)

// crowd is how many datagrams taken at once say that some may not have found
// room: fewer than any buffer holds that is not made small on purpose.
const crowd = 128

// siege is what a Socket knows of the datagrams that it loses.
type siege struct {
	seen     uint64    // drops, at the last look
	since    time.Time // when drops were last weighed
	drops    uint64    // since then
	glance   time.Time // when to look next, while filtered
	filtered bool      // the kernel drops what is no birth and no keep-alive
}

// lookForDrops tells a besieged machine what it has lost, and has the kernel
// filter what comes for as long as that is much. It follows every crowd, and every
// deadline after all that waited has been stepped: so a server knows of its
// losses before it looks for silent peers.
func (s *Socket) lookForDrops() {
	s.mu.Lock()
	defer s.mu.Unlock()
	m, ok := s.machine.(besieged)
	if !ok || s.closed {
		return
	}
	total, known := s.conn.drops()
	if !known {
		return
	}
	now, g := time.Now(), &s.siege
	g.glance = now.Add(siegeGlance)
	if n := total - g.seen; n > 0 {
		g.seen, g.drops = total, g.drops+n
		m.Lost(now)
	}
	much := g.drops > siegeDrops
	if !much && now.Sub(g.since) < siegeLook {
		return
	}
	g.since, g.drops = now, 0
	if much != g.filtered {
		g.filtered = s.conn.filter(much) && much
	}
}
