package reports

import (
	"fmt"
	"strings"

	"p2plocal/bench/result"
)

// A presentation is all that depends on which scenario a report is about.
type presentation struct {
	about    func(s scene, o result.Options) string // behind "20 peers", what was done to them
	headline func(s scene, o result.Options) phrase // its clause of the headline; empty: none
	facts    func(s scene, o result.Options) []fact // its own lines below the table
	lossy    bool                                   // it loses, duplicates and reorders messages on purpose
	overrun  bool                                   // it fills the kernel's buffers on purpose
	filtered bool                                   // a filter may be at work in the kernel, too
}

var presentations = map[string]presentation{
	"join": {
		about: func(_ scene, o result.Options) string {
			if o.Join == "spread" {
				return fmt.Sprintf(", joining over %v", span(o.Spread))
			}
			return ", all joining at once"
		},
		headline: func(s scene, _ result.Options) phrase {
			return s.reached("converge", "converged in %v", "never converged")
		},
		facts: func(s scene, _ result.Options) []fact {
			p := s.when("converge", "after the first birth every view was complete")
			if n, ok := s.total("join_datagrams"); ok && s.value("converge") != nil && !s.repeated() {
				b, _ := s.total("join_bytes")
				p = p.add("%s datagrams (%v) until then", grouped(n), measure(b, "bytes"))
			}
			return []fact{{"converge", p}}
		},
	},
	"steady": {
		about: func(_ scene, o result.Options) string {
			phases := ""
			if o.InStep {
				phases = ", all in step"
			}
			return fmt.Sprintf(", each broadcasts every %v for %v%s", span(o.Interval), span(o.Duration), phases)
		},
		headline: func(s scene, _ result.Options) phrase {
			sent, ok := s.total("sent")
			lost, _ := s.total("lost")
			var p phrase
			switch {
			case !ok:
				return nil
			case sent == 0:
				return p.add("sent no message in the window")
			case lost == 0:
				p = p.add("lost none of %s messages", grouped(sent))
			default:
				p = p.addIf(true, "lost %s of %s messages", grouped(lost), grouped(sent))
			}
			if v := s.value("latency.p99"); v != nil {
				p = p.add(" (p99 %v)", measure(*v, "s"))
			}
			return p
		},
	},
	"crash": {
		about: func(_ scene, o result.Options) string { return fmt.Sprintf(", %d killed without notice", o.Kill) },
		headline: func(s scene, o result.Options) phrase {
			what := "a crash"
			if o.Kill > 1 {
				what = fmt.Sprintf("%d crashes", o.Kill)
			}
			return s.reached("converge", "all noticed "+what+" in %v", what+" went unnoticed")
		},
		facts: func(s scene, _ result.Options) []fact {
			p := s.when("converge", "after the kill no view held the killed any more")
			if w := s.Charts.Ideal; w != nil && p != nil {
				p = p.add("ideal %s to %s after it", fixed(w[0], 1), quantity{Whole: fixed(w[1], 1), Unit: "s"})
			}
			return []fact{{"converge", p}}
		},
	},
	"relaunch": {
		about: func(_ scene, o result.Options) string {
			return fmt.Sprintf(", %d killed and back under the same name and port", o.Kill)
		},
	},
	"churn": {
		about: func(_ scene, o result.Options) string {
			return fmt.Sprintf(", %g a second of them killed or joining again, for %v", o.Churn, span(o.Duration))
		},
		headline: func(s scene, _ result.Options) phrase {
			return s.reached("disagreement", "held views that differed from the truth for %v of the churn", "")
		},
		facts: func(s scene, _ result.Options) []fact {
			p := s.counted(nil, "events", "kills and joins", false)
			p = append(p, s.reached("disagreement", "views differed from the truth for %v of the time", "")...)
			return []fact{{"churn", p}, {"converge", s.when("converge", "after the last event every view was true")}}
		},
	},
	"restart": {
		about: func(scene, result.Options) string { return ", the server is killed and started again" },
		facts: func(s scene, _ result.Options) []fact {
			return []fact{
				{"no refresh", s.when("whole", "after the server's return every directory view was complete")},
				{"refresh", s.when("refresh.whole", "after the server's return every directory view was complete")},
				{"stranded", s.counted(nil, "stranded", "peers that the new server does not know, without refresh", true)},
			}
		},
	},
	"pause": {
		about: func(scene, result.Options) string { return ", one is stopped past the deadline and goes on" },
		facts: func(s scene, _ result.Options) []fact {
			return []fact{
				{"removal", s.when("cull", "after the stop no other view held it")},
				{"no refresh", s.when("back", "after going on it was in every view again")},
				{"refresh", s.when("refresh.back", "after going on it was in every view again")},
				{"new birth", s.when("rebirth.back", "after a new birth it was in every view again")},
			}
		},
	},
	"loss": {
		about: func(_ scene, o result.Options) string { return fmt.Sprintf(" under %v", o.Impair) },
		facts: func(s scene, _ result.Options) []fact {
			p := s.counted(nil, "injected", "datagrams lost on purpose", false)
			p = append(p, s.reached("loss_injected", "%v of the messages", "")...)
			return []fact{{"converge", s.when("converge", "after the kill no view held the killed any more")}, {"injected", p}}
		},
		lossy: true,
	},
	"garbage": {
		about: func(_ scene, o result.Options) string {
			rate := "as fast as one core can"
			if o.Garbage.Rate > 0 {
				rate = measure(o.Garbage.Rate, "messages/s").String()
			}
			return fmt.Sprintf(" beside a flood of kind %s at the %s, %s, for %v", o.Garbage.Kind, o.Garbage.At, rate, span(o.Duration))
		},
		headline: func(s scene, _ result.Options) phrase {
			v := s.value("hostile_rate")
			if v == nil {
				return nil
			}
			lost, _ := s.total("lost")
			if sent, _ := s.total("sent"); sent == 0 {
				return phrase{}.add("sent no message beside %v hostile datagrams", measure(*v, "messages/s"))
			}
			return phrase{}.addIf(lost != 0, "lost %s messages beside %v hostile datagrams", orNone(lost, "no"), measure(*v, "messages/s"))
		},
		facts: func(s scene, _ result.Options) []fact {
			p := s.counted(nil, "hostile_sent", "sent", false)
			p = s.counted(p, "hostile_taken", "taken from the target's socket", false)
			p = append(p, s.reached("hostile_rate", "%v", "")...)
			p = append(p, s.reached("hostile_cpu", "sender %v", "")...)
			out := []fact{{"hostile", p}}
			if v := s.value("shut_out"); v != nil && *v > 0 {
				out = append(out, fact{"newcomers", phrase{}.addIf(true, "%s were not let in within 7 s", grouped(*v))})
			}
			return out
		},
		overrun: true, filtered: true,
	},
	"saturate": {
		about: func(scene, result.Options) string { return ", the highest load without loss" },
		headline: func(s scene, _ result.Options) phrase {
			return s.reached("rate_lossless", "carried up to %v without loss", "")
		},
		facts: func(s scene, o result.Options) (out []fact) {
			for _, goal := range []struct{ label, rate, latency, text string }{
				{"lossless", "rate_lossless", "latency_due", "without loss"},
				{"goal", "rate_goal", "latency_due_goal", "at a loss of " + measure(o.Search.LossRatio, "ratio").String()},
			} {
				p := s.reached(goal.rate, "%v "+strings.ReplaceAll(goal.text, "%", "%%"), "")
				if p == nil {
					p = p.addIf(true, "no rate found")
				} else if p50, p99 := s.value(goal.latency+".p50"), s.value(goal.latency+".p99"); p50 != nil && p99 != nil {
					p = p.add("latency there, due: p50 %v", measure(*p50, "s")).add("p99 %v", measure(*p99, "s"))
				}
				out = append(out, fact{goal.label, p})
			}
			return out
		},
		overrun: true,
	},
}

// reached says in a format with one verb what a figure was, or never what to
// say, as bad news, where it was waited for in vain.
func (s scene) reached(metric, format, never string) phrase {
	if v := s.value(metric); v != nil {
		return phrase{}.add(format, measure(*v, s.unit(metric)))
	}
	if never != "" && s.never(metric) {
		return phrase{}.addIf(true, "%s", never)
	}
	return nil
}

// when is a time and what was so then; of several runs it stands in the table.
func (s scene) when(metric, then string) phrase {
	if s.repeated() && s.value(metric) != nil {
		return nil
	}
	return s.reached(metric, "%v "+then, "never")
}

// counted adds a count over all runs to a phrase, if there is one.
func (s scene) counted(p phrase, metric, text string, bad bool) phrase {
	if n, ok := s.total(metric); ok {
		return p.addIf(bad && n != 0, "%s %s", grouped(n), text)
	}
	return p
}

// orNone is a count in a sentence.
func orNone(n float64, none string) string {
	if n == 0 {
		return none
	}
	return grouped(n)
}
