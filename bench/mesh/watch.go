package mesh

import (
	"context"
	"math"
	"sync"
	"time"

	"p2plocal/bench/sample"
)

// A Watch samples meshes, one after the other, for a feed. It reads what they record anyway and
// takes no lock that a peer or a server takes: no mesh ever waits for it or for readers of its
// feed. The methods that a mesh calls do nothing on a nil Watch.
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
	seen    *seen // by the samples of the mesh so far

	telling sync.Mutex // of what follows, which is held for no time
	marks   []sample.Mark
}

// begin starts sampling a mesh.
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
	w.seen = newSeen(m.N)
	if virtual { // which the mesh samples itself, by its own time
		w.next, w.origin = w.began+period, time.Now()
		return
	}
	w.next = math.MaxInt64
	w.stop = sample.Regularly(time.Duration(period), w.sample)
}

const period = sample.Every * int64(time.Millisecond)

// end stops sampling it: its store must not be read afterwards.
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

// Note is Tell for what concerns no mesh.
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

// ms converts a time of the mesh's clock to ms since the run began.
func (w *Watch) ms(at int64) float64 { return float64(w.base+at-w.began) / 1e6 }

// drain passes on what has been told.
func (w *Watch) drain() {
	w.telling.Lock()
	marks := w.marks
	w.marks = nil
	w.telling.Unlock()
	for _, mark := range marks {
		w.seen.views.note(mark)
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
	s := sample.Sample{T: w.ms(m.Clock.Now()), States: string(w.seen.views.states), Phase: "mesh", Doing: "nobody has joined yet"}
	w.tell(w.seen.fill(m, &s, w.ms)...)
	if w.Fill != nil {
		w.Fill(m, &s, w.seen.counts.figures)
	}
	w.drain() // removals
	w.Feed.Add(s)
}

// pace samples a mesh in virtual time when a sample is due, and holds it up where it is ahead of
// real time.
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
