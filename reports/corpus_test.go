package reports

import (
	"bytes"
	"testing"
	"unicode"
	"unicode/utf8"

	"p2plocal/bench/result"
	"p2plocal/bench/scenario"
	"p2plocal/fuzz/corpus"
)

// printable demands text of lines, without a character beyond most.
func printable(t *testing.T, text []byte, most rune) {
	t.Helper()
	if !utf8.Valid(text) {
		t.Errorf("%q is not UTF-8", text)
	}
	for _, r := range string(text) {
		if r != '\n' && !unicode.IsPrint(r) && r != []rune(glue)[0] || r > most {
			t.Fatalf("%q holds %q", text, r)
		}
	}
}

// reportSeeds are results of every scenario, sound and spoilt, by file name.
func reportSeeds(t *testing.T) map[string][]byte {
	all := map[string]*result.Result{
		"repeated": sample(1, 2, 7, "restart"),
		"empty":    sample(2, 1, 1),
		"spoilt":   spoil(sample(3, 14, 1, "join", "crash")), // with 14 names that mean something elsewhere,
	}
	for _, s := range scenario.Known {
		all[s] = sample(4, 2, 1, s)
	}
	files := map[string][]byte{}
	for name, r := range all {
		var b bytes.Buffer
		if err := r.Write(&b); err != nil {
			t.Fatal(err)
		}
		files[name] = b.Bytes()
	}
	return files
}

// The committed seeds of ./fuzz are what the samples give today.
func TestReportCorpus(t *testing.T) {
	corpus.Hold(t, *update, "../fuzz", "FuzzReports", reportSeeds(t))
}
