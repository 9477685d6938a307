package work

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// What a NATS server with JetStream keeps: leases until one worker has done each, what they came
// to for a week, once each, and who works.
const (
	leaseStream  = "P2PLOCAL_LEASES"
	resultStream = "P2PLOCAL_RESULTS"
	jobBucket    = "p2plocal-jobs"
	workerBucket = "p2plocal-workers"

	leaseSubject  = "p2plocal.lease."  // and the version, and the job
	resultSubject = "p2plocal.result." // and the job, and the lease
	clockSubject  = "p2plocal.clock."  // and the worker
	hostSubject   = "p2plocal.host."   // and the worker

	keep  = 7 * 24 * time.Hour
	retry = time.Second
)

// ackWait is after what time the lease of a worker that says nothing is another's; a worker says
// sayBusy as often. Tests have less of it.
var ackWait = 10 * time.Second

func sayBusy() time.Duration { return ackWait / 4 }

// Access is how a NATS server is reached.
type Access struct {
	URL, Creds, CA, Cert, Key string // the rest: files, "" for none
}

// answer is how long a server may take to answer: one on a busy machine takes more than the
// library's two seconds.
const answer = 30 * time.Second

// Connect connects, and again whenever the connection is lost, for as long as it takes.
func (a Access) Connect(name string, log func(format string, args ...any)) (*nats.Conn, error) {
	options := []nats.Option{nats.Name("meshbench " + name), nats.MaxReconnects(-1), nats.ReconnectWait(retry), nats.Timeout(answer),
		nats.DisconnectErrHandler(func(_ *nats.Conn, err error) {
			if err != nil {
				log("NATS server lost: %v", err)
			}
		}),
		nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) {
			if e := new(net.OpError); !errors.As(err, &e) { // that one comes with the loss of the server
				log("NATS: %v", err)
			}
		}),
		nats.ReconnectHandler(func(*nats.Conn) { log("NATS server found again") })}
	if a.Creds != "" {
		options = append(options, nats.UserCredentials(a.Creds))
	}
	if a.CA != "" {
		options = append(options, nats.RootCAs(a.CA))
	}
	if a.Cert != "" || a.Key != "" {
		options = append(options, nats.ClientCert(a.Cert, a.Key))
	}
	c, err := nats.Connect(a.URL, options...)
	if err != nil {
		return nil, fmt.Errorf("NATS server %q: %w", Redact(a.URL), err)
	}
	return c, nil
}

var password = regexp.MustCompile(`//[^@/]*@`)

// Redact takes users and passwords out of a text with URLs.
func Redact(text string) string { return password.ReplaceAllString(text, "//") }

// queue is what is kept, opened.
type queue struct {
	js            jetstream.JetStream
	done          jetstream.Stream // results
	jobs, workers jetstream.KeyValue
}

var errNoJetStream = errors.New("NATS server without JetStream, want one that was started with -js")

// opened is what is kept, as soon as it can be had: a cluster that has just been started, or has lost most of its servers,
// keeps nothing yet.
func opened(ctx context.Context, c *nats.Conn, log func(string, ...any)) (q queue, err error) {
	err = persist(ctx, log, func(ctx context.Context) (err error) {
		q, err = open(ctx, c)
		return err
	})
	return q, err
}

func open(ctx context.Context, c *nats.Conn) (q queue, err error) {
	if q.js, err = jetstream.New(c); err != nil {
		return q, err
	}
	// A cluster keeps everything three times, so that one of its servers may go.
	replicas := 1
	if c.ConnectedClusterName() != "" {
		replicas = 3
	}
	for _, s := range []jetstream.StreamConfig{
		{Name: leaseStream, Subjects: []string{leaseSubject + "*.*"}, Retention: jetstream.WorkQueuePolicy, MaxAge: keep, Replicas: replicas},
		{Name: resultStream, Subjects: []string{resultSubject + "*.*"}, MaxAge: keep, MaxMsgsPerSubject: 1, Discard: jetstream.DiscardNew, DiscardNewPerSubject: true, Replicas: replicas},
	} {
		q.done, err = q.js.CreateStream(ctx, s)                  // the last one's is kept
		if errors.Is(err, jetstream.ErrStreamNameAlreadyInUse) { // with other settings
			q.done, err = q.js.UpdateStream(ctx, s)
		}
		if err != nil {
			if errors.Is(err, nats.ErrNoResponders) || errors.Is(err, jetstream.ErrJetStreamNotEnabled) || errors.Is(err, jetstream.ErrJetStreamNotEnabledForAccount) {
				return q, errNoJetStream
			}
			return q, keepsNothing(err)
		}
	}
	bucket := func(name string, keep time.Duration) (jetstream.KeyValue, error) {
		c := jetstream.KeyValueConfig{Bucket: name, TTL: keep, Replicas: replicas}
		kv, err := q.js.CreateKeyValue(ctx, c)
		if errors.Is(err, jetstream.ErrBucketExists) {
			kv, err = q.js.UpdateKeyValue(ctx, c)
		}
		return kv, err
	}
	if q.jobs, err = bucket(jobBucket, keep); err == nil {
		q.workers, err = bucket(workerBucket, ackWait)
	}
	if err != nil {
		err = keepsNothing(err)
	}
	return q, err
}

func keepsNothing(err error) error {
	return fmt.Errorf("the NATS server keeps nothing now (does a cluster have most of its servers?): %w", err)
}

// persist does something until it works, or there is no use in it.
func persist(ctx context.Context, log func(string, ...any), do func(context.Context) error) error {
	for said := false; ; said = true {
		one, cancel := context.WithTimeout(ctx, 2*retry)
		err := do(one)
		cancel()
		if err == nil || ctx.Err() != nil || err == errNoJetStream {
			return cmp.Or(ctx.Err(), err)
		}
		if !said {
			log("%v; trying on", err)
		}
		select {
		case <-ctx.Done():
		case <-time.After(retry):
		}
	}
}

// Remote has workers compute a job, or goes on with the one of its ID that has been begun. done
// hears of each lease once, also of those that were done before, as in Local.
func Remote(ctx context.Context, c *nats.Conn, j Job, log func(string, ...any), done func(Done) error) error {
	q, err := opened(ctx, c, log)
	if err != nil {
		return err
	}
	resumed, err := q.begin(ctx, j)
	if err != nil {
		return err
	}
	known, err := q.subjects(ctx, resultStream, resultSubject+j.ID+".*")
	if err != nil {
		return err
	}
	arrived, stop, err := q.results(ctx, j, log)
	if err != nil {
		return err
	}
	defer stop()
	if all, err := q.registered(ctx); err == nil {
		leftOut(all, j.Version, log)
	}
	missing := make(map[uint64]bool)
	for lease := range j.Leases() {
		missing[lease] = true
	}
	defer q.withdraw(ctx, j, log)
	var took []float64 // by the leases that are done, sorted
	take := func(m jetstream.Msg) error {
		var d Done
		if err := json.Unmarshal(m.Data(), &d); err != nil || !missing[d.Lease] {
			return nil // nobody's, or known
		}
		at, _ := slices.BinarySearch(took, d.Took)
		took = slices.Insert(took, at, d.Took)
		delete(missing, d.Lease)
		return taken(d, done)
	}
	for range known { // of before
		m, ok := <-arrived
		if !ok {
			return ctx.Err()
		}
		if err := take(m); err != nil {
			return err
		}
	}
	if err := q.offer(ctx, j, missing, resumed, log); err != nil {
		return err
	}
	last, times := time.Now(), time.Duration(2)
	look := time.NewTicker(retry)
	defer look.Stop()
	for len(missing) > 0 {
		select {
		case m, ok := <-arrived:
			if !ok {
				return ctx.Err()
			}
			last, times = time.Now(), 2
			if err := take(m); err != nil {
				return err
			}
		case <-look.C:
			usual := ackWait / 2
			if n := len(took); n > 0 { // the median: those of a slow worker are to count for nothing
				usual = max(time.Duration(took[n/2]*1e9), retry)
			}
			if time.Since(last) < times*usual {
				continue
			}
			// Who is slow, or gone with what nobody has been told of, is not waited for: for ever longer, as what
			// is missing may take longer than others did.
			if err := q.offerAgain(ctx, j, missing, log); err != nil && ctx.Err() == nil {
				log("what is missing is not offered again yet: the NATS server does not answer: %v", err)
			}
			if silent := time.Since(last); silent > ackWait {
				q.explain(ctx, j, silent, log)
			}
			times *= 2
		}
	}
	return nil
}

// results are those of a job, from the first one on, until ctx is done or stop is called.
func (q queue) results(ctx context.Context, j Job, log func(string, ...any)) (arrived chan jetstream.Msg, stop func(), err error) {
	results, err := q.js.OrderedConsumer(ctx, resultStream, jetstream.OrderedConsumerConfig{FilterSubjects: []string{resultSubject + j.ID + ".*"}})
	if err != nil {
		return nil, nil, err
	}
	messages, err := results.Messages()
	if err != nil {
		return nil, nil, err
	}
	ctx, cancel := context.WithCancel(ctx)
	context.AfterFunc(ctx, messages.Stop)
	arrived = make(chan jetstream.Msg)
	go func() {
		defer close(arrived)
		for {
			m, err := messages.Next()
			if errors.Is(err, jetstream.ErrMsgIteratorClosed) {
				return
			}
			if err != nil {
				log("results: %v", err)
				continue
			}
			select {
			case arrived <- m:
			case <-ctx.Done():
				return
			}
		}
	}()
	return arrived, cancel, nil
}

// begin notes a job, unless it has been begun before.
func (q queue) begin(ctx context.Context, j Job) (before bool, err error) {
	spec, err := json.Marshal(j)
	if err != nil {
		return false, err
	}
	if _, err = q.jobs.Create(ctx, j.ID, spec); !errors.Is(err, jetstream.ErrKeyExists) {
		return false, err
	}
	was, err := q.jobs.Get(ctx, j.ID)
	if err != nil || string(was.Value()) == string(spec) {
		return true, err
	}
	var o Job
	json.Unmarshal(was.Value(), &o)
	return true, fmt.Errorf("run %q is another job: %s %d..%d with %s, of version %q", j.ID, o.Kind, o.First, o.Last, o.Params, o.Version)
}

// subject is that of a version's leases, whatever the job, or of one.
func subject(version, job string) string {
	hash := sha256.Sum256([]byte(version))
	return fmt.Sprintf("%s%x.%s", leaseSubject, hash[:8], job)
}

// leftOut says which workers will have no lease, and that there is none who will.
func leftOut(all []Worker, version string, log func(string, ...any)) {
	some, others := false, map[string][]string{}
	for _, w := range all {
		if some = some || w.Version == version; w.Version != version {
			others[w.Version] = append(others[w.Version], w.ID+" on "+w.Host)
		}
	}
	for _, other := range slices.Sorted(maps.Keys(others)) {
		log("left out, as of version %q, and this is %q: worker %s", other, version, strings.Join(others[other], ", "))
	}
	if !some {
		log("no worker of this version is there yet")
	}
}

// registered are the workers that have been heard of lately.
func (q queue) registered(ctx context.Context) (all []Worker, err error) {
	watch, err := q.workers.WatchAll(ctx, jetstream.IgnoreDeletes())
	if err != nil {
		return nil, err
	}
	defer watch.Stop()
	known := map[string]Worker{}
	for {
		select {
		case entry := <-watch.Updates():
			if entry == nil { // these are all that there are now
				return slices.SortedFunc(maps.Values(known), func(a, b Worker) int { return strings.Compare(a.ID, b.ID) }), nil
			}
			var w Worker
			if json.Unmarshal(entry.Value(), &w) == nil {
				known[entry.Key()] = w
			}
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// heardOf are those of a server.
func heardOf(ctx context.Context, c *nats.Conn) ([]Worker, error) {
	q, err := open(ctx, c)
	if err != nil {
		return nil, err
	}
	return q.registered(ctx)
}

// subjects are those of a stream that a filter lets pass, and how many messages each has.
func (q queue) subjects(ctx context.Context, stream, filter string) (map[string]uint64, error) {
	s, err := q.js.Stream(ctx, stream)
	if err != nil {
		return nil, err
	}
	info, err := s.Info(ctx, jetstream.WithSubjectFilter(filter))
	if err != nil {
		return nil, err
	}
	return info.State.Subjects, nil
}

// offer offers the leases that are missing, unless they are all on offer already.
func (q queue) offer(ctx context.Context, j Job, missing map[uint64]bool, resumed bool, log func(string, ...any)) error {
	offered, err := q.subjects(ctx, leaseStream, subject(j.Version, j.ID))
	if err != nil || offered[subject(j.Version, j.ID)] >= uint64(len(missing)) {
		return err
	}
	mark := ""
	if resumed {
		mark = again
	}
	return q.publish(ctx, j, missing, mark, log)
}

// offerAgain offers those that some worker has, but none that nobody has taken yet.
func (q queue) offerAgain(ctx context.Context, j Job, missing map[uint64]bool, log func(string, ...any)) error {
	workers, err := q.js.Consumer(ctx, leaseStream, consumerOf(j.Version))
	if errors.Is(err, jetstream.ErrConsumerNotFound) {
		return nil // no worker has ever been there
	}
	if err != nil || workers.CachedInfo().NumPending > 0 {
		return err
	}
	return q.publish(ctx, j, missing, again, log)
}

// explain says why no result may have come for so long.
func (q queue) explain(ctx context.Context, j Job, silent time.Duration, log func(string, ...any)) {
	ctx, cancel := context.WithTimeout(ctx, 2*retry)
	defer cancel()
	spec, _ := json.Marshal(j)
	if _, err := q.jobs.Put(ctx, j.ID, spec); err != nil {
		log("%v", notKept("anything", err))
		return
	}
	working, other := 0, 0
	all, err := q.registered(ctx)
	if err != nil {
		log("%v", err)
		return
	}
	for _, w := range all {
		switch {
		case w.Version != j.Version:
		case strings.HasSuffix(w.Busy, " "+j.ID):
			working++
		default:
			other++
		}
	}
	log("no result for %v; workers that are busy with this run: %d, others of its version: %d", silent.Round(time.Second), working, other)
}

// withdraw takes back what of a job is still on offer, so that no worker computes what nobody waits for, and those of
// the next job begin at once. What is done is kept.
func (q queue) withdraw(ctx context.Context, j Job, log func(string, ...any)) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*retry)
	defer cancel()
	s, err := q.js.Stream(ctx, leaseStream)
	if err == nil {
		err = s.Purge(ctx, jetstream.WithPurgeSubject(subject(j.Version, j.ID)))
	}
	if err != nil {
		log("workers go on with run %s: %v", j.ID, err)
	}
}

// consumerOf is the name of what gives leases to the workers of a version.
func consumerOf(version string) string { return strings.Split(subject(version, ""), ".")[2] }

// again is behind a lease that may be done already.
const again = " again"

func (q queue) publish(ctx context.Context, j Job, missing map[uint64]bool, mark string, log func(string, ...any)) error {
	const most = 1000 // under way at a time
	for leases := range slices.Chunk(slices.Sorted(maps.Keys(missing)), most) {
		err := persist(ctx, log, func(ctx context.Context) (failed error) {
			var sent []jetstream.PubAckFuture
			for _, lease := range leases {
				f, err := q.js.PublishAsync(subject(j.Version, j.ID), append(strconv.AppendUint(nil, lease, 10), mark...))
				if err != nil {
					failed = err
					break
				}
				sent = append(sent, f)
			}
			left := leases[len(sent):]
			for i, f := range sent {
				select {
				case <-f.Ok():
					continue
				case failed = <-f.Err():
				case <-ctx.Done():
					failed = ctx.Err()
				}
				left = append(left, leases[i])
			}
			leases = left
			if failed != nil {
				failed = fmt.Errorf("leases cannot be offered: %w", failed)
			}
			return failed
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// Worker computes leases.
type Worker struct {
	ID      string    `json:"id"`
	Host    string    `json:"host"`
	Cores   int       `json:"cores"`
	Version string    `json:"version"`
	Busy    string    `json:"busy"` // with what; "": with nothing
	At      time.Time `json:"at"`
	Addr    string    `json:"addr,omitempty"` // where it hosts members of meshes

	Answer  func(request []byte) []byte `json:"-"` // of a coordinator of a mesh; nil: it hosts none
	Hosting func() string               `json:"-"` // what it hosts; nil or "": nothing, and it computes
	Ready   func()                      `json:"-"` // called once it waits for work; may be nil
}

// Work computes leases of jobs of its version until ctx is done, and says how many. A lease that is under way then is
// given back.
func (w Worker) Work(ctx context.Context, c *nats.Conn, kinds map[string]Func, log func(string, ...any)) (leases uint64, err error) {
	q, err := opened(ctx, c, log)
	if ctx.Err() != nil {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	consumer, err := q.js.CreateOrUpdateConsumer(ctx, leaseStream, jetstream.ConsumerConfig{Durable: consumerOf(w.Version), FilterSubject: subject(w.Version, "*"), AckPolicy: jetstream.AckExplicitPolicy,
		AckWait: ackWait, MaxAckPending: -1, MaxDeliver: -1})
	if err != nil {
		return 0, err
	}
	clock, err := c.Subscribe(clockSubject+w.ID, func(m *nats.Msg) { m.Respond(strconv.AppendInt(nil, time.Now().UnixNano(), 10)) })
	if err != nil {
		return 0, err
	}
	defer clock.Unsubscribe()
	if w.Hosting == nil {
		w.Hosting = func() string { return "" }
	}
	if w.Answer != nil {
		mesh, err := c.Subscribe(hostSubject+w.ID, func(m *nats.Msg) { m.Respond(w.Answer(m.Data)) })
		if err != nil {
			return 0, err
		}
		defer mesh.Unsubscribe()
	}
	if w.Ready != nil {
		w.Ready()
	}
	p := &pool{Worker: w, queue: q, kinds: kinds, log: log, refused: map[string]bool{}, jobs: map[string]Job{}, busy: map[string]int{}}
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		p.register(ctx)
	}()
	var cores sync.WaitGroup
	for range w.Cores {
		cores.Go(func() { p.core(ctx, consumer) })
	}
	cores.Wait()
	<-stopped
	leaving, cancel := context.WithTimeout(context.WithoutCancel(ctx), retry)
	defer cancel()
	q.workers.Delete(leaving, w.ID) // else it is forgotten soon
	return p.leases.Load(), nil
}

// Workers are those that have been heard of lately, and how far the clock of each is ahead of
// this machine's, to within so much.
func Workers(ctx context.Context, c *nats.Conn) (all []Listed, err error) {
	registered, err := heardOf(ctx, c)
	for _, w := range registered {
		l := Listed{Worker: w}
		l.askClock(c)
		all = append(all, l)
	}
	return all, err
}

// Listed is a worker as it is seen from here.
type Listed struct {
	Worker
	Ahead  float64 `json:"ahead_seconds"`
	Within float64 `json:"within_seconds"` // 0: it did not answer
}

// askClock compares clocks by the quickest of some exchanges: half its time is the bound.
func (l *Listed) askClock(c *nats.Conn) {
	const exchanges = 8
	best := time.Second
	for range exchanges {
		sent := time.Now()
		m, err := c.Request(clockSubject+l.ID, nil, best)
		if err != nil {
			return
		}
		took := time.Since(sent)
		ns, err := strconv.ParseInt(string(m.Data), 10, 64)
		if err == nil && took < best {
			best = took
			l.Ahead, l.Within = time.Unix(0, ns).Sub(sent.Add(took/2)).Seconds(), (took / 2).Seconds()
		}
	}
}

// jobOf is the job that a subject of leases names.
func jobOf(subject string) string { return subject[strings.LastIndexByte(subject, '.')+1:] }

// Addresses are those where workers host members of meshes.
func Addresses(ctx context.Context, c *nats.Conn) (all []string, err error) {
	registered, err := heardOf(ctx, c)
	for _, w := range registered {
		all = append(all, w.Addr)
	}
	return all, err
}

// Ask asks a worker as a coordinator of a mesh.
func Ask(ctx context.Context, c *nats.Conn, worker string, request []byte) ([]byte, error) {
	m, err := c.RequestWithContext(ctx, hostSubject+worker, request)
	if err != nil {
		return nil, err
	}
	return m.Data, nil
}

// Hosts are so many workers of a version as are ready to host a part of a mesh, on different
// machines as far as there are.
func Hosts(ctx context.Context, c *nats.Conn, version string, n int, ready func(Worker) error, log func(string, ...any)) (some []Worker, err error) {
	registered, err := heardOf(ctx, c)
	if err != nil {
		return nil, err
	}
	leftOut(registered, version, log)
	on := map[string]int{}
	var why []string
	for _, w := range registered {
		if w.Version != version {
			continue
		}
		if err := ready(w); err != nil {
			why = append(why, fmt.Sprintf("; worker %s on %s: %v", w.ID, w.Host, err))
			continue
		}
		some = append(some, w)
		on[w.ID] = 0
		for _, o := range some[:len(some)-1] {
			if o.Host == w.Host {
				on[w.ID]++
			}
		}
	}
	if len(some) < n {
		return nil, fmt.Errorf("%d workers of this version are ready, want %d%s", len(some), n, strings.Join(why, ""))
	}
	slices.SortStableFunc(some, func(a, b Worker) int { return on[a.ID] - on[b.ID] })
	return some[:n], nil
}
