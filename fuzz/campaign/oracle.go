package campaign

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"sync/atomic"
	"time"

	"p2plocal/core/wire"
	"p2plocal/fuzz/target"
)

// Kind is the class of a finding.
type Kind string

const (
	Died      Kind = "died"      // the target's process ended
	Hung      Kind = "hung"      // two fresh peers, one after the other, are not let in, nor later
	Slow      Kind = "slow"      // two fresh peers are not let in in time, but later
	Removed   Kind = "removed"   // a live peer is missing from the directory
	Deaf      Kind = "deaf"      // two peers of the directory do not hear each other, or the target a newcomer's birth
	Poisoned  Kind = "poisoned"  // the target sends what is no directory
	Amplified Kind = "amplified" // the same directory again, though nothing has changed, and more bytes than came in
	Leaked    Kind = "leaked"    // the target's memory, descriptors or goroutines grow
	Ghost     Kind = "ghost"     // a silent peer stays in the directory
	Strayed   Kind = "strayed"   // the target sends to a place that has asked for nothing
	Spilled   Kind = "spilled"   // a peer prints much more than has come in
	Miscount  Kind = "miscount"  // the target's own counters do not add up to what was sent
)

const (
	canaries   = 3
	firstTries = 2*canaries + 1 // canaries in a row that nobody answers; two other campaigns may have held the names of all but one
)

// mesh is what the campaign keeps around its target to tell how it fares.
type mesh struct {
	ctx         context.Context // when it is done nothing is waited for
	server      netip.AddrPort
	timeout     time.Duration
	canaries    []*canary
	late        func(since time.Time) time.Duration // how late this machine was
	monitor     *target.Monitor
	starved     func() time.Duration // how long the target has waited for a processor
	dead        func() bool          // its process has ended: nothing is waited for either
	got         atomic.Uint64
	left        uint64 // datagrams to the server from newcomers that have left
	probes      int
	rounds      int
	repeated    uint64 // as last judged
	samples     []sample
	stale       bool // the machine has spoilt it: nothing can be said until a restart
	reconnected bool // a canary was removed since reset, maybe by the machine's fault
}

// newMesh puts canaries into the mesh of a server, on port, the next one and so
// on. The first is given time for a server to come up, unless dead says that it won't.
func newMesh(ctx context.Context, server netip.AddrPort, port uint16, timeout, first time.Duration, starved func() time.Duration, dead func() bool) (_ *mesh, err error) {
	m := &mesh{ctx: ctx, server: server, timeout: timeout, starved: starved, dead: dead}
	m.note()
	defer func() {
		if err != nil {
			m.leave()
		}
	}()
	if m.monitor, err = target.NewMonitor(); err != nil {
		return nil, err
	}
	m.late = m.monitor.Late
	for name := wire.Name('~'); len(m.canaries) < canaries && name > '~'-12; name-- { // some names may be taken
		c, err := join(server, wire.Entry{Name: name, Port: port + uint16(len(m.canaries))}, timeout/4, &m.got)
		if err != nil {
			return nil, err
		}
		limit := timeout
		if name == '~' {
			limit = max(first, timeout)
		}
		m.await(limit, func() bool { return closed(c.joined) })
		switch {
		case closed(c.joined):
			m.canaries = append(m.canaries, c)
			continue
		case ctx.Err() != nil:
			err = ctx.Err()
		case dead(), name == '~'-firstTries+1 && len(m.canaries) == 0:
			err = fmt.Errorf("no answer from %v to peers' births within %v", server, limit)
		}
		c.leave()
		if err != nil {
			return nil, err
		}
	}
	if len(m.canaries) < canaries {
		return nil, fmt.Errorf("only %d of %d canaries let in by %v", len(m.canaries), canaries, server)
	}
	return m, nil
}

func (m *mesh) leave() {
	for _, c := range m.canaries {
		c.leave()
	}
	if m.monitor != nil {
		m.monitor.Close()
	}
	m.canaries, m.monitor = nil, nil
}

const (
	pollInterval = 10 * time.Millisecond
	mostTimeouts = 20                      // timeouts that a slow machine is waited for
	removeTime   = 2200 * time.Millisecond // after which a peer that the server does not hear is gone
	progressTime = time.Minute             // for which one that empties its queue is waited for
	emptyTime    = 5 * time.Second         // likewise, with time for one that waits after losses
)

// stopwatch measures a wait that a slow machine does not count in.
type stopwatch struct {
	m       *mesh
	timeout time.Duration
	started time.Time
	end     time.Time
	last    time.Time // no machine is that slow
	looked  time.Time // when over was last asked
	starved time.Duration
}

func (m *mesh) watch(timeout time.Duration) *stopwatch {
	now := time.Now()
	return &stopwatch{m, timeout, now, now.Add(timeout), now.Add(mostTimeouts * m.timeout).Add(timeout), now, m.starved()}
}

// over says that there is nothing to wait for any more.
func (m *mesh) over() bool { return m.ctx.Err() != nil || m.dead() }

// over says that the timeout has passed on a machine that was fast enough: this
// process ran and was on time, and the target did not wait for a processor.
func (w *stopwatch) over() bool {
	if w.m.over() {
		return true
	}
	slow := w.m.timeout / 4
	now := time.Now()
	if gap := now.Sub(w.looked); gap > pollInterval+slow && now.Before(w.last) {
		w.end = w.end.Add(gap) // the target may have stood as still
	}
	defer func() { w.looked = time.Now() }()
	if now.Before(w.end) {
		return false
	}
	waited := w.m.starved()
	if (waited-w.starved > slow || w.m.late(w.end.Add(-w.timeout)) > slow) && time.Now().Before(w.last) {
		w.starved, w.end = waited, time.Now().Add(w.timeout)
		return false
	}
	return true
}

// extend waits for the timeout from now on, at least, since there is progress.
func (w *stopwatch) extend() {
	if end := time.Now().Add(w.m.timeout); end.After(w.end) && end.Before(w.started.Add(progressTime)) {
		w.end = end
	}
}

// await waits until done or for the timeout.
func (m *mesh) await(timeout time.Duration, done func() bool) bool {
	pause := pollInterval / 64
	for w := m.watch(timeout); !done(); time.Sleep(pause) {
		if w.over() {
			return done()
		}
		pause = min(2*pause, pollInterval)
	}
	return true
}

// fresh is a name that nobody has, none of the last probes' among them; 0: the
// directory is full, and stays so for longer than the silent are kept.
func (m *mesh) fresh() (name wire.Name) {
	m.probes += 7
	for started := time.Now(); ; time.Sleep(pollInterval) {
		if name = m.canaries[0].free(m.probes); name != 0 {
			return name
		}
		if m.over() || time.Since(started) > emptyTime && m.late(time.Now().Add(-time.Second)) < m.timeout/4 {
			return 0
		}
	}
}

// newcomer is a fresh peer with a name and a port that nobody has. The kernel's
// choice may be the port of one that has left and is not reaped yet.
func (m *mesh) newcomer() (*canary, error) {
	for {
		name := m.fresh()
		if name == 0 {
			return nil, nil
		}
		g, err := join(m.server, wire.Entry{Name: name}, m.timeout/4, &m.got)
		if err != nil || !m.canaries[0].conflicts(g.entry) {
			return g, err
		}
		m.retire(g)
	}
}

// retire ends a newcomer, and keeps its count.
func (m *mesh) retire(g *canary) {
	g.leave()
	m.left += g.out()
}

// sent is how many datagrams canaries and newcomers have sent to the server.
func (m *mesh) sent() uint64 {
	n := m.left
	for _, c := range m.canaries {
		n += c.out()
	}
	return n
}

// probe has fresh peers born until one is let in, or two were not in time.
// With watch it then looks on to tell a dead server from a slow one.
func (m *mesh) probe(watch bool) (Kind, string) {
	const most = 2 // newcomers in vain
	started := time.Now()
	for vain := 0; ; {
		g, err := m.newcomer()
		if err != nil {
			return "", "" // no port is free: nothing can be said
		}
		if g == nil {
			return Hung, "the directory is full and stays so"
		}
		taken := false
		in := m.await(m.timeout, func() bool {
			taken = m.canaries[0].conflicts(g.entry)
			return closed(g.joined) || taken
		})
		switch {
		case in && closed(g.joined):
			defer m.retire(g)
			if why := m.missing(g); why != "" && !(m.machineAtFault() && m.reconnect(g)) {
				return Removed, why
			}
			return "", ""
		case in: // somebody else got the name or the port
		default:
			vain++
		}
		if vain == most {
			defer m.retire(g)
			return m.afterVain(g, started, watch)
		}
		m.retire(g)
	}
}

// afterVain says why nobody was let in. A target that still takes what waits for
// it is not hung, and is waited for.
func (m *mesh) afterVain(g *canary, started time.Time, watch bool) (Kind, string) {
	queue := target.Queue(m.server)
	for w := m.watch(max(m.timeout, removeTime+m.timeout-time.Since(started))); watch && !w.over(); time.Sleep(pollInterval) {
		now := target.Queue(m.server)
		if now < queue {
			w.extend()
		}
		queue = now
		if !closed(g.joined) {
			if why := m.missing(); why != "" {
				return Removed, why
			}
			continue
		}
		if why := m.missing(g); why != "" {
			return Removed, why
		}
		return Slow, fmt.Sprintf("fresh peers were let in only after %.1f s", time.Since(started).Seconds())
	}
	return Hung, fmt.Sprintf("two fresh peers, %v the last, were not let in within %v each", g.entry, m.timeout)
}

func closed(c chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

// missing says which canary is not in the directory of another, or of a newcomer:
// if all were removed at once, only a newcomer is told.
func (m *mesh) missing(newcomers ...*canary) string {
	for _, c := range append(newcomers, m.canaries...) {
		for _, other := range m.canaries {
			if !c.sees(other.entry) {
				return fmt.Sprintf("the live peer %v is not in the directory of %v", other.entry, c.entry)
			}
		}
	}
	return ""
}

// machineAtFault says that a removal is the machine's fault: a canary or the target did
// not run for too long.
func (m *mesh) machineAtFault() bool {
	for _, c := range m.canaries {
		if c.silent() {
			return true
		}
	}
	const most = lateAlive / 4
	return m.starved()-m.samples[0].starved > most || m.late(time.Now().Add(-excuseTime)) > most
}

// sample is how long the target had waited for a processor at a time.
type sample struct {
	at      time.Time
	starved time.Duration
}

// note keeps the samples of the time in which a silence explains a removal.
func (m *mesh) note() {
	m.samples = append(m.samples, sample{time.Now(), m.starved()})
	for len(m.samples) > 1 && time.Since(m.samples[1].at) > excuseTime {
		m.samples = m.samples[1:]
	}
}

// reconnect has the canaries born again that a newcomer, or one of themselves, has not
// been told of.
func (m *mesh) reconnect(newcomers ...*canary) bool {
	m.reconnected = true
	for _, c := range m.canaries {
		if slices.ContainsFunc(append(newcomers, m.canaries...), func(o *canary) bool { return !o.sees(c.entry) }) {
			c.socket.Do(c.peer.Connect)
		}
	}
	return m.await(m.timeout, func() bool { return m.missing(newcomers...) == "" })
}

// checkHearing says that canaries do not hear each other: because one of them is not in
// the directory, or though it names both.
func (m *mesh) checkHearing() (Kind, string) {
	const tries = 3
	for n := 1; ; n++ {
		why := m.unheard()
		if why == "" {
			return "", ""
		}
		m.catchUp()
		lost := m.missing()
		switch {
		case lost == "" && n == tries:
			return Deaf, why
		case lost == "": // a canary that was removed may be back by now
		case n == tries || !m.machineAtFault() || !m.reconnect():
			return Removed, lost
		}
	}
}

// unheard sends each canary a message from another one, and says which does not come.
func (m *mesh) unheard() string {
	m.rounds++
	text := fmt.Sprintf("canary %d", m.rounds)
	last := len(m.canaries) - 1
	for i, c := range m.canaries {
		from := m.canaries[(i+last)%len(m.canaries)]
		from.say(c.entry.Name, text)
		if !m.await(m.timeout, func() bool { return c.heardFrom(from.entry.Name).text == text }) {
			return fmt.Sprintf("%v does not hear %v", c.entry, from.entry)
		}
	}
	return ""
}

// reset forgets what is due from before a batch.
func (m *mesh) reset() {
	m.probe(false)
	m.catchUp()
	m.reconnected = false
	m.repeated = m.repeats()
	m.note()
}

// catchUp waits until the canaries have read all that has come to them so far:
// what is on their sockets is nowhere else.
func (m *mesh) catchUp() {
	for _, c := range m.canaries {
		c.mark()
	}
	for _, c := range m.canaries {
		m.await(m.timeout, c.caughtUp)
	}
}

func (m *mesh) repeats() (bytes uint64) {
	for _, c := range m.canaries {
		c.mu.Lock()
		bytes += c.repeated
		c.mu.Unlock()
	}
	return bytes
}

// checkServer says what is wrong with the target after in bytes were sent to it.
func (m *mesh) checkServer(in uint64, amplification float64, watch bool) (Kind, string) {
	kind, why := m.probe(watch)
	m.catchUp() // what the target sent before it let the newcomer in
	for _, c := range m.canaries {
		c.mu.Lock()
		bad := c.malformed
		c.mu.Unlock()
		if bad != nil {
			return Poisoned, fmt.Sprintf("the target sent %x, which is no directory", bad)
		}
	}
	if kind != "" {
		return kind, why
	}
	news := m.repeats() - m.repeated
	m.repeated += news
	if float64(news) > amplification*float64(in) && news > 0 {
		return Amplified, fmt.Sprintf("%d bytes drew %d bytes of directories that said nothing new", in, news)
	}
	return m.checkHearing()
}
