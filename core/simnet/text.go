package simnet

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// A Property is one KEY=VALUE of a fault: a probability or a duration; or a
// KEY alone.
type Property struct {
	Key  string
	P    *float64
	D    *time.Duration
	Flag *bool
}

// Properties point into a fault, in the order that they are written in.
func Properties(f *Fault) []Property {
	return []Property{
		{"loss", &f.Loss, nil, nil}, {"delay", nil, &f.Delay, nil}, {"jitter", nil, &f.Jitter, nil},
		{"tail", nil, nil, &f.Tail}, {"duplicate", &f.Duplicate, nil, nil}, {"reorder", &f.Reorder, nil, nil},
		{"hold", nil, &f.Hold, nil}, {"worsen", &f.Worsen, nil, nil}, {"recover", &f.Recover, nil, nil}, {"bad", &f.Bad, nil, nil},
	}
}

// String is the properties that are not 0, as ParseFault reads them.
func (f Fault) String() string {
	var words []string
	for _, x := range Properties(&f) {
		switch {
		case x.P != nil && *x.P != 0:
			words = append(words, fmt.Sprintf("%s=%v", x.Key, *x.P))
		case x.D != nil && *x.D != 0:
			words = append(words, fmt.Sprintf("%s=%v", x.Key, *x.D))
		case x.Flag != nil && *x.Flag:
			words = append(words, x.Key)
		}
	}
	return strings.Join(words, " ")
}

// ParseFault reads properties such as loss=0.1 and delay=2ms, a word each.
func ParseFault(words []string) (f Fault, err error) {
	fields := Properties(&f)
	for w, word := range words {
		key, value, _ := strings.Cut(word, "=")
		i := slices.IndexFunc(fields, func(x Property) bool { return x.Key == key })
		if i < 0 {
			return f, fmt.Errorf("%q is not a property of a link", word)
		}
		if slices.ContainsFunc(words[:w], func(other string) bool { k, _, _ := strings.Cut(other, "="); return k == key }) {
			return f, fmt.Errorf("%q: a second %s", word, key)
		}
		switch x := fields[i]; {
		case x.P != nil:
			*x.P, err = strconv.ParseFloat(value, 64)
		case x.D != nil:
			*x.D, err = time.ParseDuration(value)
		case value != "":
			err = fmt.Errorf("%q takes no value", key)
		default:
			*x.Flag = true
		}
		if err != nil {
			return f, fmt.Errorf("%q: want a number or a duration such as 2ms", word)
		}
	}
	return f, f.Validate()
}
