package work

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
)

// heardOf are the workers that a server has heard of lately.
func heardOf(ctx context.Context, c *nats.Conn) ([]Worker, error) {
	q, err := open(ctx, c)
	if err != nil {
		return nil, err
	}
	return q.registered(ctx)
}

// Workers are those that have been heard of lately, each with how far its clock is ahead of this
// machine's, and within what bound.
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

// leftOut says which workers get no lease, and if none gets any.
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

// Addresses are those where workers host members of meshes.
func Addresses(ctx context.Context, c *nats.Conn) (all []string, err error) {
	registered, err := heardOf(ctx, c)
	for _, w := range registered {
		all = append(all, w.Addr)
	}
	return all, err
}

// Ask asks a worker, as the coordinator of a mesh.
func Ask(ctx context.Context, c *nats.Conn, worker string, request []byte) ([]byte, error) {
	m, err := c.RequestWithContext(ctx, hostSubject+worker, request)
	if err != nil {
		return nil, err
	}
	return m.Data, nil
}

// Hosts are n workers of a version that are ready to host a part of a mesh, on different machines
// as far as possible.
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
