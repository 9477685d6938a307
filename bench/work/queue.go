package work

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
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

// queue is what the server keeps, opened.
type queue struct {
	js            jetstream.JetStream
	done          jetstream.Stream // results
	jobs, workers jetstream.KeyValue
}

var errNoJetStream = errors.New("NATS server without JetStream, want one that was started with -js")

// opened opens it as soon as that is possible: a cluster that has just started, or has lost most of
// its servers, keeps nothing.
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

// persist tries something until it works, or there is no use in it.
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

// subject is that of the leases of a version and a job; job "*": of all jobs.
func subject(version, job string) string {
	hash := sha256.Sum256([]byte(version))
	return fmt.Sprintf("%s%x.%s", leaseSubject, hash[:8], job)
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

// subjects are those of a stream that a filter passes, and how many messages each has.
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

// consumerOf names the consumer that hands leases to the workers of a version.
func consumerOf(version string) string { return strings.Split(subject(version, ""), ".")[2] }

// jobOf is the job that a subject of leases names.
func jobOf(subject string) string { return subject[strings.LastIndexByte(subject, '.')+1:] }

// notKept says what could not be kept: a server whose disk is full does not answer, and must be
// restarted when there is room.
func notKept(what string, err error) error {
	if err != nil {
		err = fmt.Errorf("the NATS server does not keep %s (is it there, and has it room?): %w", what, err)
	}
	return err
}
