package fuzz_test

import (
	"encoding/binary"
	"errors"
	"math/rand/v2"
	"net/netip"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"p2plocal/core"
	"p2plocal/core/wide"
)

func encodeWide(v core.Message) []byte { return wide.Codec{}.Append(nil, &v) }

// wideDirectory are the pages of a directory.
func wideDirectory(v core.Version, all ...core.Member) (pages [][]byte) {
	b, ends := wide.Codec{}.AppendDirectory(nil, nil, v, all)
	at := 0
	for _, end := range ends {
		pages, at = append(pages, b[at:end]), end
	}
	return pages
}

// wideSamples are a datagram of each type.
func wideSamples() [][]byte {
	const ana, server = 0x1111111111111111, 0x2222222222222222
	v := core.Version{Incarnation: server, Number: 2}
	self := core.Member{Name: "ana", Addr: netip.MustParseAddrPort("192.0.2.1:4000")}
	token := append([]byte{0xFF}, make([]byte, 19)...)
	return append(wideDirectory(v, core.Member{Name: "bö", Addr: netip.MustParseAddrPort("[2001:db8::2]:4001")},
		core.Member{Name: "anton", Addr: netip.MustParseAddrPort("192.0.2.1:4002")}, self),
		encodeWide(core.Message{Type: core.TypeBirth, Member: self, Incarnation: ana, Seq: 2, Token: token}),
		encodeWide(core.Message{Type: core.TypeRetry, Incarnation: ana, Seq: 1, Version: v, Token: token}),
		encodeWide(core.Message{Type: core.TypeKeepAlive, Member: self, Incarnation: ana, Seq: 3, Version: v}),
		encodeWide(core.Message{Type: core.TypeVanilla, Version: v, Text: []byte("peerana_broadcast_0")}))
}

// wideSeeds has add take the seeds of the wide targets.
func wideSeeds(add func(target, name string, b []byte)) {
	var all []byte
	for i, b := range wideSamples() {
		name := [...]string{"directory", "birth", "retry", "keep-alive", "vanilla"}[i]
		add("FuzzWideParse", name, b)
		add("FuzzWideServer", name, wideLine(byte(i), 10, b))
		add("FuzzWidePeer", name, wideLine(byte(i), 10, b))
		all = append(all, wideLine(0, 200, b)...)
	}
	add("FuzzWideSealed", "in-order-and-again", []byte{0, 0, 0, 1, 0, 0, 1, 0, 0, 0, 0, 0})
	add("FuzzWideSealed", "out-of-order", []byte{9, 0, 0, 3, 0, 0, 9, 0, 0, 4, 0, 0, 3, 0, 0})
	add("FuzzWideSealed", "window", []byte{0, 8, 0, 0x40, 4, 0, 0x41, 4, 0, 0x41, 4, 0})
	add("FuzzWideSealed", "altered", []byte{0, 0, 128, 0, 0, 150, 0, 0, 201, 0, 0, 255, 0, 0, 0})
	add("FuzzWideServer", "all", all)
	add("FuzzWidePeer", "all", all)
}

// naiveWide is a second decoder, as PROTOCOL.md has it, without regard to speed: what is in a
// datagram, or false.
func naiveWide(b []byte) (v core.Message, ok bool) {
	r := b
	take := func(n int) []byte {
		if n > len(r) {
			panic("short")
		}
		x := r[:n]
		r = r[n:]
		return x
	}
	number := func(n int) (x uint64) {
		for i, c := range take(n) {
			x |= uint64(c) << (8 * i)
		}
		return x
	}
	defer func() {
		if recover() != nil || len(r) > 0 {
			v, ok = core.Message{}, false
		}
	}()
	good := func(ok bool) {
		if !ok {
			panic("bad")
		}
	}
	name := func(s []byte) []byte {
		good(len(s) >= 1 && len(s) <= 32 && utf8.Valid(s) && strings.TrimSpace(string(s)) == string(s))
		for _, c := range string(s) {
			good(c == ' ' || unicode.In(c, unicode.L, unicode.M, unicode.N, unicode.P, unicode.S))
		}
		return s
	}
	sender := func() {
		v.Incarnation, v.Seq = number(8), uint32(number(4))
		field := take(33)
		good(field[0] <= 32 && strings.Trim(string(field[1+field[0]:]), "\x00") == "")
		v.Name, v.Slot = name(field[1:1+field[0]]), -1
	}
	version := func() { v.Version.Incarnation, v.Version.Number = number(8), uint32(number(4)) }
	switch number(2) {
	case 0x57C0:
		v.Type = core.TypeBirth
		sender()
		v.Token = take(20)
	case 0x57C1:
		v.Type = core.TypeDirectory
		version()
		v.Page, v.Pages = int(number(2)), int(number(2))
		good(len(b) <= 1158 && v.Page < v.Pages && v.Version.Number > 0 && len(r) > 0)
		v.List = r
		var before core.Member
		for len(r) > 0 {
			m := core.Member{Addr: before.Addr}
			rest, family, shared := int(number(1)), 0, int(number(1))
			rest, family = rest%64, rest/64
			m.Name = before.Name[:shared] + core.Name(take(rest))
			name([]byte(m.Name))
			if family != 1 {
				a, known := netip.AddrFromSlice(take([...]int{0: 4, 2: 16, 3: 0}[family]))
				good(known && !a.IsUnspecified() && !a.IsMulticast() && a.String() != "255.255.255.255" && !a.Is4In6() && a != before.Addr.Addr())
				m.Addr = netip.AddrPortFrom(a, 1)
			}
			good(m.Addr.IsValid() && number(2) != 0)
			good(shared == len(before.Name) || !strings.HasPrefix(string(m.Name), string(before.Name[:shared+1])))
			before = m
			v.Len++
		}
	case 0x57C2:
		v.Type = core.TypeVanilla
		version()
		good(len(b) <= 65507-42)
		if v.Name = take(int(number(1))); len(v.Name) > 0 {
			name(v.Name)
		}
		v.Text = take(len(r))
		good(len(v.Text) <= 65418)
	case 0x57C3:
		v.Type = core.TypeKeepAlive
		sender()
		version()
	case 0x57C4:
		v.Type = core.TypeRetry
		v.Incarnation, v.Seq = number(8), uint32(number(4))
		version()
		v.Token = take(20)
	default:
		panic("type")
	}
	return v, true
}

// checkWideParse holds the codec against the naive decoder.
func checkWideParse(t testing.TB, b []byte) {
	var got core.Message
	err := wide.Codec{}.Parse(&got, b)
	want, ok := naiveWide(b)
	if ok != (err == nil) || ok && !reflect.DeepEqual(got, want) {
		t.Fatalf("%x:\ncodec %+v, %v\nnaive %+v, %v", b, got, err, want, ok)
	}
	if err != nil && !errors.Is(err, core.ErrMalformed) {
		t.Fatalf("%x: %v is not malformed", b, err)
	}
	if !ok {
		return
	}
	if got.Type == core.TypeDirectory {
		list, all, m := got.List, []core.Member{}, core.Member{}
		for len(list) > 0 {
			m, list = wide.Codec{}.Next(list, m)
			all = append(all, m)
		}
		again := wideDirectory(got.Version, all...)
		if len(all) != got.Len || len(again) != 1 || string(again[0][18:]) != string(b[18:]) {
			t.Fatalf("%x is written as %x", b, again)
		}
		return
	}
	got.Member.Name = core.Name(got.Name)
	if again := encodeWide(got); string(again) != string(b) {
		t.Fatalf("%x is written as %x", b, again)
	}
}

func TestWideParse(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 200 {
		for _, b := range wideSamples() {
			checkWideParse(t, b)
			for range 20 {
				c := append([]byte(nil), b...)
				for range 1 + r.IntN(3) {
					switch i := r.IntN(len(c)); r.IntN(4) {
					case 0:
						c[i] = byte(r.Uint32())
					case 1:
						c[i] ^= 1 << r.IntN(8)
					case 2:
						c = c[:i+1]
					case 3:
						c = append(c[:i], append([]byte{byte(r.Uint32())}, c[i:]...)...)
					}
				}
				checkWideParse(t, c)
			}
		}
	}
}

func FuzzWideParse(f *testing.F) {
	f.Fuzz(func(t *testing.T, b []byte) { checkWideParse(t, b) })
}

// What is fuzzed of the machines: a script of datagrams, each a line of sender (one byte, its
// lowest bits an address), milliseconds (one byte) and length (two bytes) and the datagram.
func wideScript(script []byte, step func(from netip.AddrPort, wait time.Duration, datagram []byte)) {
	for len(script) >= 4 {
		n := min(int(binary.LittleEndian.Uint16(script[2:])), len(script)-4)
		step(netip.AddrPortFrom(netip.AddrFrom4([4]byte{192, 0, 2, script[0] & 3}), 4000+uint16(script[0]>>2&3)),
			time.Duration(script[1])*time.Millisecond, script[4:4+n])
		script = script[4+n:]
	}
}

func wideLine(from, wait byte, datagram []byte) []byte {
	return append([]byte{from, wait, byte(len(datagram)), byte(len(datagram) >> 8)}, datagram...)
}

type counting interface {
	core.Machine
	Counters() core.Counters
}

// runWide has a machine hear a script, and checks that every datagram is accounted for and
// that none goes out that is too large or malformed; heard tells of what comes in, and may
// give another in its place, sent of what goes out.
func runWide(t *testing.T, m counting, script []byte, sealed bool, heard func(netip.AddrPort, []byte) []byte, sent func(core.Outgoing)) {
	now, n := time.Unix(1_000_000_000, 0), uint64(0)
	poll := func() (outs int, next time.Time) {
		for outs := range 100_000 {
			out, next := m.Poll(now)
			if out.Empty() {
				return outs, next
			}
			if len(out.Datagram) > wide.MaxDatagram {
				t.Fatalf("%d bytes go out", len(out.Datagram))
			}
			if _, ok := naiveWide(out.Datagram); !ok && !sealed {
				t.Fatalf("%x goes out", out.Datagram)
			}
			sent(out)
		}
		t.Fatal("no end of sending")
		return
	}
	poll()
	wideScript(script, func(from netip.AddrPort, wait time.Duration, datagram []byte) {
		now = now.Add(wait)
		_, before := poll()
		ask := m.Step(now, from, heard(from, datagram))
		n++
		if outs, next := poll(); !ask && (outs > 0 || !next.Equal(before)) {
			t.Fatalf("after %x, which needs no poll, %d datagrams go out and the next poll is at %v, was at %v", datagram, outs, next, before)
		}
	})
	if c := m.Counters(); c.In.Total().Datagrams != n || c.Events.Dropped()+c.Events.Taken() != n {
		t.Fatalf("%d in, counted %+v", n, c)
	}
}

// A server gives an address no more than it got from there, until that has shown its token.
func FuzzWideServer(f *testing.F) {
	f.Fuzz(func(t *testing.T, script []byte) {
		for _, keys := range []wide.Keys{nil, {{1}}} {
			d, err := wide.NewDirectory(core.DirectoryConfig{Addr: netip.MustParseAddrPort("192.0.2.9:3000"), Timing: wide.DefaultTiming()},
				wide.Identity{Keys: keys}, time.Unix(1_000_000_000, 0))
			if err != nil {
				t.Fatal(err)
			}
			credit, last := map[netip.AddrPort]int{}, map[netip.AddrPort][]byte{}
			tokens, shown := map[netip.AddrPort]map[string]bool{}, map[netip.AddrPort]bool{}
			runWide(t, d, script, keys != nil, func(from netip.AddrPort, b []byte) []byte {
				credit[from] += len(b)
				v, ok := naiveWide(b)
				if ok && v.Type == core.TypeBirth && v.Token[0] == 0xFF { // it has the last token
					b = append(append([]byte(nil), b[:47]...), last[from]...)
					v.Token = last[from]
				}
				if ok && v.Type == core.TypeBirth && tokens[from][string(v.Token)] {
					shown[from] = true
				}
				return b
			}, func(out core.Outgoing) {
				if keys != nil {
					t.Fatal("it answers who has no key")
				}
				for _, to := range out.To {
					if v, _ := naiveWide(out.Datagram); v.Type == core.TypeRetry {
						if tokens[to] == nil {
							tokens[to] = map[string]bool{}
						}
						last[to] = append([]byte(nil), v.Token...)
						tokens[to][string(v.Token)] = true
					}
					if credit[to] -= len(out.Datagram); credit[to] < 0 && !shown[to] {
						t.Fatalf("%v has got %d bytes more than it gave", to, -credit[to])
					}
				}
			})
			if keys != nil && d.Len() > 0 {
				t.Fatal("somebody is a member without the key")
			}
		}
	})
}

// A peer's directory is never a mixture: all that it knows of was in pages of one version.
func FuzzWidePeer(f *testing.F) {
	f.Fuzz(func(t *testing.T, script []byte) {
		serverAddr := netip.MustParseAddrPort("192.0.2.0:4000") // the script's address 0
		named := map[core.Version]map[core.Name]bool{}
		cfg := core.PeerConfig{Self: core.Member{Name: "ana"}, Server: serverAddr, Timing: wide.DefaultTiming(),
			Observe: func(e *core.Event) {
				if e.Kind != core.Listed {
					return
				}
				v, _ := naiveWide(e.Data)
				for m := range e.All.Each() {
					if !named[v.Version][m.Name] {
						t.Fatalf("%v is in no page of version %v", m, v.Version)
					}
				}
			}}
		p, err := wide.NewPeer(cfg, wide.Identity{}, time.Unix(1_000_000_000, 0))
		if err != nil {
			t.Fatal(err)
		}
		var self []byte // its incarnation, which a retry has to say, and cannot guess
		runWide(t, p, script, false, func(from netip.AddrPort, b []byte) []byte {
			if v, ok := naiveWide(b); ok && v.Type == core.TypeRetry && from == serverAddr {
				return append(append(append([]byte(nil), b[:2]...), self...), b[10:]...)
			}
			if v, ok := naiveWide(b); ok && v.Type == core.TypeDirectory && from == serverAddr {
				if named[v.Version] == nil {
					named[v.Version] = map[core.Name]bool{}
				}
				var m core.Member
				for list := v.List; len(list) > 0; {
					m, list = wide.Codec{}.Next(list, m)
					named[v.Version][m.Name] = true
				}
			}
			return b
		}, func(out core.Outgoing) {
			if v, ok := naiveWide(out.Datagram); ok && v.Type == core.TypeBirth {
				self = append(self[:0], out.Datagram[2:10]...)
			}
		})
	})
}

// sealedWide are datagrams that one peer with a key has sealed, by their counters less one.
var sealedWide = sync.OnceValue(func() (all [][]byte) {
	now := time.Unix(1_000_000_000, 0)
	p, err := wide.NewPeer(core.PeerConfig{Self: core.Member{Name: "ana"}, Server: netip.MustParseAddrPort("192.0.2.9:3000"), Timing: wide.DefaultTiming()},
		wide.Identity{Keys: wide.Keys{{1}}, Seed: [32]byte{1}}, now)
	if err != nil {
		panic(err)
	}
	for len(all) < 3000 {
		out, next := p.Poll(now)
		if out.Empty() {
			now = next
			continue
		}
		all = append(all, append([]byte(nil), out.Datagram...))
	}
	return all
})

// A server opens what its peer has sealed, whole and once, in any order within the window of
// RFC 6479: a model that keeps every counter says the same. The script is three bytes for each
// datagram: its number, and from 128 on which of its bits is another (the rest of them cut off
// where that is odd).
func FuzzWideSealed(f *testing.F) {
	f.Fuzz(func(t *testing.T, script []byte) {
		now := time.Unix(1_000_000_000, 0)
		d, err := wide.NewDirectory(core.DirectoryConfig{Addr: netip.MustParseAddrPort("192.0.2.9:3000"), Timing: wide.DefaultTiming()},
			wide.Identity{Keys: wide.Keys{{2}, {1}}, Seed: [32]byte{2}}, now)
		if err != nil {
			t.Fatal(err)
		}
		const window = 960
		opened, top := map[int]bool{}, 0
		for ; len(script) >= 3; script = script[3:] {
			i := int(binary.LittleEndian.Uint16(script)) % len(sealedWide())
			b := append([]byte(nil), sealedWide()[i]...)
			good := !opened[i] && i > top-window
			if x := int(script[2]); x >= 128 {
				good = false
				bit := (x - 128) * 8 * len(b) / 128
				b[bit/8] ^= 1 << (x % 8)
				if x%2 == 1 {
					b = b[:bit/8]
				}
			}
			before := d.Counters().Events[core.Stranger]
			d.Step(now, netip.MustParseAddrPort("192.0.2.1:4000"), b)
			if got := d.Counters().Events[core.Stranger] == before; got != good {
				t.Fatalf("datagram %d is opened: %v, want %v; the last is %d", i, got, good, top)
			}
			if good {
				opened[i], top = true, max(top, i)
			}
		}
	})
}
