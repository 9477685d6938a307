package reports

import (
	_ "embed"
	"encoding/json"
	"fmt"
	"html/template"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"p2plocal/bench/study"
	"p2plocal/core"
)

// The study's page has the style and the libraries of the results' page.
var (
	//go:embed page/study.html
	studyTemplate string
	//go:embed page/study.js
	studyScript string

	studyHTML = template.Must(template.New("study").Parse(studyTemplate + drawnTemplate))
)

// StudyFormats are the forms that Study writes.
var StudyFormats = []string{"txt", "html", "json"}

// Study writes what studies came to in one of StudyFormats.
func Study(w io.Writer, format string, r *study.Report, o TextOptions) error {
	switch format {
	case "txt":
		return studyText(w, r, o)
	case "html":
		return studyPage(w, r)
	case "json":
		e := json.NewEncoder(w)
		e.SetIndent("", "  ")
		return e.Encode(r)
	}
	return fmt.Errorf("%w: %q, want one of %s", ErrFormat, format, strings.Join(StudyFormats, ", "))
}

// A studyPart is one study as a table with words around it.
type studyPart struct {
	Name, About string
	Header      []string
	Rows        [][]string
	Marked      []bool // rows that stand out
	Notes       []string
}

func studyText(w io.Writer, r *study.Report, o TextOptions) error {
	p := newPage(o)
	p.wrapped("", phrase{{text: studyHeadline(r)}}, "", bold)
	for _, s := range studyParts(r) {
		p.line("")
		p.line(p.style(bold, s.Name) + "  " + p.style(faint, s.About))
		for _, n := range s.Notes {
			p.wrapped("  ", phrase{{text: n}}, "", faint)
		}
		header, rows, dropped := s.fitting(p.Width - gutter)
		if len(dropped) > 0 {
			p.wrapped("  ", phrase{{text: "Left out for want of room: " + strings.Join(dropped, ", ") + "; -report FILE.html has them."}}, "", faint)
		}
		p.line("")
		p.grid(header, rows)
	}
	p.line("")
	p.wrapped("  ", phrase{{text: studyOrigin(r)}}, "", faint)
	return p.flush(w)
}

// expendable are the columns that a narrow text leaves out, the first first.
var expendable = []string{"max", "p99", "detect p50", "95 % interval"}

// fitting is the table without the columns for which there is no room.
func (s studyPart) fitting(room int) (header []string, rows [][]string, dropped []string) {
	size := make([]int, len(s.Header))
	for i, name := range s.Header {
		size[i] = gutter + width(name)
		for _, r := range s.Rows {
			size[i] = max(size[i], gutter+width(r[i]))
		}
		room -= size[i]
	}
	drop := make([]bool, len(s.Header))
	for _, name := range expendable {
		if i := slices.Index(s.Header, name); i >= 0 && room < 0 {
			drop[i], dropped = true, append(dropped, name)
			room += size[i]
		}
	}
	keep := func(cells []string) (out []string) {
		for i, cell := range cells {
			if !drop[i] {
				out = append(out, strings.ReplaceAll(cell, glue, " "))
			}
		}
		return out
	}
	for _, r := range s.Rows {
		rows = append(rows, keep(r))
	}
	return keep(s.Header), rows, dropped
}

func studyPage(w io.Writer, r *study.Report) error {
	b, err := json.Marshal(r)
	if err != nil {
		return err
	}
	return studyHTML.Execute(w, struct {
		Headline, Origin, License string
		Interrupted               bool
		Style                     template.CSS
		Plot, Script, Data        template.JS
		Parts                     []studyPart
	}{
		studyHeadline(r), studyOrigin(r), plotLicense, r.Interrupted, template.CSS(pageStyle),
		template.JS(plotScript), template.JS(chartScript + studyScript), template.JS(b), studyParts(r),
	})
}

func studyOrigin(r *study.Report) string {
	s := fmt.Sprintf("Simulated: virtual network and clock, the real machines. Seed %d, from which every line begins, so that neighbours share their random numbers and err alike.", r.Seed)
	if r.Version != "" {
		s += " meshbench " + r.Version
		for _, a := range r.Args {
			s += " " + shellWord(a)
		}
		s += "."
	}
	if r.Interrupted {
		s = "INTERRUPTED: only what was finished is here. " + s
	}
	return s
}

// studyHeadline is what a reader should know first.
func studyHeadline(r *study.Report) string {
	var says []string
	if i := slices.IndexFunc(r.Loss, func(x study.LossRow) bool { return x.Loss == 0.10 && x.Timing.Refresh == 0 }); i >= 0 && r.Loss[i].Rate > 0 {
		x := r.Loss[i]
		says = append(says, fmt.Sprintf("10 %% loss removes each live peer %s times an hour", digits(x.Rate)))
	}
	exact, stay, fresh, ill := 0, 0, 0, 0 // meshes without refresh and with, and those that did not heal
	for _, x := range r.Heal {
		if x.Timing.Refresh == 0 {
			exact, stay = exact+x.N, stay+x.Never
		} else {
			fresh, ill = fresh+x.N, ill+x.Never
		}
	}
	if exact > 0 && fresh > 0 {
		says = append(says, fmt.Sprintf("faults leave %s of %s meshes in pieces without refresh, %s of %s with it",
			count(uint64(stay)), count(uint64(exact)), count(uint64(ill)), count(uint64(fresh))))
	}
	front := 0
	for _, x := range r.Sweep {
		if x.Front {
			front++
		}
	}
	if front > 0 {
		says = append(says, fmt.Sprintf("%d of %d settings of the timing are not dominated", front, len(r.Sweep)))
	}
	if len(says) == 0 {
		return "Studies of the protocol on a virtual network"
	}
	s := strings.Join(says, "; ")
	return strings.ToUpper(s[:1]) + s[1:] + "."
}

func studyParts(r *study.Report) (parts []studyPart) {
	for _, p := range []studyPart{lossPart(r.Loss), healPart(r.Heal), churnPart(r.Churn), sweepPart(r.Sweep)} {
		if len(p.Rows) > 0 {
			parts = append(parts, p)
		}
	}
	return parts
}

// The columns that loss and sweep share.
var pointHeader = []string{"culls", "culls/h", "95 % interval", "theory", "traffic", "detect p50", "max", "view mean", "p99", "never"}

func pointCells(p study.Point) []string {
	return []string{count(uint64(p.Culls)), few(p.Rate), few(p.Low) + " to " + few(p.High), few(p.Theory), measure(p.Traffic, "messages/s").String(),
		optional(p.Server.P50, "s").String(), optional(p.Server.Max, "s").String(),
		measure(p.Views.Mean, "s").String(), never(p.Views.P99, p.Views.Never), share(p.Views.Never, p.Views.N)}
}

var pointNotes = []string{
	"culls: live peers that the server removed; culls/h: for each hour that a peer is a member; 95 % interval: of a Poisson count (Byar's approximation); theory: renewals of independent losses, with refresh in first order.",
	"traffic: datagrams a second that the whole mesh sends. detect: from a peer's end until the server removed it. view: until a survivor's view held it no longer, the mean with 30 s where that did not happen in 30 s: never.",
}

func lossPart(rows []study.LossRow) studyPart {
	p := studyPart{Name: "loss", About: "datagrams lost at random on every link: live peers removed, dead ones noticed",
		Header: append([]string{"peers", "refresh", "loss"}, pointHeader...), Notes: pointNotes}
	for _, x := range rows {
		p.add(false, append([]string{strconv.Itoa(x.Peers), interval(x.Timing.Refresh), measure(x.Loss, "ratio").String()}, pointCells(x.Point)...)...)
	}
	return p
}

func healPart(rows []study.HealRow) studyPart {
	p := studyPart{Name: "heal", About: "until the server and all views are whole again, from the end of the fault",
		Header: []string{"fault", "peers", "refresh", "meshes", "never healed", "p50", "p95", "max"},
		Notes:  []string{"restart: the server is dead for a second and comes back knowing nobody. partition: half of the peers are cut off from the server until they have been reaped. lost: a peer joins while half of the directories are lost. never: not within 30 s and two refresh intervals."}}
	for _, x := range rows {
		p.add(false, string(x.Cause), strconv.Itoa(x.Peers), interval(x.Timing.Refresh), count(uint64(x.N)), count(uint64(x.Never)),
			never(x.P50, x.Never), never(x.P95, x.Never), never(x.Max, x.Never))
	}
	return p
}

func churnPart(rows []study.ChurnRow) studyPart {
	p := studyPart{Name: "churn", About: "peers die at random and come back 4 s later: the part of the views that is wrong, over time",
		Header: []string{"peers", "loss", "refresh", "deaths/s", "wrong", "95 % interval", "theory"},
		Notes:  []string{"wrong: a live peer's view is not exactly who is alive; mean over the meshes, with Student's interval. theory: without loss, a view is wrong unless no death is unknown (Poisson)."}}
	for _, x := range rows {
		theory := missing
		if x.Loss == 0 {
			theory = measure(x.Theory, "ratio").String()
		}
		p.add(false, strconv.Itoa(x.Peers), measure(x.Loss, "ratio").String(), interval(x.Timing.Refresh), few(x.Deaths),
			measure(x.Mean, "ratio").String(), measure(x.Low, "ratio").String()+" to "+measure(x.High, "ratio").String(), theory)
	}
	return p
}

// intervals are those that a sweep can vary.
var intervals = []struct {
	name string
	of   func(core.Timing) time.Duration
}{
	{"keep-alive", func(t core.Timing) time.Duration { return t.Heartbeat }},
	{"reap", func(t core.Timing) time.Duration { return t.Reap }},
	{"deadline", func(t core.Timing) time.Duration { return t.Deadline }},
	{"refresh", func(t core.Timing) time.Duration { return t.Refresh }},
}

func sweepPart(rows []study.SweepRow) studyPart {
	if len(rows) == 0 {
		return studyPart{}
	}
	p := studyPart{Name: "sweep", About: fmt.Sprintf("settings of the timing, %d peers, %s of the datagrams lost", rows[0].Peers, measure(rows[0].Loss, "ratio")),
		Header: []string{""},
		Notes:  append([]string{"*: no other setting is as good in all of view mean, theory and traffic, and better in one (the Pareto front); less than one cull in a peer's year counts as none."}, pointNotes...)}
	var varied []func(core.Timing) time.Duration
	for _, x := range intervals {
		first := x.of(rows[0].Timing)
		if slices.ContainsFunc(rows, func(r study.SweepRow) bool { return x.of(r.Timing) != first }) {
			varied, p.Header = append(varied, x.of), append(p.Header, x.name)
		} else {
			p.About += fmt.Sprintf(", %s %s", x.name, interval(first))
		}
	}
	p.Header = append(p.Header, pointHeader...)
	for _, x := range rows {
		cells := []string{""}
		if x.Front {
			cells[0] = "*"
		}
		for _, of := range varied {
			cells = append(cells, interval(of(x.Timing)))
		}
		p.add(x.Front, append(cells, pointCells(x.Point)...)...)
	}
	return p
}

func (p *studyPart) add(marked bool, cells ...string) {
	p.Rows, p.Marked = append(p.Rows, cells), append(p.Marked, marked)
}

// few prints a figure with three digits, however small.
func few(v float64) string {
	if v != 0 && v < 0.001 {
		return strconv.FormatFloat(v, 'g', 2, 64)
	}
	return digits(v).String()
}

// interval prints one of the timing, 0 as a dash.
func interval(d time.Duration) string {
	if d == 0 {
		return missing
	}
	return d.String()
}

// never prints a percentile that may lie among what never happened.
func never(v *float64, never int) string {
	if v == nil && never > 0 {
		return "never"
	}
	return optional(v, "s").String()
}

func share(n, of int) string {
	if of == 0 {
		return missing
	}
	return measure(float64(n)/float64(of), "ratio").String()
}
