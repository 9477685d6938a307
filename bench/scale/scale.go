// Package scale measures how one directory server of the wide dialect bears more and more
// peers: over UDP, and in a model of what a datagram costs.
package scale

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"p2plocal/bench/result"
	"p2plocal/bench/scenario"
	"p2plocal/bench/work"
)

// Point is a mesh of so many peers.
type Point struct {
	Peers     int           `json:"peers"`
	Simulated bool          `json:"simulated"`
	Join      time.Duration `json:"join"`      // from as many births at once until every view is complete; 0: they were not
	Datagrams uint64        `json:"datagrams"` // that the server sent until then
	Bytes     uint64        `json:"bytes"`     // of them, UDP payload
	Busy      time.Duration `json:"busy"`      // the server until then; 0: not known
	Detection time.Duration `json:"detection"` // from a peer's death until it is in no view; 0: it still is
	Removed   uint64        `json:"removed"`   // live peers that the server removed
}

// MostSimulated is the most peers that are simulated.
const MostSimulated = 30_000

// Curve simulates meshes of some sizes, here or by workers, and gives one point for each that was done
// before ctx was; tell hears of each.
func Curve(ctx context.Context, sizes []int, compute work.Compute, tell func(Point)) (points []Point, err error) {
	units := slices.Clone(sizes)
	slices.SortFunc(units, func(a, b int) int { return b - a }) // the largest takes longest, and begins first
	all, err := work.Collect[Point](ctx, compute, "scale", units, len(units), Lease, func(_ int, new []*Point) {
		for _, p := range new {
			if p != nil {
				tell(*p)
			}
		}
	})
	for _, n := range sizes {
		if i := slices.Index(units, n); i < len(all) && all[i] != nil {
			points = append(points, *all[i])
		}
	}
	return points, err
}

// Lease simulates meshes of some of the sizes that are a job's parameters.
var Lease = work.List(func(sizes []int) ([]int, error) {
	for _, n := range sizes {
		if n < 2 || n > MostSimulated {
			return nil, fmt.Errorf("a mesh of %d, want 2 to %d", n, MostSimulated)
		}
	}
	return sizes, nil
}, Simulate)

// Measure does over UDP, by the scenarios join and crash, what Simulate does.
func Measure(ctx context.Context, n int) (Point, error) {
	p := Point{Peers: n}
	c := scenario.Simulated(n, "join", "crash")
	c.Isolation, c.Simulation, c.Options.Wide = "goroutine", nil, true
	r, err := scenario.Execute(ctx, c, result.Tool{}, new(scenario.Status))
	if err != nil {
		return p, err
	}
	figures := r.Runs[0].Flat()
	seconds := func(name string) time.Duration {
		if v := figures[name].Value; v != nil {
			return time.Duration(*v * 1e9)
		}
		return 0
	}
	p.Join, p.Detection = seconds("join.converge"), seconds("crash.converge")
	for _, s := range r.Runs[0].Scenarios {
		if s.Name == "join" {
			sent := s.Traffic.Server.Total()
			p.Datagrams, p.Bytes = sent.Datagrams, sent.Bytes
		}
		if n := figures[s.Name+".false_positives"].Value; n != nil {
			p.Removed += uint64(*n)
		}
	}
	if why := r.Failure(); why != "" {
		return p, errors.New(why)
	}
	return p, ctx.Err()
}
