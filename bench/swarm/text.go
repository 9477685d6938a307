package swarm

import (
	"strings"

	"p2plocal/core/simnet"
)

// MarshalText is the fault's line of a script, UnmarshalText its inverse.
func (f Fault) MarshalText() ([]byte, error) { return []byte(f.String()), nil }

// UnmarshalText reads the line of a script.
func (f *Fault) UnmarshalText(text []byte) (err error) {
	words := strings.Fields(string(text))
	if len(words) == 0 {
		words = []string{""}
	}
	*f, err = parseFault(words)
	return err
}

// Plan enters the scenario's fault of a number in a Net's calendar.
func (s Scenario) Plan(n *simnet.Net, number int) {
	plan(n, s, s.Faults[number])
}
