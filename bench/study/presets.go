package study

import (
	"fmt"
	"slices"
	"time"

	"p2plocal/bench/result"
	"p2plocal/bench/scenario"
)

// Presets are the studies that there are. A newcomer wants them as they are;
// Vary gives their axes other values.
func Presets() []Grid {
	sizes := Axis{"peers", []string{"10", "40", "95"}}
	healing := Axis{"refresh", []string{"1s", "2s", "5s", "10s"}}
	return []Grid{
		{Name: "loss", About: "how often loss removes live peers, and when dead ones are noticed",
			Config:  config("loss", 30),
			Axes:    []Axis{sizes, {"refresh", []string{"0s", "5s"}}, {"loss", []string{"0%", "1%", "2%", "5%", "10%", "15%", "20%", "25%", "30%"}}},
			Columns: []Column{{"loss.removal_rate", "removed/h"}, {"loss.removal_rate_expected", "expected"}, {"loss.overhead", "traffic"}, {"loss.detect.p50", "noticed p50"}, {"loss.detect.max", "max"}, {"loss.unnoticed", "unnoticed"}},
			Charts: []Chart{
				{Title: "How often loss removes a live peer", X: "loss", Y: "loss.removal_rate", Theory: "loss.removal_rate_expected", Log: true},
				{Title: "Survivors that never notice a death", X: "loss", Y: "loss.unnoticed"},
			}},
		{Name: "join", About: "how long all views take to be complete where the network loses datagrams",
			Config:  config("join", 20),
			Axes:    []Axis{sizes, {"refresh", []string{"0s", "1s", "5s"}}, {"loss", []string{"1%", "5%", "10%", "20%"}}},
			Columns: []Column{{"join.converge", "complete"}, {"join.admit.p50", "admitted p50"}, {"join.admit.max", "max"}},
			Charts:  []Chart{{Title: "Until all views are complete", X: "loss", Y: "join.converge"}}},
		{Name: "restart", About: "how long the mesh takes to be whole again once the server is back, knowing nobody",
			Config: config("restart", 20), Axes: []Axis{sizes, healing},
			Columns: []Column{{"restart.refresh.whole", "whole"}, {"restart.whole", "without refresh"}, {"restart.stranded", "stranded"}},
			Charts:  []Chart{{Title: "Until the mesh is whole after a restart", X: "refresh", Y: "restart.refresh.whole"}}},
		{Name: "partition", About: "how long the mesh takes to be whole again once two halves can hear each other",
			Config: config("partition", 20), Axes: []Axis{sizes, healing},
			Columns: []Column{{"partition.refresh.back", "whole"}, {"partition.back", "without refresh"}, {"partition.drop", "dropped"}, {"partition.stale", "stale"}},
			Charts:  []Chart{{Title: "Until the mesh is whole after a partition", X: "refresh", Y: "partition.refresh.back"}}},
		{Name: "churn", About: "for what part of the time a view is wrong while peers come and go",
			Config:  config("churn", 10),
			Axes:    []Axis{sizes, {"refresh", []string{"0s", "5s"}}, {"loss", []string{"0%", "5%"}}, {"churn", []string{"0.1", "0.3", "1", "3"}}},
			Columns: []Column{{"churn.disagreement", "wrong views"}, {"churn.converge", "converged"}, {"churn.events", "events"}},
			Charts:  []Chart{{Title: "Views that are wrong under churn", X: "churn", Y: "churn.disagreement"}}},
		Sweep(),
	}
}

// Sweep is the study of which settings of the timing are worth choosing.
func Sweep() Grid {
	return Grid{Name: "sweep", About: "which settings of the timing are worth choosing (*): no other is as good in all, and better in one",
		Config: config("loss", 30),
		Axes: []Axis{{"peers", []string{"40"}}, {"loss", []string{"5%"}}, {"heartbeat", []string{"250ms", "500ms", "1s"}}, {"refresh", []string{"0s", "2s", "5s"}},
			{"deadline", []string{"1s", "1.5s", "2s", "2.5s", "3s", "4s", "5s"}}},
		Columns: []Column{{"loss.removal_rate", "removed/h"}, {"loss.removal_rate_expected", "expected"}, {"loss.overhead", "traffic"}, {"loss.detect.mean", "noticed"}, {"loss.unnoticed", "unnoticed"}},
		Least:   []string{"loss.removal_rate_expected", "loss.overhead", "loss.detect.mean", "loss.unnoticed"},
		Charts: []Chart{
			{Title: "Removals of live peers against the time to notice a death", X: "loss.detect.mean", Y: "loss.removal_rate_expected", Log: true},
			{Title: "Removals of live peers against traffic", X: "loss.overhead", Y: "loss.removal_rate_expected", Log: true},
		}}
}

// config measures one scenario on a network that is no worse than loopback. A
// minute without broadcasts is what most grids want; the axes set the rest.
func config(name string, runs int) result.Config {
	c := scenario.Simulated(40, name)
	c.Repeat, c.Simulation.Queue, c.Timing.Broadcast = runs, 0, 0
	c.Options.Duration = time.Minute
	c.Options.Interval = time.Minute
	if name == "loss" {
		c.Options.Kill = 3
	}
	c.Options.Impair = result.Impairment{}
	return c
}

// Vary gives the grid these axes: in place of its own of the same name, or before them.
func (g *Grid) Vary(axes []Axis) error {
	g.Axes = slices.Clone(g.Axes)
	for i, a := range axes {
		if slices.ContainsFunc(axes[:i], func(b Axis) bool { return a.Name == b.Name }) {
			return fmt.Errorf("two axes %s: put all its values into one, with commas between", a.Name)
		}
		if at := slices.IndexFunc(g.Axes, func(b Axis) bool { return a.Name == b.Name }); at >= 0 {
			g.Axes[at] = a
		} else {
			g.Axes = slices.Insert(g.Axes, 0, a)
		}
	}
	_, err := g.cells(0) // names the first thing that cannot be studied
	return err
}
