package scenario

import (
	"context"
	"encoding/binary"
	"math/rand/v2"
	"net/netip"
	"sync"
	"testing"
	"time"

	"github.com/montanaflynn/stats"

	"p2plocal/bench/machine"
	"p2plocal/bench/record"
	"p2plocal/bench/result"
	"p2plocal/core"
	"p2plocal/core/udp"
	"p2plocal/core/wire"
)

// BenchmarkSteady runs 80 peers at 10 broadcasts a second, 63,200 messages a
// second, in turns with the same sockets and goroutines without state machine
// and recorder, two seconds each. It reports the latencies from actual send,
// the medians over the turns of their ratios, and what was lost. In a turn both broadcast in
// the same phases, drawn anew for each: of which broadcasts fall together p50 depends by a tenth,
// p99 by half.
func BenchmarkSteady(b *testing.B) {
	const peers, interval, duration = 80, 100 * time.Millisecond, 2 * time.Second
	var p50, p99, p50s, p99s []float64
	lost := 0.0
	for seed := uint64(1); b.Loop(); seed++ {
		bare := bareMesh(b, seed, peers, interval, duration)
		cfg := result.Config{Scenarios: []string{"steady"}, Peers: peers, Seed: seed, Repeat: 1, Isolation: "goroutine",
			Timing: core.DefaultTiming(), Options: DefaultOptions()}
		cfg.Options.Duration, cfg.Options.Interval, cfg.Options.Warmup = duration, interval, 200*time.Millisecond
		r, err := Execute(context.Background(), cfg, machine.Version(nil), new(Status))
		if err != nil {
			b.Fatal(err)
		}
		f := r.Runs[0].Scenarios[0].Flat()
		lost += *f["steady.lost"].Value
		p50s, p99s = append(p50s, *f["steady.latency.p50"].Value*1e6), append(p99s, *f["steady.latency.p99"].Value*1e6)
		p50 = append(p50, *f["steady.latency.p50"].Value / *bare.P50)
		p99 = append(p99, *f["steady.latency.p99"].Value / *bare.P99)
	}
	report := func(values []float64, unit string) {
		v, err := stats.Median(values)
		if err != nil {
			b.Fatal(err)
		}
		b.ReportMetric(v, unit)
	}
	report(p50, "p50-ratio")
	report(p99, "p99-ratio")
	report(p50s, "p50-us")
	report(p99s, "p99-us")
	b.ReportMetric(lost, "lost")
	b.ReportMetric(0, "ns/op") // of no meaning here
}

// bareMesh is the least that can send and receive the same messages.
func bareMesh(b *testing.B, seed uint64, peers int, interval, duration time.Duration) *result.Distribution {
	ctx, cancel := context.WithCancel(context.Background())
	var socks []*udp.Socket
	var addrs []netip.AddrPort
	for range peers {
		s, err := udp.Listen(netip.AddrPortFrom(machine.Loopback, 0), udp.ReadBuffer)
		if err != nil {
			b.Fatal(err)
		}
		socks, addrs = append(socks, s), append(addrs, s.Addr())
	}
	rng := rand.New(rand.NewPCG(seed, 0))
	rng.Int64N(int64(core.DefaultTiming().Reap)) // a mesh draws when to begin first
	var latency record.Histogram
	var wg sync.WaitGroup
	start := time.Now().Add(startDelay)
	for i, s := range socks {
		t := &talker{zero: start, next: start.Add(time.Duration(rng.Int64N(int64(interval)))), end: start.Add(duration), interval: interval, latency: &latency}
		t.to = append(append(t.to, addrs[:i]...), addrs[i+1:]...)
		wg.Go(func() { s.Serve(ctx, t) })
	}
	time.Sleep(time.Until(start.Add(duration + startDelay)))
	cancel()
	wg.Wait()
	return latency.Distribution().Dist
}

// talker sends the time to all others every interval, and notes how old is
// what it gets.
type talker struct {
	zero, next, end time.Time
	interval        time.Duration
	to              []netip.AddrPort
	datagram        [22]byte // as long as peerA_broadcast_0's
	latency         *record.Histogram
}

func (t *talker) Step(now time.Time, _ netip.AddrPort, datagram []byte) bool {
	t.latency.Record(int64(now.Sub(t.zero)) - int64(binary.LittleEndian.Uint64(datagram)))
	return false
}

func (t *talker) Poll(now time.Time) (core.Outgoing, time.Time) {
	if now.Before(t.next) || !t.next.Before(t.end) {
		return core.Outgoing{}, t.next
	}
	t.next = t.next.Add(t.interval)
	binary.LittleEndian.PutUint64(t.datagram[:], uint64(now.Sub(t.zero)))
	return core.Outgoing{Datagram: t.datagram[:], To: t.to}, now
}

// Recording a message must not allocate.
func BenchmarkRecorder(b *testing.B) {
	board, _, free, err := record.NewStore(2)
	if err != nil {
		b.Fatal(err)
	}
	defer free()
	for i := range board.Index {
		board.Index[i] = record.Nobody
	}
	board.Index[1000], board.Index[1001] = 0, 1
	c := record.NewClock()
	board.OpenWindow(0, 1<<62, time.Second)
	sender, receiver := record.NewRecorder(board, c, 0), record.NewRecorder(board, c, 1)
	now := time.Now()
	text := core.AppendBroadcast(nil, record.SlotName(0), 0, 0)
	sent := core.Event{Kind: core.Sent, At: now, Data: wire.Message{Type: core.TypeVanilla, Payload: text}.Append(nil), To: []netip.AddrPort{netip.AddrPortFrom(machine.Loopback, 1001)}}
	heard := core.Event{Kind: core.Heard, At: now, Peer: core.Member{Name: record.SlotName(0), Addr: netip.AddrPortFrom(machine.Loopback, 1000)}, Data: text}
	b.ReportAllocs()
	for b.Loop() {
		sender.Observe(&sent)
		receiver.Observe(&heard)
	}
}
