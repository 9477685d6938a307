package target

import (
	"net/netip"
	"slices"
	"strings"
	"testing"
)

func TestWords(t *testing.T) {
	t.Parallel()
	c := Command{Listen: netip.MustParseAddrPort("127.0.0.1:4000"), Server: netip.MustParseAddrPort("127.0.0.2:3000"), Name: " "}
	for line, want := range map[string][]string{
		"p2p  -quiet\tA":                   {"p2p", "-quiet", "A"},
		"p2p {name} {port}":                {"p2p", " ", "4000"},
		"x -listen={addr}":                 {"x", "-listen=127.0.0.1:4000"},
		"x {server} {server-port}":         {"x", "127.0.0.2:3000", "3000"},
		`sh -c 'echo "a b"; exec x'`:       {"sh", "-c", `echo "a b"; exec x`},
		`"my program" ''`:                  {"my program", ""},
		`my\ program \"q\" a\b "\"'" '\ '`: {"my program", `"q"`, `a\b`, `"'`, `\ `},
		`pre"fix ed"`:                      {"prefix ed"},
	} {
		c.Line = line
		if got, err := c.words(); err != nil || !slices.Equal(got, want) {
			t.Errorf("%s: %q, error %v, want %q", line, got, err, want)
		}
	}
	for line, want := range map[string]string{" ": "empty", "x -a={name}": "nothing to put in place of {name}", "x 'y": "open '", `x "y'`: `open "`} {
		if _, err := (Command{Line: line}).words(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: error %v, want %q", line, err, want)
		}
	}
}
