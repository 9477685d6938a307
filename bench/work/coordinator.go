package work

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// coordinator has workers compute one job.
type coordinator struct {
	queue
	Job
	log     func(string, ...any)
	hear    func(Done) error
	arrived chan jetstream.Msg // results
	missing map[uint64]bool    // leases
	took    []float64          // by the leases that are done, sorted
}

// Remote has workers compute a job, or goes on with the job of that ID if it has been begun. Like
// Local it calls done for each lease once, also for those that were done before.
func Remote(ctx context.Context, c *nats.Conn, j Job, log func(string, ...any), done func(Done) error) error {
	q, err := opened(ctx, c, log)
	if err != nil {
		return err
	}
	k := &coordinator{queue: q, Job: j, log: log, hear: done, missing: make(map[uint64]bool)}
	for lease := range j.Leases() {
		k.missing[lease] = true
	}
	resumed, err := k.begin(ctx)
	if err != nil {
		return err
	}
	known, err := k.subjects(ctx, resultStream, resultSubject+j.ID+".*")
	if err != nil {
		return err
	}
	stop, err := k.listen(ctx)
	if err != nil {
		return err
	}
	defer stop()
	if all, err := k.registered(ctx); err == nil {
		leftOut(all, j.Version, log)
	}
	defer k.withdraw(ctx)
	for range known { // of before
		m, ok := <-k.arrived
		if !ok {
			return ctx.Err()
		}
		if err := k.take(m); err != nil {
			return err
		}
	}
	if err := k.offer(ctx, resumed); err != nil {
		return err
	}
	return k.gather(ctx)
}

// take takes a result in.
func (k *coordinator) take(m jetstream.Msg) error {
	var d Done
	if err := json.Unmarshal(m.Data(), &d); err != nil || !k.missing[d.Lease] {
		return nil // nobody's, or known
	}
	at, _ := slices.BinarySearch(k.took, d.Took)
	k.took = slices.Insert(k.took, at, d.Took)
	delete(k.missing, d.Lease)
	return taken(d, k.hear)
}

// gather takes in results until none is missing. It does not wait for a worker that is slow or
// gone: its leases are offered again, after longer and longer times, since what is missing may
// simply take longer.
func (k *coordinator) gather(ctx context.Context) error {
	last, times := time.Now(), time.Duration(2)
	look := time.NewTicker(retry)
	defer look.Stop()
	for len(k.missing) > 0 {
		select {
		case m, ok := <-k.arrived:
			if !ok {
				return ctx.Err()
			}
			last, times = time.Now(), 2
			if err := k.take(m); err != nil {
				return err
			}
		case <-look.C:
			silent := time.Since(last)
			if silent < times*k.usual() {
				continue
			}
			if err := k.offerAgain(ctx); err != nil && ctx.Err() == nil {
				k.log("what is missing is not offered again yet: the NATS server does not answer: %v", err)
			}
			if silent = time.Since(last); silent > ackWait {
				k.explain(ctx, silent)
			}
			times *= 2
		}
	}
	return nil
}

// usual is how long a lease takes: the median, in which slow workers count for little.
func (k *coordinator) usual() time.Duration {
	n := len(k.took)
	if n == 0 {
		return ackWait / 2
	}
	return max(time.Duration(k.took[n/2]*1e9), retry)
}

// listen lets results arrive, from the first one on, until ctx is done or stop is called.
func (k *coordinator) listen(ctx context.Context) (stop func(), err error) {
	results, err := k.js.OrderedConsumer(ctx, resultStream, jetstream.OrderedConsumerConfig{FilterSubjects: []string{resultSubject + k.ID + ".*"}})
	if err != nil {
		return nil, err
	}
	messages, err := results.Messages()
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(ctx)
	context.AfterFunc(ctx, messages.Stop)
	k.arrived = make(chan jetstream.Msg)
	go func() {
		defer close(k.arrived)
		for {
			m, err := messages.Next()
			if errors.Is(err, jetstream.ErrMsgIteratorClosed) {
				return
			}
			if err != nil {
				k.log("results: %v", err)
				continue
			}
			select {
			case k.arrived <- m:
			case <-ctx.Done():
				return
			}
		}
	}()
	return cancel, nil
}

// begin registers the job, unless it has been begun before.
func (k *coordinator) begin(ctx context.Context) (before bool, err error) {
	spec, err := json.Marshal(k.Job)
	if err != nil {
		return false, err
	}
	if _, err = k.jobs.Create(ctx, k.ID, spec); !errors.Is(err, jetstream.ErrKeyExists) {
		return false, err
	}
	was, err := k.jobs.Get(ctx, k.ID)
	if err != nil || string(was.Value()) == string(spec) {
		return true, err
	}
	var o Job
	json.Unmarshal(was.Value(), &o)
	return true, fmt.Errorf("run %q is another job: %s %d..%d with %s, of version %q", k.ID, o.Kind, o.First, o.Last, o.Params, o.Version)
}

// offer offers the leases that are missing, unless they are all on offer already.
func (k *coordinator) offer(ctx context.Context, resumed bool) error {
	offered, err := k.subjects(ctx, leaseStream, subject(k.Version, k.ID))
	if err != nil || offered[subject(k.Version, k.ID)] >= uint64(len(k.missing)) {
		return err
	}
	mark := ""
	if resumed {
		mark = again
	}
	return k.publish(ctx, mark)
}

// offerAgain offers what workers have taken and not done; while leases wait that nobody has taken,
// it offers none.
func (k *coordinator) offerAgain(ctx context.Context) error {
	workers, err := k.js.Consumer(ctx, leaseStream, consumerOf(k.Version))
	if errors.Is(err, jetstream.ErrConsumerNotFound) {
		return nil // no worker has ever been there
	}
	if err != nil || workers.CachedInfo().NumPending > 0 {
		return err
	}
	return k.publish(ctx, again)
}

// explain says why no result may have come for so long.
func (k *coordinator) explain(ctx context.Context, silent time.Duration) {
	ctx, cancel := context.WithTimeout(ctx, 2*retry)
	defer cancel()
	spec, _ := json.Marshal(k.Job)
	if _, err := k.jobs.Put(ctx, k.ID, spec); err != nil {
		k.log("%v", notKept("anything", err))
		return
	}
	working, other := 0, 0
	all, err := k.registered(ctx)
	if err != nil {
		k.log("%v", err)
		return
	}
	for _, w := range all {
		switch {
		case w.Version != k.Version:
		case strings.HasSuffix(w.Busy, " "+k.ID):
			working++
		default:
			other++
		}
	}
	k.log("no result for %v; workers that are busy with this run: %d, others of its version: %d", silent.Round(time.Second), working, other)
}

// withdraw takes back the leases that are still on offer, so that no worker computes what nobody
// waits for, and those of the next job begin at once. Results are kept.
func (k *coordinator) withdraw(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*retry)
	defer cancel()
	s, err := k.js.Stream(ctx, leaseStream)
	if err == nil {
		err = s.Purge(ctx, jetstream.WithPurgeSubject(subject(k.Version, k.ID)))
	}
	if err != nil {
		k.log("workers go on with run %s: %v", k.ID, err)
	}
}

// again is behind a lease that may be done already.
const again = " again"

func (k *coordinator) publish(ctx context.Context, mark string) error {
	const most = 1000 // under way at a time
	for leases := range slices.Chunk(slices.Sorted(maps.Keys(k.missing)), most) {
		err := persist(ctx, k.log, func(ctx context.Context) (failed error) {
			var sent []jetstream.PubAckFuture
			for _, lease := range leases {
				f, err := k.js.PublishAsync(subject(k.Version, k.ID), append(strconv.AppendUint(nil, lease, 10), mark...))
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
