package scenario

import (
	"os"
	"reflect"
	"strings"
	"testing"
	"time"

	"p2plocal/bench/faults"
	"p2plocal/bench/result"
)

// Every key of the result document, but for the charts' and what Config and
// Traffic are made of, is named in the README.
func TestSchemaIsDocumented(t *testing.T) {
	readme, err := os.ReadFile("../README.md")
	if err != nil {
		t.Fatal(err)
	}
	undocumented := map[reflect.Type]bool{
		reflect.TypeFor[result.Charts](): true, reflect.TypeFor[result.Options](): true,
		reflect.TypeFor[result.Traffic](): true, reflect.TypeFor[time.Time](): true, reflect.TypeFor[result.Metric](): true,
		reflect.TypeFor[faults.Fault](): true, // a line of text
	}
	keys := 0
	var visit func(reflect.Type)
	visit = func(x reflect.Type) {
		switch x.Kind() {
		case reflect.Slice, reflect.Pointer, reflect.Map, reflect.Array:
			visit(x.Elem())
		case reflect.Struct:
			if undocumented[x] {
				return
			}
			for f := range x.Fields() {
				key, _, _ := strings.Cut(f.Tag.Get("json"), ",")
				if key == "-" { // no part of the document
					continue
				}
				if key == "" {
					t.Errorf("%v.%s has no key of its own", x, f.Name)
					continue
				}
				if !strings.Contains(string(readme), key) {
					t.Errorf("the README does not name %q (%v.%s)", key, x, f.Name)
				}
				keys++
				visit(f.Type)
			}
		}
	}
	visit(reflect.TypeFor[result.Result]())
	visit(reflect.TypeFor[result.Distribution]())
	if keys < 50 {
		t.Errorf("only %d keys seen", keys)
	}
}
