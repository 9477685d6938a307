package fuzz

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"time"

	"p2plocal/core"
)

// Config describes a campaign against a server.
type Config struct {
	Target        netip.AddrPort
	Exec          string        // the command line that starts the target; empty: it runs
	Modes         []string      // of catalogue, mutate, generate, random, flood
	Seed          uint64        // of every random choice
	Duration      time.Duration // 0: until Count, or the catalogue's end
	Count         uint64        // datagrams; 0: no bound
	Most          int           // findings; 0: no bound
	Rate          float64       // datagrams a second; 0: no bound
	ProbeTimeout  time.Duration // within which a fresh peer must be let in
	Amplification float64       // bytes out per byte in that are too many
	Narrow        time.Duration // the longest that one finding may be narrowed down
	GSO           bool          // for flood
	Replay        []Shot        // sent first, as they are
	Sent          func(time.Time, netip.AddrPort, []byte)
	Found         func(Finding) error
	Log           func(line string)
}

// Modes are those that a campaign knows.
var Modes = []string{"catalogue", "mutate", "generate", "random", "flood", "replay"}

// Finding is one way in which the target did not survive.
type Finding struct {
	Kind  Kind   `json:"kind"`
	Mode  string `json:"mode"`
	Case  string `json:"case"` // of the first datagram left
	What  string `json:"what"`
	Shots []Shot `json:"-"`
	Count int    `json:"datagrams"`
	Bytes int    `json:"bytes"`
}

// Tally is what one mode or one group of cases came to.
type Tally struct {
	What     string `json:"what"`
	Batches  int    `json:"batches"`
	Sent     uint64 `json:"sent"`
	Bytes    uint64 `json:"bytes"`
	Answers  uint64 `json:"answers"` // datagrams from the target to canaries and probes
	Findings int    `json:"findings"`
}

// Result is what a campaign came to.
type Result struct {
	Seed     uint64        `json:"seed"`
	Elapsed  time.Duration `json:"elapsed_ns"`
	Total    Counts        `json:"total"`
	Tallies  []*Tally      `json:"tallies"`
	Findings []Finding     `json:"findings"`
	Restarts int           `json:"restarts"`
}

// batch is what is sent between two judgements.
type batch struct {
	mode, what string
	shots      []Shot
	ghosts     []core.Entry // that must have been reaped by its end
	flood      bool
}

// campaign is one that runs.
type campaign struct {
	Config
	env     Env
	mesh    *mesh
	sender  *Sender
	process *Process
	memory  int64 // of the process, after its start
	lost    Counts
	result  Result
	known   map[string]bool
}

const (
	group       = 8        // cases sent between two judgements
	volley      = 512      // datagrams of the other modes likewise
	memoryGrown = 24 << 20 // bytes that a sound target's caches stay below
	settle      = 10 * time.Millisecond
)

// Run carries a campaign out. It returns early with what it has when ctx is done.
func Run(ctx context.Context, cfg Config) (Result, error) {
	c := &campaign{Config: cfg, known: map[string]bool{}}
	c.result.Seed = cfg.Seed
	defer c.down()
	if err := c.up(ctx); err != nil {
		return c.result, err
	}
	start := time.Now()
	batches, err := c.batches()
	if err != nil {
		return c.result, err
	}
	for i := 0; ; i++ {
		b, ok := batches(i)
		if !ok || ctx.Err() != nil || cfg.Duration > 0 && time.Since(start) > cfg.Duration || cfg.Count > 0 && c.counts().Sent >= cfg.Count || cfg.Most > 0 && len(c.result.Findings) >= cfg.Most {
			break
		}
		if err := c.round(ctx, b); err != nil {
			return c.finish(start), err
		}
	}
	return c.finish(start), nil
}

func (c *campaign) finish(start time.Time) Result {
	c.result.Elapsed, c.result.Total = time.Since(start), c.counts()
	return c.result
}

func (c *campaign) counts() Counts {
	n := c.lost
	if c.sender != nil {
		s := c.sender.Counts()
		n = Counts{n.Sent + s.Sent, n.Bytes + s.Bytes, n.Failed + s.Failed, n.Refused + s.Refused}
	}
	return n
}

// up starts the target, if it is to be started, and the mesh around it.
func (c *campaign) up(ctx context.Context) (err error) {
	if c.Exec != "" {
		if c.process, err = Start(c.Exec); err != nil {
			return err
		}
	}
	const patience = 5 * time.Second // for a process to come up
	for begun := time.Now(); ; {
		if c.mesh, err = newMesh(c.Target, c.ProbeTimeout, c.starved); err == nil {
			break
		}
		if c.process != nil {
			if how, yes := c.process.Exited(); yes {
				return fmt.Errorf("%q ended at once: %s", c.Exec, how)
			}
		}
		if c.process == nil || time.Since(begun) > patience || ctx.Err() != nil {
			return err
		}
	}
	if c.sender, err = Dial(netip.AddrPortFrom(c.Target.Addr(), 0), c.Target); err != nil {
		return err
	}
	if c.process != nil {
		c.memory = c.process.Memory()
	}
	c.env = Env{Server: c.Target}
	for _, p := range c.mesh.canaries {
		c.env.Members = append(c.env.Members, p.entry)
	}
	for n := core.Name(' '); n.Valid(); n++ {
		// Nobody reads on these ports: they answer the target with an ICMP error.
		if e := (core.Entry{Name: n, Port: 2 + uint16(n)}); !c.mesh.canaries[0].shutOut(e) {
			c.env.Spare = append(c.env.Spare, e)
		}
	}
	return nil
}

// starved is how long the target has waited for a processor, as far as that is known.
func (c *campaign) starved() time.Duration {
	if c.process == nil {
		return 0
	}
	return c.process.Starved()
}

func (c *campaign) down() {
	if c.mesh != nil {
		c.mesh.leave()
	}
	if c.sender != nil {
		c.lost = c.counts()
		c.sender.Close()
	}
	if c.process != nil {
		c.process.Stop()
	}
	c.mesh, c.sender, c.process = nil, nil, nil
}

func (c *campaign) restart(ctx context.Context) error {
	c.down()
	if c.Exec != "" {
		c.result.Restarts++
	}
	return c.up(ctx)
}

// fire sends shots at their times.
func (c *campaign) fire(ctx context.Context, b batch) {
	if b.flood {
		var set [][]byte
		for _, s := range b.shots {
			set = append(set, s.Datagram)
		}
		ctx, cancel := context.WithTimeout(ctx, time.Second)
		defer cancel()
		c.sender.Run(ctx, Pack(set, c.GSO && c.sender.Supported()), c.Rate)
		return
	}
	start := time.Now()
	var due [][]byte
	flush := func() {
		if len(due) > 0 {
			c.sender.Send(Pack(due, false))
			due = due[:0]
		}
	}
	for i, s := range b.shots {
		at := s.At
		if c.Rate > 0 {
			at = max(at, time.Duration(float64(i)/c.Rate*float64(time.Second)))
		}
		if wait := at - time.Since(start); wait > 0 {
			flush()
			select {
			case <-ctx.Done():
				return
			case <-time.After(wait):
			}
		}
		if c.Sent != nil {
			c.Sent(time.Now(), c.sender.Addr(), s.Datagram)
		}
		if due = append(due, s.Datagram); len(due) == batchSize {
			flush()
			time.Sleep(100 * time.Microsecond) // so that the target's queue is not what fails
		}
	}
	flush()
}

// verdict fires b and says what it did to the target. With watch it takes the
// time to tell a hung target from a slow one.
func (c *campaign) verdict(ctx context.Context, b batch, watch bool) (Kind, string) {
	c.mesh.settle()
	before := c.sender.Counts().Bytes
	c.fire(ctx, b)
	if c.process != nil {
		time.Sleep(settle)
		if how, yes := c.process.Exited(); yes {
			return Died, how
		}
	}
	kind, why := c.mesh.judge(c.sender.Counts().Bytes-before, c.Amplification, watch)
	if c.process != nil {
		if how, yes := c.process.Exited(); yes {
			return Died, how
		}
		if grown := c.process.Memory() - c.memory; kind == "" && c.memory > 0 && grown > memoryGrown {
			return Leaked, fmt.Sprintf("its memory grew by %d MB", grown>>20)
		}
	}
	if kind == "" {
		return c.haunted(ctx, b.ghosts)
	}
	return kind, why
}

// haunted looks for the silent in the directory that the probe's birth has
// drawn, and then once more, so that a server that was only late has its chance.
func (c *campaign) haunted(ctx context.Context, ghosts []core.Entry) (Kind, string) {
	for _, e := range ghosts {
		if !c.mesh.canaries[0].sees(e) {
			continue
		}
		select {
		case <-ctx.Done():
			return "", ""
		case <-time.After(time.Second):
		}
		if kind, _ := c.mesh.probe(false); kind == "" && c.mesh.canaries[0].sees(e) {
			return Ghost, fmt.Sprintf("%v is in the directory though silent for more than 3 s", e)
		}
	}
	return "", ""
}

// round sends one batch, and narrows down what it did.
func (c *campaign) round(ctx context.Context, b batch) error {
	t := c.tally(b.what)
	got, sent := c.mesh.got.Load(), c.counts()
	kind, why := c.verdict(ctx, b, true)
	if kind == Amplified { // chance can have a directory change and change back: it must do so again
		kind, why = c.verdict(ctx, b, true)
	}
	now := c.counts()
	t.Batches++
	t.Answers += c.mesh.got.Load() - got
	t.Sent += now.Sent - sent.Sent
	t.Bytes += now.Bytes - sent.Bytes
	if kind == "" || ctx.Err() != nil {
		return nil
	}
	c.Log(fmt.Sprintf("%s: %s", kind, why))
	f := Finding{Kind: kind, Mode: b.mode, What: why, Shots: b.shots}
	if c.Exec != "" {
		deadline := time.Now().Add(c.Narrow)
		try := func(shots []Shot) bool {
			if ctx.Err() != nil || c.restart(ctx) != nil {
				return false
			}
			trial := b
			trial.shots = shots
			got, what := c.verdict(ctx, trial, kind != Hung)
			if got == kind {
				f.What = what
			}
			return got == kind
		}
		f.Shots = Reduce(b.shots, try, func() bool { return ctx.Err() != nil || time.Now().After(deadline) })
		if err := c.restart(ctx); err != nil && ctx.Err() == nil {
			return err
		}
	}
	f.Case, f.Count = f.Shots[0].Case, len(f.Shots)
	for _, s := range f.Shots {
		f.Bytes += len(s.Datagram)
	}
	if key := fmt.Sprint(f.Kind, f.Case, f.Count); !c.known[key] {
		c.known[key] = true
		t.Findings++
		c.result.Findings = append(c.result.Findings, f)
		if c.Found != nil {
			if err := c.Found(f); err != nil {
				return err
			}
		}
	}
	if c.Exec == "" && (kind == Hung || kind == Slow || kind == Culled || kind == Poisoned) {
		return c.restart(ctx) // the mesh at least: it says whether anybody is left to attack
	}
	return nil
}

func (c *campaign) tally(what string) *Tally {
	for _, t := range c.result.Tallies {
		if t.What == what {
			return t
		}
	}
	c.result.Tallies = append(c.result.Tallies, &Tally{What: what})
	return c.result.Tallies[len(c.result.Tallies)-1]
}

// batches gives the i-th batch of the campaign: the shots to replay, the
// catalogue, then the other modes in turn.
func (c *campaign) batches() (func(int) (batch, bool), error) {
	var first []batch
	if len(c.Replay) > 0 {
		first = append(first, batch{mode: "replay", what: "replay", shots: c.Replay})
	}
	cases, err := c.env.Catalogue()
	if err != nil {
		return nil, err
	}
	var random []string
	var dictionary [][]byte
	for _, mode := range c.Modes {
		switch mode {
		case "catalogue":
			first = append(first, c.grouped(cases)...)
		case "replay":
		default:
			random = append(random, mode)
		}
	}
	for _, k := range cases {
		if k.Role == Server && len(k.Steps[0].Datagram) < 1024 {
			dictionary = append(dictionary, k.Steps[0].Datagram)
		}
	}
	return func(i int) (batch, bool) {
		if i < len(first) {
			return first[i], true
		}
		if i -= len(first); len(random) == 0 {
			return batch{}, false
		}
		mode := random[i%len(random)]
		b := batch{mode: mode, what: mode, flood: mode == "flood"}
		r := rand.New(rand.NewPCG(c.Seed, uint64(i)))
		g := NewGenerator(c.env, int64(r.Uint64()>>1))
		for n := range volley {
			var d []byte
			switch {
			case mode == "mutate":
				d = Mutate(r, dictionary)
			case mode == "random", mode == "flood" && n%2 == 0:
				d = Noise(r)
			default:
				d = g.Next()
			}
			if !c.spares(d) {
				d = []byte{}
			}
			b.shots = append(b.shots, Shot{Datagram: d, Case: fmt.Sprintf("%s/%d/%d", mode, i, n)})
		}
		return b, true
	}, nil
}

// spares reports that a datagram is no exact repeat of a canary's birth, which
// a sound server must answer.
func (c *campaign) spares(d []byte) bool {
	m, err := core.Parse(d)
	if err != nil || m.Type != core.TypeBirth {
		return true
	}
	for _, e := range c.env.Members {
		if m.Entry == e {
			return false
		}
	}
	return true
}

// grouped is the catalogue's cases for a server: those of one datagram several
// to a batch, the others one by one, and what takes time at the end.
func (c *campaign) grouped(cases []Case) (batches []batch) {
	var slow []batch
	for _, k := range cases {
		if k.Role != Server {
			continue
		}
		b := batch{mode: "catalogue", what: k.Name[:len("srv/")+len(field(k.Name[len("srv/"):]))]}
		for _, s := range k.Steps {
			b.shots = append(b.shots, Shot{s.At, s.Datagram, k.Name, k.Why})
		}
		switch last := len(batches) - 1; {
		case k.Span() > time.Second && len(k.Left) == 0:
			if k.Steps[len(k.Steps)-1].At > 2100*time.Millisecond {
				for _, s := range k.Steps {
					if s.Fate == Born {
						m, _ := core.Parse(s.Datagram)
						b.ghosts = append(b.ghosts, m.Entry)
					}
				}
			}
			slow = append(slow, b)
		case len(b.shots) == 1 && last >= 0 && batches[last].what == b.what && len(batches[last].shots) < group:
			batches[last].shots = append(batches[last].shots, b.shots...)
		default:
			batches = append(batches, b)
		}
	}
	return append(batches, slow...)
}

// field is a name up to its next slash.
func field(name string) string {
	for i := range name {
		if name[i] == '/' {
			return name[:i]
		}
	}
	return name
}
