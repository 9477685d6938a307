package core_test

import (
	"bytes"
	"fmt"
	"net/netip"
	"runtime"
	"slices"
	"testing"
	"time"

	"p2plocal/core"
	"p2plocal/core/wide"
)

const ms = time.Millisecond

var (
	begin      = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	serverAddr = netip.MustParseAddrPort("192.0.2.1:3000")
	anaAddr    = netip.MustParseAddrPort("192.0.2.2:4000")
	boAddr     = netip.MustParseAddrPort("192.0.2.3:4000")
	ana, bo    = core.Member{Name: "ana", Addr: anaAddr}, core.Member{Name: "bo", Addr: boAddr}
	codec      wide.Codec
)

// ruled is a peer with Rules, ana of incarnation 7, in virtual time.
type ruled struct {
	*testing.T
	*core.Peer
	now   time.Time
	told  []core.Kind
	after time.Duration // since its birth, when it was told that nothing has answered
}

func newRuled(t *testing.T) *ruled {
	r := &ruled{T: t, now: begin}
	timing := wide.DefaultTiming()
	timing.Broadcast = 0
	var err error
	r.Peer, err = core.NewPeer(core.PeerConfig{Self: core.Member{Name: "ana"}, Server: serverAddr, Codec: codec, Timing: timing,
		Rules: &core.Rules{Incarnation: 7, Page: core.NewPage,
			Listing: func(_ core.Version, pages []*core.Page) *core.Listing { return core.NewListing(codec, pages) }},
		Observe: func(e *core.Event) {
			if e.Kind != core.Sent {
				r.told = append(r.told, e.Kind)
			}
			if e.Kind == core.Unanswered {
				r.after = e.Elapsed
			}
		}}, begin)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// sends is what the peer sends at a time, all of it.
func (r *ruled) sends(at time.Duration) (all []core.Message) {
	r.Helper()
	r.now = begin.Add(at)
	for {
		out, _ := r.Poll(r.now)
		if out.Empty() {
			return all
		}
		var v core.Message
		if err := codec.Parse(&v, slices.Clone(out.Datagram)); err != nil {
			r.Fatal(err)
		}
		all = append(all, v)
	}
}

// hears is what a datagram counts as.
func (r *ruled) hears(from netip.AddrPort, datagram []byte) core.Kind {
	r.Helper()
	before := len(r.told)
	r.Step(r.now, from, datagram)
	for i := range datagram {
		datagram[i] = 0xAA // it keeps nothing
	}
	if len(r.told) != before+1 {
		r.Fatalf("%d events of one datagram", len(r.told)-before)
	}
	return r.told[before]
}

func (r *ruled) want(what string, got, want core.Kind) {
	r.Helper()
	if got != want {
		r.Errorf("%s counts as one of %v, want %v", what, got, want)
	}
}

// births wants certain births and nothing else sent at a time, and gives the last one's number.
func (r *ruled) births(at time.Duration, tokens ...string) (seq uint32) {
	r.Helper()
	all := r.sends(at)
	var got []string
	for _, v := range all {
		if !r.Joined() && v.Version != (core.Version{}) {
			r.Errorf("at %v: who is no member shows the version %v", at, v.Version)
		}
		if v.Type == core.TypeBirth {
			got, seq = append(got, string(v.Token)), v.Seq
		}
	}
	if !slices.Equal(got, tokens) {
		r.Errorf("at %v: births with the tokens %q, want %q", at, got, tokens)
	}
	return seq
}

func version(incarnation uint64, number uint32) core.Version {
	return core.Version{incarnation, number}
}

func retry(incarnation uint64, seq uint32, v core.Version, token string) []byte {
	return codec.Append(nil, &core.Message{Type: core.TypeRetry, Incarnation: incarnation, Seq: seq, Version: v, Token: []byte(token)})
}

func page(v core.Version, all ...core.Member) []byte {
	b, _ := codec.AppendDirectory(nil, nil, v, all)
	return b
}

func message(v core.Version, to core.Name) []byte {
	return codec.Append(nil, &core.Message{Type: core.TypeVanilla, Version: v, Member: core.Member{Name: to}, Text: []byte("hello")})
}

var none, first, second = string(make([]byte, 20)), "the first token, 20 b", "another token, 20 by."

func init() { first, second = first[:20], second[:20] }

// A retry has the peer be born at once, with the token in it, but for one that answers a birth
// with a token: then the next birth comes when it is due.
func TestRetry(t *testing.T) {
	r := newRuled(t)
	seq := r.births(0, none)
	r.want("a retry of another incarnation", r.hears(serverAddr, retry(8, seq, version(1, 1), second)), core.Stranger)
	r.want("one from elsewhere", r.hears(boAddr, retry(7, seq, version(1, 1), second)), core.Stranger)
	r.want("one of a birth to come", r.hears(serverAddr, retry(7, seq+1, version(1, 1), second)), core.Stranger)
	r.births(5 * ms)
	r.want("a retry", r.hears(serverAddr, retry(7, seq, version(1, 1), first)), core.Retried)
	r.want("the same again", r.hears(serverAddr, retry(7, seq, version(1, 1), second)), core.Stranger)
	if next := r.births(10*ms, first); seq != 1 || next != 2 {
		t.Errorf("the first births have the numbers %d and %d", seq, next)
	}
	seq = 2
	r.want("the answer to a token", r.hears(serverAddr, retry(7, seq, version(1, 1), second)), core.Retried)
	r.births(20 * ms)
	r.births(499 * ms)
	r.births(510*ms, second)
	r.want("the directory", r.hears(serverAddr, page(version(1, 2), ana)), core.Listed)
	if !r.Joined() {
		t.Error("named by a directory, it has not joined")
	}
	r.births(3 * time.Second)
}

// A member whom the server no longer knows is none until a directory names it again, and says
// that it waits from that time on.
func TestRetryOfAMember(t *testing.T) {
	r := newRuled(t)
	r.births(0, none)
	r.hears(serverAddr, retry(7, 1, version(1, 1), first))
	r.births(10*ms, first)
	r.want("a directory without it", r.hears(serverAddr, page(version(1, 2), bo)), core.Listed)
	if r.Joined() || !slices.Equal(r.Others(), []core.Member{bo}) {
		t.Errorf("a directory of others: joined %v, knows %v, want no and all of them", r.Joined(), r.Others())
	}
	r.want("its directory", r.hears(serverAddr, page(version(1, 3), bo, ana)), core.Listed)
	r.want("the same again", r.hears(serverAddr, page(version(1, 3), bo, ana)), core.Paged)
	if !r.Joined() || len(r.Others()) != 1 {
		t.Errorf("joined %v, others %v", r.Joined(), r.Others())
	}
	var alive core.Message
	for _, v := range r.sends(5010 * ms) {
		alive = v
	}
	if alive.Type != core.TypeKeepAlive || alive.Version != version(1, 3) {
		t.Fatalf("a member sends %+v", alive)
	}
	r.want("an older retry", r.hears(serverAddr, retry(7, alive.Seq, version(1, 2), second)), core.Stranger)
	r.want("a new server's retry", r.hears(serverAddr, retry(7, alive.Seq, version(9, 0), second)), core.Retried)
	if r.Joined() {
		t.Error("a member that the server does not know has joined")
	}
	r.births(5010*ms, second)
	r.want("the old server's directory", r.hears(serverAddr, page(version(1, 4), ana)), core.Paged)
	for at := 5510 * ms; r.after == 0 && at < 10*time.Second; at += 500 * ms {
		r.births(at, second)
	}
	if r.after < 500*ms || r.after > time.Second {
		t.Errorf("it says that it has waited for %v, want no more than since the retry", r.after)
	}
	r.want("the new server's directory", r.hears(serverAddr, page(version(9, 1), ana)), core.Listed)
	if r.births(10 * time.Second); !r.Joined() {
		t.Error("the new server's directory has not let it join")
	}
	for _, v := range r.sends(10500 * ms) {
		r.want("a retry with the version that it has", r.hears(serverAddr, retry(7, v.Seq, version(9, 1), second)), core.Retried)
	}
}

// Who is disconnected learns from a retry, and stays silent.
func TestRetryToTheDisconnected(t *testing.T) {
	r := newRuled(t)
	seq := r.births(0, none)
	r.Disconnect()
	r.want("a retry", r.hears(serverAddr, retry(7, seq, version(1, 1), first)), core.Retried)
	if all := r.sends(5 * time.Second); len(all) != 0 || r.Joined() || r.Online() {
		t.Errorf("it sends %v", all)
	}
}

// Who is no member yet has waited since its first birth, whatever retries have come.
func TestRetryIsNoAnswer(t *testing.T) {
	r := newRuled(t)
	seq := r.births(0, none)
	r.births(400 * ms)
	r.want("a retry", r.hears(serverAddr, retry(7, seq, version(1, 1), first)), core.Retried)
	r.births(401*ms, first)
	r.births(901*ms, first)
	if r.after != 901*ms {
		t.Errorf("at 901 ms it says that it has waited for %v", r.after)
	}
}

// A message counts if it is for all or for this peer, and was sent by one who could know it:
// no earlier than at the first retry of its server, or of the one before.
func TestFreshMessages(t *testing.T) {
	r := newRuled(t)
	r.births(0, none)
	r.hears(serverAddr, retry(7, 1, version(1, 4), first))
	r.births(10*ms, first)
	r.hears(serverAddr, page(version(1, 5), ana, bo))
	check := func(when string, of core.Version, to core.Name, want core.Kind) {
		t.Helper()
		r.want(when, r.hears(boAddr, message(of, to)), want)
	}
	check("for all", version(1, 5), "", core.Heard)
	check("for this peer", version(1, 6), "ana", core.Heard)
	check("for another", version(1, 5), "bo", core.Stranger)
	check("for one of a single letter", version(1, 5), "b", core.Stranger)
	check("from before its birth", version(1, 4), "", core.Stranger)
	check("of another server", version(2, 9), "", core.Stranger)
	r.want("from nobody it knows", r.hears(netip.MustParseAddrPort("192.0.2.3:4001"), message(version(1, 5), "")), core.Stranger)

	var seq uint32
	for _, v := range r.sends(510 * ms) {
		seq = v.Seq
	}
	r.want("a later retry of the same server", r.hears(serverAddr, retry(7, seq, version(1, 6), second)), core.Retried)
	check("from between the first retry and that", version(1, 5), "", core.Heard)
	for _, v := range r.sends(520 * ms) {
		seq = v.Seq
	}
	r.hears(serverAddr, retry(7, seq, version(2, 8), second))
	r.hears(serverAddr, page(version(2, 9), ana, bo))
	check("of the server now", version(2, 9), "", core.Heard)
	check("of the server now, too old", version(2, 8), "", core.Stranger)
	check("of the server before", version(1, 5), "", core.Heard)
	check("of the server before, too old", version(1, 4), "", core.Stranger)
}

// Only so many wait for a retry as there is room for.
func TestRetriesAreBounded(t *testing.T) {
	d, err := core.NewDirectory(core.DirectoryConfig{Addr: serverAddr, Codec: codec, Timing: wide.DefaultTiming(), Rules: &core.Rules{Incarnation: 1, Cost: 1, Burst: 1,
		Token: func(b []byte, _ time.Time, _ netip.AddrPort) []byte { return append(b, first...) },
		Valid: func(token []byte, _ time.Time, _ netip.AddrPort) bool { return string(token) == first }}}, begin)
	if err != nil {
		t.Fatal(err)
	}
	const room = 4096
	for i := range room + 5 {
		d.Step(begin, netip.AddrPortFrom(anaAddr.Addr(), uint16(4000+i)), codec.Append(nil, &core.Message{Type: core.TypeBirth, Member: ana, Incarnation: 7, Seq: uint32(i)}))
	}
	to := map[netip.AddrPort]bool{}
	if !d.Step(begin, anaAddr, codec.Append(nil, &core.Message{Type: core.TypeKeepAlive, Member: ana, Incarnation: 7})) {
		t.Error("a keep-alive of nobody says that nothing is to be sent")
	}
	for {
		out, _ := d.Poll(begin)
		if out.Empty() {
			break
		}
		if v := (core.Message{}); codec.Parse(&v, out.Datagram) != nil || v.Type != core.TypeRetry || !bytes.Equal(v.Token, []byte(first)) || int(v.Seq) != int(out.To[0].Port())-4000 {
			t.Fatalf("%x to %v", out.Datagram, out.To)
		}
		to[out.To[0]] = true
	}
	if len(to) != room {
		t.Errorf("%d of %d get a retry, want %d", len(to), room+5, room)
	}
}

// A directory's pages count in any order, but not those of an older one, nor of one too large.
func TestPages(t *testing.T) {
	r := newRuled(t)
	r.births(0, none)
	r.hears(serverAddr, retry(7, 1, version(1, 1), first))
	r.births(10*ms, first)
	pages := func(number uint32, n int) (all [][]byte) {
		members := []core.Member{ana}
		for i := range 40 * (n - 1) {
			members = append(members, core.Member{Name: core.Name(fmt.Sprintf("%05d%27d", i, number)), Addr: netip.AddrPortFrom(boAddr.Addr(), uint16(1+i))})
		}
		b, ends := codec.AppendDirectory(nil, nil, version(1, number), members)
		for from, i := 0, 0; i < len(ends); from, i = ends[i], i+1 {
			all = append(all, slices.Clone(b[from:ends[i]]))
		}
		if len(all) != n {
			t.Fatalf("%d pages, want %d", len(all), n)
		}
		return all
	}
	huge := pages(9, 1)[0]
	huge[16], huge[17] = 0x01, 0x10 // the first of 4,097
	three, two, four := pages(3, 2), pages(2, 1), pages(4, 2)
	r.want("the second page", r.hears(serverAddr, three[1]), core.Paged)
	r.want("the second page again", r.hears(serverAddr, slices.Clone(pages(3, 2)[1])), core.Paged)
	r.want("a page of too many", r.hears(serverAddr, huge), core.Paged)
	r.want("all of an older directory", r.hears(serverAddr, two[0]), core.Paged)
	r.want("the first page", r.hears(serverAddr, three[0]), core.Listed)
	if n := len(r.Others()); n != 40 {
		t.Errorf("it knows %d others", n)
	}
	r.want("the first page of the next", r.hears(serverAddr, four[0]), core.Paged)
	r.want("that of the one it has", r.hears(serverAddr, pages(3, 2)[1]), core.Paged)
	r.want("the second page of the next", r.hears(serverAddr, four[1]), core.Listed)
	twice := [2][]byte{pages(5, 2)[0], pages(5, 1)[0]} // the second lists ana again
	twice[1][14], twice[1][16] = 1, 2
	r.want("the first page", r.hears(serverAddr, twice[0]), core.Paged)
	again := slices.Clone(twice[1])
	r.want("a name twice", r.hears(serverAddr, twice[1]), core.Malformed)
	r.want("the same page, when the others have been dropped", r.hears(serverAddr, again), core.Paged)
}

// A server has room for so many members and for none more, whoever they are.
func TestMembersAreBounded(t *testing.T) {
	var last error
	d, err := core.NewDirectory(core.DirectoryConfig{Addr: serverAddr, Codec: codec, Timing: wide.DefaultTiming(),
		Rules: &core.Rules{Incarnation: 1, Cost: 1, Burst: 1, Valid: func([]byte, time.Time, netip.AddrPort) bool { return true }},
		Observe: func(e *core.Event) {
			if e.Kind.Dropped() {
				last = e.Err
			}
		}}, begin)
	if err != nil {
		t.Fatal(err)
	}
	born := func(i int) {
		last = nil
		from := netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 0, byte(i >> 16), 1}), uint16(i))
		d.Step(begin, from, codec.Append(nil, &core.Message{Type: core.TypeBirth, Member: core.Member{Name: core.Name(fmt.Sprint("peer ", i))}, Incarnation: 7, Seq: 1}))
	}
	for i := range 1<<16 - 1 {
		born(i + 1)
	}
	born(1 << 17)
	if d.Len() != 1<<16 || last == core.ErrFull {
		t.Errorf("%d members, %v", d.Len(), last)
	}
	if born(1<<17 + 1); d.Len() != 1<<16 || last != core.ErrFull {
		t.Errorf("%d members, %v", d.Len(), last)
	}
	if born(77); d.Len() != 1<<16 || last == core.ErrFull {
		t.Errorf("a member is refused its birth: %v", last)
	}
}

// admitting is a server with Rules that takes every token, and what its birth of peer i and its
// directories at a time are.
func admitting(t *testing.T) (d *core.Directory, born func(i int, at time.Duration), lists func(at time.Duration) (to []int)) {
	d, err := core.NewDirectory(core.DirectoryConfig{Addr: serverAddr, Codec: codec, Timing: wide.DefaultTiming(),
		Rules: &core.Rules{Incarnation: 1, Cost: 5 * time.Microsecond, Burst: 10 * ms, Valid: func(token []byte, _ time.Time, _ netip.AddrPort) bool { return token[0] != badToken[0] },
			Token: func(b []byte, _ time.Time, _ netip.AddrPort) []byte { return append(b, badToken...) }}}, begin)
	if err != nil {
		t.Fatal(err)
	}
	return d, func(i int, at time.Duration) {
			d.Step(begin.Add(at), netip.AddrPortFrom(anaAddr.Addr(), uint16(4000+i)), codec.Append(nil, &core.Message{Type: core.TypeBirth,
				Member: core.Member{Name: core.Name(fmt.Sprintf("%d-peer-%04d", i%10, i))}, Incarnation: 7, Seq: 1}))
		}, func(at time.Duration) (to []int) {
			for {
				out, _ := d.Poll(begin.Add(at))
				if out.Empty() {
					return to
				}
				to = append(to, len(out.To))
			}
		}
}

const badToken = "this token is no one" // to those of admitting

// Who comes at the same time is announced at once: when nobody has come for 1.25 us a member, or
// somebody always has for 40 us a member.
func TestSettles(t *testing.T) {
	const us = time.Microsecond
	_, born, lists := admitting(t)
	wait := func(until time.Duration) (at time.Duration) {
		for at = until - 10*us; len(lists(at)) == 0; at += us {
		}
		return at
	}
	for i := range 100 {
		born(i, time.Duration(i)*us)
	}
	if at := wait(224 * us); at != 224*us {
		t.Errorf("100 are announced after %v, want 125 us after the last birth", at)
	}
	at := 20 * ms // pacing has nothing against it
	for i := 100; ; i++ {
		if born(i, at); len(lists(at)) > 0 {
			break
		}
		at += 100 * us
	}
	if at < 26*ms || at > 27*ms {
		t.Errorf("while more and more come, they are announced %v after the first, want 6.7 ms", at-20*ms)
	}
}

// Pacing lets a directory go at once while it and what is owed before it are no more than may go at
// once, and one that is more when nothing before it is owed.
func TestPacingOfPages(t *testing.T) {
	const step = 10 * time.Microsecond
	for _, members := range []int{100, 800} {
		d, born, lists := admitting(t)
		for i := range members {
			born(i, 0)
		}
		pages := len(lists(ms)) / ((members + 31) / 32) // a group has each
		born(members, ms)
		at := ms
		for ; len(lists(at)) == 0; at += step {
		}
		want := time.Duration(d.Len()) * 1250 // 1.25 us a member, in which others may come
		if cost := time.Duration(members*pages) * 5 * time.Microsecond; cost > 10*ms {
			want = cost
		}
		if waited := at - ms; waited < want || waited > want+step {
			t.Errorf("the second directory of %d pages to %d goes after %v, want %v", pages, d.Len(), waited, want)
		}
	}
}

// What a server keeps does not grow with those who have come and gone.
func TestPlacesAreUsedAgain(t *testing.T) {
	d, _, _ := admitting(t)
	from, b := anaAddr, []byte(nil)
	comeAndGo := func(n int) (bytes int64) {
		var m runtime.MemStats
		for i := range n {
			b = codec.Append(b[:0], &core.Message{Type: core.TypeBirth, Member: core.Member{Name: core.Name(fmt.Sprint("peer ", i%1000))}, Incarnation: 7, Seq: 1})
			d.Step(begin, from, b) // whoever has this address gives way
			d.Poll(begin)
		}
		runtime.GC()
		runtime.ReadMemStats(&m)
		return int64(m.HeapAlloc)
	}
	before := comeAndGo(1000)
	if more := comeAndGo(50_000) - before; more > 1<<20 || d.Len() != 1 {
		t.Errorf("%d bytes more for 50,000 that have come and gone, %d members", more, d.Len())
	}
}

// A name is its holder's until that has missed two keep-alives.
func TestNameOfTheSilent(t *testing.T) {
	d, _, _ := admitting(t)
	born := func(from netip.AddrPort, at time.Duration) {
		d.Step(begin.Add(at), from, codec.Append(nil, &core.Message{Type: core.TypeBirth, Member: core.Member{Name: "ana"}, Incarnation: 7, Seq: 1}))
	}
	born(anaAddr, 0)
	two := 2 * wide.DefaultTiming().Heartbeat
	if born(boAddr, two); !slices.Equal(d.Members(), []core.Member{ana}) {
		t.Errorf("after %v of silence: %v", two, d.Members())
	}
	if born(boAddr, two+1); !slices.Equal(d.Members(), []core.Member{{Name: "ana", Addr: boAddr}}) {
		t.Errorf("after more than %v of silence: %v", two, d.Members())
	}
}

// An announcement waits for those who were sent a retry, but not for ever.
func TestAwaitsRetried(t *testing.T) {
	const us = time.Microsecond
	for _, all := range []bool{false, true} {
		d, born, lists := admitting(t)
		for i := range 10 {
			d.Step(begin, netip.AddrPortFrom(anaAddr.Addr(), uint16(4000+i)), codec.Append(nil, &core.Message{Type: core.TypeBirth,
				Member: core.Member{Name: core.Name(fmt.Sprintf("%d-peer-%04d", i%10, i))}, Incarnation: 7, Seq: 1, Token: []byte(badToken)}))
		}
		if n := len(lists(0)); n != 10 {
			t.Fatalf("%d retries", n)
		}
		for i := range 9 {
			born(i, 100*us)
		}
		at, n := 400*us, 9 // 40 us for each of 10
		if all {
			born(9, 200*us)
			at, n = 213*us, 10 // 12.5 us after that
		}
		if early := lists(at - us); len(early) > 0 {
			t.Errorf("%v (all: %v): a directory goes to %v", at-us, all, early)
		}
		if to := lists(at); !slices.Equal(to, []int{n}) {
			t.Errorf("%v (all: %v): a directory goes to %v, want %d", at, all, to, n)
		}
	}
}

// Those who have not come back long after a retry are waited for no more.
func TestGivesUpRetried(t *testing.T) {
	d, born, lists := admitting(t)
	knock := func(i int, at time.Duration) {
		d.Step(begin.Add(at), netip.AddrPortFrom(anaAddr.Addr(), uint16(4000+i)), codec.Append(nil, &core.Message{Type: core.TypeBirth,
			Member: core.Member{Name: core.Name(fmt.Sprint(i))}, Incarnation: 7, Seq: 1, Token: []byte(badToken)}))
	}
	for i := range 10 {
		knock(i, 0)
	}
	knock(10, 80*ms+1) // 8 times the burst
	born(10, 80*ms+1)
	if to := lists(80*ms + 2*time.Microsecond); !slices.Equal(to, []int{1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1}) {
		t.Errorf("%v, want 11 retries and a directory", to)
	}
}

// A keep-alive counts if it has the incarnation and comes from the address of whoever was born.
func TestKeepAliveOfAnother(t *testing.T) {
	d, _, _ := admitting(t)
	send := func(kind core.Type, from netip.AddrPort, incarnation uint64) {
		d.Step(begin, from, codec.Append(nil, &core.Message{Type: kind, Member: core.Member{Name: "ana"}, Incarnation: incarnation, Seq: 1}))
	}
	send(core.TypeBirth, anaAddr, 7)
	send(core.TypeKeepAlive, anaAddr, 8)
	send(core.TypeKeepAlive, boAddr, 7)
	if c := d.Counters(); c.Events[core.Alive] != 0 || c.Events[core.Unknown] != 2 {
		t.Errorf("%d taken, %d of nobody; want 0 and 2", c.Events[core.Alive], c.Events[core.Unknown])
	}
	if send(core.TypeKeepAlive, anaAddr, 7); d.Counters().Events[core.Alive] != 1 {
		t.Error("the peer's own is not taken")
	}
}

// Who repeats its birth while a directory for all is on its way gets no other one.
func TestRepeatsDuringAnnouncement(t *testing.T) {
	d, born, lists := admitting(t)
	for i := range 200 {
		born(i, 0)
	}
	if out, _ := d.Poll(begin.Add(5 * ms)); len(out.To) != 32 {
		t.Fatalf("the first page goes to %d at first", len(out.To))
	}
	born(7, 5*ms)
	to, sum := lists(10*ms), 32
	for _, n := range to {
		sum += n
	}
	if len(to) != 3*7-1 || sum != 3*200 {
		t.Errorf("the rest goes to so many: %v", to)
	}
	if born(7, 11*ms); !slices.Equal(lists(12*ms), []int{1, 1, 1}) {
		t.Error("a birth that is repeated later is not answered by a directory of its own")
	}
}

// Who shows by a keep-alive that it has an older directory than was announced gets the last one again,
// but not before that is 100 ms old; whoever has it gets nothing.
func TestLastDirectoryIsLacking(t *testing.T) {
	d, born, lists := admitting(t)
	born(1, 0)
	born(2, 0)
	if to := lists(ms); !slices.Equal(to, []int{2}) {
		t.Fatalf("the first directory goes to %v", to)
	}
	for _, x := range []struct {
		at      time.Duration
		version uint32
		poll    bool
		want    []int
	}{
		{101 * ms, 0, false, nil}, {101*ms + 1, 1, false, nil}, {101*ms + 1, 0, true, []int{1}},
		{201 * ms, 0, true, nil}, {201*ms + 1, 0, true, []int{1}}, {time.Second, 1, false, nil}, // at most once in 100 ms
	} {
		polled := d.Step(begin.Add(x.at), netip.AddrPortFrom(anaAddr.Addr(), 4001), codec.Append(nil, &core.Message{Type: core.TypeKeepAlive,
			Member: core.Member{Name: "1-peer-0001"}, Incarnation: 7, Seq: 2, Version: version(1, x.version)}))
		if got := lists(x.at); polled != x.poll || !slices.Equal(got, x.want) {
			t.Errorf("%v, version %d: to be polled %v, and directories go to %v, want %v and %v", x.at, x.version, polled, got, x.poll, x.want)
		}
	}
}

// Everybody gets every page of a directory once, and up to 16 of them after each other.
func TestOrderOfPages(t *testing.T) {
	d, born, _ := admitting(t)
	const members = 1300
	for i := range members {
		born(i, 0)
	}
	var all []uint16         // pages, as they went out
	next := map[uint16]int{} // page of each receiver's, by port
	for {
		out, _ := d.Poll(begin.Add(time.Second))
		if out.Empty() {
			break
		}
		var v core.Message
		if err := codec.Parse(&v, out.Datagram); err != nil || len(out.To) > 32 {
			t.Fatalf("a page to %d: %v", len(out.To), err)
		}
		all = append(all, uint16(v.Page))
		for _, a := range out.To {
			if next[a.Port()] != v.Page {
				t.Fatalf("%v gets page %d, want %d", a, v.Page, next[a.Port()])
			}
			next[a.Port()]++
		}
	}
	const pages, groups = 18, (members + 31) / 32
	if len(next) != members || len(all) != pages*groups {
		t.Fatalf("%d get a directory, in %d datagrams to some", len(next), len(all))
	}
	for i, page := range all {
		want := i % 16
		if rest := i - 16*groups; rest >= 0 {
			want = 16 + rest%(pages-16)
		}
		if int(page) != want {
			t.Fatalf("page %d goes out as number %d, want page %d", page, i, want)
		}
	}
}

// A server says that it is about to announce from the birth on until it has, but not while
// pacing has it wait.
func TestAnnounces(t *testing.T) {
	d, err := core.NewDirectory(core.DirectoryConfig{Addr: netip.MustParseAddrPort("127.0.0.1:3000"), Timing: core.DefaultTiming()}, begin)
	if err != nil {
		t.Fatal(err)
	}
	x := &core.Exact{Host: netip.MustParseAddr("127.0.0.1")}
	now := begin
	poll := func() (sent int) {
		for {
			out, _ := d.Poll(now)
			if out.Empty() {
				return sent
			}
			sent++
		}
	}
	if d.Announces(now) {
		t.Error("there is nothing to announce")
	}
	for i := range core.MaxPeers {
		d.Step(now, netip.MustParseAddrPort("127.0.0.1:9"), x.Append(nil, &core.Message{Type: core.TypeBirth, Member: core.Member{Name: core.Name(rune(' ' + i)), Addr: netip.AddrPortFrom(x.Host, uint16(3101+i))}}))
		announces := d.Announces(now)
		if sent := poll(); (sent > 0) != announces || i == 0 && sent != 1 || d.Announces(now) {
			t.Fatalf("birth %d: it announces %v, and then %d times", i, announces, sent)
		}
		if !announces {
			for ; !d.Announces(now); now = now.Add(time.Microsecond) { // pacing
				if poll() > 0 {
					t.Fatal("it announces what it does not say")
				}
			}
			if poll() != 1 || now == begin {
				t.Errorf("birth %d is announced after %v", i, now.Sub(begin))
			}
			return
		}
	}
	t.Error("pacing never has it wait")
}

// The shapes that the exact protocol's server has a use for are those of births and
// keep-alives with any name.
func TestAccepts(t *testing.T) {
	takes := func(b []byte) bool {
		for _, s := range (&core.Exact{Host: serverAddr.Addr()}).Accepts() {
			fits := len(b) >= s.Shortest && len(b) <= s.Longest
			for i := range len(s.Low) {
				fits = fits && b[i] >= s.Low[i] && b[i] <= s.High[i]
			}
			if fits {
				return true
			}
		}
		return false
	}
	for _, x := range []struct {
		datagram string
		want     bool
	}{
		{"\xC0\x00 \x00\xB9\x0B", true}, {"\xC0\x00~\x00\xB9\x0B", true}, {"\xC3\x00 \x00", true}, {"\xC3\x00~\x00", true},
		{"\xC0\x00\x1F\x00\xB9\x0B", false}, {"\xC0\x00\x7F\x00\xB9\x0B", false}, {"\xC3\x00\x1F\x00", false}, {"\xC3\x00\x7F\x00", false},
		{"\xC0\x00A\x01\xB9\x0B", false}, {"\xC3\x00A\x01", false}, {"\xC3\x01A\x00", false}, {"\xC0\x01A\x00\xB9\x0B", false},
		{"\xC0\x00A\x00\xB9\x0B\x00", false}, {"\xC0\x00A\x00\xB9", false}, {"\xC3\x00A\x00\x00", false}, {"\xC3\x00A", false},
		{"\xC1\x00A\x00", false}, {"\xC2\x00A\x00", false}, {"\xC4\x00A\x00", false}, {"\xBF\x00A\x00\xB9\x0B", false},
	} {
		if got := takes([]byte(x.datagram)); got != x.want {
			t.Errorf("%x is accepted: %v", x.datagram, got)
		}
	}
}
