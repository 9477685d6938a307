package bench

// roster keeps who was alive when, as views are compared with it.
type roster []view

// mark notes who is alive from at on.
func (r *roster) mark(at int64, alive set) { *r = append(*r, view{at, alive}) }

// amnesia is a time in which the server does not know whom it should.
type amnesia struct{ from, to int64 }

// forgotten says that the server has come back and knows nobody. Until all have
// been born again, which without refresh they never are, views that shrink
// are no false culls.
func (m *mesh) forgotten() {
	a := amnesia{m.clock.now(), 1 << 62}
	if m.timing.Refresh > 0 {
		a.to = a.from + int64(m.timing.Refresh+m.timing.Deadline)
	}
	m.amnesia = append(m.amnesia, a)
}

// lived reports that peer i was alive, and a server that has to know it was there,
// through all of [from, to].
func (m *mesh) lived(i int, from, to int64) bool {
	for _, a := range m.amnesia {
		if from < a.to && to >= a.from {
			return false
		}
	}
	for k, v := range m.roster {
		if v.at > to {
			break
		}
		gone := k+1 < len(m.roster) && m.roster[k+1].at <= from
		if !gone && !v.set.has(i) {
			return false
		}
	}
	return len(m.roster) > 0 && m.roster[0].at <= from
}
