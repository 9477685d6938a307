package campaign

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"sync/atomic"
	"time"

	"p2plocal/core"
	"p2plocal/fuzz/target"
)

// Kind is the class of a finding.
type Kind string

const (
	Died      Kind = "died"      // the target's process ended
	Hung      Kind = "hung"      // two fresh peers, one after the other, are not let in, nor later
	Slow      Kind = "slow"      // two fresh peers are not let in in time, but later
	Culled    Kind = "culled"    // a live peer is missing from the directory
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
	canaries = 3
	knocks   = 2*canaries + 1 // canaries in a row that nobody answers; two other campaigns may have held the names of all but one
)

// mesh is what the campaign keeps around its target to tell how it fares.
type mesh struct {
	ctx      context.Context // when it is done nothing is waited for
	server   netip.AddrPort
	timeout  time.Duration
	canaries []*canary
	control  *house
	starved  func() time.Duration // how long the target has waited for a processor
	dead     func() bool          // its process has ended: nothing is waited for either
	got      atomic.Uint64
	left     uint64 // datagrams to the server from guests that have left
	probes   int
	rounds   int
	again    uint64 // as last judged
	samples  []sample
	stale    bool // the machine has spoilt it: nothing can be said until a restart
	healed   bool // a canary was culled since settle, maybe by the machine's fault
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
	if m.control, err = newHouse(netip.AddrPortFrom(server.Addr(), 0)); err != nil {
		return nil, err
	}
	for name := core.Name('~'); len(m.canaries) < canaries && name > '~'-12; name-- { // some names may be taken
		c, err := join(server, core.Entry{Name: name, Port: port + uint16(len(m.canaries))}, timeout/4, &m.got)
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
		case dead(), name == '~'-knocks+1 && len(m.canaries) == 0:
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
	if m.control != nil {
		m.control.leave()
	}
	m.canaries, m.control = nil, nil
}

const (
	glance   = 10 * time.Millisecond
	longest  = 20                      // timeouts that a slow machine is waited for
	reaped   = 2200 * time.Millisecond // after which whom a server does not hear is gone
	progress = time.Minute             // for which one that empties its queue is waited for
	emptied  = 5 * time.Second         // likewise, with time for one that is patient after losses
)

// stopwatch measures a wait that a slow machine does not count in.
type stopwatch struct {
	m       *mesh
	timeout time.Duration
	begun   time.Time
	end     time.Time
	last    time.Time // no machine is that slow
	looked  time.Time // when over was last asked
	starved time.Duration
}

func (m *mesh) watch(timeout time.Duration) *stopwatch {
	now := time.Now()
	return &stopwatch{m, timeout, now, now.Add(timeout), now.Add(longest * m.timeout).Add(timeout), now, m.starved()}
}

// over says that there is nothing to wait for any more.
func (m *mesh) over() bool { return m.ctx.Err() != nil || m.dead() }

// over says that the timeout has passed on a machine that was fast enough: this
// process ran, the target did not wait for a processor, and the control lets a peer
// in at once.
func (w *stopwatch) over() bool {
	if w.m.over() {
		return true
	}
	slow := w.m.timeout / 4
	now := time.Now()
	if gap := now.Sub(w.looked); gap > glance+slow && now.Before(w.last) {
		w.end = w.end.Add(gap) // the target may have stood as still
	}
	defer func() { w.looked = time.Now() }()
	if now.Before(w.end) {
		return false
	}
	waited := w.m.starved()
	if (waited-w.starved > slow || !w.m.control.admits(slow)) && time.Now().Before(w.last) {
		w.starved, w.end = waited, time.Now().Add(w.timeout)
		return false
	}
	return true
}

// extend waits for the timeout from now on, at least, since there is progress.
func (w *stopwatch) extend() {
	if end := time.Now().Add(w.m.timeout); end.After(w.end) && end.Before(w.begun.Add(progress)) {
		w.end = end
	}
}

// await waits until done or for the timeout.
func (m *mesh) await(timeout time.Duration, done func() bool) bool {
	pause := glance / 64
	for w := m.watch(timeout); !done(); time.Sleep(pause) {
		if w.over() {
			return done()
		}
		pause = min(2*pause, glance)
	}
	return true
}

// fresh is a name that nobody has, none of the last probes' among them; 0: the
// directory is full, and stays so for longer than the silent are kept.
func (m *mesh) fresh() (name core.Name) {
	m.probes += 7
	for begun := time.Now(); ; time.Sleep(glance) {
		if name = m.canaries[0].free(m.probes); name != 0 {
			return name
		}
		if m.over() || time.Since(begun) > emptied && m.control.admits(m.timeout/4) {
			return 0
		}
	}
}

// guest is a fresh peer with a name and a port that nobody has. The kernel's
// choice may be the port of one that has left and is not reaped yet.
func (m *mesh) guest() (*canary, error) {
	for {
		name := m.fresh()
		if name == 0 {
			return nil, nil
		}
		g, err := join(m.server, core.Entry{Name: name}, m.timeout/4, &m.got)
		if err != nil || !m.canaries[0].shutOut(g.entry) {
			return g, err
		}
		m.dismiss(g)
	}
}

// dismiss ends a guest, and keeps its books.
func (m *mesh) dismiss(g *canary) {
	g.leave()
	m.left += g.out()
}

// sent is how many datagrams canaries and guests have sent to the server.
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
	const patience = 2 // guests in vain
	begun := time.Now()
	for vain := 0; ; {
		g, err := m.guest()
		if err != nil {
			return "", "" // no port is free: nothing can be said
		}
		if g == nil {
			return Hung, "the directory is full and stays so"
		}
		taken := false
		in := m.await(m.timeout, func() bool {
			taken = m.canaries[0].shutOut(g.entry)
			return closed(g.joined) || taken
		})
		switch {
		case in && closed(g.joined):
			defer m.dismiss(g)
			if why := m.missing(g); why != "" && !(m.excused() && m.heal(g)) {
				return Culled, why
			}
			return "", ""
		case in: // somebody else got the name or the port
		default:
			vain++
		}
		if vain == patience {
			defer m.dismiss(g)
			return m.afterVain(g, begun, watch)
		}
		m.dismiss(g)
	}
}

// afterVain says why nobody was let in. A target that still takes what waits for
// it is not hung, and is waited for.
func (m *mesh) afterVain(g *canary, begun time.Time, watch bool) (Kind, string) {
	queue := target.Queue(m.server)
	for w := m.watch(max(m.timeout, reaped+m.timeout-time.Since(begun))); watch && !w.over(); time.Sleep(glance) {
		now := target.Queue(m.server)
		if now < queue {
			w.extend()
		}
		queue = now
		if !closed(g.joined) {
			if why := m.missing(); why != "" {
				return Culled, why
			}
			continue
		}
		if why := m.missing(g); why != "" {
			return Culled, why
		}
		return Slow, fmt.Sprintf("fresh peers were let in only after %.1f s", time.Since(begun).Seconds())
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

// missing says which canary is not in the directory of another, or of a guest:
// if all were culled at once, only a newcomer is told.
func (m *mesh) missing(guests ...*canary) string {
	for _, c := range append(guests, m.canaries...) {
		for _, other := range m.canaries {
			if !c.sees(other.entry) {
				return fmt.Sprintf("the live peer %v is not in the directory of %v", other.entry, c.entry)
			}
		}
	}
	return ""
}

// excused says that a cull is the machine's fault: a canary or the target did
// not run for too long, or the control does not now.
func (m *mesh) excused() bool {
	for _, c := range m.canaries {
		if c.silent() {
			return true
		}
	}
	const most = lateAlive / 4
	return m.starved()-m.samples[0].starved > most || !m.control.admits(m.timeout/4)
}

// sample is how long the target had waited for a processor at a time.
type sample struct {
	at      time.Time
	starved time.Duration
}

// note keeps the samples of the time in which a silence explains a cull.
func (m *mesh) note() {
	m.samples = append(m.samples, sample{time.Now(), m.starved()})
	for len(m.samples) > 1 && time.Since(m.samples[1].at) > memory {
		m.samples = m.samples[1:]
	}
}

// heal has the canaries born again that a guest, or one of themselves, has not
// been told of.
func (m *mesh) heal(guests ...*canary) bool {
	m.healed = true
	for _, c := range m.canaries {
		if slices.ContainsFunc(append(guests, m.canaries...), func(o *canary) bool { return !o.sees(c.entry) }) {
			c.socket.Do(c.peer.Connect)
		}
	}
	return m.await(m.timeout, func() bool { return m.missing(guests...) == "" })
}

// severed says that canaries do not hear each other: because one of them is not in
// the directory, or though it names both.
func (m *mesh) severed() (Kind, string) {
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
		case lost == "": // a canary that was culled may be back by now
		case n == tries || !m.excused() || !m.heal():
			return Culled, lost
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
		if !m.await(m.timeout, func() bool { return c.hears(from.entry.Name).text == text }) {
			return fmt.Sprintf("%v does not hear %v", c.entry, from.entry)
		}
	}
	return ""
}

// settle forgets what is due from before a batch.
func (m *mesh) settle() {
	m.probe(false)
	m.catchUp()
	m.healed = false
	m.again = m.repeats()
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
		bytes += c.again
		c.mu.Unlock()
	}
	return bytes
}

// judge says what is wrong with the target after in bytes were sent to it.
func (m *mesh) judge(in uint64, amplification float64, watch bool) (Kind, string) {
	kind, why := m.probe(watch)
	m.catchUp() // what the target sent before it let the guest in
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
	news := m.repeats() - m.again
	m.again += news
	if float64(news) > amplification*float64(in) && news > 0 {
		return Amplified, fmt.Sprintf("%d bytes drew %d bytes of directories that said nothing new", in, news)
	}
	return m.severed()
}
