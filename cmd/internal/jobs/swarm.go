package jobs

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"p2plocal/bench/result"
	"p2plocal/bench/swarm"
	"p2plocal/bench/work"
	"p2plocal/cmd/internal/cli"
	"p2plocal/cmd/internal/printing"
	"p2plocal/fuzz/figure"
)

// Swarm is a command that runs simulated meshes.
type Swarm struct {
	cli.Common
	Meshes swarm.Meshes
	Where  *Where
	Tool   result.Tool
	Replay func(swarm.Meshes, swarm.Found) string // a command that shows a finding again
}

// shown is how many failing seeds are printed in full.
const shown = 10

// Flags are those of "meshbench swarm" that say what meshes speak.
func Flags(m swarm.Meshes) (flags string) {
	if m.Wide {
		flags += " -wide"
	}
	if m.Key {
		flags += " -key"
	}
	return flags
}

// ParseRange reads a range of seeds.
func ParseRange(s string) (first, last uint64, err error) {
	a, b, ok := strings.Cut(s, "..")
	first, err1 := strconv.ParseUint(a, 10, 64)
	last, err2 := strconv.ParseUint(b, 10, 64)
	if !ok || err1 != nil || err2 != nil || first > last || last-first == 1<<64-1 {
		return 0, 0, cli.Usagef("-seeds %q, want a range such as 1..2000", s)
	}
	return first, last, nil
}

// Run writes what comes of f, which prints text meanwhile, and says what it means.
func (s *Swarm) Run(stdout io.Writer, f func(text io.Writer) (*swarm.Tally, error)) error {
	files, err := cli.Open(s.JSON)
	if err != nil {
		return err
	}
	text := stdout
	if s.JSON == "-" {
		text = io.Discard
	}
	t, err := f(text)
	if err != nil && (t == nil || t.Seeds == 0) {
		return err
	}
	t.Tool = s.Tool
	err = cli.Join(s.Write(stdout, files, func(io.Writer) error { return nil }, t), err) // its text is there
	switch {
	case err != nil:
		return err
	case len(t.Findings) > 0:
		return cli.Failed
	case t.Interrupted:
		return cli.Interrupted
	}
	return nil
}

// progress is how far seeds have come.
type progress struct {
	start    time.Time
	of       uint64
	findings atomic.Uint64

	mu      sync.Mutex
	seeds   uint64
	virtual float64           // seconds
	by      map[string]*byOne // of workers; here there is none
}

// byOne is what one worker has done: so many seeds in so many seconds of a core.
type byOne struct{ seeds, took float64 }

func (p *progress) add(d work.Done, part *swarm.Tally) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.seeds, p.virtual = p.seeds+part.Seeds, p.virtual+part.Virtual
	if d.Worker == "" {
		return
	}
	one := p.by[d.Worker]
	if one == nil {
		one = new(byOne)
		p.by[d.Worker] = one
	}
	one.seeds, one.took = one.seeds+float64(part.Seeds), one.took+d.Took
}

func (p *progress) line(columns int) string {
	p.mu.Lock()
	defer p.mu.Unlock()
	tell := []string{result.Plural(p.findings.Load(), "finding")}
	if n := len(p.by); n > 0 {
		var speeds []float64
		for _, one := range p.by {
			speeds = append(speeds, one.seeds/max(one.took, 1e-9))
		}
		each := figure.Grouped(slices.Min(speeds))
		if most := figure.Grouped(slices.Max(speeds)); most != each {
			each += " to " + most
		}
		tell = append(tell, result.Plural(uint64(n), "worker"), each+"/s a core")
	}
	tell = append(tell, virtual(p.virtual))
	return printing.Done(columns, p.start, p.seeds, p.of, "seeds", tell...)
}

// Seeds runs seed after seed, here or by workers.
func (s *Swarm) Seeds(ctx context.Context, stdout, stderr io.Writer, first, last uint64) error {
	return s.Run(stdout, func(text io.Writer) (*swarm.Tally, error) { return s.seeds(ctx, text, stderr, first, last) })
}

func (s *Swarm) seeds(ctx context.Context, text, stderr io.Writer, first, last uint64) (*swarm.Tally, error) {
	start := time.Now()
	params, err := json.Marshal(s.Meshes)
	if err != nil {
		return swarm.NewTally(0), err
	}
	t, parts := swarm.NewTally(last-first+1), map[uint64]*swarm.Tally{}
	p := progress{start: start, of: t.Of, by: map[string]*byOne{}}
	aside, stop := printing.Watch(ctx, stderr, s.Quiet, p.line)
	compute := s.Where.Compute(printing.Log(s.Tool.Name, stderr, aside))
	err = compute(ctx, work.Job{Kind: "swarm", Params: params, First: first, Last: last}, swarm.Lease, func(d work.Done) (err error) {
		part := new(swarm.Tally)
		if err := json.Unmarshal(d.Result, part); err != nil {
			return err
		}
		for _, f := range part.Findings {
			if p.findings.Add(1) <= shown {
				aside(func() {
					_, err = fmt.Fprintf(text, "seed %d: %s at %v: %s\nreplay: %s\nshrunk, for meshbench swarm%s -faults FILE:\n%s",
						f.Seed, f.Invariant, f.When(), cli.Printable(f.Detail), s.Replay(s.Meshes, f), Flags(s.Meshes.Of(f.Seed)), f.Script)
				})
			}
		}
		parts[d.Lease] = part
		p.add(d, part)
		return err
	})
	stop()
	for _, lease := range slices.Sorted(maps.Keys(parts)) { // in their order, so that sums are the same wherever they were computed
		t.Plus(parts[lease])
	}
	if t.Interrupted = ctx.Err() != nil; t.Interrupted {
		err = nil
	} else if err != nil && len(parts) == 0 {
		return t, err
	}
	line := fmt.Sprintf("%s of %s, %s", figure.Grouped(t.Seeds), result.Plural(t.Of, "seed"), result.Plural(uint64(len(t.Findings)), "finding"))
	if t.Interrupted {
		line += ", interrupted"
	}
	line += fmt.Sprintf("\n%s in %s\n%s taken\n", virtual(t.Virtual), result.Span(time.Since(start)), result.Plural(t.Taken, "datagram"))
	for i, gap := range swarm.Gaps {
		if !s.Meshes.Wide { // the wide dialect leaves none
			line += fmt.Sprintf("%s%s %s", []string{"peers left with a known gap:\n  ", ", "}[min(i, 1)], figure.Grouped(t.Gaps[gap]), gap)
		}
	}
	return t, cli.Join(err, printing.Text(text, strings.TrimRight(line, "\n")+"\n"))
}

// virtual is time that meshes have lived, all added up.
func virtual(seconds float64) string {
	if seconds < 3600 {
		return fmt.Sprintf("%v of virtual time", time.Duration(seconds)*time.Second)
	}
	return fmt.Sprintf("%s hours of virtual time", figure.Grouped(seconds/3600))
}
