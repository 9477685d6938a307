package reports

import (
	"fmt"
	"maps"
	"math"
	"slices"

	"p2plocal/bench/result"
	"p2plocal/bench/scenario"
	"p2plocal/bench/work"
	"p2plocal/fuzz/figure"
)

// mark marks a figure that is smaller than what the clocks of different hosts may add to it.
func mark(q quantity, v *float64, bound float64) quantity {
	if v != nil && bound > 0 && math.Abs(*v) < bound {
		q.Text, q.Tone = q.Text+"?", bad
	}
	return q
}

// certain is measure for a figure with such a bound.
func certain(v float64, unit string, bound float64) quantity {
	return mark(measure(v, unit), &v, bound)
}

// clocks is the bound itself, where there is one.
func clocks(bound float64) quantity {
	if bound == 0 {
		return none
	}
	return measure(bound, "s")
}

func within(bound float64) string {
	if bound == 0 {
		return ""
	}
	return fmt.Sprintf(" ± %v", clocks(bound))
}

// overHosts are a scenario's hosts, and what became of messages between them.
func overHosts(f *scenario.Figures) []section {
	s := f.All[len(f.All)-1]
	if len(s.Hosts) == 0 {
		return nil
	}
	hosts := &table{Corner: "host", Columns: columns("peers", "ahead", "±", "drift", "late", "CPU", "memory", "at", "worker")}
	for i, rank := range []int{0, 0, 0, 2, 1, 2, 3, 0, 1} {
		hosts.Columns[i].Rank, hosts.Columns[i].Left = rank, i > 6
	}
	facts := []fact{
		{"ahead", words("of the host's monotonic clock, the first host's, by which all times are")},
		{"±", words("within which that is certain, and a time between two hosts; a figure that is smaller has a ?")},
		{"late", words("how long after its time an order was carried out, at most")},
	}
	for i, h := range s.Hosts {
		name := fmt.Sprintf("%d %s", i+1, clean(h.Name))
		ahead, drift := measure(h.Ahead, "s"), in(fmt.Sprintf("%.1f", h.Drift*1e6), "ppm")
		if i == 0 {
			name, ahead, drift = name+", server", none, none
		}
		worker := word(clean(h.Worker), "")
		if h.Lost {
			worker = word(worker.Text+", lost", bad)
		}
		hosts.Rows = append(hosts.Rows, row{Name: name, Cells: []quantity{whole(h.Peers), ahead, clocks(h.Bound), drift, measure(h.Late, "s"), measure(h.CPU, "s"), measure(float64(h.Memory), "bytes"), word(clean(h.Addr), ""), worker}})
		var thrown phrase
		for _, counter := range slices.Sorted(maps.Keys(h.Kernel)) {
			thrown = thrown.add("%s %s", clean(counter), figure.Grouped(h.Kernel[counter]))
		}
		if thrown != nil {
			facts = append(facts, fact{fmt.Sprintf("kernel %d", i+1), thrown})
		}
	}
	about := "its hosts"
	if f.Repeated() {
		about += ", in the last run"
	}
	out := []section{{Name: f.Name, About: about, Table: hosts, Facts: facts}}
	links := statistical("sent", "lost", "p50", "p99", "max", "±")
	links.Corner, links.Columns[5].Rank = "from, to", 0
	for _, l := range s.Links {
		x := row{Name: fmt.Sprintf("%d → %d", l.From+1, l.To+1), Cells: []quantity{whole(l.Sent), whole(l.Sent - min(l.Sent, l.Delivered))}}
		for _, field := range []string{"p50", "p99", "max"} {
			cell := none
			if l.Latency.Dist != nil && l.Latency.Dist.N > 0 {
				v := l.Latency.Dist.Field(field)
				cell = mark(optional(v, "s"), v, l.Bound)
			}
			x.Cells = append(x.Cells, cell)
		}
		links.Rows = append(links.Rows, row{x.Name, append(x.Cells, clocks(l.Bound)), false})
	}
	if len(links.Rows) > 0 {
		out = append(out, section{Name: f.Name, About: "latency between hosts", Table: links})
	}
	return out
}

// Workers are the workers at a NATS server.
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
