package work

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// pool is the cores of one worker.
type pool struct {
	Worker
	queue
	kinds  map[string]Func
	log    func(string, ...any)
	leases atomic.Uint64 // computed

	mu      sync.Mutex
	jobs    map[string]Job
	refused map[string]bool
	busy    map[string]int // cores, by what they do
}

// register says, again and again, that the worker is there.
func (p *pool) register(ctx context.Context) {
	for {
		w := p.Worker
		p.mu.Lock()
		for what := range p.busy {
			w.Busy = max(w.Busy, what)
		}
		p.mu.Unlock()
		w.Busy = max(w.Busy, p.Hosting())
		w.At = time.Now().UTC()
		entry, _ := json.Marshal(w)
		persist(ctx, p.log, func(ctx context.Context) error {
			_, err := p.workers.Put(ctx, w.ID, entry)
			return notKept("that this worker is there", err)
		})
		select {
		case <-ctx.Done():
			return
		case <-time.After(sayBusy()):
		}
	}
}

// core computes one lease after the other. While it computes a short one, it fetches the next.
func (p *pool) core(ctx context.Context, consumer jetstream.Consumer) {
	var told sync.WaitGroup
	defer told.Wait()
	next := make(chan jetstream.Msg)
	for short, asked := false, false; asked || ctx.Err() == nil; {
		if !asked {
			go p.hand(ctx, consumer, next)
		}
		m := <-next
		asked = false
		if m == nil {
			continue
		}
		if ctx.Err() != nil || p.Hosting() != "" {
			m.Nak()
			continue
		}
		if asked = short; asked {
			go p.hand(ctx, consumer, next)
		}
		began := time.Now()
		tell := p.one(ctx, m)
		short = time.Since(began) < retry
		told.Wait() // one result at a time is under way while the next lease is computed
		if tell != nil {
			told.Go(tell)
		}
	}
}

// hand hands over the next lease, or nil if there is none for a while. A lease that is not taken
// soon goes back: nobody else can compute it while it waits here.
func (p *pool) hand(ctx context.Context, consumer jetstream.Consumer, next chan<- jetstream.Msg) {
	if m := p.fetch(ctx, consumer); m != nil {
		select {
		case next <- m:
			return
		case <-time.After(retry):
			m.Nak()
		}
	}
	next <- nil
}

// fetch waits for a lease; nil: there was none for a while.
func (p *pool) fetch(ctx context.Context, consumer jetstream.Consumer) jetstream.Msg {
	if p.Hosting() == "" { // what else it does would show in the mesh
		batch, err := consumer.Fetch(1, jetstream.FetchMaxWait(retry))
		if err == nil {
			return <-batch.Messages()
		}
		p.log("leases: %v", err)
	}
	select {
	case <-ctx.Done():
	case <-time.After(retry):
	}
	return nil
}

// one computes a lease, or leaves it to others. The caller then runs tell, which publishes the
// result.
func (p *pool) one(ctx context.Context, m jetstream.Msg) (tell func()) {
	number, mark := strings.CutSuffix(string(m.Data()), again)
	lease, err := strconv.ParseUint(number, 10, 64)
	if err != nil {
		m.Term() // nobody can
		return nil
	}
	j, err := p.job(ctx, jobOf(m.Subject()))
	switch {
	case errors.Is(err, jetstream.ErrKeyNotFound):
		m.Term()
		return nil
	case err != nil:
		p.log("job %s: %v", jobOf(m.Subject()), err)
		m.NakWithDelay(retry)
		return nil
	}
	f := p.kinds[j.Kind]
	if why := p.unfit(j, f, lease); why != "" {
		p.refuse(j, why)
		m.NakWithDelay(ackWait)
		return nil
	}
	result := resultSubject + j.ID + "." + strconv.FormatUint(lease, 10)
	delivered, err := m.Metadata()
	if (mark || err != nil || delivered.NumDelivered > 1) && p.known(ctx, result) { // another was quicker, or it was this one, whose acknowledgement was lost
		m.Ack()
		return nil
	}
	first, last := j.Units(lease)
	what := fmt.Sprintf("%s %d..%d of run %s", j.Kind, first, last, j.ID)
	p.count(what, 1)
	defer p.count(what, -1)
	working, finished := context.WithCancel(ctx)
	go func() {
		for {
			select {
			case <-working.Done():
				return
			case <-time.After(sayBusy()):
				m.InProgress()
			}
		}
	}()
	d := compute(ctx, j, lease, f)
	if ctx.Err() != nil { // it may not be the whole
		finished()
		m.Nak()
		return nil
	}
	d.Worker = p.ID
	b, _ := json.Marshal(d)
	return func() {
		defer finished()
		err := persist(ctx, p.log, func(ctx context.Context) error {
			_, err := p.js.Publish(ctx, result, b)
			if e := new(jetstream.APIError); errors.As(err, &e) && strings.Contains(e.Description, "maximum messages per subject") {
				return nil // another was first
			}
			return notKept("a result", err)
		})
		if err != nil {
			m.Nak()
			return
		}
		p.leases.Add(1)
		m.Ack()
	}
}

// known reports that a result is there.
func (p *pool) known(ctx context.Context, result string) bool {
	_, err := p.done.GetLastMsgForSubject(ctx, result)
	return err == nil
}

func (p *pool) count(what string, n int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.busy[what] += n; p.busy[what] == 0 {
		delete(p.busy, what)
	}
}

// job looks one up, once.
func (p *pool) job(ctx context.Context, id string) (j Job, err error) {
	p.mu.Lock()
	j, ok := p.jobs[id]
	p.mu.Unlock()
	if ok {
		return j, nil
	}
	entry, err := p.queue.jobs.Get(ctx, id)
	if err != nil {
		return j, err
	}
	if err := json.Unmarshal(entry.Value(), &j); err != nil {
		return j, err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.jobs[id] = j
	return j, nil
}

// unfit is why this worker does not compute a lease; "": it does.
func (p *pool) unfit(j Job, f Func, lease uint64) string {
	switch {
	case f == nil:
		kinds := []string{}
		for kind := range p.kinds {
			kinds = append(kinds, kind)
		}
		slices.Sort(kinds)
		return fmt.Sprintf("it is of kind %q, want one of %v", j.Kind, kinds)
	case j.First > j.Last || lease >= j.Leases():
		return fmt.Sprintf("it has no lease %d", lease)
	}
	return ""
}

// refuse says once for each job why it is left to others.
func (p *pool) refuse(j Job, why string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.refused[j.ID] {
		p.refused[j.ID] = true
		p.log("run %s is left to others: %s", j.ID, why)
	}
}
