package mesh

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"p2plocal/bench/driver"
	"p2plocal/bench/faults"
	"p2plocal/bench/machine"
	"p2plocal/bench/record"
	"p2plocal/bench/result"
	"p2plocal/core"
	"p2plocal/core/udp"
)

// driverWorld is a mesh that a driver hosts (bench/driver/PROTOCOL.md). What the driver reports
// goes into the store as if recorders of our own had written it.
type driverWorld struct {
	time     record.Clock
	start    int64 // by the clock
	driver   *driver.Driver
	usage    driver.Stats // when it was ready
	slots    map[string]int
	names    []string
	relays   *relays // nil: its network is not impaired
	deadline int64   // after which a broadcast is given up that is not owed
	ends     func()  // gives its addresses back, and ends what watches it
	sock     *served

	mu       sync.Mutex
	members  []driverMember
	fault    error // why it can be measured no longer
	reports  uint64
	stamped  uint64           // of them, by the driver
	pipe     record.Histogram // delay of a line, one way
	refused  map[string]int   // what it could not do, and how often
	texts    []string         // that it logged
	watching sync.WaitGroup
}

// driverMember is one of its members, as the harness sees it: a peer of the mesh.
type driverMember struct {
	w      *driverWorld
	number int
	addr   netip.AddrPort
	rec    *record.Recorder
	lives  bool
	seen   int64 // the last change of its view
	paused bool
	due    int64 // the next broadcast; 0: never
	plan   Broadcasts
	sent   uint64 // broadcasts so far
}

// echoEvery is how often the pipe's delay is measured: often enough for a p99 of a short window,
// too seldom to be a load.
const echoEvery = 50 * time.Millisecond

// driverMembers are members that could be hosted, with addresses of their own.
func driverMembers(n int) ([]driver.Member, func(), error) {
	members := make([]driver.Member, n)
	for i := range members {
		if i < record.MostPeers {
			members[i].Name = string(record.SlotName(i))
		}
	}
	release, err := driver.Addresses(members)
	return members, release, err
}

// ProbeDriver starts a driver to learn what it hosts and what it cannot do.
func ProbeDriver(ctx context.Context, d *result.Driver, peers int) error {
	members, release, err := driverMembers(peers)
	if err != nil {
		return err
	}
	defer release()
	p, err := driver.Start(ctx, driver.Config{Exec: d.Exec, Members: members, Options: d.Options, Stderr: os.Stderr})
	if err != nil {
		return err
	}
	d.Name, d.Version, d.Unsupported = p.Ready.Name, p.Ready.Version, p.Ready.Unsupported
	return p.Stop()
}

func newDriverWorld() *driverWorld {
	w := &driverWorld{time: record.NewClock(), slots: map[string]int{}, refused: map[string]int{}, ends: func() {}}
	w.start = w.time.Now()
	return w
}

func (w *driverWorld) Clock() record.Clock { return w.time }

// Sleep is false also where the driver can be measured no longer.
func (w *driverWorld) Sleep(ctx context.Context, d time.Duration) bool {
	return sleepUnless(ctx, d, func() bool { return w.died() != nil })
}

func (w *driverWorld) Step(ctx context.Context, _ int64) bool {
	return w.died() == nil && Sleep(ctx, time.Millisecond)
}

func (w *driverWorld) Attack(Attack) (attacker, error) {
	return nil, errors.New("a driver's mesh cannot be attacked")
}

func (w *driverWorld) network(*Mesh, faults.Fault) (action, error) {
	return action{}, errors.New("the links of a driver's mesh cannot be cut from here")
}

func (w *driverWorld) plan(*Mesh, time.Duration, func() error) {} // as validated

func (w *driverWorld) startServer(ctx context.Context, m *Mesh) error {
	members, release, err := driverMembers(m.N + 1)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	w.ends = func() { cancel(); release() }
	w.members, w.deadline = make([]driverMember, m.N), int64(m.Timing.Deadline)
	var server *driver.Place
	if m.Store.Divisible || m.Impair != (result.Impairment{}) {
		driver.Bind(members)
		server = &members[m.N].Place
		m.Store.Index[server.Addr.Port()] = record.ServerSlot
		m.Store.ServerKnown.Store(true)
		if w.relays, err = newRelays(ctx, m, w.time, members, w.fail); err != nil {
			return err
		}
	}
	members = members[:m.N]
	for i, x := range members {
		w.slots[x.Name], w.names = i, append(w.names, x.Name)
		m.Store.Index[x.Addr.Port()] = uint16(i)
		w.members[i] = driverMember{w: w, number: i, addr: x.Addr, rec: record.NewRecorder(m.Store, w.time, i)}
	}
	m.Server = hostedServer{w}
	d := m.opt.Driver
	if w.driver, err = driver.Start(ctx, driver.Config{Exec: d.Exec, Members: members, Server: server, Options: d.Options, Stderr: os.Stderr, Report: w.report}); err != nil {
		return err
	}
	if w.usage, err = w.stats(); err != nil {
		return err
	}
	sock, err := udp.Listen(netip.AddrPortFrom(machine.Loopback, 0), 0)
	if err != nil {
		return err
	}
	w.sock = newServed(sock)
	w.sock.start(ctx, broadcaster{w})
	w.watching.Go(func() {
		for Sleep(ctx, echoEvery) {
			took, err := w.driver.Echo(ctx, commandTimeout)
			if ctx.Err() != nil {
				return
			}
			w.fail(err)
			w.mu.Lock()
			w.pipe.Record(int64(took / 2))
			w.mu.Unlock()
		}
	})
	return nil
}

func (w *driverWorld) addPeer(m *Mesh, i int) error {
	m.Peers = append(m.Peers, &w.members[i])
	return nil
}

// broadcaster orders broadcasts when they are due. It is a core.Machine only for the sake of a
// socket's punctual clock.
type broadcaster struct{ w *driverWorld }

func (b broadcaster) Step(time.Time, netip.AddrPort, []byte) bool { return false }

func (b broadcaster) Poll(now time.Time) (_ core.Outgoing, next time.Time) {
	w, first := b.w, int64(0)
	for i := range w.members {
		x := &w.members[i]
		if x.due > 0 && x.due <= w.time.At(now) { // one at a time: a driver that is slow to read must not keep others from the socket
			x.broadcast()
			now = time.Now()
		}
		if x.due > 0 && (first == 0 || x.due < first) {
			first = x.due
		}
	}
	if first > 0 {
		next = w.time.Time(now, first)
	}
	return core.Outgoing{}, next
}

// broadcast orders the one that is due, unless the member is paused or it is too late.
func (x *driverMember) broadcast() {
	w, due := x.w, x.due
	if x.due += int64(x.plan.Interval); x.plan.Interval <= 0 || x.plan.End > 0 && x.due >= x.plan.End {
		x.due = 0
	}
	if x.paused || !x.plan.Owed && w.time.Now()-due > w.deadline {
		return
	}
	x.sent++
	var to []netip.AddrPort
	w.mu.Lock()
	for i := range x.rec.Slot.View().All() {
		if i != x.number {
			to = append(to, w.members[i].addr)
		}
	}
	x.rec.Broadcast(w.time.Now(), due, uint16(x.sent), to)
	w.mu.Unlock()
	const own = 64 // bytes of a message whose size nobody has asked for
	w.fail(w.driver.Tell(driver.Command{Type: "broadcast", Member: w.names[x.number], ID: x.id(x.sent), Size: cmp.Or(x.plan.Size, own)}))
}

// id identifies one of its broadcasts in reports.
func (x *driverMember) id(n uint64) uint64 { return uint64(x.number)<<32 | n }

// report takes what the driver says.
func (w *driverWorld) report(r *driver.Report, read time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	switch r.Type {
	case "log":
		const most = 10 // of them that are kept
		if len(w.texts) < most {
			w.texts = append(w.texts, r.Text)
		}
		return
	case "failed", "unsupported":
		if r.Do != "stats" && r.Do != "echo" { // whose asker is told
			w.refused[strings.TrimSpace(fmt.Sprintf("%s %s: %s", r.Do, r.Type, r.Text))]++
		}
		return
	case "done":
		return
	}
	x, at, now := &w.members[w.slots[r.Member]], r.At, w.time.At(read)
	if w.reports++; at == 0 {
		at = now
	} else if w.stamped++; (at < w.start || at > now+int64(time.Millisecond)) && w.fault == nil {
		w.fault = fmt.Errorf("the driver says that something happened at %d, want a time of CLOCK_MONOTONIC from %d to %d: %+v", at, w.start, now, *r)
	}
	switch r.Type {
	case "joined":
		x.rec.Slot.Admitted.CompareAndSwap(0, at)
		x.see(at, r)
	case "view":
		x.see(at, r)
	case "sent":
		x.rec.Slot.SentAt(uint16(r.ID), at)
	case "message":
		if from := w.slots[r.From]; r.ID>>32 == uint64(from) {
			x.rec.Arrive(at, from, uint16(r.ID))
		}
	}
}

// see follows the member's view, in which it always is itself.
func (x *driverMember) see(at int64, r *driver.Report) {
	if !x.lives {
		return
	}
	view := x.rec.Slot.View()
	if r.Members != nil {
		view = ""
	}
	view.Add(x.number)
	for _, name := range append(r.Up, r.Members...) {
		view.Add(x.w.slots[name])
	}
	for _, name := range r.Down {
		if i := x.w.slots[name]; i != x.number {
			view.Remove(i)
		}
	}
	x.rec.See(max(at, x.seen), view)
	x.seen = max(at, x.seen)
}

// fail notes the first reason why the mesh can no longer be measured.
func (w *driverWorld) fail(err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.fault == nil {
		w.fault = err
	}
}

// died is that reason; nil: there is none.
func (w *driverWorld) died() error {
	if w.driver != nil {
		w.fail(w.driver.Err())
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.fault
}

// set changes what the harness knows of the member.
func (x *driverMember) set(change func()) {
	x.w.sock.Do(func(time.Time) {
		x.w.mu.Lock()
		defer x.w.mu.Unlock()
		change()
	})
}

func (x *driverMember) plans(b Broadcasts) {
	x.plan, x.due = b, b.First
	if b.Interval <= 0 || slices.Contains(x.w.driver.Ready.Unsupported, "broadcast") {
		x.due = 0
	}
}

func (x *driverMember) Do(c Command) error {
	w, name := x.w, x.w.names[x.number]
	switch c.Do {
	case Birth:
		x.set(func() {
			now := time.Now()
			x.rec.Reset(now)
			x.rec.Slot.Born.Store(w.time.At(now))
			x.lives, x.paused = true, false
			x.plans(c.Life.Broadcasts)
		})
		return w.driver.Tell(driver.Command{Type: "join", Member: name})
	case Kill, Leave:
		x.set(func() { x.lives, x.due = false, 0 })
	case Pause:
		x.set(func() { x.paused = true })
	case Resume:
		if !x.paused {
			return nil
		}
		defer x.set(func() { x.paused = false })
	case Broadcast:
		x.set(func() { x.plans(*c.Broadcasts) })
		return nil
	case Silence:
		x.set(func() { x.due = 0 })
		return nil
	default:
		return nil
	}
	_, err := w.driver.Ask(context.Background(), driver.Command{Type: c.Do, Member: name}, commandTimeout)
	if !errors.Is(err, driver.ErrUnsupported) {
		w.fail(err)
	}
	return err
}

func (x *driverMember) Socket() socket { return nil }
func (x *driverMember) Stop()          {}

// Accounts are of messages alone: the rest of its traffic is the mesh's own affair.
func (w *driverWorld) Accounts(m *Mesh) (a result.Accounts) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if sent, delivered := m.Store.Messages(); w.fault == nil {
		a.Unexplained, a.Queued = int64(sent-delivered), m.held()
	}
	return a
}

func (w *driverWorld) stats() (driver.Stats, error) {
	r, err := w.driver.Ask(context.Background(), driver.Command{Type: "stats"}, commandTimeout)
	if errors.Is(err, driver.ErrUnsupported) {
		err = nil
	}
	return r.Stats, err
}

// Stop ends the driver. One that does not end properly has failed.
func (w *driverWorld) Stop() {
	w.ends()
	if w.sock != nil {
		w.sock.Close()
	}
	w.watching.Wait()
	if w.relays != nil {
		w.relays.Close()
	}
	if w.driver != nil {
		w.fail(w.driver.Stop())
		w.driver = nil
	}
}

// hostedServer stands where a mesh expects its server; if there is one, the driver has it.
type hostedServer struct{ *driverWorld }

func (hostedServer) Addr() netip.AddrPort { return netip.AddrPortFrom(machine.Loopback, 0) }
func (hostedServer) Kill() error          { return errors.New("a driver's mesh has no server to kill") }
func (s hostedServer) Restart() error     { return s.Kill() }
func (hostedServer) Stop()                {}
func (s hostedServer) Died() string {
	if err := s.died(); err != nil {
		return err.Error()
	}
	return ""
}

// Driven is what a driver says of its mesh so far.
type Driven struct {
	Datagrams, Bytes *int64 // that the mesh has sent; nil: it does not say
	Reports, Stamped uint64 // of what happened, and of those with a time of the driver's
	Pipe             *record.Histogram
	Refused          map[string]int // what it could not do, and how often
	Texts            []string       // that it logged
	Relayed          bool           // what its members send passes relays,
	Passed, Impaired uint64         // so many datagrams and segments of streams, and of those under the impairment
}

// Driven is nil where no driver hosts the mesh.
func (m *Mesh) Driven() *Driven {
	w, ok := m.World.(*driverWorld)
	if !ok {
		return nil
	}
	used, err := w.stats()
	w.fail(err)
	w.mu.Lock()
	defer w.mu.Unlock()
	since := func(now, before *int64) *int64 {
		if now == nil || before == nil {
			return now
		}
		n := *now - *before
		return &n
	}
	d := &Driven{Datagrams: since(used.Datagrams, w.usage.Datagrams), Bytes: since(used.Bytes, w.usage.Bytes), Reports: w.reports, Stamped: w.stamped,
		Pipe: &w.pipe, Refused: maps.Clone(w.refused), Texts: w.texts}
	if r := w.relays; r != nil {
		d.Relayed, d.Passed, d.Impaired = true, r.passed.Load(), r.impaired.Load()
	}
	return d
}
