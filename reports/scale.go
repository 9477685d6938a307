package reports

import (
	"time"

	"p2plocal/bench/result"
	"p2plocal/bench/scale"
)

// Scale is what meshes of more and more peers took.
type Scale struct {
	Tool        result.Tool   `json:"tool"`
	Env         result.Env    `json:"env,omitzero"` // nothing of it where all is simulated
	Interrupted bool          `json:"interrupted"`  // only what was finished is there
	Points      []scale.Point `json:"points"`
}

// Document has a row for each mesh, and curves over their sizes.
func (s *Scale) Document() *Document {
	t := &table{Corner: "mesh", Columns: columns("peers", "join", "datagrams", "bytes", "busy", "detection", "removed")}
	for i, rank := range []int{0, 0, 3, 2, 1, 0, 0} {
		t.Columns[i].Rank, t.Columns[i].Aside = rank, rank > 1
	}
	over := func(id, title string) chart {
		return chart{ID: "scale-" + id, Title: title, X: axis{Label: "peers", Unit: "1", Log: true}, Y: axis{Label: id, Unit: "s", Log: true}}
	}
	charts := []chart{over("join", "Until every view is complete"), over("busy", "What the server computes meanwhile"), over("detection", "Until a dead peer is in no view")}
	took := func(d time.Duration) quantity {
		if d == 0 {
			return word("never", bad)
		}
		return measure(d.Seconds(), "s")
	}
	for _, p := range s.Points {
		of := series{Name: "UDP", Kind: curves}
		if p.Simulated {
			of = series{Name: "simulated", Kind: curves, Color: 1}
		}
		busy := none
		if p.Busy > 0 {
			busy = took(p.Busy)
		}
		t.Rows = append(t.Rows, row{Name: of.Name, Cells: []quantity{whole(p.Peers), took(p.Join), whole(p.Datagrams),
			measure(float64(p.Bytes), "bytes"), busy, took(p.Detection), whole(p.Removed)}})
		for i, d := range []time.Duration{p.Join, p.Busy, p.Detection} {
			charts[i].add(of, point{X: float64(p.Peers), Y: d.Seconds()})
		}
	}
	sizes := map[int]bool{}
	for _, p := range s.Points {
		sizes[p.Peers] = true
	}
	text := interrupted(s.Interrupted).add("One directory server of the wide dialect, %s of mesh.", plural(uint64(len(sizes)), "size"))
	origin := []fact{{"simulated", ownCode}, {"made by", phrase{}.add("%s", build(s.Tool)).add("%s", shellWords(s.Tool.Args))}}
	if s.Env != (result.Env{}) {
		origin[0] = fact{"machine", machine(&result.Result{Env: s.Env}).add("%s", s.Env.Time.UTC().Format(time.DateTime+" UTC"))}
	}
	return &Document{Tool: "meshbench scale", source: asJSON(s), Heads: []head{{Text: text, Origin: origin}},
		Sections: []section{{Name: "scale", Table: t, Charts: charts, Facts: []fact{
			{"join", words("from the births, all at once, until every view is complete")},
			{"busy", words("the server's time until then, where it is simulated")},
			{"detection", words("from a peer's death until it is in no view")},
			{"removed", words("live peers that the server removed")},
		}}}}
}
