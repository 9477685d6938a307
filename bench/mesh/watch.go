package mesh

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"p2plocal/bench/machine"
	"p2plocal/bench/record"
	"p2plocal/bench/sample"
	"p2plocal/fuzz/target"
)

// A Watch samples meshes, one after the other, for a feed. It reads what they write down
// anyway, and takes no lock that a peer or a server takes: neither it, nor who reads its
// feed, is ever waited for. Methods for a mesh do nothing where it is nil.
type Watch struct {
	Feed   *sample.Feed
	Paced  bool                                          // a virtual mesh takes the time that it would take
	Fill   func(m *Mesh, s *sample.Sample, seen Figures) // puts in what a mesh does not know; may be nil
	orders chan ordered                                  // nil: it takes none

	mu      sync.Mutex // of what follows, between sampling and the mesh's end
	mesh    *Mesh
	stop    func()    // ends the sampling of a mesh in real time
	next    int64     // sample of a mesh in virtual time
	origin  time.Time // when that mesh began, for its pace
	base    int64     // time of the run when the mesh began,
	began   int64     // and the clock's
	started time.Time
	last    last

	telling sync.Mutex // of what follows, which is held for no time
	marks   []sample.Mark
}

// Figures are the broadcasts of a window so far, as far as they can be seen while it is open.
type Figures struct {
	Sent, Delivered, Lost uint64 // Sent: half a second ago
	Store                 *record.Store
}

// last is what the sample before was made from.
type last struct {
	figures                Figures
	sent                   [500 / sample.Every]uint64 // of the samples before
	late, hostile, refused uint64
	socket                 sample.Socket
	due                    []uint64
	states                 []byte
	views                  []record.Set
	changes                []uint32 // of the views
	known                  []bool   // somebody else has it in view
	held                   []byte   // a bit for each of these, while views are looked at
	edges                  []uint32
	samples                int
	cpu                    time.Duration
	at                     time.Time
	load, cores            float64
	memory                 int64
}

// mostDrawn is the largest mesh whose views and messages are told one by one.
const mostDrawn = 256

// edgesEvery is how many samples pass between two looks at what takes long: who sends to whom,
// as many as there are pairs of peers, and what the system says of this process.
const edgesEvery = 5

// begin has a mesh sampled until its end.
func (w *Watch) begin(m *Mesh) {
	if w == nil {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.started.IsZero() {
		w.started = time.Now()
	}
	_, virtual := m.World.(*virtualWorld)
	if !virtual {
		w.base = int64(time.Since(w.started))
	}
	w.mesh, w.began = m, m.Clock.Now()
	w.last = last{due: record.Before(), states: []byte(strings.Repeat(string(sample.Unborn), m.N)), at: time.Now(), cpu: target.CPUOf(os.Getpid()),
		views: make([]record.Set, m.N), changes: make([]uint32, m.N), known: make([]bool, m.N), held: make([]byte, (m.N+7)/8), edges: make([]uint32, m.N*m.N)}
	if len(w.last.edges) > mostDrawn*mostDrawn {
		w.last.edges = nil
	}
	if virtual { // which the mesh samples itself, by its own time
		w.next, w.origin = w.began+period, time.Now()
		return
	}
	w.next = math.MaxInt64
	w.stop = sample.Regularly(time.Duration(period), w.sample)
}

const period = sample.Every * int64(time.Millisecond)

// end is the mesh's: its store must not be read after.
func (w *Watch) end(m *Mesh) {
	if w == nil || w.mesh != m {
		return
	}
	if w.stop != nil {
		w.stop()
		w.stop = nil
	}
	w.sample()
	w.mu.Lock()
	defer w.mu.Unlock()
	w.base, w.mesh = w.base+m.Clock.Now()-w.began, nil
}

// Tell says what is done to the mesh, and to whom; -1: to nobody in particular.
func (m *Mesh) Tell(kind string, peer int, format string, args ...any) {
	if w := m.watch; w != nil {
		w.tell(sample.MarkOf(w.ms(m.Clock.Now()), kind, peer, format, args...))
	}
}

// Note is Tell for what is no mesh's.
func (w *Watch) Note(kind, text string) {
	w.mu.Lock()
	t := float64(w.base) / 1e6
	if w.mesh != nil {
		t = w.ms(w.mesh.Clock.Now())
	}
	w.mu.Unlock()
	w.tell(sample.MarkOf(t, kind, -1, "%s", text))
}

func (w *Watch) tell(marks ...sample.Mark) {
	w.telling.Lock()
	defer w.telling.Unlock()
	w.marks = append(w.marks, marks...)
}

// ms is a time of the mesh's clock in ms since the run began.
func (w *Watch) ms(at int64) float64 { return float64(w.base+at-w.began) / 1e6 }

// states are what marks of some kinds make of a peer.
var states = map[string]byte{"join": sample.Alive, "resume": sample.Alive, "kill": sample.Dead, "pause": sample.Paused}

// drain hands on what has been told.
func (w *Watch) drain() {
	w.telling.Lock()
	marks := w.marks
	w.marks = nil
	w.telling.Unlock()
	for _, mark := range marks {
		if state := states[mark.Kind]; mark.Peer != nil && state != 0 {
			i := *mark.Peer
			w.last.states[i] = state
			if mark.Kind != "pause" {
				w.last.known[i] = false // until it has been seen in this life
			}
		}
		w.Feed.Note(mark)
	}
}

// sample adds one to the feed.
func (w *Watch) sample() {
	w.mu.Lock()
	defer w.mu.Unlock()
	m := w.mesh
	if m == nil {
		return
	}
	w.drain()
	s := sample.Sample{T: w.ms(m.Clock.Now()), States: string(w.last.states), Phase: "mesh", Doing: "nobody has joined yet"}
	w.counts(&s)
	w.views(&s)
	w.machine(&s)
	if w.last.samples%edgesEvery == 0 {
		w.edges(&s)
	}
	w.last.samples++
	if w.Fill != nil {
		w.Fill(m, &s, w.last.figures)
	}
	w.drain() // removals
	w.Feed.Add(s)
}

// since is a counter's growth; one that has begun anew has grown from 0.
func since(last *uint64, now uint64) uint64 {
	before := *last
	if *last = now; now < before {
		return now
	}
	return now - before
}

// counts are what has been counted since the last sample.
func (w *Watch) counts(s *sample.Sample) {
	l, b := &w.last, w.mesh.Store
	sent, delivered := b.Messages()
	settled := l.sent[l.samples%len(l.sent)]
	l.sent[l.samples%len(l.sent)] = sent
	s.Delivered = since(&l.figures.Delivered, delivered)
	lost := max(l.figures.Lost, settled-min(settled, delivered)) // one that comes yet is late
	s.Lost = since(&l.figures.Lost, lost)
	l.figures.Sent, l.figures.Store = settled, b
	s.Late = since(&l.late, b.Sum(func(x *record.Slot) *atomic.Uint64 { return &x.Late }))
	s.Sent = since(&l.hostile, b.Hostile.Load())
	s.Taken = since(&l.refused, b.Sum(func(x *record.Slot) *atomic.Uint64 { return &x.Dropped }))
	var bins sample.Bins
	b.Due.Since(l.due, bins.Add)
	s.SetLatency(bins.List())
	if ours := w.mesh.Ours; ours != nil {
		w.tell(l.socket.Read(s, ours.sock)...)
	}
}

// views tells who knows whom, as far as that has changed, and who has been removed.
func (w *Watch) views(s *sample.Sample) {
	l, m := &w.last, w.mesh
	bits := make([]byte, (m.N+7)/8)
	for i, state := range l.states {
		if state == sample.Alive || state == sample.Removed {
			bits[i/8] |= 1 << (i % 8)
		}
	}
	living := record.SetOf(bits)
	clear(l.held)
	dropped, complete := int64(0), 0
	for i := m.External; i < m.N; i++ {
		slot := &m.Store.Slots[i]
		if at, n := slot.Latest(); n != l.changes[i] {
			l.changes[i], l.views[i], dropped = n, slot.View(), max(dropped, at)
			if m.N <= mostDrawn {
				if s.Views == nil {
					s.Views = make(map[int][]byte)
				}
				s.Views[i] = []byte(l.views[i])
			}
		}
		if !living.Has(i) {
			continue
		}
		if l.views[i].Includes(living) { // whom it knows besides is the page's to show
			complete++
		}
		for k := range len(l.views[i]) {
			its := l.views[i][k]
			if k == i/8 {
				its &^= 1 << (i % 8)
			}
			l.held[k] |= its
		}
	}
	for i, state := range l.states {
		alive, known := living.Has(i), l.held[i/8]&(1<<(i%8)) != 0
		switch {
		case l.known[i] && !known && living.Len() > 1 && alive:
			l.states[i] = sample.Removed
			w.tell(sample.MarkOf(w.ms(dropped), "removal", i, "%s is removed, though it lives", record.QuoteName(i)))
		case l.known[i] && !known && living.Len() > 0 && !alive:
			w.tell(sample.MarkOf(w.ms(dropped), "removal", i, "%s has been dropped by all", record.QuoteName(i)))
		case known && state == sample.Removed:
			l.states[i] = sample.Alive
			w.tell(sample.MarkOf(s.T, "join", i, "%s is known again", record.QuoteName(i)))
		}
		l.known[i] = known
	}
	s.States = string(l.states)
	if n := living.Len(); n > 0 {
		s.Doing = fmt.Sprintf("%d of %d views complete", complete, n)
	}
}

// edges tells the links that carried most since the last look.
func (w *Watch) edges(s *sample.Sample) {
	l, m := &w.last, w.mesh
	for k := range l.edges {
		pair := m.Store.Pair(k/m.N, k%m.N)
		if pair == nil {
			return
		}
		if now := pair.Sent.Load(); now != l.edges[k] {
			s.Edges = append(s.Edges, [3]uint16{uint16(k / m.N), uint16(k % m.N), uint16(min(now-l.edges[k], math.MaxUint16))})
			l.edges[k] = now
		}
	}
	const most = 200
	slices.SortStableFunc(s.Edges, func(a, b [3]uint16) int { return cmp.Compare(b[2], a[2]) })
	s.Edges = s.Edges[:min(len(s.Edges), most)]
}

// machine is what the mesh takes of this machine, where it is all in this process.
func (w *Watch) machine(s *sample.Sample) {
	l, cfg := &w.last, w.mesh.Cfg
	if cfg.Simulation != nil || !machine.Processes {
		return
	}
	due := l.samples%edgesEvery == 0
	if due {
		l.load = machine.Loads()[0]
	}
	s.Load = l.load
	if cfg.Isolation == "process" || cfg.Options.Driver != nil || cfg.Options.Hosts > 0 {
		return
	}
	if pid := os.Getpid(); due {
		now, used := time.Now(), target.CPUOf(pid)
		l.memory, l.cores = target.ResidentOf(pid), (used-l.cpu).Seconds()/now.Sub(l.at).Seconds()
		l.at, l.cpu = now, used
	}
	cpu, memory := l.cores, l.memory
	s.CPU, s.Memory = &cpu, &memory
}

// pace samples a mesh in virtual time when that is due, and holds it up where it is ahead.
func (w *Watch) pace(ctx context.Context, now int64) {
	if now < w.next {
		return
	}
	w.sample()
	w.next = now - (now-w.began)%period + period
	if ahead := time.Duration(now-w.began) - time.Since(w.origin); w.Paced && ahead > 0 {
		Sleep(ctx, ahead)
	}
}
