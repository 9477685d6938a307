package core

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"
)

const ms = time.Millisecond

// PROTOCOL.md, "Server", line by line.
func TestDirectory(t *testing.T) {
	a, b, c := peer('A'), peer('B'), peer('C')
	for _, x := range []struct {
		name string
		play func(*rig)
		want []string
	}{
		{"silent without input", func(r *rig) { r.until(time.Hour) }, nil},
		{"a birth is announced to all, the newcomer included", func(r *rig) {
			r.hear(0, 3101, birth(a))
			r.hear(100*ms, 3102, birth(b))
			r.hear(200*ms, 3103, birth(c))
			r.until(499 * ms)
		}, []string{
			"0s born A:3101", "0s sent directory [A:3101] to [3101]",
			"100ms born B:3102", "100ms sent directory [A:3101 B:3102] to [3101 3102]",
			"200ms born C:3103", "200ms sent directory [A:3101 B:3102 C:3103] to [3101 3102 3103]",
		}},
		{"births read together are announced together", func(r *rig) {
			r.step(0, from(3101), birth(a))
			r.step(0, from(3102), birth(b))
			r.step(0, from(3103), birth(c))
			r.poll()
		}, []string{
			"0s born A:3101", "0s born B:3102", "0s born C:3103",
			"0s sent directory [A:3101 B:3102 C:3103] to [3101 3102 3103]",
		}},
		{"a birth may come from any socket", func(r *rig) {
			r.hear(0, 40000, birth(a))
		}, []string{"0s born A:3101", "0s sent directory [A:3101] to [3101]"}},
		{"a conflicting birth is ignored silently", func(r *rig) {
			r.hear(0, 3101, birth(a))
			r.hear(100*ms, 3102, birth(b))
			r.forget()
			r.hear(200*ms, 3103, birth(named('A', 3103)))
			r.hear(210*ms, 3101, birth(named('C', 3101)))
			r.hear(220*ms, 3102, birth(named('A', 3102))) // both taken, by two
			r.until(499 * ms)
		}, []string{
			"200ms conflict A:3103 with A:3101",
			"210ms conflict C:3101 with A:3101",
			"220ms conflict A:3102 with A:3101",
		}},
		{"a conflicting birth renews nobody's stamp", func(r *rig) {
			r.hear(0, 3101, birth(a))
			r.forget()
			r.hear(900*ms, 3103, birth(named('A', 3103)))
			r.hear(900*ms, 3103, birth(named('C', 3101)))
			r.until(2 * time.Second)
		}, []string{
			"900ms conflict A:3103 with A:3101", "900ms conflict C:3101 with A:3101",
			"2s removed A:3101 after 2s",
		}},
		{"a repeated birth is answered to that port alone, and renews the stamp", func(r *rig) {
			r.hear(0, 3101, birth(a))
			r.hear(0, 3102, birth(b))
			r.forget()
			r.hear(1400*ms, 40000, birth(a))
			r.hear(1400*ms, 3102, keepAlive('B'))
			r.until(2500 * ms)
		}, []string{"1.4s repeated A:3101", "1.4s sent directory [A:3101 B:3102] to [3101]"}},
		{"keep-alives, from any socket, keep a peer", func(r *rig) {
			r.hear(0, 3101, birth(a))
			r.forget()
			for at := 500 * ms; at <= time.Minute; at += 500 * ms {
				r.hear(at, 40000, keepAlive('A'))
			}
		}, nil},
		{"a keep-alive of nobody is ignored", func(r *rig) {
			r.hear(0, 3126, keepAlive('Z'))
			r.hear(1*ms, 3126, keepAlive(' '))
			r.hear(2*ms, 3126, keepAlive('!'))
			r.until(time.Minute)
		}, []string{"0s unknown Z from 3126", "1ms unknown   from 3126", "2ms unknown ! from 3126"}},
		{"a removed peer does not come back by keep-alive, but by birth", func(r *rig) {
			r.hear(0, 3101, birth(a))
			r.until(2 * time.Second)
			r.forget()
			r.hear(2100*ms, 3101, keepAlive('A'))
			r.hear(2200*ms, 3101, birth(a))
		}, []string{
			"2.1s unknown A from 3101",
			"2.2s born A:3101", "2.2s sent directory [A:3101] to [3101]",
		}},
		{"a removed peer's name and port are free", func(r *rig) {
			r.hear(0, 3101, birth(a))
			r.until(2 * time.Second)
			r.forget()
			r.hear(2100*ms, 3199, birth(named('A', 3199)))
			r.hear(2200*ms, 3101, birth(named('Z', 3101)))
		}, []string{
			"2.1s born A:3199", "2.1s sent directory [A:3199] to [3199]",
			"2.2s born Z:3101", "2.2s sent directory [A:3199 Z:3101] to [3101 3199]",
		}},
		{"an entry 1500 ms old stays", func(r *rig) {
			r.hear(0, 3101, birth(a))
			r.forget()
			r.until(1500 * ms)
		}, nil},
		{"an entry 1500.001 ms old goes at the next tick", func(r *rig) {
			r.hear(500*ms-time.Microsecond, 3101, birth(a))
			r.forget()
			r.until(2500 * ms)
		}, []string{"2s removed A:3101 after 1.500001s"}},
		{"1499.999 ms old at one tick, it goes at the one after", func(r *rig) {
			r.hear(500*ms+time.Microsecond, 3101, birth(a))
			r.forget()
			r.until(2500 * ms)
		}, []string{"2.5s removed A:3101 after 1.999999s"}},
		{"those that remain hear once who is left", func(r *rig) {
			for i := range 5 {
				e := peer('A' + rune(i))
				r.hear(time.Duration(i)*20*ms, e.Addr.Port(), birth(e))
			}
			r.hear(1000*ms, 3102, keepAlive('B'))
			r.hear(1000*ms, 3104, keepAlive('D'))
			r.forget()
			r.until(2400 * ms)
		}, []string{
			"2s removed A:3101 after 2s", "2s removed E:3105 after 1.92s", "2s removed C:3103 after 1.96s",
			"2s sent directory [B:3102 D:3104] to [3102 3104]",
		}},
		{"a server that was stopped takes in what waits, and gives everybody one more deadline", func(r *rig) {
			r.hear(0, 3101, birth(a))
			r.hear(0, 3102, birth(b))
			r.forget()
			// Stopped for a minute, it goes on: A's keep-alives wait in the socket,
			// B has died. The driver steps first and polls then.
			r.now = start.Add(time.Minute)
			r.step(time.Minute, from(3101), keepAlive('A'))
			r.step(time.Minute, from(3101), keepAlive('A'))
			r.poll()
			r.until(time.Minute + 1400*ms)
			r.hear(time.Minute+1400*ms, 3101, keepAlive('A'))
			r.until(time.Minute + 2000*ms)
		}, []string{ // B has one more deadline: it may have been stopped, too
			"1m2s removed B:3102 after 1m2s",
			"1m2s sent directory [A:3101] to [3101]",
		}},
		{"a server that looks for the silent a little too late removes them", func(r *rig) {
			r.hear(0, 3101, birth(a))
			r.hear(0, 3102, birth(b))
			r.hear(400*ms, 3102, keepAlive('B'))
			r.until(1500 * ms)
			r.forget()
			r.now = start.Add(2499 * ms)
			r.poll()
		}, []string{"2.499s removed A:3101 after 2.499s", "2.499s removed B:3102 after 2.099s"}},
		{"a third of a deadline is too late", func(r *rig) {
			r.hear(0, 3101, birth(a))
			r.until(1500 * ms)
			r.forget()
			r.now = start.Add(2500 * ms)
			r.poll()
			r.until(4500 * ms)
		}, []string{"4.5s removed A:3101 after 4.5s"}},
	} {
		t.Run(x.name, func(t *testing.T) {
			r, _ := server(t)
			x.play(r)
			r.want(x.want...)
		})
	}
}

// The removal of the last member is no announcement.
func TestNobodyIsTold(t *testing.T) {
	r, d := server(t)
	r.hear(0, 3101, birth(peer('A')))
	r.until(5 * time.Second)
	if n := d.Counters().Events; n[Removed] != 1 || n[Announced] != 1 {
		t.Errorf("%d removed and %d announcements, want 1 each: nobody is left to be told", n[Removed], n[Announced])
	}
}

// Who watches a server sees for how long each member has been silent, as many as it wants to.
func TestSilences(t *testing.T) {
	r, d := server(t)
	r.hear(0, 3101, birth(peer('A')))
	r.hear(100*ms, 3102, birth(peer('B')))
	r.hear(300*ms, 3101, keepAlive('A'))
	want := map[Member]time.Duration{peer('A'): 200 * ms, peer('B'): 400 * ms}
	for m, silence := range d.Silences(start.Add(500 * ms)) {
		if silence != want[m] {
			t.Errorf("%v has been silent for %v, want %v", m, silence, want[m])
		}
		delete(want, m)
	}
	if len(want) > 0 {
		t.Errorf("nothing is said of %v", want)
	}
	for range d.Silences(start) {
		break
	}
}

// However long one looks away, the server looks at multiples of its interval.
func TestReapTicks(t *testing.T) {
	r, _ := server(t)
	for _, late := range []time.Duration{500 * ms, 1000*ms + 1, 2499 * ms, 2500 * ms, 3500 * ms, time.Hour + 1} {
		r.now = start.Add(late)
		r.poll()
		if want := start.Add(late.Truncate(500*ms) + 500*ms); !r.next.Equal(want) {
			t.Errorf("polled at %v, next at %v, want %v", late, r.next.Sub(start), want.Sub(start))
		}
	}
}

// A full directory: 95 names, all in one datagram of 384 bytes, to 95 ports.
func TestFullDirectory(t *testing.T) {
	r, d := server(t)
	for _, e := range every(MaxPeers) {
		r.step(0, e.Addr, birth(e))
	}
	r.poll()
	if got, want := showMembers(d.Members()), showMembers(every(MaxPeers)); got != want {
		t.Errorf("the directory is %s, want %s", got, want)
	}
	if c := d.Counters(); c.Out.Directory != (Traffic{95, 95 * 384}) || c.Events[Announced] != 1 || c.Events[Born] != 95 {
		t.Errorf("one announcement of 95 times 384 bytes wanted: %+v", c)
	}
	r.hear(0, 9999, birth(named('A', 9999))) // there is no 96th name
	if c := d.Counters(); c.Events[Conflict] != 1 || d.Len() != 95 {
		t.Errorf("the 96th: %+v", c)
	}
}

// PROTOCOL.md, "Additions", proof: who was born 1 s ago and has sent no
// keep-alive gives way to whoever wants its name or port.
func TestProof(t *testing.T) {
	const socket = 40000 // that an original sends birth and keep-alives from
	ghost, a := named('A', 9999), peer('A')
	for _, x := range []struct {
		name string
		play func(*rig)
		want []string // of what becomes of A's birth at 1.2 s
	}{
		{"not proven", func(r *rig) {},
			[]string{"1.2s replaced A:9999 by A:3101", "1.2s born A:3101"}},
		{"proven from its own port", func(r *rig) { r.hear(500*ms, 9999, keepAlive('A')) },
			[]string{"1.2s conflict A:3101 with A:9999"}},
		{"proven from where its birth came", func(r *rig) { r.hear(500*ms, socket, keepAlive('A')) },
			[]string{"1.2s conflict A:3101 with A:9999"}},
		{"kept by somebody else's keep-alives", func(r *rig) { r.hear(500*ms, 3101, keepAlive('A')) },
			[]string{"1.2s replaced A:9999 by A:3101", "1.2s born A:3101"}},
		{"kept by its repeated birth", func(r *rig) { r.hear(1100*ms, socket, birth(ghost)) },
			[]string{"1.2s replaced A:9999 by A:3101", "1.2s born A:3101"}},
	} {
		t.Run(x.name, func(t *testing.T) {
			r, _ := server(t)
			r.hear(0, socket, birth(ghost))
			x.play(r)
			r.until(1200*ms - 1)
			r.forget()
			r.step(1200*ms, from(3101), birth(a))
			r.want(x.want...)
		})
	}
	t.Run("replaced, though owed an answer", func(t *testing.T) {
		r, d := server(t)
		r.hear(0, socket, birth(ghost))
		r.step(1200*ms, from(socket), birth(ghost))
		r.forget()
		r.hear(1200*ms, 3101, birth(a))
		r.want("1.2s replaced A:9999 by A:3101", "1.2s born A:3101", "1.2s sent directory [A:3101] to [3101]")
		if !d.nextAnswer.IsZero() {
			t.Errorf("an answer is owed at %v, want none", d.nextAnswer)
		}
	})
	t.Run("younger than 1 s", func(t *testing.T) {
		for _, x := range []struct{ first, second uint16 }{{socket, socket}, {ghost.Addr.Port(), a.Addr.Port()}} { // neither is nearer home
			r, _ := server(t)
			r.hear(0, x.first, birth(ghost))
			r.forget()
			r.hear(1000*ms, x.second, birth(a))
			r.hear(1000*ms+1, x.second, birth(a))
			r.want("1s conflict A:3101 with A:9999",
				"1.000000001s replaced A:9999 by A:3101", "1.000000001s born A:3101",
				"1.000000001s sent directory [A:3101] to [3101]")
		}
	})
	t.Run("a birth from the port that it names", func(t *testing.T) {
		r, _ := server(t)
		r.hear(0, socket, birth(ghost))
		r.forget()
		r.hear(1*ms, 3101, birth(a))
		r.hear(2*ms, socket, birth(ghost))
		r.hear(3*ms, 9999, birth(ghost))
		r.want("1ms replaced A:9999 by A:3101", "1ms born A:3101", "1ms sent directory [A:3101] to [3101]",
			"2ms conflict A:9999 with A:3101", "3ms conflict A:9999 with A:3101")
	})
	t.Run("one of two rivals is proven", func(t *testing.T) {
		r, d := server(t)
		r.hear(0, socket, birth(ghost))
		r.hear(0, 3101, birth(named('Z', 3101)))
		r.hear(500*ms, 3101, keepAlive('Z'))
		r.forget()
		r.hear(1200*ms, 3101, birth(a))
		r.want("1.2s conflict A:3101 with Z:3101")
		if d.Len() != 2 {
			t.Errorf("%d entries, want both", d.Len())
		}
	})
	t.Run("neither of two rivals is proven", func(t *testing.T) {
		r, _ := server(t)
		r.hear(0, socket, birth(ghost))
		r.hear(0, socket, birth(named('Z', 3101)))
		r.forget()
		r.hear(1200*ms, 3101, birth(a))
		r.want("1.2s replaced A:9999 by A:3101", "1.2s replaced Z:3101 by A:3101",
			"1.2s born A:3101", "1.2s sent directory [A:3101] to [3101]")
	})
}

// A directory full of births by one who sends no keep-alive, but repeats them
// for ever, has room for the 95 whose names they are.
func TestFilledDirectory(t *testing.T) {
	r, d := server(t)
	all := every(MaxPeers)
	for at := time.Duration(0); at <= 5*time.Second; at += 100 * ms {
		for _, e := range all {
			r.step(at, from(40000), birth(Member{e.Name, from(e.Addr.Port() + 1000)}))
			if at >= 2*time.Second {
				if at == 2*time.Second {
					r.step(at, e.Addr, birth(e))
				}
				r.step(at, e.Addr, keepAlive(e.Name))
			}
		}
		r.poll()
	}
	if got, want := showMembers(d.Members()), showMembers(all); got != want {
		t.Errorf("the directory is %s, want %s", got, want)
	}
	if c := d.Counters(); c.Events[Replaced] != MaxPeers || c.Events[Removed] != 0 {
		t.Errorf("%d replaced, %d removed; want all %d replaced", c.Events[Replaced], c.Events[Removed], MaxPeers)
	}
}

// PROTOCOL.md, "Additions", patience: silence counts from the last loss, but ends
// an entry after 6 s whatever is lost.
func TestPatience(t *testing.T) {
	a, b := peer('A'), peer('B')
	lose := func(r *rig, d *Directory, from, to time.Duration) {
		for at := from; at <= to; at += 100 * ms {
			r.until(at)
			d.Lost(r.now)
		}
	}
	t.Run("one loss", func(t *testing.T) {
		r, d := server(t)
		r.hear(0, 3101, birth(a))
		r.hear(0, 3102, birth(b))
		lose(r, d, 1200*ms, 1200*ms)
		r.hear(1250*ms, 3102, keepAlive('B'))
		r.forget()
		r.until(10 * time.Second)
		r.want(
			"3s removed A:3101 after 3s", "3s removed B:3102 after 1.75s")
	})
	t.Run("losses for long", func(t *testing.T) {
		r, d := server(t)
		r.hear(0, 3101, birth(a))
		r.forget()
		lose(r, d, 0, 10*time.Second)
		r.want("6.5s removed A:3101 after 6.5s")
	})
	t.Run("heard again when they are over", func(t *testing.T) {
		r, d := server(t)
		r.hear(0, 3101, birth(a))
		r.forget()
		lose(r, d, 100*ms, 5*time.Second)
		r.hear(5100*ms, 3101, keepAlive('A'))
		r.until(6500 * ms)
		r.want()
	})
	t.Run("losses before the last sign of life do not count", func(t *testing.T) {
		r, d := server(t)
		r.hear(0, 3101, birth(a))
		lose(r, d, 100*ms, 300*ms)
		r.hear(400*ms, 3101, keepAlive('A'))
		r.forget()
		r.until(10 * time.Second)
		r.want("2s removed A:3101 after 1.6s")
	})
	t.Run("a newcomer need not give way", func(t *testing.T) {
		r, d := server(t)
		r.hear(0, 3101, birth(a))
		lose(r, d, 100*ms, 900*ms)
		r.forget()
		rival := named('A', 9999)
		r.hear(1900*ms, 9999, birth(rival))
		r.hear(1900*ms+1, 9999, birth(rival))
		r.want("1.9s conflict A:9999 with A:3101", "1.900000001s replaced A:3101 by A:9999",
			"1.900000001s born A:9999", "1.900000001s sent directory [A:9999] to [9999]")
	})
}

// PROTOCOL.md, "Additions", pacing: 760 datagrams in a burst, then 9,500 a second.
func TestPacing(t *testing.T) {
	r, d := server(t)
	var want, got []string
	for i, e := range every(MaxPeers) { // one birth a millisecond, each read on its own
		r.hear(time.Duration(i)*ms, e.Addr.Port(), birth(e))
	}
	r.until(200 * ms)
	for _, line := range r.log {
		if at, what, _ := strings.Cut(line, " "); strings.HasPrefix(what, "sent") {
			got = append(got, at+" "+fmt.Sprint(strings.Count(what, ":31")))
		}
	}
	// Each is announced at once, to one more than the last, while 760 + 9.5 a millisecond
	// have not been sent. From then on the next goes when there is room for all of it.
	for i := range 47 {
		want = append(want, fmt.Sprintf("%v %d", time.Duration(i)*ms, i+1))
	}
	want = append(want, "48.157913ms 49", "53.842124ms 54", "60.263177ms 61", "67.421072ms 68", "75.421072ms 76", "84.368441ms 85", "94.368441ms 95")
	if !slices.Equal(got, want) {
		t.Errorf("sent %q\nwant %q", got, want)
	}
	if c := d.Counters(); c.Events[Announced] != 54 || c.Events[Held] != 7 {
		t.Errorf("%d announcements, %d held; want 54 and 7", c.Events[Announced], c.Events[Held])
	}

	// After a rest the burst is 760 again, and no more for a longer rest.
	r, d = server(t)
	for _, e := range every(85) {
		r.step(0, e.Addr, birth(e))
	}
	r.poll()
	r.until(900 * ms)
	r.forget()
	for i, e := range every(MaxPeers)[85:] { // 86 + ... + 93 = 716, and 94 more are too many
		r.hear(time.Second, e.Addr.Port(), birth(e))
		if sent := strings.Contains(r.log[len(r.log)-1], "sent"); sent != (i < 8) {
			t.Errorf("birth %d after a rest is announced at once: %v", i, sent)
		}
	}
	r.forget()
	r.until(1100 * ms)
	if len(r.log) != 1 || !strings.HasPrefix(r.log[0], "1.005368425s sent") || !strings.HasSuffix(r.log[0], "due 1s") {
		t.Errorf("%q, want one announcement 5.37ms later that was due at 1s", r.log)
	}
	if c := d.Counters(); c.Events[Held] != 1 {
		t.Errorf("%d held, want 1", c.Events[Held])
	}
}

// PROTOCOL.md, "Additions", pacing: a repeated birth is answered at most once
// every 100 ms, and each entry on its own.
func TestRepeatedBirths(t *testing.T) {
	a, b := peer('A'), peer('B')
	r, d := server(t)
	r.hear(0, 3101, birth(a))
	r.hear(0, 3102, birth(b))
	r.forget()
	for at := 1000 * ms; at < 1250*ms; at += 10 * ms {
		r.hear(at, 3101, birth(a))
		if at == 1050*ms {
			r.hear(at, 3102, birth(b))
		}
	}
	r.until(1400 * ms)
	var sent []string
	for _, line := range r.log {
		if !strings.Contains(line, "repeated") {
			sent = append(sent, line)
		}
	}
	r.log = sent
	r.want(
		"1s sent directory [A:3101 B:3102] to [3101]",
		"1.05s sent directory [A:3101 B:3102] to [3102]",
		"1.1s sent directory [A:3101 B:3102] to [3101]",
		"1.2s sent directory [A:3101 B:3102] to [3101]",
		"1.3s sent directory [A:3101 B:3102] to [3101]",
	)
	r.hear(1700*ms, 3101, birth(a)) // long after: no memory of the last
	r.want("1.7s repeated A:3101", "1.7s sent directory [A:3101 B:3102] to [3101]")
	if c := d.Counters(); c.Events[Repeated] != 27 || c.Events[Announced] != 2 {
		t.Errorf("%d repeats, %d announcements; want 27 and 2", c.Events[Repeated], c.Events[Announced])
	}
}

// Answers use up the burst, too.
func TestAnswersArePaidFor(t *testing.T) {
	r, _ := server(t)
	all := every(95)
	for _, e := range all[:80] {
		r.step(0, e.Addr, birth(e))
	}
	r.poll()
	for _, e := range all[:80] {
		r.step(time.Second, e.Addr, birth(e))
	}
	r.poll()
	for _, e := range all[80:] { // 80 answers and 81 + ... + 88 leave 4 of the burst
		r.hear(time.Second, e.Addr.Port(), birth(e))
	}
	r.forget()
	r.until(1100 * ms)
	if len(r.log) != 1 || !strings.HasPrefix(r.log[0], "1.009578951s sent") {
		t.Errorf("%q, want the 9th announcement when 91 more may be sent", r.log)
	}
}

// Who repeats its birth while an announcement waits for its turn does not wait with it.
func TestAnswerBesideHeldAnnouncement(t *testing.T) {
	r, d := server(t)
	all := every(MaxPeers)
	for _, e := range all[:85] {
		r.step(0, e.Addr, birth(e))
	}
	r.poll()
	r.until(900 * ms)
	for _, e := range all[85:] { // the last ones are more than may go at once
		r.hear(time.Second, e.Addr.Port(), birth(e))
	}
	if n := d.Counters().Events[Held]; n != 1 {
		t.Fatalf("%d announcements held, want 1", n)
	}
	r.forget()
	r.hear(time.Second, all[0].Addr.Port(), birth(all[0]))
	if log := fmt.Sprint(r.log); strings.Count(log, "sent") != 1 || !strings.HasSuffix(log, "to [3101]]") {
		t.Errorf("%s, want a directory to 3101 alone", log)
	}
}

// An announcement answers who has asked for now, and not for ever.
func TestAnswerAfterAnnouncement(t *testing.T) {
	a, c := peer('A'), peer('C')
	r, _ := server(t)
	r.hear(0, 3101, birth(a))
	r.forget()
	r.step(400*ms, from(3101), birth(a))
	r.step(400*ms, from(3103), birth(c))
	r.poll()
	r.hear(700*ms, 3101, birth(a))
	r.want("400ms repeated A:3101", "400ms born C:3103", "400ms sent directory [A:3101 C:3103] to [3101 3103]",
		"700ms repeated A:3101", "700ms sent directory [A:3101 C:3103] to [3101]")
}

// Repeats that are read together are answered together, and an announcement
// answers them too.
func TestAnswersTogether(t *testing.T) {
	a, b, c := peer('A'), peer('B'), peer('C')
	r, _ := server(t)
	r.hear(0, 3101, birth(a))
	r.hear(0, 3102, birth(b))
	r.forget()
	r.step(200*ms, from(3101), birth(a))
	r.step(200*ms, from(3102), birth(b))
	r.poll()
	r.want("200ms repeated A:3101", "200ms repeated B:3102", "200ms sent directory [A:3101 B:3102] to [3101 3102]")
	r.step(400*ms, from(3101), birth(a))
	r.step(400*ms, from(3103), birth(c))
	r.poll()
	r.until(499 * ms)
	r.want("400ms repeated A:3101", "400ms born C:3103", "400ms sent directory [A:3101 B:3102 C:3103] to [3101 3102 3103]")
}

// An answer that is owed to a peer which dies meanwhile is not sent, and leaves
// nothing behind. Only a deadline below the gap between answers allows this.
func TestAnswerToTheDead(t *testing.T) {
	a, b := peer('A'), peer('B')
	r, _ := server(t, func(c *DirectoryConfig) { c.Timing.Deadline, c.Timing.Reap = 20*ms, 10*ms })
	r.hear(0, 3101, birth(a))
	r.hear(1*ms, 3101, birth(a))
	r.hear(2*ms, 3101, birth(a)) // owed at 101 ms
	r.forget()
	r.until(30 * ms)
	r.want("30ms removed A:3101 after 28ms")
	r.hear(40*ms, 3102, birth(b))
	r.hear(41*ms, 3102, birth(b))
	r.until(60 * ms)
	r.want("40ms born B:3102", "40ms sent directory [B:3102] to [3102]", "41ms repeated B:3102", "41ms sent directory [B:3102] to [3102]")
}

// PROTOCOL.md, "Additions", pacing: whatever comes in, at most 9,500
// datagrams a second go out, after the burst. Sends fill a bucket that leaks at
// that rate; it must never hold more than the burst and one round of answers,
// which pacing does not hold back but charges. (No log here: it would take its time.)
func TestOutputIsBounded(t *testing.T) {
	const perSecond = 100 * 95
	for seed := range uint64(8) {
		random := rand.New(rand.NewPCG(seed, 1))
		var level, fullest float64
		var last time.Time
		total := 0
		r, d := server(t, func(c *DirectoryConfig) {
			c.Timing.Reap, c.Timing.Deadline = 20*ms, 150*ms // so that there are always names to be born again
			c.Observe = func(e *Event) {
				if e.Kind != Sent {
					return
				}
				if !last.IsZero() {
					level = max(0, level-e.At.Sub(last).Seconds()*perSecond)
				}
				last = e.At
				level += float64(len(e.To))
				fullest = max(fullest, level)
				total += len(e.To)
			}
		})
		all := every(MaxPeers)
		at := time.Duration(0)
		for range 10_000 {
			e := all[random.IntN(len(all))]
			switch random.IntN(20) {
			case 0: // all at once repeat what they have said, or are born
				for _, e := range all[:random.IntN(len(all))+1] {
					r.step(at, e.Addr, birth(e))
				}
				r.poll()
			case 1: // so do all, each on its own
				for _, e := range all {
					r.hear(at, e.Addr.Port(), birth(e))
				}
			case 2, 3:
				r.step(at, e.Addr, keepAlive(e.Name))
			case 4:
				r.hear(at, e.Addr.Port(), birth(Member{e.Name, from(e.Addr.Port() + 1)}))
			case 5:
				at += time.Duration(random.IntN(int(400 * ms)))
			default:
				r.hear(at, e.Addr.Port(), birth(e))
			}
			if random.IntN(4) == 0 {
				at += time.Duration(random.ExpFloat64() * float64(ms))
			}
		}
		r.until(at + time.Second)
		r.out = total
		if fullest > (8+1)*95 {
			t.Errorf("seed %d: %.0f datagrams above the rate, want at most %d", seed, fullest, (8+1)*95)
		}
		if fullest < 7*95 {
			t.Errorf("seed %d: only %.0f datagrams above the rate; this test does not test much", seed, fullest)
		}
		if most := (8+1)*95 + int((at+time.Second).Seconds()*perSecond); total > most {
			t.Errorf("seed %d: %d datagrams in %v, want at most %d", seed, total, at+time.Second, most)
		}
		if c := d.Counters(); c.Events[Held] == 0 || c.Events[Repeated] == 0 || c.Events[Removed] == 0 {
			t.Errorf("seed %d: the schedule was tame: %+v", seed, c)
		}
	}
}

// PROTOCOL.md, "Additions", source check.
func TestSourceCheck(t *testing.T) {
	a := peer('A')
	r, _ := server(t, func(c *DirectoryConfig) { c.SourceCheck = true })
	r.hear(0, 40000, birth(a))
	r.hear(10*ms, 3101, birth(a))
	r.hear(20*ms, 3102, birth(a))
	r.hear(1400*ms, 40000, keepAlive('A'))
	r.hear(1400*ms, 40000, keepAlive('Z'))
	r.until(2 * time.Second)
	stranger := "dropped from %d: " + ErrStranger.Error()
	r.want(
		"0s "+fmt.Sprintf(stranger, 40000),
		"10ms born A:3101", "10ms sent directory [A:3101] to [3101]",
		"20ms "+fmt.Sprintf(stranger, 3102),
		"1.4s "+fmt.Sprintf(stranger, 40000),
		"1.4s unknown Z from 40000",
		"2s removed A:3101 after 1.99s",
	)
	if c := r.counters(); c.Events[Stranger] != 3 || c.Events[Born] != 1 || c.Events[Alive] != 0 {
		t.Errorf("%+v", c)
	}
	r.hear(3000*ms, 3101, birth(a))
	r.hear(3500*ms, 3101, keepAlive('A'))
	r.hear(4000*ms, 3101, keepAlive('A'))
	r.forget()
	r.until(5000 * ms)
	r.want()
}

func TestDirectoryConfig(t *testing.T) {
	for _, c := range []struct {
		change func(*DirectoryConfig)
		want   string
	}{
		{func(c *DirectoryConfig) { c.Addr = from(0) }, "the server's own address is 127.0.0.1:0, want one with a port"},
		{func(c *DirectoryConfig) { c.Timing.Heartbeat = 0 }, "heartbeat interval is 0, want more"},
		{func(c *DirectoryConfig) { c.Timing.Reap = 0 }, "reap interval is 0, want more"},
		{func(c *DirectoryConfig) { c.Timing.Deadline = 0 }, "deadline interval is 0, want more"},
		{func(c *DirectoryConfig) { c.Timing.Reap = -1 }, "reap interval -1ns is negative"},
		{func(c *DirectoryConfig) { c.Timing.Broadcast = -1 }, "broadcast interval -1ns is negative"},
		{func(c *DirectoryConfig) { c.Timing.Retry = -time.Second }, "retry interval -1s is negative"},
		{func(c *DirectoryConfig) { c.Timing.Refresh = -time.Second }, "refresh interval -1s is negative"},
		{func(c *DirectoryConfig) { c.Timing.Broadcast, c.Timing.Retry, c.Timing.Refresh = 0, 0, 0 }, "<nil>"},
	} {
		cfg := DirectoryConfig{Addr: from(serverPort), Timing: DefaultTiming()}
		c.change(&cfg)
		if _, err := NewDirectory(cfg, start); fmt.Sprint(err) != c.want {
			t.Errorf("%v, want %s", err, c.want)
		}
	}
}

func TestDefaultTiming(t *testing.T) {
	want := Timing{Heartbeat: 500 * ms, Reap: 500 * ms, Deadline: 1500 * ms, Broadcast: 4 * time.Second, Retry: 3 * time.Second}
	if got := DefaultTiming(); got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
}

// A machine without an observer works all the same.
func TestNoObserver(t *testing.T) {
	d, _ := NewDirectory(DirectoryConfig{Addr: from(serverPort), Timing: DefaultTiming(), SourceCheck: true}, start)
	p, _ := NewPeer(PeerConfig{Self: peer('A'), Server: from(serverPort), Timing: DefaultTiming()}, start)
	for _, m := range []Machine{d, p} {
		for _, b := range [][]byte{birth(peer('A')), birth(peer('A')), birth(named('A', 9)), birth(named('B', 9)), keepAlive('A'), keepAlive('Z'),
			nil, birth(named('Z', serverPort)), directory(peer('B')), vanilla("hi"), vanilla("hi")} {
			for _, port := range []uint16{3101, serverPort} {
				m.Step(start, from(port), b)
			}
		}
		for now := start; now.Before(start.Add(10 * time.Second)); now = now.Add(500 * ms) {
			for out, _ := m.Poll(now); !out.Empty(); out, _ = m.Poll(now) {
			}
		}
	}
	if c := d.Counters(); c.Events[Born] != 1 || c.Events[Removed] != 1 {
		t.Errorf("server: %+v", c)
	}
	if c := p.Counters(); c.Events[Listed] != 1 || c.Events[Broadcast] != 2 {
		t.Errorf("peer: %+v", c)
	}
}
