package core

import (
	"encoding/hex"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"
)

// The mesh of the tests: the server on port 3000, peer A on 3101, B on 3102, …
const serverPort = 3000

var (
	host  = netip.MustParseAddr("127.0.0.1")
	start = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
)

func from(port uint16) netip.AddrPort { return netip.AddrPortFrom(host, port) }

func named(name rune, port uint16) Member { return Member{Name(name), from(port)} }
func peer(name rune) Member               { return named(name, 3101+uint16(name-'A')) }

var exact = &Exact{host}

func birth(m Member) []byte { return exact.Append(nil, &Message{Type: TypeBirth, Member: m}) }
func keepAlive[N rune | Name](n N) []byte {
	return exact.Append(nil, &Message{Type: TypeKeepAlive, Member: Member{Name: Name(n)}})
}
func vanilla(s string) []byte { return exact.Append(nil, &Message{Type: TypeVanilla, Text: []byte(s)}) }
func directory(all ...Member) []byte {
	b, _ := exact.AppendDirectory(nil, nil, Version{}, all)
	return b
}

// parse is what the codec makes of a datagram.
func parse(datagram []byte) (v Message, err error) {
	err = exact.Parse(&v, datagram)
	return v, err
}

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.ReplaceAll(s, " ", ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// show is a valid datagram as the tests' logs have it. The order of a
// directory's entries is free, so it is sorted.
func show(datagram []byte) string {
	v, err := parse(datagram)
	if err != nil {
		return err.Error()
	}
	switch v.Type {
	case TypeBirth:
		return "birth " + showMember(v.Member)
	case TypeKeepAlive:
		return "keep-alive " + string(v.Member.Name)
	case TypeVanilla:
		return fmt.Sprintf("vanilla %q", v.Text)
	}
	return "directory " + showMembers(slices.Collect(Members{codec: exact, list: v.List, n: v.Len}.Each()))
}

func showMember(m Member) string { return fmt.Sprintf("%s:%d", m.Name, m.Addr.Port()) }

func showMembers(all []Member) string {
	var s []string
	for _, m := range all {
		s = append(s, showMember(m))
	}
	slices.Sort(s)
	return fmt.Sprint(s)
}

// rig drives one machine through virtual time as the driver would, and keeps a
// log of all that it does. What the machine counts is checked against the log
// when the test ends.
type rig struct {
	t    testing.TB
	m    Machine
	now  time.Time
	next time.Time
	log  []string

	steps, out, dropped int
}

func newRig(t testing.TB) *rig {
	r := &rig{t: t, now: start}
	t.Cleanup(r.checkCounters)
	return r
}

// server is a rig for a directory server with the protocol's timing.
func server(t testing.TB, change ...func(*DirectoryConfig)) (*rig, *Directory) {
	t.Helper()
	r := newRig(t)
	cfg := DirectoryConfig{Addr: from(serverPort), Timing: DefaultTiming(), Observe: r.observe}
	for _, f := range change {
		f(&cfg)
	}
	d, err := NewDirectory(cfg, start)
	if err != nil {
		t.Fatal(err)
	}
	r.m = d
	r.poll()
	return r, d
}

// member is a rig for peer A with the protocol's timing.
func member(t testing.TB, change ...func(*PeerConfig)) (*rig, *Peer) {
	t.Helper()
	r := newRig(t)
	cfg := PeerConfig{Self: peer('A'), Server: from(serverPort), Timing: DefaultTiming(), Observe: r.observe}
	for _, f := range change {
		f(&cfg)
	}
	p, err := NewPeer(cfg, start)
	if err != nil {
		t.Fatal(err)
	}
	r.m = p
	r.poll()
	return r, p
}

func (r *rig) say(format string, args ...any) {
	r.log = append(r.log, fmt.Sprintf("%v ", r.now.Sub(start))+fmt.Sprintf(format, args...))
}

func (r *rig) observe(e *Event) {
	peer, other := showMember(e.Peer), showMember(e.Other)
	switch e.Kind {
	case Sent:
		r.out += len(e.To)
		var ports []uint16
		for _, a := range e.To {
			ports = append(ports, a.Port())
		}
		slices.Sort(ports)
		late := ""
		if e.Elapsed != 0 {
			late = fmt.Sprintf(" due %v", e.At.Add(-e.Elapsed).Sub(start))
		}
		r.say("sent %s to %v%s", show(e.Data), ports, late)
	case Malformed, Rejected, Misdirected, Stranger:
		r.dropped++
		r.say("dropped from %d: %v", e.Peer.Addr.Port(), e.Err)
	case Born:
		r.say("born %v", peer)
	case Repeated:
		r.say("repeated %v", peer)
	case Conflict:
		r.say("conflict %v with %v", peer, other)
	case Replaced:
		r.say("replaced %v by %v", peer, other)
	case Removed:
		r.say("removed %v after %v", peer, e.Elapsed)
	case Unknown:
		r.say("unknown %v from %d", e.Peer.Name, e.Peer.Addr.Port())
	case Listed:
		r.say("directory %s", showMembers(slices.Collect(e.All.Each())))
	case Heard:
		r.say("message from %v: %q", peer, e.Data)
	case Unanswered:
		r.say("unanswered for %v", e.Elapsed)
	}
}

// poll polls the machine until it has nothing more to send now.
func (r *rig) poll() {
	for range 10_000 {
		out, next := r.m.Poll(r.now)
		if out.Empty() {
			if r.next = next; !next.IsZero() && !next.After(r.now) {
				r.t.Fatalf("%v: nothing to send, but to be polled again at %v", r.now.Sub(start), next.Sub(start))
			}
			return
		}
	}
	r.t.Fatalf("%v: no end of sending", r.now.Sub(start))
}

// until lets time pass up to and with at, polling whenever the machine asks.
func (r *rig) until(at time.Duration) {
	for end := start.Add(at); ; r.poll() {
		if r.next.IsZero() || r.next.After(end) {
			r.now = end
			return
		}
		r.now = r.next
	}
}

// step lets time pass to just before at, then takes one datagram in at at, and says whether the
// machine is to be polled. It does not: a driver takes in all that has come first.
func (r *rig) step(at time.Duration, from netip.AddrPort, datagram []byte) (poll bool) {
	if at > r.now.Sub(start) {
		r.until(at - 1)
	}
	r.now = start.Add(at)
	r.steps++
	return r.m.Step(r.now, from, datagram)
}

// hear is step, and poll after it.
func (r *rig) hear(at time.Duration, port uint16, datagram []byte) {
	r.step(at, from(port), datagram)
	r.poll()
}

// want compares the log so far with lines, and empties it.
func (r *rig) want(lines ...string) {
	r.t.Helper()
	if !slices.Equal(r.log, lines) {
		r.t.Errorf("got\n\t%s\nwant\n\t%s", strings.Join(r.log, "\n\t"), strings.Join(lines, "\n\t"))
	}
	r.log = nil
}

func (r *rig) forget() { r.log = nil }

func (r *rig) counters() Counters { return r.m.(interface{ Counters() Counters }).Counters() }

// checkCounters checks the equations that the comment on Counters promises.
func (r *rig) checkCounters() {
	c := r.counters()
	n := c.Events
	dropped := n.Dropped()
	if in := c.In.Total().Datagrams; in != uint64(r.steps) {
		r.t.Errorf("%d datagrams in, %d counted", r.steps, in)
	}
	if out := c.Out.Total().Datagrams; out != uint64(r.out) {
		r.t.Errorf("%d datagrams out, %d counted", r.out, out)
	}
	if dropped != uint64(r.dropped) {
		r.t.Errorf("%d datagrams dropped, %d counted", r.dropped, dropped)
	}
	taken := n[Listed] + n[Heard]
	if _, ok := r.m.(*Directory); ok {
		taken = n[Born] + n[Repeated] + n[Conflict] + n[Alive] + n[Unknown]
	}
	if in := c.In.Total().Datagrams; in != dropped+taken {
		r.t.Errorf("%d in, but %d dropped and %d taken: %+v", in, dropped, taken, c)
	}
}

// refusals is how many datagrams each reason has dropped.
func (c Counters) refusals() map[error]uint64 {
	return map[error]uint64{ErrMalformed: c.Events[Malformed], ErrRejected: c.Events[Rejected],
		ErrMisdirected: c.Events[Misdirected], ErrStranger: c.Events[Stranger]}
}

func class(err error) error {
	for _, c := range []error{ErrMalformed, ErrRejected, ErrMisdirected, ErrStranger} {
		if errors.Is(err, c) {
			return c
		}
	}
	return nil
}
