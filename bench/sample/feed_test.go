package sample

import (
	"bytes"
	"encoding/json"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"testing"
)

// TestBounded lets an hour pass: memory is bounded, nothing is lost of the counts, all of the
// run can be scrubbed, and the newest minute is as it was.
func TestBounded(t *testing.T) {
	f := NewFeed(Head{Peers: []string{"A"}})
	const hour = 3600 * 1000 / Every
	for i := 1; i <= hour; i++ {
		f.Add(Sample{T: float64(i * Every), Delivered: 1})
		if i%100 == 0 {
			f.Note(Mark{T: float64(i * Every)})
		}
	}
	var all Snapshot
	if events, _ := f.After(0); json.Unmarshal(bytes.Join(events[0].Data, nil), &all) != nil || len(all.Samples) >= MostSamples || len(all.Marks) > mostMarks || len(f.recent) > mostRecent {
		t.Errorf("%d samples, %d marks, %d events", len(all.Samples), len(all.Marks), len(f.recent))
	}
	sum, last, widest := uint64(0), 0.0, 0.0
	for i, s := range all.Samples {
		sum += s.Delivered
		widest = max(widest, s.T-last)
		if i >= len(all.Samples)-fineSamples && s.T-last != Every {
			t.Fatalf("a recent sample is %v ms wide", s.T-last)
		}
		last = s.T
	}
	if sum != hour || widest > 4*hour*Every/MostSamples {
		t.Errorf("%d delivered, want %d; the widest of %d samples has %v ms", sum, hour, len(all.Samples), widest)
	}
}

// TestShared: whoever gets everything shares it with the feed and all others, and what he has stays as it is.
func TestShared(t *testing.T) {
	f := NewFeed(Head{})
	for i := range MostSamples - 1 {
		f.Add(Sample{T: float64(i), Headline: strings.Repeat("-", 1<<10)})
		f.Note(Mark{T: float64(i)})
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	events, _ := f.After(0)
	runtime.ReadMemStats(&after)
	all := bytes.Join(events[0].Data, nil)
	if took := after.TotalAlloc - before.TotalAlloc; len(all) < 3<<20 || took > 64<<10 {
		t.Errorf("everything, %d bytes, takes %d more", len(all), took)
	}
	for range MostSamples {
		f.Add(Sample{})
		f.Note(Mark{})
	}
	f.SetPeers([]string{"A"})
	if !bytes.Equal(bytes.Join(events[0].Data, nil), all) {
		t.Error("what a reader has is not any more what he got")
	}
}

// TestChanges plays back what a feed keeps: at each of its samples the mesh is as it was then,
// though many have become one, and the more there is to say the more do.
func TestChanges(t *testing.T) {
	for peers, samples := range map[int]int{3: 2 * MostSamples, 256: MostSamples / 2} {
		f, was := NewFeed(Head{}), make(map[float64]string)
		views, states := make([]string, peers), bytes.Repeat([]byte{Dead}, peers)
		for i := range samples {
			s := Sample{T: float64(i), Views: make(map[int][]byte), Edges: [][3]uint16{{uint16(i)}}}
			for j := i % 3; j < peers; j += 3 {
				views[j] = fmt.Sprintf("%32d", i)
				s.Views[j] = []byte(views[j])
			}
			states[i%peers] = Alive ^ Dead ^ states[i%peers]
			s.States = string(states)
			f.Add(s)
			was[s.T] = s.States + strings.Join(views, "")
		}
		var now Sample
		for _, s := range f.samples {
			now.update(s.Sample)
			shown := now.States
			for j := range peers {
				shown += string(now.Views[j])
			}
			if shown != was[s.T] || now.Edges[0][0] != uint16(s.T) {
				t.Fatalf("%d peers: at %v of %d samples %.80s, want %.80s", peers, s.T, len(f.samples), shown, was[s.T])
			}
		}
		if f.changes > mostChanges || len(f.samples) > MostSamples || len(f.samples) == len(was) {
			t.Errorf("%d peers: %d bytes of changes in %d samples of %d", peers, f.changes, len(f.samples), len(was))
		}
	}
}

// TestSetPeers changes whom there is.
func TestSetPeers(t *testing.T) {
	f, of := NewFeed(Head{}), 0
	look := func(names string, states, before string) {
		t.Helper()
		f.SetPeers(strings.Split(names, ""))
		f.Add(Sample{States: states})
		f.Note(MarkOf(0, "join", of, "joins"))
		if first := f.samples[0].States; first != before || f.samples[len(f.samples)-1].States != states || (f.marks[0].Peer == nil) != (before == "") {
			t.Errorf("%s: first %q, want %q; %v", names, first, before, f.marks[0])
		}
	}
	look("AB", "aa", "aa")
	look("ABC", "aa-", "aa") // who was there is still there
	look("CA", "aa", "")     // and now is not
}

// TestSocket follows a kernel's counter and its filter.
func TestSocket(t *testing.T) {
	var k Socket
	for _, c := range []struct {
		socket fakeSocket
		drops  uint64
		says   string
	}{{fakeSocket{5, false}, 5, "[]"}, {fakeSocket{7, true}, 2, "the kernel's filter is on"}, {fakeSocket{7, true}, 0, "[]"}, {fakeSocket{8, false}, 1, "filter is off"}} {
		var s Sample
		if marks := fmt.Sprint(k.Read(&s, c.socket)); s.Drops != c.drops || *s.Queue != 9 || !strings.Contains(marks, c.says) {
			t.Errorf("%+v: %d drops, %s", c, s.Drops, marks)
		}
	}
}

type fakeSocket struct {
	drops    uint64
	filtered bool
}

func (s fakeSocket) Waiting() (int64, uint64, bool) { return 9, s.drops, true }
func (s fakeSocket) Filtered() bool                 { return s.filtered }

// TestGap asks for what came after each event: nothing is missing.
func TestGap(t *testing.T) {
	f := NewFeed(Head{})
	for i := range 1000 {
		f.Add(Sample{T: float64(i)})
	}
	for _, seq := range []uint64{1, 500, 699, 700, 701, 750, 900, 998, 999, 1000} {
		events, _ := f.After(seq)
		switch {
		case seq == f.about.Seq && len(events) == 0:
		case len(events) == 0:
			t.Fatalf("nothing after %d of %d", seq, f.about.Seq)
		case events[0].Name == "snapshot" && f.about.Seq-seq > mostRecent/2:
		case events[0].Seq != seq+1 || events[len(events)-1].Seq != f.about.Seq:
			t.Fatalf("%d to %d after %d", events[0].Seq, events[len(events)-1].Seq, seq)
		}
	}
	var all Snapshot
	events, _ := f.After(0)
	if err := json.Unmarshal(bytes.Join(events[0].Data, nil), &all); err != nil || len(all.Samples) != 1000 {
		t.Errorf("%d samples, %v", len(all.Samples), err)
	}
}

func TestBins(t *testing.T) {
	for _, ns := range []int64{0, 1, 1023, 1024, 1025, 5000, 123_456, 1 << 30, 60e9} {
		i := binOf(ns)
		if upper := binUpper(i); ns >= upper || ns < binLow(upper) {
			t.Errorf("%d is in [%d, %d)", ns, binLow(upper), upper)
		}
	}
	for i := 1; i < binCount; i++ {
		if low := binLow(binUpper(i)); binOf(low) != i || binOf(low-1) != i-1 {
			t.Errorf("bin %d begins at %d, which is in bin %d", i, low, binOf(low))
		}
	}
}

func TestMerged(t *testing.T) {
	a, b := Sample{T: 1, Delivered: 2}, Sample{T: 2, Delivered: 3}
	a.SetLatency([][2]int64{{1152, 10}, {2304, 1}})
	b.SetLatency([][2]int64{{1280, 5}, {2304, 2}})
	m := merged(&a, &b)
	if want := [][2]int64{{1152, 10}, {1280, 5}, {2304, 3}}; !slices.Equal(m.Hist, want) || m.Delivered != 5 || m.T != 2 {
		t.Errorf("%+v, want bins %v", m, want)
	}
	if *m.P50 < 1024 || *m.P50 > 1152 || *m.P99 < 2048 || *m.P99 > 2304 {
		t.Errorf("p50 %d, p99 %d", *m.P50, *m.P99)
	}
}
