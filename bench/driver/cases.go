package driver

import (
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"syscall"
	"time"

	"p2plocal/fuzz/conform"
	"p2plocal/fuzz/figure"
)

// checkCase is one of them.
type checkCase struct {
	id, title, section string
	level              conform.Level
	members            int // who could live; 0: the case starts its driver itself
	most               waits
	renamed            func([]Member)
	do                 func(*trial)
}

// waits are how many times a case waits, at most, for an answer and for all views.
type waits struct{ answers, views int }

// span is what they take at most, once the driver is ready.
func (w waits) span(p patience) time.Duration {
	return time.Duration(w.answers)*p.answer + time.Duration(w.views)*p.view
}

// Cases are all that a driver is tried by.
func Cases() (all []conform.Case) {
	for _, c := range checks {
		all = append(all, conform.Case{ID: "driver/" + c.id, Title: c.title, Section: c.section, Level: c.level,
			Span: defaultPatience.ready + c.most.span(defaultPatience) + ending})
	}
	return all
}

func check(id string) checkCase {
	return checks[slices.IndexFunc(checks, func(c checkCase) bool { return "driver/"+c.id == id })]
}

func mustLine(r Report) []byte {
	line, _ := json.Marshal(r)
	return line
}

const (
	must   = conform.Must
	should = conform.Should
	info   = conform.Info
)

var checks = []checkCase{
	{"init/ready", "init is answered by ready, with a name and a version", "Commands", must, 2, waits{}, nil, func(t *trial) {
		t.seen = t.Ready.Name + " " + t.Ready.Version // without them, Start has failed
	}},
	{"init/unsupported", "what is unsupported is named by types of commands", "Reports", must, 1, waits{}, nil, func(t *trial) {
		for _, what := range t.Ready.Unsupported {
			if _, known := answers[what]; !known && what != "broadcast" && what != "bind" || what == "init" || what == "join" || what == "echo" {
				t.fail("unsupported lists commands other than init, join and echo", "%q", what)
			}
		}
	}},
	{"init/one-member", "a mesh of one is a mesh", "Commands", must, 1, waits{1, 1}, nil, (*trial).whole},
	{"init/eighty-members", "of eighty members everybody comes to see everybody", "Commands", should, 80, waits{0, 1}, nil, func(t *trial) {
		t.joinAtOnce()
		// Not all at the same time: a mesh may take a late machine for the death of some.
		var seen map[[2]string]bool
		all := len(t.members) * (len(t.members) - 1)
		if !t.until(t.view, func(reports []Report) bool {
			seen = map[[2]string]bool{}
			for _, r := range reports {
				for _, name := range slices.Concat(r.Up, r.Members) {
					if name != r.Member {
						seen[[2]string{r.Member, name}] = true
					}
				}
			}
			return len(seen) == all
		}) {
			t.fail(fmt.Sprintf("%[1]s of %[1]s sightings within %[2]v", figure.Grouped(all), t.view), "%s", figure.Grouped(len(seen)))
		}
	}},
	{"init/bind", "where members have bind, others reach them at addr, from bind", "Commands", must, 0, waits{1, 0}, nil, checkBind},
	{"init/names", "names may be any text", "Commands", should, 3, waits{3, 1}, func(m []Member) {
		m[0].Name, m[1].Name, m[2].Name = `a "quoted\ name`, "ünï ☃", "peer-0001"
	}, (*trial).whole},
	{"init/unknown-option", "an option that it does not know is failed", "Commands", should, 0, waits{}, nil, func(t *trial) {
		const want = `init with the option "no-such-option" is failed`
		d, err := Start(t.ctx, Config{Exec: t.exec, Members: nameMembers(1), Options: map[string]string{"no-such-option": "1"}})
		if err == nil {
			d.Kill()
			t.fail(want, "it was ready")
		}
		if !strings.Contains(err.Error(), "failed to init") {
			t.fail(want, "%v", err)
		}
	}},
	{"line/unknown-field", "fields that it does not know are ignored", "The driver protocol", must, 1, waits{1, 0}, nil, func(t *trial) {
		t.need(t.TellLine([]byte(`{"type":"join","member":"m1","colour":{"r":[1,2,{"x":null}]}}` + "\n")))
		t.answered("joined", "m1")
	}},
	{"line/order-of-fields", "fields may come in any order, with blanks", "The driver protocol", must, 1, waits{1, 0}, nil, func(t *trial) {
		t.need(t.TellLine([]byte(` { "member" : "m1" , "type" : "join" } ` + "\r\n")))
		t.answered("joined", "m1")
	}},
	{"line/unknown-command", "a command that it does not know is unsupported or failed", "Reports", should, 1, waits{1, 0}, nil, func(t *trial) {
		t.refused(Command{Type: "dance", Member: "m1"})
	}},
	{"line/no-json", "a line that is no JSON does not end it", "The driver protocol", should, 1, waits{1, 0}, nil, func(t *trial) {
		t.need(t.TellLine([]byte("{\"type\":\n")))
		t.spend(t.answer)
		_, err := t.Echo(t.ctx, t.answer)
		t.need(err)
	}},
	{"line/who", "a member that is none is failed", "Reports", should, 1, waits{1, 0}, nil, func(t *trial) {
		t.refused(Command{Type: "join", Member: "nobody"})
	}},
	{"echo/answered", "echo is answered with its id", "Commands", must, 1, waits{1, 0}, nil, func(t *trial) {
		t.spend(t.answer) // for all
		var longest time.Duration
		end := time.Now().Add(t.answer)
		for range 100 {
			took, err := t.Echo(t.ctx, time.Until(end))
			t.need(err)
			longest = max(longest, took)
		}
		t.seen = fmt.Sprintf("100 echoes, %v at most", longest.Round(time.Microsecond))
	}},
	{"echo/while-joining", "echo is answered while a member joins", "Commands", should, 2, waits{1, 0}, nil, func(t *trial) {
		t.joinAtOnce()
		t.spend(t.answer)
		before, _ := t.proc.Waited()
		took, err := t.Echo(t.ctx, t.answer)
		after, _ := t.proc.Waited()
		const want = "echo is answered within 1 s"
		if err != nil && t.Err() == nil {
			t.fail(want, "%v", err)
		}
		t.need(err)
		if took-(after-before) > time.Second { // in which it had a processor
			t.fail(want, "after %v", took.Round(time.Millisecond))
		}
		t.seen = fmt.Sprint(took.Round(time.Microsecond))
	}},
	{"join/joined", "join is answered by joined", "Commands", must, 2, waits{2, 0}, nil, func(t *trial) { t.join(t.members...) }},
	{"join/views", "who has joined is seen by all", "Reports", must, 5, waits{5, 1}, nil, (*trial).whole},
	{"join/later", "who joins a mesh that stands is seen, and sees it", "Reports", must, 4, waits{4, 2}, nil, func(t *trial) {
		t.join(t.members[:3]...)
		t.see(t.members[:3])
		t.join(t.members[3])
		t.see(t.members)
	}},
	{"join/only-the-joined", "who has not joined is in no view", "Reports", must, 4, waits{2, 1}, nil, func(t *trial) {
		t.join(t.members[:2]...)
		t.see(t.members[:2])
	}},
	{"join/again", "who was killed may join again, and is seen again", "Commands", must, 3, waits{5, 3}, nil, func(t *trial) {
		t.whole()
		t.ask("kill", "m3")
		t.see(t.members[:2])
		t.join(t.members[2])
		t.see(t.members)
	}},
	{"time/monotonic", "a time is CLOCK_MONOTONIC's, of the event", "Time", must, 3, waits{3, 1}, nil, func(t *trial) {
		before := Now()
		t.whole()
		after, stamped := Now(), 0
		for _, r := range t.all() {
			if r.At == 0 || before == 0 {
				continue
			}
			if stamped++; r.At < before || r.At > after {
				t.fail(fmt.Sprintf("times from %d to %d, between which it happened", before, after), "%s", mustLine(r))
			}
		}
		t.seen = fmt.Sprintf("%d of %d reports have a time of their own", stamped, len(t.all()))
	}},
	{"time/in-order", "a member's times do not go back", "Time", should, 5, waits{5, 1}, nil, func(t *trial) {
		t.whole()
		last := map[string]Report{}
		for _, r := range t.all() {
			if r.Type != "view" || r.At == 0 {
				continue
			}
			if before := last[r.Member]; before.At > r.At {
				t.fail("views of "+r.Member+" in the order of their times", "%s after %s", mustLine(r), mustLine(before))
			}
			last[r.Member] = r
		}
	}},
	{"broadcast/to-all", "a message comes to all others, once, under its id and its sender's name", "Commands", must, 4, waits{5, 1}, nil, func(t *trial) {
		t.broadcasts(1, 64)
	}},
	{"broadcast/sizes", "messages of 1, 100 and 1,000 bytes come", "Commands", must, 3, waits{6, 1}, nil, func(t *trial) {
		t.broadcasts(1, 1, 100, 1000)
	}},
	{"broadcast/large-id", "an id may be any number up to 2^63", "Commands", must, 2, waits{3, 1}, nil, func(t *trial) {
		t.broadcasts(1<<62+12345, 64)
	}},
	{"broadcast/burst", "of 500 messages at once all come, and none twice", "Reports", info, 3, waits{4, 1}, nil, func(t *trial) {
		const n, burst = 500, 3 * time.Second
		t.whole()
		for id := range uint64(n) {
			t.need(t.Tell(Command{Type: "broadcast", Member: "m1", ID: id + 1, Size: 64}))
		}
		came := 0
		t.until(min(burst, t.answer), func(all []Report) bool {
			came = 0
			for _, r := range all {
				if r.Type == "message" {
					came++
				}
			}
			return came >= 2*n
		})
		t.seen = fmt.Sprintf("%s of %s came", figure.Grouped(came), figure.Grouped(2*n))
	}},
	{"kill/done", "kill is answered by done", "Commands", must, 2, waits{3, 1}, nil, func(t *trial) {
		t.whole()
		t.ask("kill", "m2")
	}},
	{"kill/noticed", "the others drop who was killed", "Reports", must, 4, waits{5, 2}, nil, func(t *trial) { t.ends("kill") }},
	{"kill/silent", "nothing is reported of the dead", "Reports", must, 3, waits{4, 2}, nil, func(t *trial) {
		t.whole()
		t.ask("kill", "m2")
		t.need(t.Tell(Command{Type: "broadcast", Member: "m1", ID: 7, Size: 64}))
		t.see([]Member{t.members[0], t.members[2]})
		t.silent("m2", "kill")
	}},
	{"leave/noticed", "the others drop who has left", "Commands", must, 4, waits{5, 2}, nil, func(t *trial) { t.ends("leave") }},
	{"pause/silent", "a paused member takes nothing until it is resumed, and then goes on", "Commands", must, 3, waits{6, 2}, nil, func(t *trial) {
		t.whole()
		t.ask("pause", "m2")
		t.need(t.Tell(Command{Type: "broadcast", Member: "m1", ID: 7, Size: 64}))
		if !t.until(t.answer, func(all []Report) bool { return received(all, 7)["m3"] > 0 }) {
			t.fail("m3 gets what m1 says", "nothing came")
		}
		t.silent("m2", "pause")
		t.ask("resume", "m2")
		t.see(t.members)
	}},
	{"stats/answered", "stats are answered, and do not shrink", "Reports", must, 2, waits{4, 1}, nil, func(t *trial) {
		t.whole()
		first, second := t.ask("stats", ""), t.ask("stats", "")
		for _, x := range []struct {
			what          string
			before, after *int64
		}{{"cpu", first.CPU, second.CPU}, {"datagrams", first.Datagrams, second.Datagrams}, {"bytes", first.Bytes, second.Bytes}} {
			if x.before != nil && (x.after == nil || *x.after < *x.before) {
				t.fail(x.what+" do not shrink", "%s, then %s", mustLine(first), mustLine(second))
			}
		}
	}},
	{"stop/exits", "stop ends it with 0", "Commands", must, 3, waits{3, 1}, nil, func(t *trial) {
		t.whole()
		t.need(t.Tell(Command{Type: "stop"}))
		t.exits()
	}},
	{"stop/end-of-input", "the end of input ends it", "Commands", must, 1, waits{}, nil, func(t *trial) {
		t.in.Close()
		t.exits()
	}},
	{"stop/at-once", "stop ends it while members join", "Commands", should, 3, waits{}, nil, func(t *trial) {
		t.joinAtOnce()
		t.need(t.Tell(Command{Type: "stop"}))
		t.exits()
	}},
}

// joinAtOnce has all begin to join, and waits for none.
func (t *trial) joinAtOnce() {
	for _, m := range t.members {
		t.need(t.Tell(Command{Type: "join", Member: m.Name}))
	}
}

// comes waits for a report that is what is wanted.
func (t *trial) comes(wanted string, is func(Report) bool) {
	if t.until(t.answer, func(all []Report) bool { return slices.ContainsFunc(all, is) }) {
		return
	}
	last := "nothing"
	if all := t.all(); len(all) > 0 {
		last = string(mustLine(all[len(all)-1]))
	}
	t.fail(wanted, "%s", last)
}

// answered waits for a report of a type about a member.
func (t *trial) answered(kind, member string) {
	t.comes(fmt.Sprintf("%q of %s within %v", kind, member, t.answer), func(r Report) bool { return r.Type == kind && r.Member == member })
}

// refused gives a command that cannot be obeyed.
func (t *trial) refused(c Command) {
	t.need(t.Tell(c))
	t.comes(`"unsupported" or "failed"`, func(r Report) bool { return r.Type == "unsupported" || r.Type == "failed" })
}

// broadcasts has the first say something of each size, from an id on.
func (t *trial) broadcasts(id uint64, sizes ...int) {
	t.whole()
	others := t.members[1:]
	for _, size := range sizes {
		t.need(t.Tell(Command{Type: "broadcast", Member: "m1", ID: id, Size: size}))
		all := fmt.Sprintf("a message of %d bytes comes to %s", size, namesOf(others))
		if !t.until(t.answer, func(all []Report) bool { return len(received(all, id)) >= len(others) }) {
			t.fail(all, "after %v, %d of %d have it", t.answer, len(received(t.all(), id)), len(others))
		}
		time.Sleep(quiet) // for what comes once more
		for _, r := range t.all() {
			if r.Type == "message" && (r.ID != id && r.ID >= id || r.From != "m1" || r.Member == "m1") {
				t.fail(all, "%s", mustLine(r))
			}
		}
		for name, n := range received(t.all(), id) {
			if n != 1 {
				t.fail(all+" once", "%s has it %d times", name, n)
			}
		}
		id++
	}
}

// ends has the last member end in a way, which the others must notice.
func (t *trial) ends(how string) {
	t.whole()
	left := t.members[:len(t.members)-1]
	t.ask(how, t.members[len(left)].Name)
	start := time.Now()
	t.see(left)
	t.seen = fmt.Sprintf("noticed by all after %v", time.Since(start).Round(time.Millisecond))
}

// silent says that nothing was reported of a member after a command was done.
func (t *trial) silent(member, do string) {
	time.Sleep(quiet)
	done := false
	for _, r := range t.all() {
		if r.Member != member {
			continue
		}
		if done && r.Type != "log" {
			t.fail(fmt.Sprintf("nothing of %s after its %s", member, do), "%s", mustLine(r))
		}
		done = done || r.Type == "done" && r.Do == do
	}
}

// exits says that the driver ends, and well.
func (t *trial) exits() {
	start := time.Now()
	if !t.Driver.ends() {
		t.fail(fmt.Sprintf("it ends within %v", stopTimeout), "it goes on")
	}
	if state, _ := t.proc.State(); !state.Success() {
		t.fail("it exits with 0", "%s", t.proc.Ended())
	}
	t.seen = fmt.Sprintf("after %v", time.Since(start).Round(time.Millisecond))
}

// listenAt gives members addresses, has them bound elsewhere, and says from where something comes to those addresses.
func listenAt(all []Member) (came chan netip.AddrPort, release func(), err error) {
	free, err := Addresses(all)
	if err != nil {
		return nil, nil, err
	}
	Bind(all)
	open := []func(){free}
	end := func() {
		for _, f := range open {
			f()
		}
	}
	defer func() {
		if err != nil {
			end()
		}
	}()
	const many = 100
	came = make(chan netip.AddrPort, many)
	arrived := func(from netip.AddrPort) {
		select {
		case came <- from:
		default:
		}
	}
	for _, m := range all {
		u, err := net.ListenUDP("udp4", net.UDPAddrFromAddrPort(m.Addr))
		if err != nil {
			return nil, nil, err
		}
		open = append(open, func() { u.Close() })
		go func() {
			for {
				_, from, err := u.ReadFromUDPAddrPort(nil)
				if err != nil {
					return
				}
				arrived(from)
			}
		}()
		l, err := net.ListenTCP("tcp4", net.TCPAddrFromAddrPort(m.Addr))
		if err != nil {
			return nil, nil, err
		}
		open = append(open, func() { l.Close() })
		go func() {
			for {
				c, err := l.Accept()
				if err != nil {
					return
				}
				arrived(c.RemoteAddr().(*net.TCPAddr).AddrPort())
				c.Close()
			}
		}()
	}
	return came, end, nil
}

// checkBind has two members bound elsewhere than they are reached, and waits for what
// somebody sends to where that is.
func checkBind(t *trial) {
	all := nameMembers(3)
	came, release, err := listenAt(all)
	for tries := 1; errors.Is(err, syscall.EADDRINUSE) && tries < 10; tries++ { // somebody has taken one of the ports meanwhile
		came, release, err = listenAt(all)
	}
	t.need(err)
	defer release()
	t.members = all[:2]
	t.start(&all[2].Place)
	defer t.Kill()
	if slices.Contains(t.Ready.Unsupported, "bind") {
		t.need(fmt.Errorf("bind: %w by this driver", ErrUnsupported))
	}
	t.joinAtOnce()
	t.spend(t.answer)
	select {
	case from := <-came:
		if !slices.ContainsFunc(all, func(m Member) bool { return m.Bind.Addr() == from.Addr() }) {
			t.fail(fmt.Sprintf("members send from where they are bound, such as %v", all[0].Bind), "%v", from)
		}
	case <-time.After(t.answer):
		t.fail(fmt.Sprintf("members that are bound elsewhere are reached at their addr, such as %v", all[0].Addr), "nothing came there within %v", t.answer)
	case <-t.read:
		t.need(t.Err())
	case <-t.ctx.Done():
		t.need(t.ctx.Err())
	}
}
