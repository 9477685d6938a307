// Package campaign turns hostile input on a live server or peer, judges whether it
// survived, and narrows down what it did not survive.
package campaign

import (
	"cmp"
	"context"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"p2plocal/core/wire"
	"p2plocal/fuzz/hostile"
	"p2plocal/fuzz/send"
	"p2plocal/fuzz/target"
)

// Config describes a campaign against a server or a peer.
type Config struct {
	Role          hostile.Role   // what is attacked
	Target        netip.AddrPort // the server: under attack, or that of the peer under attack, if it runs already
	Peer          netip.AddrPort // a peer under attack that runs already
	Exec          string         // the command line that starts what is attacked; empty: it runs. A peer's has {name}, {port} and {server} in it
	Metrics       string         // URL of the target's expvar; empty: none
	Modes         []string       // of Modes
	Seed          uint64         // of every random choice
	From          int            // the first batch that is sent
	Ports         uint16         // the first of the Ports that canaries and others use; 0: by the seed, the next that are free
	Duration      time.Duration  // 0: until Count, or the catalogue's end
	Count         uint64         // datagrams; 0: no bound
	Most          int            // findings; 0: no bound
	Rate          float64        // datagrams a second; 0: no bound
	ProbeTimeout  time.Duration  // within which a fresh peer must be let in
	Amplification float64        // bytes out per byte in that are too many
	Narrow        time.Duration  // the longest that one finding may be narrowed down
	GSO           bool           // for flood
	Replay        []hostile.Shot // sent first, as they are
	Sent          func(now time.Time, from, to netip.AddrPort, datagram []byte)
	Found         func(Finding) error
	Log           func(line string)
	Progress      func(what string, so Result) // before each batch
}

// Modes are those that a campaign knows.
var Modes = []string{"catalogue", "mutate", "generate", "random", "flood", "replay"}

// Finding is one way in which the target did not survive.
type Finding struct {
	Kind  Kind           `json:"kind"`
	Mode  string         `json:"mode"`
	Case  string         `json:"case"` // of the first datagram left
	What  string         `json:"what"`
	Shots []hostile.Shot `json:"-"`
	Count int            `json:"datagrams"`
	Bytes int            `json:"bytes"`
	After float64        `json:"after_s"` // seconds from the campaign's start until it was narrowed down
}

// campaign is one that runs.
type campaign struct {
	Config
	env         hostile.Env
	localServer *served // a peer's server, when it is ours
	mesh        *mesh
	targetPeer  targetPeer // when a peer is attacked
	process     *target.Process
	address     netip.AddrPort // of what is attacked
	sources     sources
	bystanders  *bystanders
	audit       *audit

	usage  target.Usage // of the process after its start
	lost   send.Counts
	firing time.Duration // spent sending
	start  time.Time
	result Result
	known  map[string]bool
	gone   bool // nobody is left to attack
}

const (
	memoryGrown      = 24 << 20 // bytes that a sound target's caches stay below
	descriptorsGrown = 32
	printedMost      = 32 << 10 // bytes that a peer may print of itself after a batch
	printedMore      = 16       // and for each byte that came in
	settle           = 10 * time.Millisecond
	startTimeout     = 30 * time.Second // for a process to come up
)

// Run carries a campaign out. It returns early with what it has when ctx is done.
func Run(ctx context.Context, cfg Config) (Result, error) {
	c := &campaign{Config: cfg, known: map[string]bool{}, start: time.Now()}
	c.result.Seed = cfg.Seed
	release, err := c.claimPorts()
	if err != nil {
		return c.result, err
	}
	defer release()
	c.result.Ports = c.Ports
	defer c.down()
	if c.Exec == "" && target.Refused(c.Target, settle) {
		return c.result, fmt.Errorf("nobody listens on %v, want a server there, or a command that starts one", c.Target)
	}
	if err := c.up(ctx); err != nil {
		return c.result, err
	}
	c.start = time.Now()
	batches, listed, err := c.batches()
	if err != nil {
		return c.result, err
	}
	for c.result.Next = c.From; ; c.result.Next++ {
		b, ok := batches(c.result.Next)
		if !ok || ctx.Err() != nil || c.enough() {
			break
		}
		if c.Progress != nil {
			c.result.Total = c.counts()
			c.Progress(b.what, c.result)
		}
		cut := c.cut(&b)
		if err = c.runBatch(ctx, b); err != nil || ctx.Err() != nil || c.gone || cut { // what a batch is cut by comes when the campaign goes on
			break
		}
	}
	c.result.Elapsed = time.Since(c.start)
	c.result.Left = max(0, listed-c.result.Next)
	c.down()
	c.result.Total = c.lost
	return c.result, err
}

// enough says that the campaign has reached a bound.
func (c *campaign) enough() bool {
	return c.Duration > 0 && time.Since(c.start) > c.Duration ||
		c.Count > 0 && c.counts().Sent >= c.Count ||
		c.Most > 0 && len(c.result.Findings) >= c.Most
}

// cut leaves a batch no more shots than Count allows. A flood is not cut: it ends
// with its second.
func (c *campaign) cut(b *batch) bool {
	left := c.Count - min(c.Count, c.counts().Sent)
	if c.Count == 0 || b.flood || uint64(len(b.shots)) <= left {
		return false
	}
	b.shots = b.shots[:left]
	return true
}

func (c *campaign) counts() send.Counts { return c.lost.Plus(c.sources.counts()) }

// up starts the target, if it is to be started, and the mesh around it.
func (c *campaign) up(ctx context.Context) (err error) {
	if c.Role == hostile.Server {
		err = c.upServer(ctx)
	} else {
		err = c.upPeer(ctx)
	}
	if err != nil {
		return err
	}
	if err := c.openSources(); err != nil {
		return err
	}
	if c.process != nil {
		c.usage = c.process.Usage()
	}
	c.env = c.environment()
	if c.Metrics != "" {
		c.mesh.reset()
		if c.audit, err = newAudit(c.Metrics, c.address, c.mesh.sent); err != nil {
			return err
		}
	}
	return nil
}

func (c *campaign) upServer(ctx context.Context) (err error) {
	c.address = c.Target
	if c.Exec != "" {
		if c.process, err = target.Start(target.Command{Line: c.Exec, Listen: c.Target}); err != nil {
			return err
		}
	}
	c.mesh, err = newMesh(ctx, c.Target, c.Ports, c.ProbeTimeout, c.warmUp(), c.starved, c.dead)
	return cmp.Or(c.endedAtStart(), err)
}

// warmUp is how long a target may take to answer for the first time.
func (c *campaign) warmUp() time.Duration {
	if c.process == nil {
		return 0
	}
	return startTimeout
}

// dead says that the target's process has ended.
func (c *campaign) dead() bool {
	return c.process != nil && c.process.Ended() != ""
}

// endedAtStart says that a target of ours has ended before anything was sent to it.
func (c *campaign) endedAtStart() error {
	if c.dead() {
		return fmt.Errorf("%q ended at once: %s", c.Exec, c.process.Ended())
	}
	return nil
}

// peerName is what a peer that the campaign starts is called.
const peerName = wire.Name('T')

func (c *campaign) upPeer(ctx context.Context) (err error) {
	server := c.Target
	if c.Exec != "" {
		if c.localServer, err = newLocalServer(netip.AddrPortFrom(c.Target.Addr(), c.Ports+serverPort)); err != nil {
			return err
		}
		server = c.localServer.socket.Addr()
	}
	if c.mesh, err = newMesh(ctx, server, c.Ports, c.ProbeTimeout, 0, c.starved, c.dead); err != nil {
		return err
	}
	if c.Exec == "" {
		if err := c.findPeer(); err != nil {
			return err
		}
	}
	const launches = 5 // the machine may keep a peer from its keep-alives
	for n := 1; ; n++ {
		if c.Exec != "" {
			if err := c.startPeer(ctx, server); err != nil {
				return err
			}
		}
		if c.targetPeer.interval == 0 {
			c.targetPeer.interval = c.mesh.measureInterval(c.targetPeer.entry)
		}
		if c.targetPeer.interval != 0 || c.Exec == "" || c.mesh.canaries[0].sees(c.targetPeer.entry) || c.mesh.over() || n == launches {
			break
		}
		c.process.Kill()
	}
	c.address = netip.AddrPortFrom(server.Addr(), c.targetPeer.entry.Port)
	if c.targetPeer.interval == 0 && !c.mesh.over() {
		c.Log(fmt.Sprintf("%v has not broadcast for %v: only its keep-alives are watched", c.targetPeer.entry, learnTime))
	}
	return c.endedAtStart()
}

// find looks for a peer that runs already in its server's directory.
func (c *campaign) findPeer() error {
	canary := c.mesh.canaries[0]
	canary.mu.Lock()
	defer canary.mu.Unlock()
	name := canary.find(func(e wire.Entry) bool { return e.Port == c.Peer.Port() })
	if name == 0 {
		return fmt.Errorf("no peer on port %d is in the directory of %v", c.Peer.Port(), c.Target)
	}
	c.targetPeer.entry = wire.Entry{Name: name, Port: c.Peer.Port()}
	return nil
}

// startPeer starts a peer of ours and waits until it is in the directory.
func (c *campaign) startPeer(ctx context.Context, server netip.AddrPort) (err error) {
	c.targetPeer.entry = wire.Entry{Name: peerName, Port: c.Ports + peerPort}
	command := target.Command{Line: c.Exec, Name: peerName.String(), Listen: netip.AddrPortFrom(server.Addr(), c.targetPeer.entry.Port), Server: server}
	if c.process, err = target.Start(command); err != nil {
		return err
	}
	if !c.mesh.await(startTimeout, func() bool { return c.mesh.canaries[0].sees(c.targetPeer.entry) }) {
		return cmp.Or(c.endedAtStart(), ctx.Err(), fmt.Errorf("%q was not born as %v at %v within %v", c.Exec, c.targetPeer.entry, server, startTimeout))
	}
	return nil
}

// openSources makes the sources that there can be, and the bystanders.
func (c *campaign) openSources() error {
	host := c.address.Addr()
	stranger, err := send.Dial(netip.AddrPortFrom(host, 0), c.address)
	if err != nil {
		return err
	}
	c.sources[hostile.FromStranger] = stranger
	if c.bystanders, err = newBystanders(c.address, c.Ports+bystanderPort, stranger); err != nil {
		return err
	}
	if c.Role == hostile.Server {
		return nil
	}
	member := c.mesh.canaries[0]
	c.sources[hostile.FromMember] = &borrowed{socket: member.socket, to: c.address}
	if c.localServer != nil {
		c.sources[hostile.FromServer] = &borrowed{socket: c.localServer.socket, to: c.address}
	}
	if host.IsLoopback() { // every address of 127/8 is this host's own, on most systems
		for origin, of := range map[hostile.Origin]netip.AddrPort{hostile.FromElsewhere: c.mesh.server, hostile.FromDouble: member.socket.Addr()} {
			if s, err := send.Dial(onAnother(of), c.address); err == nil {
				c.sources[origin] = s
			}
		}
	}
	return nil
}

// environment is the mesh as the catalogue wants it.
func (c *campaign) environment() hostile.Env {
	e := hostile.Env{Server: c.mesh.server, Self: c.targetPeer.entry}
	for _, p := range c.mesh.canaries {
		e.Members = append(e.Members, p.entry)
	}
	for n := wire.Name(' '); n.Valid(); n++ {
		// Nobody reads on these ports: they answer the target with an ICMP error.
		if s := (wire.Entry{Name: n, Port: 2 + uint16(n)}); n != c.targetPeer.entry.Name && !c.mesh.canaries[0].conflicts(s) {
			e.Spare = append(e.Spare, s)
		}
	}
	return e
}

// starved is how long the target has waited for a processor, as far as that is known.
func (c *campaign) starved() time.Duration {
	d, _ := c.process.Waited()
	return d
}

func (c *campaign) down() {
	if c.process != nil {
		c.result.Usage = c.result.Usage.Plus(c.process.Usage())
		c.process.Kill()
	}
	c.lost = c.counts()
	c.sources.close()
	if c.bystanders != nil {
		c.bystanders.close()
	}
	if c.mesh != nil {
		c.mesh.leave()
	}
	if c.localServer != nil {
		c.localServer.leave()
	}
	if c.audit != nil {
		c.audit.close()
	}
	c.mesh, c.localServer, c.process, c.bystanders, c.audit, c.sources = nil, nil, nil, nil, nil, sources{}
}

func (c *campaign) restart(ctx context.Context) error {
	c.down()
	if c.Exec != "" {
		c.result.Restarts++
	}
	return c.up(ctx)
}

// runBatch sends one batch, and narrows down what it did.
func (c *campaign) runBatch(ctx context.Context, b batch) error {
	t := c.result.tally(b.what)
	before := c.measure()
	kind, why, err := c.checkTwice(ctx, b)
	t.add(before, c.measure())
	t.Skipped += b.skipped
	if ctx.Err() != nil {
		return nil
	}
	if kind == "" || err != nil {
		return err
	}
	c.Log(fmt.Sprintf("%s: %s", kind, why))
	f := Finding{Kind: kind, Mode: b.mode, What: why, Shots: b.shots}
	if c.Exec == "" {
		if err := c.record(t, b, f); err != nil {
			return err
		}
		if slices.Contains([]Kind{Died, Hung, Slow, Removed, Poisoned, Deaf}, kind) {
			if err := c.restart(ctx); err != nil { // the mesh at least: it says whether anybody is left to attack
				c.Log(fmt.Sprintf("the end: %v", err))
				c.gone = true
			}
		}
		return nil
	}
	narrowed := c.narrow(ctx, b, &f)
	if err := cmp.Or(c.record(t, b, f), narrowed); err != nil {
		return err
	}
	if b.mode == "catalogue" && len(f.Shots) < len(b.shots) && !b.whole && !c.enough() {
		return c.runBatch(ctx, b.without(f.Shots)) // what the culprit has hidden
	}
	return nil
}

// checkTwice is check, and once more with another target where chance can have done
// what is found.
func (c *campaign) checkTwice(ctx context.Context, b batch) (kind Kind, why string, err error) {
	kind, why, err = c.check(ctx, b, true)
	if kind != Amplified && kind != Removed && kind != Slow || ctx.Err() != nil {
		return kind, why, err
	}
	if gone := c.restart(ctx); gone != nil {
		if c.Exec != "" {
			err = gone
		}
		return kind, why, err
	}
	first, of := kind, why
	if kind, why, err = c.check(ctx, b, true); kind == "" && err == nil && ctx.Err() == nil {
		c.Log(fmt.Sprintf("%s once, not again, no finding: %s", first, of))
	}
	return kind, why, err
}

// check is fireAndCheck, with another target where the machine has spoilt this one.
func (c *campaign) check(ctx context.Context, b batch, watch bool) (kind Kind, why string, err error) {
	const tries = 5
	for range tries {
		kind, why = c.fireAndCheck(ctx, b, watch)
		if !c.mesh.stale {
			return kind, why, nil
		}
		if err := c.restart(ctx); err != nil {
			return "", "", err
		}
	}
	c.Log(fmt.Sprintf("%s: the machine is too slow to say how the target fares", b.what))
	return "", "", nil
}

// narrow reduces a finding, with a new process for each trial, and leaves
// another one behind.
func (c *campaign) narrow(ctx context.Context, b batch, f *Finding) error {
	deadline := time.Now().Add(c.Narrow)
	f.Shots = reduce(b.shots, func(shots []hostile.Shot) bool {
		if ctx.Err() != nil || c.restart(ctx) != nil {
			return false
		}
		trial := b
		trial.shots = shots
		kind, why, err := c.check(ctx, trial, f.Kind != Hung)
		if err != nil {
			return false
		}
		if kind == f.Kind {
			f.What = why
		}
		return kind == f.Kind
	}, func() bool { return ctx.Err() != nil || time.Now().After(deadline) })
	if err := c.restart(ctx); err != nil && ctx.Err() == nil {
		return err
	}
	return nil
}

// book keeps a finding that is new.
func (c *campaign) record(t *Tally, b batch, f Finding) error {
	f.Case, f.Count, f.After = f.Shots[0].Case, len(f.Shots), time.Since(c.start).Seconds()
	for _, s := range f.Shots {
		f.Bytes += len(s.Datagram)
	}
	keys := []string{f.signature()}
	if f.Count == 1 && !b.flood { // whichever case has brought it
		keys = append(keys, fmt.Sprintf("%s %d %x", f.Kind, f.Shots[0].From, f.Shots[0].Datagram))
	}
	if slices.ContainsFunc(keys, func(key string) bool { return c.known[key] }) {
		c.Log(fmt.Sprintf("%s by %s: known", f.Kind, f.Case))
		return nil
	}
	for _, key := range keys {
		c.known[key] = true
	}
	if b.flood {
		for i := range f.Shots {
			f.Shots[i].Comment = "sent over and over in a flood"
		}
	}
	t.Findings++
	c.result.Findings = append(c.result.Findings, f)
	if c.Found != nil {
		return c.Found(f)
	}
	return nil
}

// signature tells findings apart: those of the catalogue by their case, others
// by the look of their first datagrams.
func (f *Finding) signature() string {
	if f.Mode == "catalogue" {
		return fmt.Sprint(f.Kind, f.Case)
	}
	key := fmt.Sprint(f.Kind, f.Mode)
	if f.Kind == Died {
		key += f.What
	}
	for _, s := range f.Shots[:min(4, len(f.Shots))] {
		key += fmt.Sprintf(" %x+%d", s.Datagram[:min(2, len(s.Datagram))], min(8, len(s.Datagram)))
	}
	return key
}
