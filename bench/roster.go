package bench

// roster keeps who was alive when, as views are compared with it.
type roster []view

// mark notes who is alive from at on.
func (r *roster) mark(at int64, alive set) { *r = append(*r, view{at, alive}) }

// lived reports that peer i was alive through all of [from, to].
func (m *mesh) lived(i int, from, to int64) bool {
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
