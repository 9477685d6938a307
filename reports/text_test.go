package reports

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"testing"

	"p2plocal/bench"
)

var update = flag.Bool("update", false, "write the golden files anew")

var defaults = []string{"join", "steady", "crash"}

// golden compares with a file under testdata, or writes it.
func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	file := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(file, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%s differs; go test ./reports -update writes it anew. Got:\n%s", file, got)
	}
}

func TestText(t *testing.T) {
	withAssertions := sample(1, 80, 1, defaults...)
	withAssertions.Assertions = []bench.Assertion{
		{Text: "steady.latency.p99<5ms", Actual: ptr(0.00121), OK: true},
		{Text: "steady.loss==0", Actual: ptr(0), OK: true},
	}
	for _, c := range []struct {
		name string
		r    *bench.Result
		o    TextOptions
	}{
		{"default", withAssertions, TextOptions{}},
		{"default-80", withAssertions, TextOptions{Width: 80}},
		{"default-ascii", withAssertions, TextOptions{ASCII: true}},
		{"all", sample(2, 20, 1, bench.Scenarios...), TextOptions{}},
		{"repeat", sample(3, 20, 7, defaults...), TextOptions{}},
		{"bad", spoil(sample(4, 20, 1, bench.Scenarios...)), TextOptions{}},
		{"bad-ascii-80", spoil(sample(4, 20, 1, bench.Scenarios...)), TextOptions{ASCII: true, Width: 80}},
	} {
		t.Run(c.name, func(t *testing.T) {
			var b bytes.Buffer
			if err := Text(&b, c.r, c.o); err != nil {
				t.Fatal(err)
			}
			golden(t, c.name+".txt", b.Bytes())
		})
	}
}
