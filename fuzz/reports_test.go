package fuzz_test

import (
	"bytes"
	"flag"
	"hash/crc32"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"golang.org/x/net/html"

	"p2plocal/bench/result"
	"p2plocal/bench/scenario"
	"p2plocal/bench/stat"
	"p2plocal/reports"
)

// FuzzReports writes whatever reads as a result in every form. Nothing panics,
// no terminal is steered, no markup comes from the file, and what other programs
// read, they can.
func FuzzReports(f *testing.F) {
	known := map[string]int{} // what stands in pages that people have looked at
	for _, page := range []string{"repeat", "bad", "all"} {
		b, err := os.ReadFile("../reports/testdata/" + page + ".html")
		if err != nil {
			f.Fatal(err)
		}
		for e, n := range elements(f, b) {
			known[e] = max(known[e], n)
		}
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := result.Read(bytes.NewReader(b))
		if err != nil {
			return
		}
		var out bytes.Buffer
		write := func(format string, o reports.Options) []byte {
			out.Reset()
			if err := reports.Results(r).Write(&out, format, o); err != nil {
				t.Fatalf("%s: %v", format, err)
			}
			return out.Bytes()
		}
		forms := []func(){
			func() { printable(t, write("txt", reports.Options{}), unicode.MaxRune) },
			func() { printable(t, write("txt", reports.Options{Width: 60, ASCII: true}), unicode.MaxASCII) },
			func() {
				printable(t, write("md", reports.Options{}), unicode.MaxRune)
				harmless(t, out.String())
			},
			func() {
				if _, err := result.Read(bytes.NewReader(write("json", reports.Options{}))); err != nil {
					t.Errorf("the JSON document cannot be read back: %v", err)
				}
			},
			func() {
				got := elements(t, write("html", reports.Options{}))
				for e, n := range got {
					if known[e] == 0 || strings.HasPrefix(e, "script") && n != known[e] {
						t.Errorf("the page has %d of %q", n, e)
					}
				}
			},
			func() {
				c := stat.Compare(scenario.Definitions, [2]string{"old", "new"}, r, r)
				if err := reports.Compare(c).Write(&out, "txt", reports.Options{All: true}); err != nil {
					t.Error(err)
				}
				printable(t, out.Bytes(), unicode.MaxRune)
			},
		}
		for _, format := range []string{"md", "html", "json"} {
			forms = append(forms, func() {
				if err := reports.Compare(stat.Compare(scenario.Definitions, [2]string{"old", "new"}, r, r)).Write(&out, format, reports.Options{All: true}); err != nil {
					t.Error(err)
				}
				if format == "md" {
					harmless(t, out.String())
				}
			})
		}
		if fuzzing() { // one form for each input, for speed: whoever finds something sees it as a seed in all
			forms = forms[crc32.ChecksumIEEE(b)%uint32(len(forms)):][:1]
		}
		for _, form := range forms {
			out.Reset()
			form()
		}
	})
}

// fuzzing says that the engine runs, and not the seeds alone.
func fuzzing() bool {
	worker := flag.Lookup("test.fuzzworker")
	return worker != nil && worker.Value.String() == "true"
}

// printable demands text of lines, without a character beyond most.
func printable(t *testing.T, text []byte, most rune) {
	t.Helper()
	if !utf8.Valid(text) {
		t.Errorf("%q is not UTF-8", text)
	}
	for _, r := range string(text) {
		if r != '\n' && !unicode.IsPrint(r) && r != '\u00a0' || r > most {
			t.Fatalf("%q holds %q", text, r)
		}
	}
}

// harmless demands no tags but its own outside a picture of characters.
func harmless(t *testing.T, text string) {
	t.Helper()
	text = strings.NewReplacer("<sub>", "", "</sub>", "", "<br>", "").Replace(text)
	for i, part := range strings.Split("\n"+text, "\n```\n") {
		if i%2 == 0 && strings.Contains(part, "<") {
			t.Errorf("Markdown with a tag: %q", part)
		}
	}
}

// elements counts a page's elements, with the names of their attributes.
func elements(t testing.TB, page []byte) map[string]int {
	t.Helper()
	n := map[string]int{}
	for z := html.NewTokenizer(bytes.NewReader(page)); ; {
		switch z.Next() {
		case html.ErrorToken:
			return n
		case html.StartTagToken, html.SelfClosingTagToken:
			k := z.Token()
			names := map[string]bool{}
			for _, a := range k.Attr {
				names[a.Key] = true
			}
			n[strings.Join(append([]string{k.Data}, slices.Sorted(maps.Keys(names))...), " ")]++
		}
	}
}
