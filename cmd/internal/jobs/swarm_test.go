package jobs

import (
	"testing"
	"time"

	"p2plocal/bench/swarm"
	"p2plocal/bench/work"
)

// A line of progress tells as much as fits.
func TestProgress(t *testing.T) {
	p := progress{start: time.Now().Add(-10 * time.Second), of: 20_000, by: map[string]*byOne{}}
	p.findings.Add(1)
	for worker, took := range map[string]float64{"a": 4, "b": 8} {
		p.add(work.Done{Worker: worker, Took: took}, &swarm.Tally{Seeds: 4000, Virtual: 3600 * 70})
	}
	for columns, want := range map[int]string{
		119: "[====        ] 8,000 of 20,000 seeds, 1 finding, 2 workers, 500 to 1,000/s a core, 140 hours of virtual time, 15s left",
		79:  "8,000 of 20,000 seeds, 1 finding, 2 workers, 500 to 1,000/s a core, 15s left",
		70:  "[====        ] 8,000 of 20,000 seeds, 1 finding, 2 workers, 15s left",
		59:  "8,000 of 20,000 seeds, 1 finding, 2 workers, 15s left",
		9:   "8,000 of 20,000 seeds, 15s left",
	} {
		if got := p.line(columns); got != want {
			t.Errorf("%d columns: %q, want %q", columns, got, want)
		}
	}
}
