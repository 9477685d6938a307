package wide

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"runtime"
	"slices"
	"strings"
	"testing"

	"p2plocal/core"
)

func addr(s string) netip.AddrPort { return netip.MustParseAddrPort(s) }

func encode(v core.Message) []byte { return Codec{}.Append(nil, &v) }

// directory are the pages of a directory.
func directory(v core.Version, all ...core.Member) (pages [][]byte) {
	b, ends := Codec{}.AppendDirectory(nil, nil, v, all)
	at := 0
	for _, end := range ends {
		pages, at = append(pages, b[at:end]), end
	}
	return pages
}

var token = append([]byte{0, 9, 0x3d, 0}, strings.Repeat("T", 16)...)

func samples() map[core.Type][]byte {
	const ana, server = 0x1111111111111111, 0x2222222222222222
	v := core.Version{Incarnation: server, Number: 2}
	self := core.Member{Name: "ana", Addr: addr("192.0.2.1:4000")}
	return map[core.Type][]byte{
		core.TypeBirth:     encode(core.Message{Type: core.TypeBirth, Member: self, Incarnation: ana, Seq: 2, Token: token}),
		core.TypeRetry:     encode(core.Message{Type: core.TypeRetry, Incarnation: ana, Seq: 1, Version: core.Version{Incarnation: server, Number: 1}, Token: token}),
		core.TypeKeepAlive: encode(core.Message{Type: core.TypeKeepAlive, Member: self, Incarnation: ana, Seq: 3, Version: v}),
		core.TypeVanilla:   encode(core.Message{Type: core.TypeVanilla, Version: v, Text: []byte("peerana_broadcast_0")}),
		core.TypeDirectory: directory(v, core.Member{Name: "bö", Addr: addr("[2001:db8::2]:4001")},
			core.Member{Name: "anton", Addr: addr("192.0.2.1:4002")}, self)[0],
	}
}

// The worked example of PROTOCOL.md is what the codec writes.
func TestWorkedExample(t *testing.T) {
	page, err := os.ReadFile("PROTOCOL.md")
	if err != nil {
		t.Fatal(err)
	}
	text := strings.Join(strings.Fields(string(page)), "")
	for typ, b := range samples() {
		x := fmt.Sprintf("%x", b)
		x = strings.Replace(x, fmt.Sprintf("%x", strings.Repeat("T", 16)), "....", 1)
		x = strings.Replace(x, strings.Repeat("00", 29), "00*29", 1)
		x = strings.Replace(x, fmt.Sprintf("%x", "peerana_broadcast_0"), `"peerana_broadcast_0"`, 1)
		if !strings.Contains(text, x) {
			t.Errorf("PROTOCOL.md has no %v %s", typ, x)
		}
	}
}

// A message's name is within it, and is one.
func TestNameOfMessage(t *testing.T) {
	good := encode(core.Message{Type: core.TypeVanilla, Name: []byte("ana"), Text: []byte("hi")})
	for _, c := range []struct {
		size byte
		name string
		want error
	}{{3, "ana", nil}, {5, "ana", nil}, {6, "ana", core.ErrLength}, {255, "ana", core.ErrLength}, {3, "a\na", ErrName}, {3, "an ", ErrName}, {1, "\n", ErrName}, {1, "a", nil}, {0, "ana", nil}} {
		b := append(good[:14:14], c.size)
		b = append(append(b, c.name...), "hi"...)
		if err := (Codec{}).Parse(new(core.Message), b); err != c.want {
			t.Errorf("name of %d bytes in %q: %v, want %v", c.size, b[15:], err, c.want)
		}
	}
}

// No implementation of one dialect takes a datagram of the other for one of its own.
func TestDialectsApart(t *testing.T) {
	exact := &core.Exact{Host: netip.MustParseAddr("127.0.0.1")}
	theirs := [][]byte{}
	for _, v := range []core.Message{{Type: core.TypeBirth, Member: core.Member{Name: "A", Addr: addr("127.0.0.1:3001")}},
		{Type: core.TypeKeepAlive, Member: core.Member{Name: "A"}}, {Type: core.TypeVanilla, Text: []byte("hi")}} {
		theirs = append(theirs, exact.Append(nil, &v))
	}
	list, _ := exact.AppendDirectory(nil, nil, core.Version{}, []core.Member{{Name: "A", Addr: addr("127.0.0.1:3001")}})
	theirs = append(theirs, list)
	ours := [][]byte{NewSealer(Keys{{1}}, [16]byte{1}, nil).Seal([]byte("x"))}
	for _, b := range samples() {
		ours = append(ours, b)
	}
	for _, b := range theirs {
		var v core.Message
		if err := (Codec{}).Parse(&v, b); err != core.ErrType {
			t.Errorf("the wide codec makes %v of an exact %x", err, b)
		}
		for _, o := range ours {
			if o[0] == b[0] && o[1] == b[1] {
				t.Errorf("%x and %x begin alike", o, b)
			}
		}
	}
	for _, b := range ours {
		var v core.Message
		if err := exact.Parse(&v, b); !errors.Is(err, core.ErrMalformed) || v.Type <= 0xFF {
			t.Errorf("the exact codec makes %v, %v of a wide %x", v.Type, err, b)
		}
	}
}

func TestNames(t *testing.T) {
	for name, ok := range map[string]bool{
		"a": true, "peer-0001": true, "bö": true, "日本": true, "a b": true, "e\u0301": true, "😀": true, strings.Repeat("x", 32): true,
		"12345678": true, "1234567~12345678": true, "1234567\x7f": false, "\x7f2345678": false, "12345678123\x1f5678": false, "1234567\x80": false, "123456ö": true,
		"": false, " a": false, "a ": false, "a\n": false, "\x7f": false, "a\x00": false, "\xff": false, "\xc3": false, "\u202e": false,
		"\u200b": false, "\ufeff": false, "a\u00a0b": false, "\u2028": false, strings.Repeat("x", 33): false, "\xed\xa0\x80": false, "\ue000": false,
	} {
		if (CheckName(name) == nil) != ok {
			t.Errorf("name %q: %v", name, CheckName(name))
		}
		b := samples()[core.TypeKeepAlive]
		if len(name) <= 33-1 {
			copy(b[14:47], make([]byte, 33))
			b[14] = byte(copy(b[15:47], name))
			if err := (Codec{}).Parse(new(core.Message), b); (err == nil) != ok {
				t.Errorf("keep-alive of %q: %v", name, err)
			}
		}
	}
	for _, size := range []byte{33, 255} {
		b := samples()[core.TypeKeepAlive]
		if b[14] = size; (Codec{}).Parse(new(core.Message), b) != ErrName {
			t.Errorf("a keep-alive with a name of %d bytes has one", size)
		}
	}
}

// What always has the same size has no other one.
func TestSizes(t *testing.T) {
	for _, typ := range []core.Type{core.TypeBirth, core.TypeKeepAlive, core.TypeRetry} {
		b := samples()[typ]
		for _, x := range [][]byte{b[:len(b)-1], append(slices.Clone(b), 0), b[:2]} {
			if err := (Codec{}).Parse(new(core.Message), x); err != core.ErrLength {
				t.Errorf("%v of %d bytes instead of %d: %v, want %v", typ, len(x), len(b), err, core.ErrLength)
			}
		}
	}
}

// A page is 1,200 bytes at most, sealed, and what is larger is none.
func TestLargestPage(t *testing.T) {
	const sealed = 42
	at := netip.MustParseAddrPort("192.0.2.1:4000")
	all := []core.Member{{Name: "anton", Addr: at}} // an entry of 13 bytes
	for i := range 33 {                             // and these are 34 each
		all = append(all, core.Member{Name: core.Name(rune('A'+i)) + core.Name(strings.Repeat("x", 29)), Addr: at})
	}
	one := append(all[:34:34], core.Member{Name: "1", Addr: at})
	pages := directory(core.Version{Incarnation: 7, Number: 3}, one...)
	if len(pages) != 1 || len(pages[0])+sealed != 1200 || (Codec{}).Parse(new(core.Message), pages[0]) != nil {
		t.Fatalf("%d pages, the first of %d bytes, want one of 1,200", len(pages), len(pages[0])+sealed)
	}
	if two := directory(core.Version{Incarnation: 7, Number: 3}, append(all[:34:34], core.Member{Name: "12", Addr: at})...); len(two) != 2 {
		t.Errorf("%d bytes on a page, sealed, want a page more", len(two[0])+sealed)
	}
	large := slices.Concat(pages[0][:len(pages[0])-5], []byte("\x42\x0012\xa0\x0f"))
	if err := (Codec{}).Parse(new(core.Message), large); err != core.ErrLength {
		t.Errorf("a page of %d bytes, sealed: %v, want %v", len(large)+sealed, err, core.ErrLength)
	}
}

// The longest message fits into a datagram, sealed, to whom it may be.
func TestLongestMessage(t *testing.T) {
	b := encode(core.Message{Type: core.TypeVanilla, Member: core.Member{Name: core.Name(strings.Repeat("x", 32))}, Text: bytes.Repeat([]byte("x"), Codec{}.MaxText())})
	sealed := NewSealer(someKey, [16]byte{1}, nil).Seal(b)
	if len(sealed) != core.MaxDatagram || (Codec{}).Parse(new(core.Message), b) != nil {
		t.Errorf("%d bytes, want %d", len(sealed), core.MaxDatagram)
	}
	for more, want := range []error{nil, core.ErrLength} { // also where a name leaves room
		b := encode(core.Message{Type: core.TypeVanilla, Text: bytes.Repeat([]byte("x"), Codec{}.MaxText()+more)})
		if err := (Codec{}).Parse(new(core.Message), b); err != want {
			t.Errorf("%d bytes more than the longest text: %v, want %v", more, err, want)
		}
	}
}

// A server has an address of one host, and a port.
func TestServerAddress(t *testing.T) {
	for server, ok := range map[string]bool{"192.0.2.1:1": true, "192.0.2.1:65535": true, "[2001:db8::1]:1": true,
		"192.0.2.1:0": false, "0.0.0.0:3000": false, "224.0.0.1:3000": false, "255.255.255.255:3000": false, "[::]:3000": false} {
		if err := (Codec{}).Check(core.Member{Name: "a"}, addr(server)); (err == nil) != ok {
			t.Errorf("server %s: %v", server, err)
		}
	}
}

// A directory of any size is pages of whole entries, none too large, none with room for another's first.
func TestPages(t *testing.T) {
	var all []core.Member
	for i := range 3000 {
		a := netip.AddrFrom4([4]byte{10, 0, byte(i >> 8), byte(i)})
		if i%3 == 0 {
			x := [16]byte{0x20, 1, 0x0d, 0xb8}
			binary.BigEndian.PutUint16(x[14:], uint16(i+1))
			a = netip.AddrFrom16(x)
		}
		all = append(all, core.Member{Name: core.Name(fmt.Sprintf("peer-%0*d", i%27, i)), Addr: netip.AddrPortFrom(a, uint16(i+1))})
	}
	for _, n := range []int{1, 2, 95, 1000, 3000} {
		pages, total := directory(core.Version{Incarnation: 7, Number: 3}, all[:n]...), 0
		for i, b := range pages {
			var v core.Message
			if err := (Codec{}).Parse(&v, b); err != nil || v.Page != i || v.Pages != len(pages) || len(b)+overhead > MaxDatagram {
				t.Fatalf("page %d of %d: %d bytes, %+v, %v", i, len(pages), len(b), v, err)
			}
			if i+1 < len(pages) && len(b)+2+MaxName+16+2+overhead < MaxDatagram {
				t.Errorf("page %d of %d has only %d bytes", i, len(pages), len(b))
			}
			var m core.Member
			for list := v.List; len(list) > 0; total++ {
				if m, list = (Codec{}).Next(list, m); m != all[total] {
					t.Fatalf("entry %d is %v, want %v", total, m, all[total])
				}
			}
		}
		if total != n {
			t.Errorf("%d entries, want %d", total, n)
		}
	}
}

// What an entry has in common with the one before it in its page is left out, all of it: there
// is one way to write a list.
func TestEntries(t *testing.T) {
	const anton, bo = "\x05\x00anton\xc0\x00\x02\x01\xa2\x0f", "\x83\x00b\xc3\xb6\x20\x01\x0d\xb8\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\xa1\x0f"
	for _, test := range []struct {
		list string
		want error
	}{
		{anton + "\x41\x02a\xa0\x0f", nil},
		{anton + "\x40\x03\xa0\x0f", nil}, // its name is how that of the one before begins
		{anton + "\x41\x05a\xa0\x0f", nil},
		{anton + bo + "\x04\x00anna\xc0\x00\x02\x01\xa0\x0f", nil},
		{anton + "\x03\x00bob\xc0\x00\x02\x02\xa0\x0f", nil},
		{bo + "\x42\x02\xa4x\xa0\x0f", nil}, // what is common may end within a character
		{anton + "\x42\x01na\xa0\x0f", ErrShared},
		{anton + "\x01\x02a\xc0\x00\x02\x01\xa0\x0f", ErrShared},
		{"\x41\x00a\xa0\x0f", ErrShared},
		{"\x02\x01na\xc0\x00\x02\x01\xa0\x0f", ErrShared},
		{anton + "\x41\x06a\xa0\x0f", ErrShared},
		{anton + "\xc1\x02a\xa0\x0f", ErrAddress},
		{anton + "\xc0\x03\xa0\x0f", ErrAddress},
		{anton + "\x40\x00\xa0\x0f", ErrName},
		{anton + "\x40\xff\xa0\x0f", ErrName},
		{anton + "\x5c\x05" + strings.Repeat("a", 28) + "\xa0\x0f", ErrName},
		{bo + "\x40\x02\xa0\x0f", ErrName},
		{anton + "\x41\x02 \xa0\x0f", ErrName},
		{anton + "\x01\x00b\xff\xff\xff\xff\xa0\x0f", ErrAddress},
		{anton + "\x01\x00b\xe0\x00\x00\x01\xa0\x0f", ErrAddress},
		{anton + "\x01\x00b\x00\x00\x00\x00\xa0\x0f", ErrAddress},
		{anton + "\x41\x02a\x00\x00", core.ErrPort},
		{anton + "\x41\x02a\xa0", core.ErrLength},
		{anton + "\x41", core.ErrLength},
		{anton[:len(anton)-1], core.ErrLength},
		{anton[:len(anton)-5], core.ErrLength},
		{bo[:len(bo)-3], core.ErrLength},
	} {
		b := append(samples()[core.TypeDirectory][:pageSize:pageSize], test.list...)
		if err := (Codec{}).Parse(new(core.Message), b); err != test.want {
			t.Errorf("%q: %v, want %v", test.list, err, test.want)
		}
	}
}

// What a peer of this process keeps is known to be sound, what only says that it is the same page is not.
func TestKnownPage(t *testing.T) {
	b := samples()[core.TypeDirectory]
	var v core.Message
	if err := (Codec{}).Parse(&v, b); err != nil {
		t.Fatal(err)
	}
	kept := page(&v)
	var again core.Message
	if err := (Codec{}).Parse(&again, b); err != nil || again.Len != 3 || !bytes.Equal(again.List, v.List) {
		t.Errorf("the page that is kept is of %d entries, %v", again.Len, err)
	}
	other := bytes.Clone(b)
	other[pageSize+2] = '\n'
	if err := (Codec{}).Parse(&again, other); err != ErrName {
		t.Errorf("one that has a wrong name in it is %v", err)
	}
	runtime.KeepAlive(kept)
}

// A directory with a name twice, also on two pages, does not count; the next one does.
func TestNameTwice(t *testing.T) {
	_, p, _ := pair(t, 2, nil)
	birth := func() []byte {
		p.Connect(begin)
		return next(p, begin).Datagram
	}()
	var b core.Message
	if err := (Codec{}).Parse(&b, birth); err != nil {
		t.Fatal(err)
	}
	v := core.Version{Incarnation: 9, Number: 1}
	p.Step(begin, server, encode(core.Message{Type: core.TypeRetry, Incarnation: b.Incarnation, Seq: b.Seq, Version: v, Token: token}))
	var all []core.Member
	for i := range 100 {
		all = append(all, core.Member{Name: core.Name(fmt.Sprintf("%d-peer-%04d", i%10, i)), Addr: peerAddr(i)})
	}
	all[0].Name = "peer-0000" // this peer
	for _, test := range []struct {
		last core.Name
		want int
	}{{"3-peer-0003", 1}, {"8-peer-0098", 1}, {"another", 99}} {
		v.Number++
		all[99].Name = test.last
		pages := directory(v, all...)
		if len(pages) < 2 {
			t.Fatalf("%d pages", len(pages))
		}
		before := p.Counters().Events[core.Malformed]
		for _, page := range pages {
			p.Step(begin, server, page)
		}
		if got, wrong := len(p.Others()), p.Counters().Events[core.Malformed]-before; got != test.want || (wrong == 1) != (test.want == 1) {
			t.Errorf("with %s: %d others, %d malformed", test.last, got, wrong)
		}
	}
}
