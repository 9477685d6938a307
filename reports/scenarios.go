package reports

import (
	"fmt"
	"strings"
	"time"

	"p2plocal/bench/result"
	"p2plocal/bench/scenario"
)

// worded is a phrase of a scenario's, in print.
func worded(all scenario.Phrase) (p phrase) {
	for _, c := range all {
		args := make([]any, len(c.Args))
		for i, a := range c.Args {
			switch a := a.(type) {
			case scenario.Quantity:
				args[i] = measure(a.Value, a.Unit).String()
			case scenario.Count:
				args[i] = grouped(float64(a))
			case time.Duration:
				args[i] = strings.ReplaceAll(result.Span(a), " ", glue)
			default:
				args[i] = a
			}
		}
		p = p.addIf(c.Bad, "%s", fmt.Sprintf(c.Format, args...))
	}
	return p
}

// total is a count over all runs, if there is one.
func total(s *scenario.Figures, metric string, bad bool) phrase {
	return worded(s.Counted(nil, metric, metric, bad))
}

// orNone is a count in a sentence.
func orNone(n float64, none string) string {
	if n == 0 {
		return none
	}
	return grouped(n)
}
