package scenario

import (
	"regexp"
	"slices"
	"testing"
)

// Every metric has a flat name of its own, a unit that there is, and a text that a report can
// show without the others.
func TestDefinitions(t *testing.T) {
	units := []string{"s", "1", "ratio", "bytes", "messages/s", "bytes/s", "1/h", "cores"}
	name := regexp.MustCompile(`^[a-z]+(\.[a-z_]+)+$`)
	leansOn := regexp.MustCompile(`^(the same|and |as [a-z_.]+,)|, as [a-z]+_[a-z]+`)
	seen := make(map[string]bool)
	for _, d := range Definitions.All() {
		if !name.MatchString(d.Name) {
			t.Errorf("%q is not a lower-case flat name", d.Name)
		}
		if seen[d.Name] {
			t.Errorf("%s is defined twice", d.Name)
		}
		seen[d.Name] = true
		if !slices.Contains(units, d.Unit) {
			t.Errorf("%s has unit %q, want one of %q", d.Name, d.Unit, units)
		}
		if d.Text == "" {
			t.Errorf("%s has no text", d.Name)
		}
		if leansOn.MatchString(d.Text) {
			t.Errorf("%s is explained by another metric, which need not be there: %q", d.Name, d.Text)
		}
		if d.Better < -1 || d.Better > 1 {
			t.Errorf("%s: better %d, want -1, 0 or 1", d.Name, d.Better)
		}
	}
}
