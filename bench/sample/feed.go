package sample

import (
	"cmp"
	"encoding/json"
	"maps"
	"math/bits"
	"slices"
	"sync"
)

// How much a Feed keeps.
const (
	MostSamples = 3000 // when there are more, pairs of the older ones become one
	fineSamples = 600  // the newest stay as they were
	mostMarks   = 2000
	mostRecent  = 300     // events that can be had again one by one
	mostChanges = 4 << 20 // bytes, about, of what samples say has changed: then, too, older ones become one
)

// An Event is one of a Feed's, as a reader gets it.
type Event struct {
	Seq  uint64
	Name string   // snapshot, sample, mark or over
	Data [][]byte // JSON, in pieces that all readers share
}

// A list is JSON values with commas between them, each encoded once, in pieces that readers share: what has been
// added never changes.
type list [][]byte

const piece = 64 << 10

// add adds a value, and gives where it is.
func (l *list) add(v []byte) []byte {
	last := len(*l) - 1
	if last < 0 || cap((*l)[last])-len((*l)[last]) <= len(v) {
		*l, last = append(*l, make([]byte, 0, max(piece, len(v)+1))), last+1
	}
	p := (*l)[last]
	if last > 0 || len(p) > 0 {
		p = append(p, ',')
	}
	(*l)[last] = append(p, v...)
	return (*l)[last][len(p):]
}

func encode(v any) []byte {
	data, _ := json.Marshal(v) // numbers and texts: it cannot fail
	return data
}

// A Feed keeps a mesh's course. Whoever reads it asks for what came after an event, and
// gets everything anew if that is too long ago: so it owes nobody anything.
type Feed struct {
	mu      sync.Mutex
	about   About
	samples []kept
	marks   []*Mark
	t       float64 // of the latest
	changes int     // bytes, about, of what samples say has changed
	recent  []Event // the latest

	samplesJSON, marksJSON list

	states     string // as they are
	assertions []Assertion

	changed chan struct{} // closed when there is another
}

// kept is a sample.
type kept struct {
	*Sample
	width int    // how many samples it was
	json  []byte // in the feed's list; nil: it is to be encoded
}

// NewFeed has neither samples nor marks.
func NewFeed(h Head) *Feed {
	f := &Feed{changed: make(chan struct{})}
	f.about.Head = h
	return f
}

// Add adds the latest sample, which is the feed's from then on. What it says of states and
// assertions may be as before.
func (f *Feed) Add(s Sample) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if s.States == f.states {
		s.States = ""
	}
	if slices.Equal(s.Assertions, f.assertions) {
		s.Assertions = nil
	}
	if s.States != "" {
		f.states = s.States
	}
	if s.Assertions != nil {
		f.assertions = s.Assertions
	}
	if s.Hist == nil {
		s.Hist = [][2]int64{}
	}
	s.T, s.Seq = max(s.T, f.t), f.about.Seq+1
	data := f.samplesJSON.add(encode(&s))
	f.publish("sample", s.T, data)
	f.samples = append(f.samples, kept{&s, 1, data})
	f.changes += s.changes()
	if len(f.samples) < MostSamples && f.changes < mostChanges {
		return
	}
	// Two thirds are left, so that this is seldom done.
	for width := 1; (len(f.samples) > MostSamples*2/3 || f.changes > mostChanges*2/3) && width < 1<<30; width *= 2 {
		f.coarsen(width)
	}
	f.relist()
}

// relist makes new lists of what is kept.
func (f *Feed) relist() {
	f.samplesJSON, f.marksJSON = nil, nil
	for i := range f.samples {
		s := &f.samples[i]
		if s.json == nil {
			s.json = encode(s.Sample)
		}
		s.json = f.samplesJSON.add(s.json)
	}
	for _, m := range f.marks {
		f.marksJSON.add(encode(m))
	}
}

// SetPeers changes whom there is: whoever reads gets everything anew. Where those whom there
// was do not come first, it is not known any more who was who.
func (f *Feed) SetPeers(names []string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if n := len(f.about.Peers); n > len(names) || !slices.Equal(names[:n], f.about.Peers) {
		for i := range f.samples {
			s := &f.samples[i]
			s.States, s.Views, s.Edges, s.Ages, s.json = "", nil, nil, nil, nil
		}
		for _, m := range f.marks {
			m.Peer = nil
		}
		f.changes = 0
		f.relist()
	}
	f.about.Peers, f.states = names, ""
	f.about.Seq++
	f.recent = nil
	close(f.changed)
	f.changed = make(chan struct{})
}

// Note adds a mark.
func (f *Feed) Note(m Mark) {
	f.mu.Lock()
	defer f.mu.Unlock()
	m.Seq = f.about.Seq + 1
	f.publish("mark", m.T, f.marksJSON.add(encode(m)))
	if f.marks = append(f.marks, &m); len(f.marks) > mostMarks {
		f.marks = slices.Delete(f.marks, 0, mostMarks/4)
		f.relist()
	}
}

// End says that nothing comes any more.
func (f *Feed) End(report bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.about.Over, f.about.Report = true, report
	f.publish("over", f.t, encode(Over{f.about.Seq + 1, f.t, report}))
}

// publish tells whoever waits of an event, whose number is the next.
func (f *Feed) publish(name string, t float64, data []byte) {
	f.t = max(f.t, t)
	f.about.Seq++
	if len(f.recent) == mostRecent {
		f.recent = slices.Delete(f.recent, 0, mostRecent/4)
	}
	f.recent = append(f.recent, Event{f.about.Seq, name, [][]byte{data}})
	close(f.changed)
	f.changed = make(chan struct{})
}

// After is what came after an event, and a channel that is closed when there is more. For
// one that the feed has not, or has no more, or 0, it is everything, as one event.
func (f *Feed) After(seq uint64) ([]Event, <-chan struct{}) {
	f.mu.Lock()
	defer f.mu.Unlock()
	now := f.about.Seq
	if n := len(f.recent); seq > 0 && seq <= now && now-seq <= uint64(n) {
		return slices.Clone(f.recent[n-int(now-seq):]), f.changed
	}
	all := slices.Concat([][]byte{[]byte(`{"samples":[`)}, f.samplesJSON, [][]byte{[]byte(`],"marks":[`)}, f.marksJSON, [][]byte{[]byte("],"), encode(f.about)[1:]})
	return []Event{{now, "snapshot", all}}, f.changed
}

// coarsen makes one of each two neighbours of up to a width, but for the newest.
func (f *Feed) coarsen(width int) {
	n, last := 0, max(len(f.samples)-fineSamples, len(f.samples)/2)
	f.changes = 0
	for i := 0; i < len(f.samples); i, n = i+1, n+1 {
		s := f.samples[i]
		if i+1 < last && s.width <= width && f.samples[i+1].width <= width {
			i++
			s = kept{merged(s.Sample, f.samples[i].Sample), s.width + f.samples[i].width, nil}
		}
		f.samples[n] = s
		f.changes += s.changes()
	}
	clear(f.samples[n:])
	f.samples = f.samples[:n]
}

// merged is a sample over the time of two: its counts are their sums, and what is a level
// is the later one's, or the higher where a peak is looked for.
func merged(a, b *Sample) *Sample {
	m := *b
	m.States, m.Views, m.Edges, m.Assertions, m.Ages = a.States, maps.Clone(a.Views), a.Edges, a.Assertions, a.Ages
	m.update(b)
	m.Delivered += a.Delivered
	m.Lost += a.Lost
	m.Late += a.Late
	m.Drops += a.Drops
	m.Sent += a.Sent
	m.Taken += a.Taken
	m.Refused += a.Refused
	m.Queue = higher(a.Queue, b.Queue)
	m.Memory = higher(a.Memory, b.Memory)
	if a.CPU != nil && b.CPU != nil {
		mean := (*a.CPU + *b.CPU) / 2
		m.CPU = &mean
	}
	m.SetLatency(addBins(a.Hist, b.Hist))
	return &m
}

// update takes in what a later sample says has changed.
func (s *Sample) update(by *Sample) {
	s.States = cmp.Or(by.States, s.States)
	if s.Views == nil {
		s.Views = by.Views
	} else {
		maps.Copy(s.Views, by.Views)
	}
	if by.Edges != nil {
		s.Edges = by.Edges
	}
	if by.Assertions != nil {
		s.Assertions = by.Assertions
	}
	if by.Ages != nil {
		s.Ages = by.Ages
	}
}

// changes is how many bytes, about, it takes to say what has changed.
func (s *Sample) changes() int {
	const entry = 64 // of a map
	n := len(s.States) + 6*len(s.Edges) + 8*len(s.Ages)
	for _, v := range s.Views {
		n += entry + len(v)
	}
	return n
}

func higher(a, b *int64) *int64 {
	if b == nil || a != nil && *a > *b {
		return a
	}
	return b
}

// addBins adds up two histograms, whose ends ascend.
func addBins(a, b [][2]int64) [][2]int64 {
	sum := make([][2]int64, 0, len(a)+len(b))
	for len(a) > 0 || len(b) > 0 {
		switch {
		case len(b) == 0 || len(a) > 0 && a[0][0] < b[0][0]:
			sum, a = append(sum, a[0]), a[1:]
		case len(a) == 0 || b[0][0] < a[0][0]:
			sum, b = append(sum, b[0]), b[1:]
		default:
			sum, a, b = append(sum, [2]int64{a[0][0], a[0][1] + b[0][1]}), a[1:], b[1:]
		}
	}
	return sum
}

// SetLatency takes in a histogram, and the percentiles that are in it.
func (s *Sample) SetLatency(bins [][2]int64) {
	s.Hist, s.P50, s.P99 = bins, quantile(bins, 0.5), quantile(bins, 0.99)
}

// quantile is where the q-th part of what is in bins ends, as if each were evenly filled;
// nil: there is nothing.
func quantile(bins [][2]int64, q float64) *int64 {
	total := int64(0)
	for _, b := range bins {
		total += b[1]
	}
	want := q * float64(total)
	for _, b := range bins {
		if n := float64(b[1]); n > 0 && want <= n {
			low := binLow(b[0])
			v := low + int64(want/n*float64(b[0]-low))
			return &v
		} else {
			want -= n
		}
	}
	return nil
}

// Bins of a latency are eighths of octaves, from 1 µs on.
const (
	binOctave = 10
	binParts  = 8
	binCount  = binParts * 27 // to two minutes
)

// Bins is a histogram.
type Bins [binCount]int64

// Add adds so many durations, in nanoseconds.
func (b *Bins) Add(ns int64, n uint64) { b[binOf(ns)] += int64(n) }

// List is what is in them, for SetLatency.
func (b *Bins) List() [][2]int64 {
	list := [][2]int64{}
	for i, n := range b {
		if n > 0 {
			list = append(list, [2]int64{binUpper(i), n})
		}
	}
	return list
}

// binOf is the bin of a duration in nanoseconds.
func binOf(ns int64) int {
	if ns < 1<<binOctave {
		return 0
	}
	octave := bits.Len64(uint64(ns)) - 1
	return min((octave-binOctave)*binParts+int(ns>>(octave-3)&(binParts-1)), binCount-1)
}

// binUpper is where a bin ends.
func binUpper(i int) int64 {
	return int64(binParts+1+i%binParts) << (i/binParts + binOctave - 3)
}

// binLow is where the bin begins that ends at upper.
func binLow(upper int64) int64 {
	if i := binOf(upper - 1); i > 0 {
		return binUpper(i - 1)
	}
	return 0
}
