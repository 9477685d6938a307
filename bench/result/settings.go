package result

import (
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"
)

func Pool(results []*Result) (runs []Run) {
	for _, r := range results {
		runs = append(runs, r.Runs...)
	}
	return runs
}

// Settings are the names of all there is in Env and Config, and for each the
// distinct values among the results.
func Settings(results []*Result) (names []string, values [][]string) {
	var zero Result
	for _, r := range append([]*Result{&zero}, results...) {
		var all []setting
		all = leaves(all, "", reflect.ValueOf(r.Env))
		all = leaves(all, "", reflect.ValueOf(r.Config))
		if r == &zero {
			values = make([][]string, len(all))
			for _, s := range all {
				names = append(names, s.name)
			}
			continue
		}
		for i, s := range all {
			if !slices.Contains(values[i], s.value) {
				values[i] = append(values[i], s.value)
			}
		}
	}
	for i := range values {
		slices.Sort(values[i])
	}
	return names, values
}

// setting is one part of an Env or a Config, as a reader may see it.
type setting struct{ name, value string }

// leaves appends what v holds, by the names that JSON knows it under. What is
// never the same twice, or is taken care of elsewhere, is left out.
func leaves(to []setting, prefix string, v reflect.Value) []setting {
	for i := range v.NumField() {
		name, _, _ := strings.Cut(v.Type().Field(i).Tag.Get("json"), ",")
		name = prefix + name
		switch f := v.Field(i); {
		case name == "time" || name == "load" || name == "repeat":
		case f.Kind() == reflect.Pointer:
			text, _ := json.Marshal(f.Interface()) // what has been read back, or will be written
			to = append(to, setting{name, string(text)})
		case f.Kind() == reflect.Struct:
			to = leaves(to, name+".", f)
		case f.Kind() == reflect.String || f.Kind() == reflect.Slice:
			to = append(to, setting{name, fmt.Sprintf("%q", f)})
		default:
			to = append(to, setting{name, fmt.Sprint(f)})
		}
	}
	return to
}
