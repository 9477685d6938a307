package hostile

import (
	"strings"
	"testing"
)

func TestBadFindingsFileIsRefusedInPlainWords(t *testing.T) {
	for text, want := range map[string]string{
		`null`:                         "line 1: no hex",
		`{"offset_us":0}`:              "line 1: no hex",
		"{\"hex\":\"\"}\n{}":           "line 2: no hex",
		`[1]`:                          "line 1: a JSON array, want a JSON object",
		`{"offset_us":0,"hex":7}`:      "line 1: hex is a JSON number, want a JSON object",
		`{"offset_us":0,"hex":"0","x"`: "line 1: unexpected EOF, want a JSON object",
		`{"offset_us":-1,"hex":""}`:    "line 1: offset_us -1, want 0",
	} {
		if _, _, err := ReadShots(strings.NewReader(text)); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%s: %v, want %q", text, err, want)
		}
	}
}
