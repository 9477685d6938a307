package result

import (
	"bytes"
	"strings"
	"testing"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// A text of a hundred characters is told whole, one of more is not.
func TestShort(t *testing.T) {
	whole := strings.Repeat("ä", 100)
	if got := short(whole); got != whole {
		t.Errorf("%q", got)
	}
	if got := short(whole + "x"); got != whole+"…" {
		t.Errorf("%q", got)
	}
}

// What is damaged is refused in one short line that says where, however long what
// stands there is; a raw histogram, too, which nothing else in the document shows.
func TestReadDamaged(t *testing.T) {
	h := hdrhistogram.New(64, 60e9, 3)
	for range 7 {
		h.RecordValue(20_000)
	}
	good, err := h.Encode(hdrhistogram.V2CompressedEncodingCookieBase)
	if err != nil {
		t.Fatal(err)
	}
	document := func(histogram string, n uint64) string {
		r := &Result{Schema: Schema, Tool: Tool{Name: ToolName}, Runs: []Run{{Scenarios: []Scenario{{Name: "steady",
			Metrics:    map[string]Metric{"steady.latency": {Unit: "s", Dist: &Distribution{N: n}}},
			Histograms: map[string]string{"steady.latency": histogram}}}}}}
		var b bytes.Buffer
		if err := r.Write(&b); err != nil {
			t.Fatal(err)
		}
		return b.String()
	}
	whole := document(string(good), 7)
	long := strings.Repeat("7", 2_000_000)
	for _, test := range []struct{ name, text, says string }{
		{"sound", whole, ""},
		{"half a histogram", document(string(good[:len(good)/2]), 7), `histogram "steady.latency"`},
		{"a changed byte", document(string(good[:20])+"AAAA"+string(good[24:]), 7), `histogram "steady.latency"`},
		{"another count", document(string(good), 8), `histogram "steady.latency" has 7 samples, its metric 8`},
		{"no histogram", document("", 7), `histogram "steady.latency"`},
		{"a long number", strings.Replace(whole, `"peers": 0`, `"peers": `+long, 1), "number 777"},
		{"a long name", strings.Replace(whole, `"name": "meshbench"`, `"name": "`+long+`"`, 1), "has written it"},
	} {
		_, err := Read(strings.NewReader(test.text))
		switch {
		case test.says == "" && err != nil, test.says != "" && (err == nil || !strings.Contains(err.Error(), test.says)):
			t.Errorf("%s: %.300v, want %q", test.name, err, test.says)
		case err != nil && len(err.Error()) > 300:
			t.Errorf("%s: an error of %d bytes", test.name, len(err.Error()))
		}
	}
}
