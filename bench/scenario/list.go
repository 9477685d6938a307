package scenario

import (
	"slices"

	"p2plocal/bench/result"
)

// All are the scenarios in the order they run.
var All = []Scenario{join, steady, crash, relaunch, churn, restart, pause, loss, partition, garbage, saturate}

// Scenarios are their names.
var Scenarios = func() (names []string) {
	for _, s := range All {
		names = append(names, s.Name)
	}
	return names
}()

// Find is the scenario of a name; nil: there is none.
func Find(name string) *Scenario {
	if i := slices.Index(Scenarios, name); i >= 0 {
		return &All[i]
	}
	return nil
}

// Metrics are the definitions of all scenarios' metrics.
var Metrics = func() *result.Definitions {
	var all []result.Definition
	add := func(scenario string, defs []Metric) {
		for _, d := range defs {
			d.Name = scenario + "." + d.Name
			all = append(all, result.Definition(d))
		}
	}
	for _, s := range All {
		add(s.Name, s.Metrics)
		if s.Broadcasts {
			add(s.Name, broadcasts)
		}
		add(s.Name, common)
	}
	return result.NewDefinitions(all)
}()
