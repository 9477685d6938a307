package reports

import (
	"p2plocal/bench/result"
	"p2plocal/bench/work"
)

// Workers are those at a NATS server.
type Workers struct {
	Tool    result.Tool   `json:"tool"`
	Workers []work.Listed `json:"workers"`
}

// Document has a row for each.
func (w *Workers) Document() *Document {
	t := &table{Corner: "worker", Columns: columns("cores", "ahead", "within", "host", "busy with", "version")}
	for i, rank := range []int{0, 1, 1, 2, 0, 3} {
		t.Columns[i].Rank, t.Columns[i].Left = rank, i > 2
	}
	cores := 0
	for _, x := range w.Workers {
		cores += x.Cores
		ahead, within := word("no answer", bad), none
		if x.Within > 0 {
			ahead, within = measure(x.Ahead, "s"), measure(x.Within, "s")
		}
		busy := none
		if x.Busy != "" {
			busy = word(clean(x.Busy), "")
		}
		t.Rows = append(t.Rows, row{Name: clean(x.ID), Cells: []quantity{whole(x.Cores), ahead, within, word(clean(x.Host), ""), busy, word(clean(x.Version), "")}})
	}
	sum := phrase{}.add("%s, %s.", plural(uint64(len(w.Workers)), "worker"), plural(uint64(cores), "core"))
	return &Document{Tool: "meshbench workers", source: asJSON(w), Heads: []head{{Text: sum}},
		Sections: []section{{Name: "workers", Table: t, Facts: []fact{
			{"ahead", words("of this machine's clock, within so much: half of the quickest exchange")},
		}}}}
}
