package mesh

import (
	"cmp"
	"fmt"
	"math"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"p2plocal/bench/machine"
	"p2plocal/bench/record"
	"p2plocal/bench/result"
	"p2plocal/bench/sample"
	"p2plocal/fuzz/target"
)

// Figures are the broadcasts of a window so far, as far as they can be seen while it is open.
type Figures struct {
	Sent, Delivered, Lost uint64 // Sent: half a second ago
	Store                 *record.Store
}

// mostDrawn is the largest mesh whose views and messages are told one by one.
const mostDrawn = 256

// edgesEvery is how many samples pass between two looks at what is slow to read: who sends to whom,
// for each pair of peers, and what the system says of this process.
const edgesEvery = 5

// seen is what samples of a mesh have seen so far; the next one tells what has changed.
type seen struct {
	samples int
	counts  counts
	views   views
	edges   edges // nil: the mesh is too large
	usage   footprint
}

func newSeen(n int) *seen {
	x := &seen{counts: counts{due: record.Before()}, usage: footprint{at: time.Now(), cpu: target.CPUOf(os.Getpid())}}
	x.views = views{states: []byte(strings.Repeat(string(sample.Unborn), n)), sets: make([]record.Set, n), changes: make([]uint32, n), known: make([]bool, n), held: make([]byte, (n+7)/8)}
	if n <= mostDrawn {
		x.edges = make(edges, n*n)
	}
	return x
}

// fill fills a sample, and says what has been noticed; ms is a time of the mesh's clock in the run's.
func (x *seen) fill(m *Mesh, s *sample.Sample, ms func(int64) float64) []sample.Mark {
	seldom := x.samples%edgesEvery == 0
	marks := append(x.counts.fill(m, s, x.samples), x.views.fill(m, s, ms)...)
	x.usage.fill(m.Cfg, s, seldom)
	if seldom {
		x.edges.fill(m, s)
	}
	x.samples++
	return marks
}

// since is a counter's growth; one that has begun anew has grown from 0.
func since(last *uint64, now uint64) uint64 {
	before := *last
	if *last = now; now < before {
		return now
	}
	return now - before
}

// counts are what has been counted so far.
type counts struct {
	figures                Figures
	sent                   [500 / sample.Every]uint64 // of the samples before
	late, hostile, refused uint64
	socket                 sample.Socket
	due                    []uint64
}

// fill tells what has been counted since the sample before.
func (l *counts) fill(m *Mesh, s *sample.Sample, number int) (marks []sample.Mark) {
	b := m.Store
	sent, delivered := b.Messages()
	settled := l.sent[number%len(l.sent)]
	l.sent[number%len(l.sent)] = sent
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
	if m.Ours == nil {
		return nil
	}
	return l.socket.Read(s, m.Ours.sock)
}

// states are what marks of some kinds make of a peer.
var states = map[string]byte{"join": sample.Alive, "resume": sample.Alive, "kill": sample.Dead, "pause": sample.Paused}

// views are who knows whom.
type views struct {
	states  []byte
	sets    []record.Set
	changes []uint32 // of them
	known   []bool   // somebody else has it in view
	held    []byte   // a bit for each of these, while views are looked at
}

// note takes in what has been told.
func (l *views) note(mark sample.Mark) {
	if state := states[mark.Kind]; mark.Peer != nil && state != 0 {
		i := *mark.Peer
		l.states[i] = state
		if mark.Kind != "pause" {
			l.known[i] = false // until it has been seen in this life
		}
	}
}

// fill tells who knows whom, as far as that has changed, and who has been removed.
func (l *views) fill(m *Mesh, s *sample.Sample, ms func(int64) float64) (marks []sample.Mark) {
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
			l.changes[i], l.sets[i], dropped = n, slot.View(), max(dropped, at)
			if m.N <= mostDrawn {
				if s.Views == nil {
					s.Views = make(map[int][]byte)
				}
				s.Views[i] = []byte(l.sets[i])
			}
		}
		if !living.Has(i) {
			continue
		}
		if l.sets[i].Includes(living) { // whom it knows besides is the page's to show
			complete++
		}
		for k := range len(l.sets[i]) {
			its := l.sets[i][k]
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
			marks = append(marks, sample.MarkOf(ms(dropped), "removal", i, "%s is removed, though it lives", record.QuoteName(i)))
		case l.known[i] && !known && living.Len() > 0 && !alive:
			marks = append(marks, sample.MarkOf(ms(dropped), "removal", i, "%s has been dropped by all", record.QuoteName(i)))
		case known && state == sample.Removed:
			l.states[i] = sample.Alive
			marks = append(marks, sample.MarkOf(s.T, "join", i, "%s is known again", record.QuoteName(i)))
		}
		l.known[i] = known
	}
	s.States = string(l.states)
	if n := living.Len(); n > 0 {
		s.Doing = fmt.Sprintf("%d of %d views complete", complete, n)
	}
	return marks
}

// edges are how much each link has carried.
type edges []uint32

// fill tells the links that carried most since the last look.
func (l edges) fill(m *Mesh, s *sample.Sample) {
	for k := range l {
		pair := m.Store.Pair(k/m.N, k%m.N)
		if pair == nil {
			return
		}
		if now := pair.Sent.Load(); now != l[k] {
			s.Edges = append(s.Edges, [3]uint16{uint16(k / m.N), uint16(k % m.N), uint16(min(now-l[k], math.MaxUint16))})
			l[k] = now
		}
	}
	const most = 200
	slices.SortStableFunc(s.Edges, func(a, b [3]uint16) int { return cmp.Compare(b[2], a[2]) })
	s.Edges = s.Edges[:min(len(s.Edges), most)]
}

// footprint is what this process takes of the machine.
type footprint struct {
	at          time.Time
	cpu         time.Duration
	load, cores float64
	memory      int64
}

// fill tells what the mesh takes of this machine, where it is all in this process.
func (l *footprint) fill(cfg *result.Config, s *sample.Sample, due bool) {
	if cfg.Simulation != nil || !machine.Processes {
		return
	}
	if due {
		l.load = machine.Loads()[0]
	}
	s.Load = l.load
	if cfg.Isolation == "process" || cfg.Options.Driver != nil || cfg.Options.Hosts > 0 {
		return
	}
	if pid := os.Getpid(); due {
		now, used := time.Now(), target.CPUOf(pid)
		l.memory, l.cores = target.MemoryOf(pid), (used-l.cpu).Seconds()/now.Sub(l.at).Seconds()
		l.at, l.cpu = now, used
	}
	cpu, memory := l.cores, l.memory
	s.CPU, s.Memory = &cpu, &memory
}
