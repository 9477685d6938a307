package scenario

import (
	"slices"

	"p2plocal/bench/result"
)

// List are the scenarios in the order they run.
var List = []Scenario{join, steady, crash, relaunch, churn, restart, pause, loss, partition, garbage, saturate, rest, partial, play}

// Known are the names of those that end by themselves.
var Known = func() (names []string) {
	for _, s := range List[:len(List)-1] {
		names = append(names, s.Name)
	}
	return names
}()

// Find is the scenario of a name; nil: there is none.
func Find(name string) *Scenario {
	if i := slices.IndexFunc(List, func(s Scenario) bool { return s.Name == name }); i >= 0 {
		return &List[i]
	}
	return nil
}

// Definitions are those of all scenarios' metrics.
var Definitions = func() *result.Definitions {
	var all []result.Definition
	add := func(scenario string, defs []Metric) {
		for _, d := range defs {
			if d.Unit == "cores" && !Find(scenario).Broadcasts {
				d.Better = 0 // it is over as long as the scenario happens to take
			}
			d.Name = scenario + "." + d.Name
			all = append(all, result.Definition(d))
		}
	}
	for _, s := range List {
		add(s.Name, s.Metrics)
		if s.Broadcasts {
			add(s.Name, broadcasts)
		}
		add(s.Name, common)
	}
	return result.NewDefinitions(all)
}()

// Of is the scenario that was measured; one that this program does not know has a
// name only.
func (f *Figures) Of() *Scenario {
	if s := Find(f.Name); s != nil {
		return s
	}
	return &Scenario{Name: f.Name}
}
