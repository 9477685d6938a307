package main

import (
	"cmp"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/olekukonko/tablewriter"
	"github.com/olekukonko/tablewriter/tw"

	units "p2plocal/bench/result"
	"p2plocal/cmd/internal/cli"
	"p2plocal/cmd/internal/printing"
	"p2plocal/fuzz/campaign"
	"p2plocal/fuzz/figure"
)

func text(w io.Writer, r campaign.Result, ascii bool) error {
	right := tw.AlignRight
	borders := tw.StyleLight
	if ascii {
		borders = tw.StyleASCII
	}
	t := tablewriter.NewTable(w, tablewriter.WithHeaderAutoFormat(tw.Off), tablewriter.WithSymbols(tw.NewSymbols(borders)),
		tablewriter.WithRowAlignmentConfig(tw.CellAlignment{PerColumn: []tw.Align{tw.AlignLeft, right, right, right}}))
	t.Header("what", "batches", "datagrams", "findings")
	for _, y := range r.Tallies {
		if err := t.Append(y.What, figure.Grouped(y.Batches), figure.Grouped(y.Sent), figure.Grouped(y.Findings)); err != nil {
			return err
		}
	}
	if err := t.Render(); err != nil {
		return err
	}
	var err error
	say := func(format string, args ...any) {
		err = cmp.Or(err, printing.Text(w, fmt.Sprintf(format, args...)+"\n"))
	}
	for _, f := range r.Findings {
		say("%s by %s: %s, %s, after %s\n  %s", f.Kind, f.Case, datagrams(f.Count), plural(f.Bytes, "byte"), units.Span(time.Duration(f.After*1e9)), cli.Printable(f.What))
		if f.Times > 1 {
			say("  found %s times; also by %s", figure.Grouped(f.Times), strings.Join(f.Also, " "))
		}
		if f.File != "" { // it could be written
			say("  again: udpgarbage -mode replay %s", quoted(f.File))
		}
	}
	if n := r.Skipped(); n > 0 {
		say("skipped %s that there was no socket to send from", datagrams(n))
	}
	if r.Flooding > 0 {
		say("floods: %s datagrams a second sent, %s delivered", figure.Grouped(float64(r.Flood)/r.Flooding.Seconds()), figure.Grouped(float64(r.Taken)/r.Flooding.Seconds()))
	}
	say("%s in %s, %s batches a second, %s, %s; -seed %d -ports %d",
		datagrams(r.Sent), units.Span(r.Elapsed), figure.Grouped(float64(r.Batches())/max(r.Elapsed.Seconds(), 1e-9)), plural(len(r.Findings), "finding"), plural(r.Restarts, "restart"), r.Seed, r.Ports)
	if r.Unwatched {
		say("NOT WATCHED: late effects of the last datagrams")
	}
	for _, y := range r.Tallies {
		if y.Unjudged > 0 {
			say("NOT JUDGED: %s: %s of %s", y.What, figure.Grouped(y.Unjudged), batches(y.Batches))
		}
	}
	for _, m := range r.Missing {
		say("NOT BEGUN: %s", m)
	}
	return err
}

// quoted is a word as a shell takes it.
func quoted(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }

func plural[N int | uint64](n N, what string) string { return units.Plural(uint64(n), what) }

func batches(n int) string { return strings.Replace(plural(n, "batch"), "batchs", "batches", 1) }

func datagrams[N int | uint64](n N) string { return plural(n, "datagram") }
