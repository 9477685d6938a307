package scenario

import (
	"strings"
	"testing"

	"p2plocal/bench/result"
)

func TestReadErrors(t *testing.T) {
	for text, want := range map[string]string{
		"":                        "unexpected end of JSON input",
		"[]":                      "a JSON array where an object",
		"{}":                      "names no tool",
		`{"schema":1,"tool":{"na`: "unexpected end of JSON input",
		`{"schema":1,"tool":{"name":"\u001b[31m"}}`:         `"\x1b[31m" has written it`,
		`{"schema":2,"tool":{"name":"meshbench"}}`:          "newer meshbench: schema 2",
		`{"schema":0,"tool":{"name":"meshbench"}}`:          "schema 0, want 1",
		`{"schema":1,"tool":{"name":"meshbench"}}`:          "another command of meshbench's",
		`{"schema":1,"tool":{"name":"meshbench"},"runs":7}`: "damaged result: there is a JSON number where runs should be",
		`{"schema":1,"tool":{"name":"meshbench"},"runs":[{"scenarios":[{"name":"steady","charts":{"pairs":{"names":"ab","sent":[1]}}}]}]}`: "matrices do not fit 2 names",
		`{"schema":1,"tool":{"name":"meshbench"},"runs":[{"scenarios":[{"name":"join","charts":{"views":[{"peer":"a","t":[1]}]}}]}]}`:      "1 times for 0 sizes",
	} {
		if _, err := result.Read(strings.NewReader(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: error %v, want it to contain %q", text, err, want)
		}
	}
}
