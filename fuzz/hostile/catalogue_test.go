package hostile

import (
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"p2plocal/core"
	"p2plocal/core/wire"
)

var epoch = time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC)

func catalogue(testing.TB) []Case {
	return append(DefaultEnv().Cases(Server), DefaultEnv().Cases(Peer)...)
}

func TestCatalogueIsNamed(t *testing.T) {
	t.Parallel()
	cases := catalogue(t)
	if len(cases) < 60 {
		t.Errorf("%d cases, want at least 60", len(cases))
	}
	seen := map[string]bool{}
	last := [2]int{}
	for _, c := range cases {
		if seen[c.Name] {
			t.Errorf("%s is there twice", c.Name)
		}
		seen[c.Name] = true
		if strings.Count(c.Name, "/") != 2 || c.Why == "" || len(c.Steps) == 0 {
			t.Errorf("%s: want a name of three parts, a reason and a step: %+v", c.Name, c)
		}
		if !slices.IsSortedFunc(c.Steps, func(a, b Step) int { return int(a.At - b.At) }) {
			t.Errorf("%s: its steps are not in the order of time", c.Name)
		}
		for _, s := range c.Steps {
			if len(s.Datagram) > core.MaxDatagram {
				t.Errorf("%s: a datagram of %d bytes does not fit into UDP", c.Name, len(s.Datagram))
			}
		}
		last[c.Role]++
	}
	t.Logf("%d cases for the server, %d for a peer", last[Server], last[Peer])
}

// One case alone is the same as among all.
func TestCase(t *testing.T) {
	t.Parallel()
	e := DefaultEnv()
	for _, r := range []Role{Server, Peer} {
		for i, want := range e.Cases(r) {
			if got := e.Case(r, i); !reflect.DeepEqual(got, want) {
				t.Errorf("%s: %+v, want %+v", want.Name, got, want)
			}
		}
	}
}

// rig is one machine in virtual time, polled whenever it is due, with the
// members' keep-alives going on.
type rig struct {
	now     time.Time
	machine core.Machine
	next    time.Time
	beat    time.Time
	members [][]byte // their keep-alives
}

func (r *rig) poll() {
	for {
		out, next := r.machine.Poll(r.now)
		if out.Empty() {
			r.next = next
			return
		}
	}
}

// until lets time go on to t.
func (r *rig) until(t time.Time) {
	for {
		due := t
		if !r.next.IsZero() && r.next.Before(due) {
			due = r.next
		}
		if len(r.members) > 0 && r.beat.Before(due) {
			due = r.beat
		}
		r.now = due
		if len(r.members) > 0 && !due.Before(r.beat) {
			for _, m := range r.members {
				r.machine.Step(due, stranger, m)
			}
			r.beat = r.beat.Add(500 * time.Millisecond)
		}
		r.poll()
		if due.Equal(t) {
			return
		}
	}
}

var stranger = DefaultEnv().Address(FromStranger)

// counting is either machine.
type counting interface {
	core.Machine
	Counters() core.Counters
}

func newDirectory(t testing.TB, e Env) *core.Directory {
	t.Helper()
	d, err := core.NewDirectory(core.DirectoryConfig{Addr: e.Server, Timing: core.DefaultTiming()}, epoch)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func newPeer(t testing.TB, e Env) *core.Peer {
	t.Helper()
	p, err := core.NewPeer(core.PeerConfig{Self: e.Self.Member(e.Server.Addr()), Server: e.Server, Timing: core.DefaultTiming()}, epoch)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestCatalogueAgainstCore(t *testing.T) {
	t.Parallel()
	env := DefaultEnv()
	for _, c := range catalogue(t) {
		t.Run(c.Name, func(t *testing.T) {
			t.Parallel()
			r := &rig{now: epoch, beat: epoch.Add(500 * time.Millisecond)}
			var m counting
			var d *core.Directory
			if c.Role == Server {
				d = newDirectory(t, env)
				r.machine, m = d, d
				for _, e := range env.Members {
					d.Step(epoch, stranger, BirthOf(e))
					r.members = append(r.members, KeepAliveOf(e))
				}
			} else {
				p := newPeer(t, env)
				r.machine, m = p, p
				p.Step(epoch, env.Server, Directory(env.Self, env.Members[0], env.Members[1]))
			}
			r.poll()
			start := epoch.Add(200 * time.Millisecond)
			for i, s := range c.Steps {
				r.until(start.Add(s.At))
				before := m.Counters()
				m.Step(r.now, env.Address(s.From), s.Datagram)
				after := m.Counters()
				if got := after.Events[s.Fate] - before.Events[s.Fate]; got != 1 {
					t.Fatalf("step %d, %x: counted %d times as %v, want once; dropped %+v", i+1, s.Datagram[:min(len(s.Datagram), 32)], got, s.Fate, after.Events)
				}
				if in := after.In.Total().Datagrams - before.In.Total().Datagrams; in != 1 {
					t.Fatalf("step %d counted %d times as come in, want once", i+1, in)
				}
				r.poll()
			}
			r.until(start.Add(c.Span()))
			if d == nil {
				return
			}
			want := map[wire.Entry]bool{}
			for _, e := range slices.Concat(env.Members, c.Left) {
				want[e] = true
			}
			for _, m := range d.Members() {
				if e := wire.EntryOf(m); !want[e] {
					t.Errorf("%v is in the directory", e)
				} else {
					delete(want, e)
				}
			}
			for e := range want {
				t.Errorf("%v is not in the directory", e)
			}
		})
	}
}
