package campaign

import (
	"fmt"
	"slices"
	"time"

	"p2plocal/core"
	"p2plocal/core/wire"
	"p2plocal/fuzz/figure"
	"p2plocal/fuzz/hostile"
)

// plan is when a campaign sends what: first the replay, then the catalogue and the random modes in
// turns. It depends on the seed and the ports alone.
type plan struct {
	c         *campaign
	make      *maker
	first     []batch
	cases     []batch // the catalogue's that are not begun yet
	listed    int     // how many there were
	random    []string
	dealt     map[string]int // batches of each random mode
	turn      int
	free      map[wire.Name]time.Duration // on the clock, from when on a name is nobody's
	unbounded bool                        // it does not end with the campaign: a part of what was sent is tried
	void      void
}

// void is a time of which nothing can be said, and whether to wait until it is over.
type void struct {
	until time.Time
	waits bool
	spent time.Duration // waiting, all in all
}

const (
	leadCase  = "lead" // of what brings a silent member in
	mostTries = 4      // that a batch is repeated after
)

func (c *campaign) newPlan(t *trial) (*plan, error) {
	p := &plan{c: c, make: &maker{c: c, pool: dealer{names: c.names.pool}}, dealt: map[string]int{}}
	c.env = p.make.environment(&dealer{names: c.names.loose}, len(c.names.loose))
	if err := c.env.Validate(); err != nil {
		return nil, err
	}
	cases := c.env.Cases(c.Role)
	p.make.words = wordsOf(cases)
	if len(c.Replay) > 0 {
		p.first = append(p.first, c.sendable(c.asFound(c.Replay)))
	}
	for _, mode := range c.Modes {
		switch {
		case mode == "catalogue" && c.Role == hostile.Server:
			p.cases = p.make.serverCases(cases)
		case mode == "catalogue":
			p.cases = p.make.peerCases(cases, t.judge.(*peerJudge).interval)
		case mode != "replay":
			p.random = append(p.random, mode)
		}
	}
	for i := range p.cases {
		p.cases[i].mode = "catalogue"
		p.cases[i] = c.sendable(p.cases[i])
	}
	p.listed = len(p.cases)
	return p, nil
}

// restarted forgets who may be in the directory.
func (p *plan) restarted() { p.free = map[wire.Name]time.Duration{} }

// again puts back batches that a finding has cut short, without the shots of the finding.
func (p *plan) again(open []*openBatch, without []hostile.Shot) {
	if p.c.command() == "" {
		return
	}
	for _, o := range open {
		b := o.batch
		b.shots = slices.DeleteFunc(slices.Clone(b.shots), func(s hostile.Shot) bool {
			return s.Case != leadCase && slices.ContainsFunc(without, func(w hostile.Shot) bool { return w.Case == s.Case })
		})
		if len(b.shots) < len(o.shots) {
			b.tries = 0
		}
		switch {
		case b.random() || len(casesOf(b.shots)) == 0:
		case b.tries == 0:
			p.repeat(b)
		default:
			p.giveUp(b)
		}
	}
}

// random reports that it is one of many of its kind.
func (b *batch) random() bool { return b.mode != "catalogue" && b.mode != "replay" }

// due reports that something could be said of it if it began now; only batches that are repeated
// wait for that.
func (b *batch) due(t *trial) bool {
	return b.tries == 0 || t.missed.IsZero() || t.now.Sub(t.missed) >= excuseTime
}

// waiting reports that nothing should begin now, since nothing could be said of it: members were
// too late not long ago, as after a standstill of the machine. On a machine that is late again and
// again the campaign goes on, so that a target that dies is seen.
func (p *plan) waiting(t *trial) bool {
	const part = 4 // of the time at most
	if t.plain || t.missed.IsZero() {
		return false
	}
	v := &p.void
	if until := t.missed.Add(excuseTime); until.After(v.until) {
		if !t.missed.Before(v.until) {
			v.until, v.waits = t.missed, v.spent <= t.now.Sub(p.c.start)/part
		}
		if v.waits {
			v.spent += until.Sub(v.until)
		}
		v.until = until
	}
	return v.waits && t.now.Before(v.until)
}

// repeat puts back a batch of which nothing could be said.
func (p *plan) repeat(b batch) {
	switch b.tries++; {
	case b.random() || b.tries > mostTries:
		p.giveUp(b)
	case b.mode == "replay":
		p.first = append(p.first, b)
	default:
		p.cases = append(p.cases, b)
	}
}

// mayFlood reports that floods have had less than their share of the time, and that none would
// drown what is judged by silence or repeated.
func (p *plan) mayFlood(t *trial) bool {
	if slices.ContainsFunc(t.pending, func(o *openBatch) bool { return o.hold > 0 || o.tries > 0 }) || slices.ContainsFunc(p.cases, func(b batch) bool { return b.tries > 0 }) {
		return false
	}
	for _, c := range t.owners {
		if c.gone.IsZero() && !c.before && !c.batch.random() {
			return false
		}
	}
	modes := time.Duration(len(p.random) + min(1, len(p.cases)))
	return modes == 1 || modes*p.c.result.Flooding <= time.Since(p.c.start)
}

// giveUp counts a batch of which nothing will be said.
func (p *plan) giveUp(b batch) { p.c.result.tally(b.what).Unjudged++ }

// next is the next batch; false: there is none now.
func (p *plan) next(t *trial) (batch, bool) {
	if p.over() || p.waiting(t) {
		return batch{}, false
	}
	if len(p.first) > 0 {
		b := p.first[0]
		if !b.due(t) {
			return batch{}, false
		}
		p.first = p.first[1:]
		return p.known(b), true
	}
	p.turn++
	if p.turn%2 == 0 || len(p.random) == 0 {
		if b, ok := p.nextCase(t); ok {
			return p.known(b), true
		}
	}
	if len(p.random) == 0 {
		return batch{}, false
	}
	if p.random[0] == "flood" && !p.mayFlood(t) {
		if p.random = append(p.random[1:], "flood"); len(p.random) == 1 {
			return batch{}, false
		}
	}
	mode := p.random[0]
	p.random = append(p.random[1:], mode)
	p.dealt[mode]++
	b := p.make.random(mode, p.dealt[mode])
	p.progress(b.what, "")
	return p.known(b), true
}

func (p *plan) progress(what, narrowing string) {
	if c := p.c; c.Progress != nil {
		c.Progress(Progress{what, narrowing, c.result.Batches(), c.result.Sent, len(c.result.Findings), time.Since(c.start), p.listed, len(p.cases)})
	}
}

// nextCase is the next batch of the catalogue whose names are free.
func (p *plan) nextCase(t *trial) (b batch, ok bool) {
	taken := func(n wire.Name) bool { return p.free[n] > t.clock }
	i := slices.IndexFunc(p.cases, func(b batch) bool {
		return !slices.ContainsFunc(b.names, taken) && (!b.last || len(p.cases) == 1) && b.due(t)
	})
	if i < 0 {
		return b, false
	}
	b = p.cases[i]
	p.cases = slices.Delete(p.cases, i, i+1)
	if b.build != nil {
		b.shots, b.build = b.build(), nil
		b = p.c.sendable(b)
	}
	for _, s := range b.shots {
		if m, err := p.c.message(s.Datagram, p.c.source(s, b.shots)); err == nil && (m.Type == core.TypeBirth || m.Type == core.TypeKeepAlive) && slices.Contains(p.c.names.pool, m.Entry.Name) {
			at := s.At
			if b.insist > 0 {
				at = min(at, b.insist)
			}
			p.free[m.Entry.Name] = max(p.free[m.Entry.Name], t.clock+at+leaseTime)
		}
	}
	p.progress(b.what, "")
	return b, true
}

func (p *plan) over() bool { return !p.unbounded && p.c.enough() }

// done reports that there are no more batches.
func (p *plan) done() bool {
	return p.over() || len(p.first)+len(p.cases)+len(p.random) == 0
}

// missing says what was never begun, and gives up what was to be repeated.
func (p *plan) missing() (all []string) {
	n := 0
	for _, b := range slices.Concat(p.first, p.cases) {
		if b.tries > 0 {
			p.giveUp(b)
		} else if b.mode == "catalogue" {
			n++
		}
	}
	switch {
	case n > 0 && n == p.listed:
		all = append(all, "mode catalogue")
	case n > p.listed/2 && p.c.Count == 0:
		all = append(all, fmt.Sprintf("mode catalogue but for %s of %s batches", figure.Grouped(p.listed-n), figure.Grouped(p.listed)))
	case n > 0:
		all = append(all, fmt.Sprintf("%s of %s batches of the catalogue", figure.Grouped(n), figure.Grouped(p.listed)))
	}
	for _, mode := range p.random {
		if p.dealt[mode] == 0 {
			all = append(all, "mode "+mode)
		}
	}
	return all
}

// known leaves out of a batch what is known to be too much for the target.
func (p *plan) known(b batch) batch {
	if b.mode != "replay" && len(p.c.culprit) > 0 {
		b.shots = slices.DeleteFunc(slices.Clone(b.shots), func(s hostile.Shot) bool { return p.c.culprit[p.c.look(s)] })
	}
	return b
}
