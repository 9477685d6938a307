package study

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"p2plocal/core"
)

// Plan says what to study.
type Plan struct {
	Parts   []string // of Parts
	Peers   []int
	Losses  []float64
	Refresh []time.Duration // for Loss and Churn; 0 among them is the exact protocol
	Heal    []time.Duration // the refresh intervals to heal by; 0 as before
	Deaths  []float64       // a second, for Churn
	Timing  core.Timing
	Hours   float64 // peer-hours for each line of Loss and Sweep
	Meshes  int     // for each line of Heal and Churn
	Seed    uint64
	Workers int

	Grid       []core.Timing // for Sweep
	SweepPeers int
	SweepLoss  float64
}

// Parts are the studies there are, and what each asks.
var Parts = [][2]string{
	{"loss", "how often loss removes live peers, and when dead ones are noticed"},
	{"heal", "how long the mesh takes to be whole again once a fault is over"},
	{"churn", "for what part of the time a view is wrong while peers come and go"},
	{"sweep", "which settings of the timing are worth choosing"},
}

// Report is what studies came to. Durations in a Timing are nanoseconds, all
// other times seconds.
type Report struct {
	Version     string     `json:"version"` // of the program, with its commit where that is known
	Args        []string   `json:"args"`    // that shaped the report
	Seed        uint64     `json:"seed"`
	Interrupted bool       `json:"interrupted"` // only what was finished is here
	Loss        []LossRow  `json:"loss,omitempty"`
	Heal        []HealRow  `json:"heal,omitempty"`
	Churn       []ChurnRow `json:"churn,omitempty"`
	Sweep       []SweepRow `json:"sweep,omitempty"`
}

// LossRow is a Study at one loss.
type LossRow struct {
	Peers  int         `json:"peers"`
	Loss   float64     `json:"loss"`
	Timing core.Timing `json:"timing"`
	Point
}

// HealRow is a Heal.
type HealRow struct {
	Cause  Cause       `json:"cause"`
	Peers  int         `json:"peers"`
	Timing core.Timing `json:"timing"`
	Times
}

// ChurnRow is a Churn: the part of the views that was wrong.
type ChurnRow struct {
	Peers  int         `json:"peers"`
	Loss   float64     `json:"loss"`
	Deaths float64     `json:"deaths"` // a second
	Timing core.Timing `json:"timing"`
	Theory float64     `json:"theory"` // without loss
	Share
}

// churnLosses are what Churn compares: a sound network and one that is not.
var churnLosses = []float64{0, 0.05}

// Run does all that is planned, on as many goroutines as there are workers, or
// what it can until ctx is done. progress, which may be nil, is called with how
// many of all lines are finished, from any goroutine.
func (p Plan) Run(ctx context.Context, progress func(done, all int)) *Report {
	r := &Report{Seed: p.Seed}
	var loss []*LossRow
	var heal []*HealRow
	var churn []*ChurnRow
	var sweep []*SweepRow
	var work []func()
	for _, part := range p.Parts {
		switch part {
		case "loss":
			loss = p.lossLines(ctx, &work)
		case "heal":
			heal = p.healLines(ctx, &work)
		case "churn":
			churn = p.churnLines(ctx, &work)
		case "sweep":
			sweep = p.sweepLines(ctx, &work)
		}
	}
	p.each(ctx, work, progress)
	// A line that is cut short would mislead: it has set its pointer to nothing.
	r.Loss, r.Heal, r.Churn, r.Sweep = finished(loss), finished(heal), finished(churn), finished(sweep)
	markFront(r.Sweep)
	r.Interrupted = ctx.Err() != nil && len(r.Loss)+len(r.Heal)+len(r.Churn)+len(r.Sweep) < len(work)
	return r
}

// each does the work.
func (p Plan) each(ctx context.Context, work []func(), progress func(done, all int)) {
	var next, done atomic.Int64
	var wg sync.WaitGroup
	for range p.Workers {
		wg.Go(func() {
			for ctx.Err() == nil {
				i := int(next.Add(1)) - 1
				if i >= len(work) {
					return
				}
				work[i]()
				if n := int(done.Add(1)); progress != nil {
					progress(n, len(work))
				}
			}
		})
	}
	wg.Wait()
}

// line adds a row and the work that fills it.
func line[R any](ctx context.Context, rows *[]*R, work *[]func(), row R, fill func(*R)) {
	i := len(*rows)
	*rows = append(*rows, nil)
	*work = append(*work, func() {
		if fill(&row); ctx.Err() == nil {
			(*rows)[i] = &row
		}
	})
}

// finished are the rows that were filled.
func finished[R any](rows []*R) (all []R) {
	for _, r := range rows {
		if r != nil {
			all = append(all, *r)
		}
	}
	return all
}

func (p Plan) lossLines(ctx context.Context, work *[]func()) []*LossRow {
	rows := new([]*LossRow)
	for _, peers := range p.Peers {
		for _, refresh := range p.Refresh {
			for _, loss := range p.Losses {
				t := p.Timing
				t.Refresh = refresh
				line(ctx, rows, work, LossRow{Peers: peers, Loss: loss, Timing: t}, func(r *LossRow) {
					r.Point = Study{Peers: peers, Timing: t, Loss: loss, Hours: p.Hours, Seed: p.Seed}.Run(ctx)
				})
			}
		}
	}
	return *rows
}

func (p Plan) healLines(ctx context.Context, work *[]func()) []*HealRow {
	rows := new([]*HealRow)
	for _, cause := range Causes {
		for _, peers := range p.Peers {
			for _, refresh := range p.Heal {
				t := p.Timing
				t.Refresh = refresh
				line(ctx, rows, work, HealRow{Cause: cause, Peers: peers, Timing: t}, func(r *HealRow) {
					r.Times = Heal{Cause: cause, Peers: peers, Timing: t, Meshes: p.Meshes, Seed: p.Seed}.Run(ctx)
				})
			}
		}
	}
	return *rows
}

func (p Plan) churnLines(ctx context.Context, work *[]func()) []*ChurnRow {
	rows := new([]*ChurnRow)
	for _, peers := range p.Peers {
		for _, loss := range churnLosses {
			for _, refresh := range p.Refresh {
				for _, deaths := range p.Deaths {
					t := p.Timing
					t.Refresh = refresh
					c := Churn{Peers: peers, Timing: t, Loss: loss, Deaths: deaths, Meshes: p.Meshes, Seed: p.Seed}
					if !c.Fits() {
						continue
					}
					line(ctx, rows, work, ChurnRow{Peers: peers, Loss: loss, Deaths: deaths, Timing: t, Theory: c.Theory()}, func(r *ChurnRow) {
						r.Share = c.Run(ctx)
					})
				}
			}
		}
	}
	return *rows
}

func (p Plan) sweepLines(ctx context.Context, work *[]func()) []*SweepRow {
	rows := new([]*SweepRow)
	for _, t := range p.Grid {
		line(ctx, rows, work, SweepRow{Peers: p.SweepPeers, Loss: p.SweepLoss, Timing: t}, func(r *SweepRow) {
			r.Point = Study{Peers: r.Peers, Timing: t, Loss: p.SweepLoss, Hours: p.Hours, Seed: p.Seed}.Run(ctx)
		})
	}
	return *rows
}

// Validate names the first thing that cannot be studied.
func (p Plan) Validate() error {
	for _, part := range p.Parts {
		if !slices.ContainsFunc(Parts, func(known [2]string) bool { return known[0] == part }) {
			return fmt.Errorf("%q is no study: want loss, heal, churn or sweep", part)
		}
	}
	for _, n := range append(p.Peers[:len(p.Peers):len(p.Peers)], p.SweepPeers) {
		if n < 2 || n > core.MaxPeers {
			return fmt.Errorf("%d peers, want 2 to %d", n, core.MaxPeers)
		}
	}
	for _, loss := range append(p.Losses[:len(p.Losses):len(p.Losses)], p.SweepLoss) {
		if !(loss >= 0 && loss < 1) {
			return fmt.Errorf("loss of %v, want 0 to less than 1", loss)
		}
	}
	switch {
	case !(p.Hours > 0 && p.Hours <= 1e6):
		return fmt.Errorf("%v peer-hours, want more than 0, at most 1e6", p.Hours)
	case p.Meshes < 1 || p.Meshes > 1e6:
		return fmt.Errorf("%d meshes, want 1 to 1000000", p.Meshes)
	case p.Workers < 1 || p.Workers > 1024:
		return fmt.Errorf("%d workers, want 1 to 1024", p.Workers)
	}
	for _, refresh := range p.Refresh {
		t := p.Timing
		t.Refresh = refresh
		if err := studied(t); err != nil {
			return err
		}
	}
	for _, t := range p.Grid {
		if err := studied(t); err != nil {
			return err
		}
	}
	return nil
}

// studied says what keeps a timing from being studied.
func studied(t core.Timing) error {
	if err := t.Validate(); err != nil {
		return err
	}
	for _, d := range []time.Duration{t.Heartbeat, t.Reap, t.Deadline, t.Refresh} {
		if d != 0 && d < shortest || d > longest {
			return fmt.Errorf("interval of %v, want %v to %v", d, shortest, longest)
		}
	}
	return nil
}
