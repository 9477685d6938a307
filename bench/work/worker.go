package work

import (
	"context"
	"strconv"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

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

// Work computes leases of jobs of its version until ctx is done, and returns how many. A lease that
// is under way then is given back.
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
