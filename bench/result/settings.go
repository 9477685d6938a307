package result

import (
	"fmt"
	"reflect"
	"strings"
)

// A Setting is one part of an Env or a Config, as a reader may see it.
type Setting struct{ Name, Value string }

// Settings are all there is in Env and Config, by the names that JSON knows it
// under. What is never the same twice is left out.
func (r *Result) Settings() []Setting {
	return leaves(leaves(nil, "", reflect.ValueOf(r.Env)), "", reflect.ValueOf(r.Config))
}

func leaves(to []Setting, prefix string, v reflect.Value) []Setting {
	for i := range v.NumField() {
		name, _, _ := strings.Cut(v.Type().Field(i).Tag.Get("json"), ",")
		name = prefix + name
		switch f := v.Field(i); {
		case name == "time" || name == "load" || name == "repeat" || strings.HasSuffix(name, "-"):
		case f.Kind() == reflect.Pointer && f.IsNil():
			to = leaves(to, name+".", reflect.Zero(f.Type().Elem()))
		case f.Kind() == reflect.Pointer:
			to = leaves(to, name+".", f.Elem())
		case f.Kind() == reflect.Struct:
			to = leaves(to, name+".", f)
		case f.Kind() == reflect.String || f.Kind() == reflect.Slice:
			to = append(to, Setting{name, fmt.Sprintf("%q", f)})
		default:
			to = append(to, Setting{name, fmt.Sprint(f)})
		}
	}
	return to
}
