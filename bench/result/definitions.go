package result

import (
	"cmp"
	"iter"
	"maps"
	"slices"
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
	known map[string]known // by flat name, or a distribution's own
}

// known is what a flat name stands for.
type known struct {
	of    *Definition
	field string
	place int
}

// NewDefinitions keeps the order of the list.
func NewDefinitions(all []Definition) *Definitions {
	defs := &Definitions{all: all, known: make(map[string]known)}
	for i := range all {
		d := &all[i]
		defs.known[d.Name] = known{d, "", len(defs.known)}
		for _, f := range Fields {
			if d.Dist {
				defs.known[d.Name+"."+f] = known{d, f, len(defs.known)}
			}
		}
	}
	return defs
}

// All are the definitions in their order.
func (defs *Definitions) All() []Definition { return defs.all }

// Define finds the definition behind a flat name, and the distribution's field
// where it names one.
func (defs *Definitions) Define(flat string) (d Definition, field string, ok bool) {
	k, ok := defs.known[flat]
	if !ok {
		return d, "", false
	}
	return *k.of, k.field, true
}

// Better is the direction of a flat metric; a distribution's n has none.
func (defs *Definitions) Better(flat string) int {
	d, field, _ := defs.Define(flat)
	if field == "n" {
		return 0
	}
	return d.Better
}

// Sorted are metric names, flat or not, in the stable order, those of no
// definition last by the alphabet.
func (defs *Definitions) Sorted(names iter.Seq[string]) []string {
	place := func(name string) int {
		if k, ok := defs.known[name]; ok {
			return k.place
		}
		return len(defs.known)
	}
	return slices.SortedFunc(names, func(a, b string) int { return cmp.Or(cmp.Compare(place(a), place(b)), cmp.Compare(a, b)) })
}

// Names are a scenario's metric names in the stable order.
func (defs *Definitions) Names(s Scenario) []string { return defs.Sorted(maps.Keys(s.Metrics)) }
