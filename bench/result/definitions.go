package result

import (
	"cmp"
	"maps"
	"slices"
	"strings"
)

// A Definition says what a metric is. Scenario.Metrics holds it under its Name.
type Definition struct {
	Name   string // stable, flat: scenario.metric
	Unit   string // s, 1 (a count), ratio, bytes, messages/s, 1/h or cores
	Dist   bool   // a distribution: its figures are Name.p50, Name.max and so on
	Better int    // -1: lower is better, 1: higher is, 0: neither
	Text   string
}

// Definitions are metrics in a stable order, to be looked up by flat name.
type Definitions struct {
	all   []Definition
	place map[string]int // of a flat name or a distribution's own, among all
	flat  []string
}

// NewDefinitions keeps the order of the list.
func NewDefinitions(all []Definition) *Definitions {
	defs := &Definitions{all: all, place: make(map[string]int)}
	for i, d := range all {
		defs.place[d.Name] = i
		if !d.Dist {
			defs.flat = append(defs.flat, d.Name)
			continue
		}
		for _, f := range Fields {
			defs.flat = append(defs.flat, d.Name+"."+f)
		}
	}
	return defs
}

// All are the definitions in their order.
func (defs *Definitions) All() []Definition { return defs.all }

// FlatNames are the names that an assertion may use, in order.
func (defs *Definitions) FlatNames() []string { return slices.Clone(defs.flat) }

// Define finds the definition behind a flat name, and the distribution's field
// where it names one.
func (defs *Definitions) Define(flat string) (d Definition, field string, ok bool) {
	if i, ok := defs.place[flat]; ok {
		return defs.all[i], "", true
	}
	for _, f := range Fields {
		if name, found := strings.CutSuffix(flat, "."+f); found {
			if i, ok := defs.place[name]; ok && defs.all[i].Dist {
				return defs.all[i], f, true
			}
		}
	}
	return Definition{}, "", false
}

// Better is the direction of a flat metric; a distribution's n has none.
func (defs *Definitions) Better(flat string) int {
	d, field, _ := defs.Define(flat)
	if field == "n" {
		return 0
	}
	return d.Better
}

// Sort puts metric names, flat or not, into the stable order, those of no
// definition last by the alphabet.
func (defs *Definitions) Sort(names []string) {
	place := make(map[string]int, len(names))
	for _, name := range names {
		place[name] = len(defs.all) * len(Fields)
		if d, field, ok := defs.Define(name); ok {
			place[name] = defs.place[d.Name]*len(Fields) + max(slices.Index(Fields, field), 0)
		}
	}
	slices.SortFunc(names, func(a, b string) int { return cmp.Or(cmp.Compare(place[a], place[b]), cmp.Compare(a, b)) })
}

// Names are a scenario's metric names in the stable order.
func (defs *Definitions) Names(s Scenario) []string {
	names := slices.Collect(maps.Keys(s.Metrics))
	defs.Sort(names)
	return names
}
