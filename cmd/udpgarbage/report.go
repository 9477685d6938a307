package main

import (
	"fmt"
	"io"

	"github.com/olekukonko/tablewriter"
	"github.com/olekukonko/tablewriter/tw"

	units "p2plocal/bench/result"
	"p2plocal/cmd/internal/cli"
	"p2plocal/fuzz/campaign"
)

func text(w io.Writer, r campaign.Result, ascii bool) error {
	right := tw.AlignRight
	borders := tw.StyleLight
	if ascii {
		borders = tw.StyleASCII
	}
	t := tablewriter.NewTable(w, tablewriter.WithHeaderAutoFormat(tw.Off), tablewriter.WithSymbols(tw.NewSymbols(borders)),
		tablewriter.WithRowAlignmentConfig(tw.CellAlignment{PerColumn: []tw.Align{tw.AlignLeft, right, right, right, right, right, right}}))
	t.Header("what", "sent", "delivered", "bytes", "rate", "answers", "findings")
	skipped := 0
	for _, y := range r.Tallies {
		skipped += y.Skipped
		delivered := "-"
		if r.Delivery {
			delivered = grouped(y.Delivered())
		}
		if err := t.Append(y.What, grouped(y.Sent), delivered, short(float64(y.Bytes)), short(y.Rate()), grouped(y.Answers), fmt.Sprint(y.Findings)); err != nil {
			return err
		}
	}
	if err := t.Render(); err != nil {
		return err
	}
	for _, f := range r.Findings {
		if _, err := fmt.Fprintf(w, "%s by %s (%s, %d bytes; after %.1f s)\n  %s\n", f.Kind, f.Case, datagrams(f.Count), f.Bytes, f.After, cli.Printable(f.What)); err != nil {
			return err
		}
	}
	if skipped > 0 {
		fmt.Fprintf(w, "skipped %d datagrams that there was no socket to send from\n", skipped)
	}
	if r.Left > 0 {
		fmt.Fprintf(w, "not sent: the last %d batches of replay and catalogue\n", r.Left)
	}
	if r.Usage.Memory > 0 {
		fmt.Fprintf(w, "the target took %.1f s of CPU, at most %.1f MB and %d descriptors\n",
			r.Usage.CPU.Seconds(), float64(r.Usage.Memory)/(1<<20), r.Usage.Descriptors)
	}
	_, err := fmt.Fprintf(w, "sent %s datagrams in %.1f s, %d findings, %d restarts\nto go on: -seed %d -ports %d -from %d\n",
		grouped(r.Total.Sent), r.Elapsed.Seconds(), len(r.Findings), r.Restarts, r.Seed, r.Ports, r.Next)
	return err
}

func grouped(n uint64) string { return units.Grouped(float64(n)) }

func datagrams(n int) string {
	if n == 1 {
		return "1 datagram"
	}
	return fmt.Sprintf("%d datagrams", n)
}

// short is a number of at most four digits and a unit.
func short(v float64) string {
	for _, u := range []string{"", "k", "M", "G"} {
		if v < 1000 || u == "G" {
			if u == "" {
				return fmt.Sprintf("%.0f", v)
			}
			return fmt.Sprintf("%.*f %s", max(0, 2-len(fmt.Sprintf("%.0f", v))+1), v, u)
		}
		v /= 1000
	}
	return ""
}
