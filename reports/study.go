package reports

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"p2plocal/bench/study"
	"p2plocal/core"
)

// Study makes the document of what studies came to.
func Study(r *study.Report) *Document {
	d := &Document{Tool: "meshbench study", source: indented(r)}
	seed := phrase{}.add("%d", r.Seed).add("from which every line begins, so that neighbours share their random numbers and err alike")
	if r.Version != "" {
		args := make([]string, len(r.Args))
		for i, a := range r.Args {
			args[i] = shellWord(a)
		}
		seed = seed.add("meshbench %s %s", r.Version, strings.Join(args, " "))
	}
	text := words(studyHeadline(r))
	if r.Interrupted {
		text = append(phrase{{"Interrupted, only what was finished is here: ", true}}, text...)
	}
	d.Heads = []head{{Text: text, Origin: []fact{{"simulated", words("virtual network and clock, the real machines")}, {"seed", seed}}}}
	for _, s := range []section{lossSection(r.Loss), healSection(r.Heal), churnSection(r.Churn), sweepSection(r.Sweep)} {
		if s.Table != nil && len(s.Table.Rows) > 0 {
			s.Folded = true
			d.Sections = append(d.Sections, s)
		}
	}
	return d
}

// studyHeadline is what a reader should know first.
func studyHeadline(r *study.Report) string {
	var says []string
	if i := slices.IndexFunc(r.Loss, func(x study.LossRow) bool { return x.Loss == 0.10 && x.Timing.Refresh == 0 }); i >= 0 && r.Loss[i].Rate > 0 {
		says = append(says, fmt.Sprintf("10 %% loss removes each live peer %s times an hour", digits(r.Loss[i].Rate)))
	}
	var meshes, never [2]int // without refresh, and with
	for _, x := range r.Heal {
		i := 0
		if x.Timing.Refresh > 0 {
			i = 1
		}
		meshes[i], never[i] = meshes[i]+x.N, never[i]+x.Never
	}
	if meshes[0] > 0 && meshes[1] > 0 {
		says = append(says, fmt.Sprintf("faults leave %v of %v meshes in pieces without refresh, %v of %v with it",
			whole(never[0]), whole(meshes[0]), whole(never[1]), whole(meshes[1])))
	}
	front := 0
	for _, x := range r.Sweep {
		if x.Front {
			front++
		}
	}
	if front > 0 {
		says = append(says, fmt.Sprintf("%d of %s of the timing are not dominated", front, plural(uint64(len(r.Sweep)), "setting")))
	}
	if len(says) == 0 {
		return "Studies of the protocol on a virtual network"
	}
	s := strings.Join(says, "; ")
	return strings.ToUpper(s[:1]) + s[1:] + "."
}

// pointColumns are those that loss and sweep share.
func pointColumns(first ...string) []column {
	return append(columns(first...), column{Name: "removed"}, column{Name: "removed/h"}, column{Name: "95 % interval", Rank: 1}, column{Name: "theory"},
		column{Name: "traffic"}, column{Name: "detect p50", Rank: 2}, column{Name: "max", Rank: 4}, column{Name: "view mean"}, column{Name: "p99", Rank: 3}, column{Name: "never"})
}

func pointCells(p study.Point) []quantity {
	return []quantity{whole(p.Culls), few(p.Rate), word(fmt.Sprintf("%v to %v", few(p.Low), few(p.High)), ""), few(p.Theory), measure(p.Traffic, "messages/s"),
		optional(p.Server.P50, "s"), optional(p.Server.Max, "s"), measure(p.Views.Mean, "s"), never(p.Views.P99, p.Views.Never), share(p.Views.Never, p.Views.N)}
}

var pointFacts = []fact{
	{"removed", words("false positives: live peers that the server removed; /h: for each hour that a peer is a member; 95 % interval: of a Poisson count (Byar's approximation); theory: renewals of independent losses, with refresh in first order")},
	{"traffic", words("datagrams a second that the whole mesh sends")},
	{"detect", words("from a peer's end until the server removed it")},
	{"view", words("from a peer's end until a survivor's directory view held it no longer, the mean with 30 s where that did not happen in 30 s: never")},
}

func lossSection(rows []study.LossRow) section {
	s := section{Name: "loss", About: "datagrams lost at random on every link: live peers removed, dead ones noticed", Facts: pointFacts,
		Table: &table{Corner: "peers", Columns: pointColumns("refresh", "loss")}}
	removed := chart{ID: "loss-culls", Title: "How often loss removes a live peer", X: axis{Label: "loss", Unit: "ratio"}, Y: axis{Label: "live peers removed a peer-hour", Unit: "1", Log: true},
		Says: "Bars: 95 % intervals. Grey: theory, k keep-alives in a row lost; births of the refresh are signs of life, too."}
	noticed := chart{ID: "loss-detection", Title: "Until a survivor has noticed a death", X: axis{Label: "loss", Unit: "ratio"}, Y: axis{Label: "time to notice", Unit: "s", Zero: true},
		Says: "Mean over survivors and deaths; who has not noticed within 30 s counts as 30 s. Without loss: 1.0 to 2.0 s by design."}
	sizes := &palette[int]{}
	for _, x := range rows {
		s.Table.Rows = append(s.Table.Rows, row{Name: fmt.Sprint(x.Peers), Cells: append([]quantity{interval(x.Timing.Refresh), measure(x.Loss, "ratio")}, pointCells(x.Point)...)})
		of := meshOf(x.Peers, x.Timing, sizes)
		removed.add(of, point{X: x.Loss, Y: x.Rate, Low: &x.Low, High: &x.High})
		noticed.add(of, point{X: x.Loss, Y: x.Views.Mean})
		if x.Peers == rows[0].Peers && x.Theory > 0 {
			removed.add(series{Name: "theory, " + refreshed(x.Timing), Kind: theory}, point{X: x.Loss, Y: x.Theory})
		}
	}
	s.Charts = []chart{noticed}
	if slices.ContainsFunc(rows, func(x study.LossRow) bool { return x.Culls > 0 }) {
		s.Charts = []chart{removed, noticed}
	}
	return s
}

func healSection(rows []study.HealRow) section {
	s := section{Name: "heal", About: "until the server and all views are whole again, from the end of the fault",
		Table: &table{Corner: "fault", Columns: columns("peers", "refresh", "meshes", "never healed", "p50", "p95", "max")}}
	about := map[study.Cause]string{
		study.Restart:   "the server is dead for a second and comes back knowing nobody",
		study.Partition: "half of the peers are cut off from the server until they have been removed",
		study.Lost:      "a peer joins while half of the directories are lost",
	}
	for _, cause := range study.Causes {
		c := chart{ID: "heal-" + string(cause), Title: "Time to heal: " + string(cause), X: axis{Label: "refresh interval", Unit: "s"}, Y: axis{Label: "time to heal", Unit: "s", Zero: true}}
		sizes := &palette[int]{}
		meshes, ill := 0, 0
		for _, x := range rows {
			if x.Cause != cause {
				continue
			}
			s.Table.Rows = append(s.Table.Rows, row{Name: string(x.Cause), Cells: []quantity{whole(x.Peers), interval(x.Timing.Refresh), whole(x.N), whole(x.Never),
				never(x.P50, x.Never), never(x.P95, x.Never), never(x.Max, x.Never)}})
			switch {
			case x.Timing.Refresh == 0:
				meshes, ill = meshes+x.N, ill+x.Never
			case x.P50 != nil:
				p := point{X: x.Timing.Refresh.Seconds(), Y: *x.P50, Low: x.P50, High: x.Max}
				c.add(series{Name: plural(uint64(x.Peers), "peer"), Kind: curves, Color: sizes.of(x.Peers)}, p)
			}
		}
		c.Says = strings.ToUpper(about[cause][:1]) + about[cause][1:] + ". Median, bars to the maximum."
		if meshes > 0 {
			c.Says += fmt.Sprintf(" Without refresh: %d of %d meshes never.", ill, meshes)
		}
		if len(c.Series) > 0 {
			s.Charts = append(s.Charts, c)
		}
		if meshes > 0 || len(c.Series) > 0 {
			s.Facts = append(s.Facts, fact{string(cause), words(about[cause])})
		}
	}
	s.Facts = append(s.Facts, fact{"never", words("not within 30 s and two refresh intervals")})
	return s
}

func churnSection(rows []study.ChurnRow) section {
	s := section{Name: "churn", About: "peers die at random and come back 4 s later: the part of the views that is wrong, over time",
		Table: &table{Corner: "peers", Columns: columns("loss", "refresh", "deaths/s", "wrong", "95 % interval", "theory")},
		Facts: []fact{{"wrong", words("a live peer's directory view is not exactly who is alive; mean over the meshes, with Student's interval")},
			{"theory", words("without loss, a view is wrong unless no death is unknown (Poisson)")}}}
	sizes := &palette[int]{}
	for _, x := range rows {
		expected := none
		if x.Loss == 0 {
			expected = measure(x.Theory, "ratio")
		}
		s.Table.Rows = append(s.Table.Rows, row{Name: fmt.Sprint(x.Peers), Cells: []quantity{measure(x.Loss, "ratio"), interval(x.Timing.Refresh), few(x.Deaths),
			measure(x.Mean, "ratio"), word(fmt.Sprintf("%v to %v", measure(x.Low, "ratio"), measure(x.High, "ratio")), ""), expected}})
		id := fmt.Sprintf("churn-%v", x.Loss)
		i := slices.IndexFunc(s.Charts, func(c chart) bool { return c.ID == id })
		if i < 0 {
			i, s.Charts = len(s.Charts), append(s.Charts, chart{ID: id, Title: fmt.Sprintf("Views that are wrong under churn, %v of the datagrams lost", measure(x.Loss, "ratio")),
				Says: "Part of the live peers whose view is not who is alive, over time. Bars: 95 % intervals; grey: theory, without loss.",
				X:    axis{Label: "deaths a second in the mesh", Unit: "1", Log: true}, Y: axis{Label: "wrong views", Unit: "ratio", Zero: true}})
		}
		s.Charts[i].add(meshOf(x.Peers, x.Timing, sizes), point{X: x.Deaths, Y: x.Mean, Low: &x.Low, High: &x.High})
		if x.Loss == 0 && x.Peers == rows[0].Peers && x.Timing == rows[0].Timing {
			s.Charts[i].add(series{Name: "theory", Kind: theory}, point{X: x.Deaths, Y: x.Theory})
		}
	}
	return s
}

// intervals are those that a sweep can vary.
var intervals = []struct {
	name string
	of   func(core.Timing) time.Duration
}{
	{"keep-alive", func(t core.Timing) time.Duration { return t.Heartbeat }},
	{"reap", func(t core.Timing) time.Duration { return t.Reap }},
	{"refresh", func(t core.Timing) time.Duration { return t.Refresh }},
	{"deadline", func(t core.Timing) time.Duration { return t.Deadline }},
}

func sweepSection(rows []study.SweepRow) section {
	if len(rows) == 0 {
		return section{}
	}
	s := section{Name: "sweep", About: fmt.Sprintf("settings of the timing, %s, %s of the datagrams lost", plural(uint64(rows[0].Peers), "peer"), measure(rows[0].Loss, "ratio")), Table: &table{},
		Facts: append([]fact{{"*", words("no other setting is as good in all of view mean, theory and traffic, and better in one (the Pareto front); less than one removal in a peer's year counts as none")}}, pointFacts...)}
	var varied []string
	of := make(map[string]func(core.Timing) time.Duration)
	for _, x := range intervals {
		first := x.of(rows[0].Timing)
		if slices.ContainsFunc(rows, func(r study.SweepRow) bool { return x.of(r.Timing) != first }) {
			varied, of[x.name] = append(varied, x.name), x.of
		} else {
			s.About += fmt.Sprintf(", %s %s", x.name, interval(first))
			if first == 0 {
				s.About = strings.TrimSuffix(s.About, missing) + "off"
			}
		}
	}
	s.Table.Columns = pointColumns(varied...)
	says := "One dot a setting, less is better on both axes; filled: no other setting is as good in all of time to notice, removals and traffic, and better in one; less than one removal in a peer's year counts as none."
	judged := map[string]axis{
		"view":    {Label: "time to notice", Unit: "s", Log: true},
		"culls":   {Label: "live peers removed a peer-hour", Unit: "1", Log: true},
		"traffic": {Label: "datagrams a second", Unit: "1", Log: true},
	}
	for _, axes := range [][2]string{{"view", "culls"}, {"traffic", "culls"}, {"traffic", "view"}} {
		c := chart{ID: fmt.Sprintf("sweep-%s-%s", axes[0], axes[1]), X: judged[axes[0]], Y: judged[axes[1]], Wide: axes[0] == "view", Says: says}
		c.Title = strings.ToUpper(c.Y.Label[:1]) + c.Y.Label[1:] + " against " + c.X.Label
		shades := &palette[time.Duration]{}
		for _, x := range rows {
			by := series{Name: "settings", Kind: dots} // one colour for each value of what is varied first
			name := "as it is"
			for i, v := range varied {
				text := fmt.Sprintf("%s %v", v, interval(of[v](x.Timing)))
				if i == 0 {
					by.Name, by.Color, name = text, shades.of(of[v](x.Timing)), text
				} else {
					name += ", " + text
				}
			}
			at := map[string]float64{"view": x.Views.Mean, "culls": max(x.Theory, study.Rare), "traffic": x.Traffic}
			c.add(by, point{X: at[axes[0]], Y: at[axes[1]], Name: name, Marked: x.Front})
		}
		s.Charts = append(s.Charts, c)
	}
	for _, x := range rows {
		r := row{Marked: x.Front}
		if x.Front {
			r.Name = "*"
		}
		for _, v := range varied {
			r.Cells = append(r.Cells, interval(of[v](x.Timing)))
		}
		r.Cells = append(r.Cells, pointCells(x.Point)...)
		s.Table.Rows = append(s.Table.Rows, r)
	}
	return s
}

// add puts a point into its series.
func (c *chart) add(to series, p point) {
	if p.X <= 0 && c.X.Log || p.Y <= 0 && c.Y.Log {
		return
	}
	i := slices.IndexFunc(c.Series, func(s series) bool { return s.Name == to.Name })
	if i < 0 {
		i, c.Series = len(c.Series), append(c.Series, to)
	}
	c.Series[i].Points = append(c.Series[i].Points, p)
}

// A palette numbers what has a colour of its own.
type palette[T comparable] struct{ seen []T }

func (p *palette[T]) of(v T) int {
	if !slices.Contains(p.seen, v) {
		p.seen = append(p.seen, v)
	}
	return slices.Index(p.seen, v)
}

// meshOf is the series of a size and a refresh: a colour for each size, dashes
// without refresh.
func meshOf(peers int, t core.Timing, sizes *palette[int]) series {
	return series{Name: plural(uint64(peers), "peer") + ", " + refreshed(t), Kind: curves, Color: sizes.of(peers), Dashed: t.Refresh == 0}
}

func refreshed(t core.Timing) string {
	if t.Refresh == 0 {
		return "no refresh"
	}
	return fmt.Sprintf("refresh %v", span(t.Refresh))
}

// few is a figure with three digits, however small.
func few(v float64) quantity {
	if v != 0 && v < 0.001 {
		return quantity{Whole: fmt.Sprintf("%.2g", v)}
	}
	return digits(v).split()
}

// interval is one of the timing, a dash for none.
func interval(d time.Duration) quantity {
	if d == 0 {
		return none
	}
	return span(d)
}

// never is a percentile that may lie among what never happened.
func never(v *float64, never int) quantity {
	if v == nil && never > 0 {
		return word("never", bad)
	}
	return optional(v, "s")
}

func share(n, of int) quantity {
	if of == 0 {
		return none
	}
	return measure(float64(n)/float64(of), "ratio")
}
