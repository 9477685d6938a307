package fuzz_test

import (
	"bytes"
	"reflect"
	"regexp"
	"testing"

	"p2plocal/bench/faults"
)

// FuzzScript reads any bytes as a script. Whatever is refused is refused in
// one line that says where; whatever is taken can be run, and writes back to
// the same.
func FuzzScript(f *testing.F) {
	where := regexp.MustCompile(`^(line \d+: )?[^\n]+$`)
	f.Fuzz(func(t *testing.T, script []byte) {
		s, err := faults.Default().Parse(bytes.NewReader(script))
		if err != nil {
			if !where.MatchString(err.Error()) {
				t.Fatalf("%q: the error is %q", script, err)
			}
			return
		}
		if err := s.Validate(); err != nil {
			t.Fatalf("%q is taken, and is no scenario: %v", script, err)
		}
		var b bytes.Buffer
		if err := s.Write(&b); err != nil {
			t.Fatal(err)
		}
		text := b.String()
		if again, err := faults.Default().Parse(&b); err != nil || !reflect.DeepEqual(again, s) {
			t.Fatalf("%q reads as\n%+v, which writes as\n%s and reads back as\n%+v: %v", script, s, text, again, err)
		}
	})
}
