package reports

import (
	_ "embed"
	"html/template"
	"io"

	"p2plocal/fuzz/conform"
)

var (
	//go:embed page/conform.html
	conformTemplate string
	//go:embed page/conform.css
	conformStyle string
)

var conformHTML = template.Must(template.New("conform").Funcs(template.FuncMap{
	"clean":    clean,
	"tallied":  func(r conform.Report) []span { return spans(tallied(r), ", ") },
	"aim":      func(r conform.Report) []span { return spans(append(aim(r), course(r)...), ", ") },
	"ended":    ended,
	"groups":   groupsOf,
	"outcomes": func() []conform.Outcome { return conform.Outcomes },
	"account":  account,
	"rule":     ruleOf,
	"bad":      func(o conform.Outcome) bool { return o == conform.Fail || o == conform.Broken },
	"class": func(o conform.Outcome) string {
		return map[conform.Outcome]string{conform.Pass: "pass", conform.Fail: "fail", conform.Broken: "fail", conform.Seen: "seen", conform.Void: "seen", conform.NotRun: "seen"}[o]
	},
	"faults": func(r conform.Report) (all []conform.Result) {
		for _, x := range r.Results {
			if x.Outcome == conform.Fail || x.Outcome == conform.Broken {
				all = append(all, x)
			}
		}
		return all
	},
	"ending": func(o conform.Outcome, r conform.Report) (all []conform.Result) {
		for _, x := range r.Results {
			if x.Outcome == o {
				all = append(all, x)
			}
		}
		return all
	},
}).Parse(conformTemplate))

// HTML writes one page that needs nothing else, not even a script.
func (c *Conformance) HTML(w io.Writer) error {
	return conformHTML.Execute(w, struct {
		*Conformance
		Style   template.CSS
		Matrix  []matrixRow
		Several bool
	}{c, template.CSS(pageStyle + conformStyle), c.matrix(), len(c.Targets) > 1})
}
