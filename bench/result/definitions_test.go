package result

import (
	"slices"
	"testing"
)

func TestFlatNames(t *testing.T) {
	seen := make(map[string]bool)
	for _, flat := range metrics.FlatNames() {
		if seen[flat] {
			t.Errorf("%s appears twice", flat)
		}
		seen[flat] = true
		d, field, ok := metrics.Define(flat)
		back := d.Name
		if field != "" {
			back += "." + field
		}
		if !ok || back != flat || d.Dist != (field != "") {
			t.Errorf("%s is defined by %q, field %q, ok %v", flat, d.Name, field, ok)
		}
	}
	for _, flat := range []string{"", "steady", "steady.", "steady.nonsense", "steady.loss.p50", "steady.latency.p51", "latency.p99"} {
		if d, _, ok := metrics.Define(flat); ok {
			t.Errorf("%q is defined by %q", flat, d.Name)
		}
	}
	if d, field, ok := metrics.Define("steady.latency"); !ok || field != "" || !d.Dist {
		t.Errorf("a distribution without a field: %+v, %q, %v", d, field, ok)
	}
}

func TestOrder(t *testing.T) {
	got := metrics.Sorted(slices.Values([]string{"steady.zebra", "steady.latency.p99.9", "steady.apple", "join.converge", "steady.latency.n", "steady.loss"}))
	want := []string{"join.converge", "steady.loss", "steady.latency.n", "steady.latency.p99.9", "steady.apple", "steady.zebra"}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}

	s := Scenario{Metrics: map[string]Metric{"steady.zebra": {}, "steady.latency": {}, "steady.apple": {}, "steady.sent": {}}}
	if got, want := metrics.Names(s), []string{"steady.sent", "steady.latency", "steady.apple", "steady.zebra"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}
