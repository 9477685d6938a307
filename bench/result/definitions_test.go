package result

import (
	"slices"
	"strings"
	"testing"
)

func TestDefine(t *testing.T) {
	for _, d := range metrics.All() {
		fields := []string{""}
		if d.Dist {
			fields = append(fields, Fields...)
		}
		for _, f := range fields {
			flat := strings.TrimSuffix(d.Name+"."+f, ".")
			if got, field, ok := metrics.Define(flat); !ok || got != d || field != f {
				t.Errorf("%s is defined by %q, field %q, ok %v", flat, got.Name, field, ok)
			}
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
