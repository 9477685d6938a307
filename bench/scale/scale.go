// Package scale measures how one directory server of the wide dialect bears more and more
// peers: over UDP, and in a model of what a datagram costs.
package scale

import (
	"context"
	"encoding/json"
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
// before ctx was.
func Curve(ctx context.Context, sizes []int, compute work.Compute) (points []Point, err error) {
	if len(sizes) == 0 {
		return nil, nil
	}
	units := slices.Clone(sizes)
	slices.SortFunc(units, func(a, b int) int { return b - a }) // the largest takes longest, and begins first
	params, err := json.Marshal(units)
	if err != nil {
		return nil, err
	}
	j, of := work.Job{Kind: "scale", Params: params, Last: uint64(len(units) - 1)}, map[int]Point{}
	err = compute(ctx, j, Lease, func(d work.Done) error {
		var some []Point
		err := json.Unmarshal(d.Result, &some)
		for _, p := range some {
			of[p.Peers] = p
		}
		return err
	})
	for _, n := range sizes {
		if p, ok := of[n]; ok {
			points = append(points, p)
		}
	}
	return points, err
}

// Lease simulates meshes of some of the sizes that JSON lists, and gives the []Point of those that were done before
// ctx was. It is a work.Func.
func Lease(ctx context.Context, params json.RawMessage, first, last uint64) (any, error) {
	var sizes []int
	if err := json.Unmarshal(params, &sizes); err != nil || last >= uint64(len(sizes)) || slices.Max(sizes) > MostSimulated || slices.Min(sizes) < 2 {
		return nil, fmt.Errorf("no sizes %d to %d of meshes in %s", first, last, params)
	}
	points := []Point{}
	for _, n := range sizes[first : last+1] {
		p, err := Simulate(ctx, n)
		if ctx.Err() != nil {
			break
		}
		if err != nil {
			return nil, err
		}
		points = append(points, p)
	}
	return points, nil
}

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
