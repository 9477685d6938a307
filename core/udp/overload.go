package udp

import (
	"time"

	"golang.org/x/net/bpf"

	"p2plocal/core"
)

// A lossAware machine copes with more datagrams than it can take: it is told when the kernel has
// dropped some, and what it has no use for may be filtered. core.Directory is one.
type lossAware interface {
	Lost(now time.Time)
	Accepts() []core.Shape
}

// The filter is in place while more than overloadDrops datagrams are dropped within
// overloadWindow.
const (
	overloadDrops  = 1000
	overloadWindow = time.Second
	// While the filter is in place, few datagrams arrive that would cause a look.
	overloadLook = 50 * time.Millisecond
)

// bigBatch is how many datagrams taken at once mean that some may have been dropped: fewer than
// any buffer holds that is not made small on purpose.
const bigBatch = 128

// overload is what a Socket knows of the datagrams that it loses.
type overload struct {
	seen     uint64    // drops, at the last look
	since    time.Time // when the window began
	drops    uint64    // in it
	look     time.Time // when to look next, while filtered
	filtered bool      // the kernel drops what the machine does not accept
}

// lookForDrops tells a lossAware machine what it has lost, and filters what comes for as long as
// that is much. It runs after every big batch, and at every deadline when all that waited has
// been stepped: so a server knows of its losses before it removes silent peers. The caller holds
// mu.
func (s *Socket) lookForDrops() {
	m, ok := s.machine.(lossAware)
	if !ok || s.closed {
		return
	}
	total, known := s.conn.drops()
	if !known {
		return
	}
	now, o := time.Now(), &s.overload
	lost, turned := o.sample(now, total)
	s.ask = true
	if lost {
		m.Lost(now)
	}
	if turned {
		var program []bpf.RawInstruction
		if !o.filtered {
			program = assemble(m.Accepts())
		}
		o.filtered = s.conn.filter(program)
		s.filtered.Store(o.filtered)
	}
}

// sample takes the total of dropped datagrams at a time. It reports that some are new, and that
// the filter is to be put in place or removed.
func (o *overload) sample(now time.Time, total uint64) (lost, turned bool) {
	o.look = now.Add(overloadLook)
	n := total - o.seen
	o.seen, o.drops = total, o.drops+n
	much := o.drops > overloadDrops
	if !much && now.Sub(o.since) < overloadWindow {
		return n > 0, false
	}
	o.since, o.drops = now, 0
	return n > 0, much != o.filtered
}
