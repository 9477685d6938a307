package record

// Sequence follows the counters of one sender's messages as they come.
type Sequence struct {
	Started bool
	High    uint16 // highest counter seen
	seen    uint64 // bit i: counter high-i
}

type placing int

const (
	inOrder placing = iota
	Behind          // a later one has been seen
	Again           // it has been seen
)

// Place says where a counter stands among those seen, and adds it to them. One
// that is more than 63 behind cannot be told from a repeated one, and counts
// as new.
func (s *Sequence) Place(counter uint16) placing {
	ahead := int16(counter - s.High)
	switch {
	case !s.Started:
		s.Started, s.High, s.seen = true, counter, 1
		return inOrder
	case ahead > 0:
		s.High, s.seen = counter, s.seen<<ahead|1 // a shift by 64 or more gives 0
		return inOrder
	case ahead > -64 && s.seen>>-ahead&1 != 0:
		return Again
	case ahead > -64:
		s.seen |= 1 << -ahead
	}
	return Behind
}
