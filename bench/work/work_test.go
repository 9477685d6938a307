package work

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"p2plocal/bench/work/natstest"
)

func TestMain(m *testing.M) {
	ackWait = 2 * time.Second
	flag.Parse()
	flag.Set("test.parallel", "8") // nearly all of them wait
	os.Exit(m.Run())
}

// natsServer is a NATS server, and those who work at it.
type natsServer struct {
	*natstest.Server
	t     testing.TB
	urls  string // of a cluster
	creds string
	begun func(worker string) // called as a worker begins a lease; may be nil
}

// together has the first lease of each of some workers wait for those of the others, so that all have a part in a job.
func (s *natsServer) together(workers ...string) {
	var mu sync.Mutex
	all := make(chan struct{})
	s.begun = func(worker string) {
		mu.Lock()
		if i := slices.Index(workers, worker); i >= 0 {
			if workers = slices.Delete(workers, i, i+1); len(workers) == 0 {
				close(all)
			}
		}
		mu.Unlock()
		select {
		case <-all:
		case <-s.t.Context().Done():
		}
	}
}

func startNATS(t testing.TB) *natsServer { return &natsServer{Server: natstest.Start(t), t: t} }

func (s *natsServer) connect(name string) *nats.Conn {
	s.t.Helper()
	at := s.urls
	if at == "" {
		at = s.ClientURL()
	}
	c, err := Access{URL: at, Creds: s.creds}.Connect(name, s.t.Logf)
	if err == nil && c.Opts.Timeout < answer {
		s.t.Errorf("a server that does not answer is waited for for %v only", c.Opts.Timeout)
	}
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(c.Close)
	return c
}

// worker starts one that computes sums, each of whose leases takes at least a while, and gives
// what kills it.
func (s *natsServer) worker(id, version string, cores int, takes time.Duration, computed *atomic.Int64) (kill func()) {
	c := s.connect(id)
	ctx, cancel := context.WithCancel(s.t.Context())
	var group sync.WaitGroup
	group.Go(func() {
		w := Worker{ID: id, Cores: cores, Version: version}
		w.Work(ctx, c, map[string]Func{"sum": func(ctx context.Context, p json.RawMessage, first, last uint64) (any, error) {
			computed.Add(1)
			if s.begun != nil {
				s.begun(id)
			}
			select {
			case <-time.After(takes):
			case <-ctx.Done():
			}
			return sum(ctx, p, first, last)
		}}, func(format string, args ...any) { s.t.Logf(id+": "+format, args...) })
	})
	once := sync.OnceFunc(func() { cancel(); group.Wait() })
	s.t.Cleanup(once)
	return once
}

// sum is the sum of squares of some units.
func sum(_ context.Context, params json.RawMessage, first, last uint64) (any, error) {
	if string(params) != `"squares"` {
		return nil, fmt.Errorf("no such sum: %s", params)
	}
	n := uint64(0)
	for i := first; i <= last; i++ {
		n += i * i
	}
	return n, nil
}

func sums(id string, units uint64) Job {
	return Job{ID: id, Version: "1", Kind: "sum", Params: json.RawMessage(`"squares"`), First: 1, Last: units}
}

// want is what a job of units comes to.
func want(units uint64) uint64 { return units * (units + 1) * (2*units + 1) / 6 }

// tally adds up, and fails if a lease comes twice.
type tally struct {
	t       testing.TB
	sum     uint64
	leases  map[uint64]bool
	workers map[string]int
}

func newTally(t *testing.T) *tally { return &tally{t, 0, map[uint64]bool{}, map[string]int{}} }

func (x *tally) add(d Done) error {
	var n uint64
	json.Unmarshal(d.Result, &n)
	if x.leases[d.Lease] {
		x.t.Errorf("lease %d comes twice", d.Lease)
	}
	x.leases[d.Lease] = true
	x.workers[d.Worker]++
	x.sum += n
	return nil
}

// Leases cover all units, each once, whatever their number.
func TestLeases(t *testing.T) {
	t.Parallel()
	for _, units := range []uint64{1, 2, 63, 64, 65, 130, 6399, 6400, 6401, 25_599, 25_600, 25_601, 100_000} {
		j := sums("x", units)
		next := uint64(1)
		for lease := range j.Leases() {
			first, last := j.Units(lease)
			if first != next || last < first || last-first >= leaseMost {
				t.Fatalf("%d units: lease %d is %d..%d", units, lease, first, last)
			}
			next = last + 1
		}
		if next != units+1 {
			t.Errorf("%d units: leases end at %d", units, next-1)
		}
	}
	j := Job{First: 1<<64 - 3, Last: 1<<64 - 1}
	if first, last := j.Units(j.Leases() - 1); first != last || last != j.Last {
		t.Errorf("the last lease is %d..%d", first, last)
	}
}

func TestLocal(t *testing.T) {
	t.Parallel()
	x := newTally(t)
	if err := Local(t.Context(), sums("x", 12345), sum, x.add); err != nil || x.sum != want(12345) {
		t.Errorf("%d, want %d; %v", x.sum, want(12345), err)
	}
	j := sums("x", 10)
	j.Params = json.RawMessage(`"cubes"`)
	if err := Local(t.Context(), j, sum, x.add); err == nil || !strings.Contains(err.Error(), `no such sum: "cubes"`) {
		t.Errorf("error %v", err)
	}
}

// Two workers come to what one process does; one of another version is left out.
func TestRemote(t *testing.T) {
	t.Parallel()
	s := startNATS(t)
	s.together("a", "b")
	var computed, none atomic.Int64
	s.worker("a", "1", 2, time.Millisecond, &computed)
	s.worker("b", "1", 1, time.Millisecond, &computed)
	s.worker("old", "0", 1, 0, &none)
	s.worker("older", "0", 1, 0, &none)
	var all []Listed
	list := s.connect("list")
	for answer := 0; answer < 4; {
		var err error
		if all, err = Workers(t.Context(), list); err != nil {
			t.Fatal(err)
		}
		answer = 0
		for _, w := range all {
			if w.Within > 0 {
				answer++
			}
		}
	}
	for _, w := range all {
		if max(w.Ahead, -w.Ahead) > w.Within {
			t.Errorf("the clock of %s is %v s ahead, within %v s: it is this machine's", w.ID, w.Ahead, w.Within)
		}
	}
	if len(all) != 4 || all[0].ID != "a" || all[0].Cores != 2 || all[2].Version != "0" {
		t.Errorf("workers %+v", all)
	}
	j, x := sums("one", 10_000), newTally(t)
	if err := Remote(t.Context(), s.connect("coordinator"), j, t.Logf, x.add); err != nil {
		t.Fatal(err)
	}
	if x.sum != want(10_000) || x.workers["a"] == 0 || x.workers["b"] == 0 || none.Load() > 0 || computed.Load() < int64(j.Leases()) {
		t.Errorf("%d, want %d; leases by worker %v, %d by another version", x.sum, want(10_000), x.workers, none.Load())
	}

	// Who asks again for what is done gets it from what is kept; another job has no such name.
	again := newTally(t)
	was, said := computed.Load(), ""
	if err := Remote(t.Context(), s.connect("coordinator"), j, func(format string, args ...any) { said += fmt.Sprintf(format+"\n", args...) }, again.add); err != nil || again.sum != x.sum || computed.Load() != was {
		t.Errorf("again: %d, want %d; %d leases computed; %v", again.sum, x.sum, computed.Load()-was, err)
	}
	if want := `left out, as of version "0", and this is "1": worker old on , older on ` + "\n"; said != want {
		t.Errorf("it says %q, want %q", said, want)
	}
	j.Last++
	if err := Remote(t.Context(), s.connect("coordinator"), j, t.Logf, again.add); err == nil || !strings.Contains(err.Error(), `run "one" is another job`) {
		t.Errorf("error %v", err)
	}
	j = sums("wrong", 10)
	j.Params = json.RawMessage(`"cubes"`)
	if err := Remote(t.Context(), s.connect("coordinator"), j, t.Logf, again.add); err == nil || !strings.Contains(err.Error(), "no such sum") {
		t.Errorf("error %v", err)
	}
}

// Whatever goes away meanwhile, each lease counts once: a worker in the midst of some, the
// coordinator, which another goes on for, and the NATS server.
func TestFaults(t *testing.T) {
	t.Parallel()
	s := startNATS(t)
	s.together("dies", "lives")
	var computed atomic.Int64
	kill := s.worker("dies", "1", 2, 20*time.Millisecond, &computed)
	s.worker("lives", "1", 2, 20*time.Millisecond, &computed)
	j := sums("faults", 80_000)
	first := newTally(t)
	ctx, cancel := context.WithCancel(t.Context())
	dying := s.connect("dies, too")
	err := Remote(ctx, dying, j, t.Logf, func(d Done) error {
		if first.add(d); len(first.leases) == 40 {
			go kill()
		}
		if len(first.leases) == 60 {
			dying.Close() // so that it takes nothing back
			cancel()
		}
		return nil
	})
	if len(first.leases) >= int(j.Leases()) {
		t.Fatalf("all is done before the coordinator dies: %v", err)
	}
	x := newTally(t)
	if err := Remote(t.Context(), s.connect("goes on"), j, t.Logf, func(d Done) error {
		if x.add(d); len(x.leases) == 100 {
			s.Restart()
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	if x.sum != want(80_000) || x.workers["dies"] == 0 || len(x.leases) != int(j.Leases()) {
		t.Errorf("%d, want %d; leases by worker %v", x.sum, want(80_000), x.workers)
	}
	if n := int64(j.Leases()); computed.Load() > 2*n {
		t.Errorf("%d leases were computed for %d", computed.Load(), n)
	}
}

// A slow worker keeps nobody waiting: what it has near the end is given to others, however long its leases took before.
func TestSlowWorker(t *testing.T) {
	t.Parallel()
	s := startNATS(t)
	var slow, quick atomic.Int64
	j, x := sums("slow", 300), newTally(t)
	c := s.connect("coordinator")
	q, err := open(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	before := Done{Lease: 5, Worker: "slow", Took: 3600}
	first, last := j.Units(before.Lease)
	n, _ := sum(t.Context(), j.Params, first, last)
	before.Result, _ = json.Marshal(n)
	b, _ := json.Marshal(before)
	if _, err := q.js.Publish(t.Context(), resultSubject+j.ID+".5", b); err != nil {
		t.Fatal(err)
	}
	s.worker("slow", "1", 1, time.Hour, &slow)
	came := make(chan error)
	go func() { came <- Remote(t.Context(), c, j, t.Logf, x.add) }()
	for slow.Load() == 0 { // it is to have a lease before there is anybody else
		time.Sleep(10 * time.Millisecond)
	}
	s.worker("quick", "1", 1, 0, &quick)
	if err := <-came; err != nil || x.sum != want(300) || x.workers["slow"] != 1 {
		t.Errorf("%d, want %d, leases by worker %v; %v", x.sum, want(300), x.workers, err)
	}
	if slow.Load() != 1 {
		t.Errorf("the slow worker has begun %d leases, want 1", slow.Load())
	}
}

// Who waits in vain hears why. Who is interrupted leaves nothing behind that workers would compute for nobody, before they come to the next job.
func TestInterrupted(t *testing.T) {
	t.Parallel()
	s := startNATS(t)
	c := s.connect("coordinator")
	ctx, cancel := context.WithCancel(t.Context())
	said := ""
	if err := Remote(ctx, c, sums("first", 10_000), func(format string, args ...any) {
		if strings.HasPrefix(format, "no result") {
			cancel()
			said = fmt.Sprintf(format, args...)
		}
	}, newTally(t).add); err == nil || !strings.HasSuffix(said, "s; workers that are busy with this run: 0, others of its version: 0") {
		t.Errorf("by nobody: %v, it says %q", err, said)
	}
	var computed atomic.Int64
	s.worker("a", "1", 1, 0, &computed)
	j, x := sums("second", 10_000), newTally(t)
	if err := Remote(t.Context(), c, j, t.Logf, x.add); err != nil || x.sum != want(10_000) {
		t.Errorf("%d, want %d; %v", x.sum, want(10_000), err)
	}
	q, err := open(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	if done, err := q.subjects(t.Context(), resultStream, resultSubject+"first.*"); err != nil || len(done) > 0 {
		t.Errorf("%d leases were computed for nobody, %v", len(done), err)
	}
}

// A worker at a cluster that has not enough servers yet says so, and waits; and it ends when it is told to.
func TestNotReady(t *testing.T) {
	t.Parallel()
	s := &natsServer{t: t, Server: natstest.Start(t, func(o *server.Options) {
		o.ServerName, o.Routes = "a", server.RoutesFromStr("nats://127.0.0.1:1,nats://127.0.0.1:2")
		o.Cluster = server.ClusterOpts{Name: "c", Host: "127.0.0.1", Port: server.RANDOM_PORT}
	})}
	ctx, cancel := context.WithCancel(t.Context())
	said := ""
	_, err := Worker{ID: "a", Cores: 1, Version: "1", Ready: func() { t.Error("it is ready") }}.Work(ctx, s.connect("a"), nil, func(format string, args ...any) {
		said += fmt.Sprintf(format, args...)
		cancel()
	})
	if err != nil || !strings.HasPrefix(said, "the NATS server keeps nothing now") || !strings.HasSuffix(said, "; trying on") {
		t.Errorf("it says %q, %v", said, err)
	}
}

// A NATS server that is not there is one clear line.
func TestNoServer(t *testing.T) {
	t.Parallel()
	_, err := Access{URL: "nats://127.0.0.1:1"}.Connect("x", t.Logf)
	if err == nil || !strings.HasPrefix(err.Error(), `NATS server "nats://127.0.0.1:1": `) {
		t.Errorf("error %v", err)
	}
	_, err = Access{URL: "nats://me:secret@127.0.0.1:1"}.Connect("x", t.Logf)
	if err == nil || strings.Contains(err.Error(), "secret") {
		t.Errorf("error %v", err)
	}
}

// BenchmarkWorkers has 100 workers do tasks of 1 ms, and reports by what part longer they take together than the
// tasks should (overhead), and than they did, which on a loaded machine end late (queue).
func BenchmarkWorkers(b *testing.B) {
	const workers, each = 100, 8000 // units a worker
	defer func(was time.Duration) { ackWait = was }(ackWait)
	ackWait = 10 * time.Second
	s := startNATS(b)
	for i := range workers {
		c := s.connect(fmt.Sprint("w", i))
		go Worker{ID: fmt.Sprint("w", i), Cores: 1, Version: "1"}.Work(b.Context(), c, map[string]Func{"sum": func(_ context.Context, _ json.RawMessage, first, last uint64) (any, error) {
			time.Sleep(time.Duration(last-first+1) * time.Millisecond)
			return 0, nil
		}}, b.Logf)
	}
	c := s.connect("coordinator")
	for {
		if all, err := Addresses(b.Context(), c); err == nil && len(all) == workers {
			break
		}
		time.Sleep(100 * time.Millisecond)
	}
	n, took := 0, 0.0
	for b.Loop() {
		n++
		j := sums(fmt.Sprint("run", n), workers*each)
		if err := Remote(b.Context(), c, j, b.Logf, func(d Done) error { took += d.Took / workers; return nil }); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric((b.Elapsed().Seconds()/(float64(n)*each/1000)-1)*100, "%overhead")
	b.ReportMetric((b.Elapsed().Seconds()/took-1)*100, "%queue")
}

// What an earlier version has left with other settings gets today's.
func TestOldSettings(t *testing.T) {
	t.Parallel()
	c, err := nats.Connect(startNATS(t).ClientURL())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	js, err := jetstream.New(c)
	if err != nil {
		t.Fatal(err)
	}
	_, err = js.CreateStream(t.Context(), jetstream.StreamConfig{Name: leaseStream, Subjects: []string{leaseSubject + "*.*"}, Retention: jetstream.WorkQueuePolicy, MaxAge: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := js.CreateKeyValue(t.Context(), jetstream.KeyValueConfig{Bucket: jobBucket, TTL: time.Hour}); err != nil {
		t.Fatal(err)
	}
	for range 2 { // the second finds all as it should be
		q, err := open(t.Context(), c)
		if err != nil {
			t.Fatal(err)
		}
		s, err := js.Stream(t.Context(), leaseStream)
		if err != nil {
			t.Fatal(err)
		}
		jobs, err := q.jobs.Status(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if age, ttl := s.CachedInfo().Config.MaxAge, jobs.TTL(); age != keep || ttl != keep {
			t.Errorf("leases are kept for %v, jobs for %v; want %v", age, ttl, keep)
		}
	}
}
