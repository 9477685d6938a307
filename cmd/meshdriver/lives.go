package main

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"net"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

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

// gate is what a member's traffic passes, and is held at while it is paused.
type gate struct {
	shut sync.RWMutex // held for writing meanwhile
	held atomic.Bool
}

// pass waits until the member is not paused.
func (g *gate) pass() {
	g.shut.RLock()
	defer g.shut.RUnlock()
}

func (g *gate) hold(on bool) {
	if g.held.CompareAndSwap(!on, on) {
		if on {
			g.shut.Lock()
		} else {
			g.shut.Unlock()
		}
	}
}

// dial opens a stream from where a member is bound, by which a relay knows whose it is.
// It ends with the member, and is counted where that is wanted.
func (l *life) dial(to string, most time.Duration, sent, received *atomic.Int64) (net.Conn, error) {
	l.gate.pass()
	d := net.Dialer{Timeout: most}
	if l.at.Bind.IsValid() {
		d.LocalAddr = &net.TCPAddr{IP: l.at.Bind.Addr().AsSlice()}
	}
	c, err := d.Dial("tcp", to)
	if err != nil {
		return nil, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.over {
		c.Close()
	}
	l.streams = append(l.streams, c)
	return &gated{Conn: c, gate: &l.gate, sent: sent, received: received}, nil
}

// gated is a stream through a gate. What it sends and receives is counted where
// that is wanted.
type gated struct {
	net.Conn
	gate           *gate
	sent, received *atomic.Int64
}

func (c *gated) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	c.gate.pass()
	if c.received != nil {
		c.received.Add(int64(n))
	}
	return n, err
}

func (c *gated) Write(b []byte) (int, error) {
	c.gate.pass()
	n, err := c.Conn.Write(b)
	c.sent.Add(int64(n))
	return n, err
}

// pack is a message, as text: its id, its sender's name, and noise up to its size.
func pack(id uint64, from string, size int) []byte {
	b := fmt.Appendf(nil, "%d %q\n", id, from)
	return append(b, noise()[:min(max(0, size-len(b)), len(noise()))]...)
}

// unpack is what a message says; false: it is none.
func unpack(b []byte) (from string, id uint64, ok bool) {
	line, _, _ := bytes.Cut(b, []byte{'\n'})
	number, name, _ := bytes.Cut(line, []byte{' '})
	id, err := strconv.ParseUint(string(number), 10, 64)
	if err == nil {
		from, err = strconv.Unquote(string(name))
	}
	return from, id, err == nil
}

// noise is what fills messages up: zeros a library compresses away, which no text of anybody's
// is, and our exact dialect's text ends at one.
var noise = sync.OnceValue(func() []byte {
	b := make([]byte, 1<<16)
	rand.NewChaCha8([32]byte{}).Read(b)
	return bytes.ReplaceAll(b, []byte{0}, []byte{1})
})
