package bench

import (
	"regexp"
	"slices"
	"testing"
)

func TestDefinitions(t *testing.T) {
	units := []string{"s", "1", "ratio", "bytes", "messages/s", "cores"}
	name := regexp.MustCompile(`^[a-z]+(\.[a-z_]+)+$`)
	seen := make(map[string]bool)
	for _, d := range Definitions() {
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
		if d.Better < -1 || d.Better > 1 {
			t.Errorf("%s: better %d, want -1, 0 or 1", d.Name, d.Better)
		}
	}
}

func TestFlatNames(t *testing.T) {
	seen := make(map[string]bool)
	for _, flat := range FlatNames() {
		if seen[flat] {
			t.Errorf("%s appears twice", flat)
		}
		seen[flat] = true
		d, field, ok := Define(flat)
		back := d.Name
		if field != "" {
			back += "." + field
		}
		if !ok || back != flat || d.Dist != (field != "") {
			t.Errorf("%s is defined by %q, field %q, ok %v", flat, d.Name, field, ok)
		}
	}
	for _, flat := range []string{"", "steady", "steady.", "steady.nonsense", "steady.loss.p50", "steady.latency.p51", "latency.p99"} {
		if d, _, ok := Define(flat); ok {
			t.Errorf("%q is defined by %q", flat, d.Name)
		}
	}
	if d, field, ok := Define("steady.latency"); !ok || field != "" || !d.Dist {
		t.Errorf("a distribution without a field: %+v, %q, %v", d, field, ok)
	}
}

func TestOrder(t *testing.T) {
	got := []string{"steady.zebra", "steady.latency.p99.9", "steady.apple", "join.converge", "steady.latency.n", "steady.loss"}
	sortFlat(got)
	want := []string{"join.converge", "steady.loss", "steady.latency.n", "steady.latency.p99.9", "steady.apple", "steady.zebra"}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}

	s := Scenario{Metrics: map[string]Metric{"steady.zebra": {}, "steady.latency": {}, "steady.apple": {}, "steady.sent": {}}}
	if got, want := s.Names(), []string{"steady.sent", "steady.latency", "steady.apple", "steady.zebra"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}
