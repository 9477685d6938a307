package main

import (
	"errors"
	"maps"
	"net"
	"slices"
	"sync"
	"sync/atomic"

	"p2plocal/bench/driver"
)

// holder is a member that can be paused.
type holder interface {
	hold(do string, on bool) error
}

// lives are a mesh's members that live, and what is told of them.
type lives[T holder] struct {
	*driver.Reporter
	at               map[string]driver.Place
	datagrams, bytes atomic.Int64 // sent
	mu               sync.Mutex
	all              map[string]T
}

func newLives[T holder](r *driver.Reporter) *lives[T] {
	return &lives[T]{Reporter: r, at: map[string]driver.Place{}, all: map[string]T{}}
}

func (l *lives[T]) place(members []driver.Member) {
	for _, m := range members {
		l.at[m.Name] = m.Place
	}
}

// begin has a member live that start makes, given who lives already.
func (l *lives[T]) begin(member string, start func(others []string) (T, error)) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if _, ok := l.all[member]; ok {
		return errors.New("it lives")
	}
	m, err := start(slices.Sorted(maps.Keys(l.all)))
	if err == nil {
		l.all[member] = m
	}
	return err
}

func (l *lives[T]) life(member string) life {
	return life{to: l.Reporter, name: member, at: l.at[member]}
}

// with does something with a member that lives.
func (l *lives[T]) with(member string, f func(T) error) error {
	l.mu.Lock()
	m, ok := l.all[member]
	l.mu.Unlock()
	if !ok {
		return errors.New("it does not live")
	}
	return f(m)
}

// end ends a member's life: it lives no more from when f begins.
func (l *lives[T]) end(member, do string, f func(T) error) error {
	return l.with(member, func(m T) error {
		at := driver.Now()
		l.mu.Lock()
		delete(l.all, member)
		l.mu.Unlock()
		err := f(m)
		if err == nil {
			l.Report(driver.Report{Type: "done", Do: do, Member: member, At: at})
		}
		return err
	})
}

func (l *lives[T]) Pause(member string) error {
	return l.with(member, func(m T) error { return m.hold("pause", true) })
}

func (l *lives[T]) Resume(member string) error {
	return l.with(member, func(m T) error { return m.hold("resume", false) })
}

func (l *lives[T]) Stats() driver.Stats {
	s := used()
	datagrams, bytes := l.datagrams.Load(), l.bytes.Load()
	s.Datagrams, s.Bytes = &datagrams, &bytes
	return s
}

// failed says that a member could not join.
func (l *lives[T]) failed(member string, err error) {
	l.mu.Lock()
	delete(l.all, member)
	l.mu.Unlock()
	l.Report(driver.Report{Type: "failed", Do: "join", Member: member, Text: err.Error()})
}

// take are all, who are gone then.
func (l *lives[T]) take() []T {
	l.mu.Lock()
	defer l.mu.Unlock()
	all := slices.Collect(maps.Values(l.all))
	clear(l.all)
	return all
}

// life is what a member reports of itself until it is over.
type life struct {
	to   *driver.Reporter
	name string
	at   driver.Place
	gate gate

	mu      sync.Mutex
	over    bool
	streams []net.Conn
}

// report reports, at the time when it was called.
func (l *life) report(r driver.Report) {
	r.Member, r.At = l.name, driver.Now()
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.over {
		l.to.Report(r)
	}
}

// message reports a message that came at this time.
func (l *life) message(b []byte, at int64) {
	from, id, ok := unpack(b)
	l.mu.Lock()
	defer l.mu.Unlock()
	if ok && !l.over {
		l.to.Message(l.name, from, id, at)
	}
}

// finish ends what is reported, and its streams without a word.
func (l *life) finish() {
	l.mu.Lock()
	l.over = true
	for _, c := range l.streams {
		c.Close()
	}
	l.mu.Unlock()
	l.gate.hold(false)
}

// hold pauses it, or has it go on.
func (l *life) hold(do string, on bool) error {
	l.gate.hold(on)
	l.report(driver.Report{Type: "done", Do: do})
	return nil
}
