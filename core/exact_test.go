package core

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
)

// every is n different members.
func every(n int) (all []Member) {
	for i := range n {
		all = append(all, named(rune(' '+i), uint16(3101+i)))
	}
	return all
}

// PROTOCOL.md, "Datagrams": the layouts, the worked example, and the ends of each range.
func TestVectors(t *testing.T) {
	text := strings.Repeat("x", MaxPayload)
	for _, c := range []struct {
		name  string
		hex   string
		typ   Type
		of    []Member
		text  string
		bytes int
	}{
		{"birth", "c000 4100 1d0c", TypeBirth, []Member{named('A', 3101)}, "", 6},
		{"keep-alive", "c300 4100", TypeKeepAlive, []Member{{Name: "A"}}, "", 4},
		{"directory", "c100 0200 4100 1d0c 4200 1e0c", TypeDirectory, []Member{named('A', 3101), named('B', 3102)}, "", 12},
		{"vanilla", "c200 1100 70656572415f62726f6164636173745f30 00", TypeVanilla, nil, "peerA_broadcast_0", 22},

		{"first name, least port", "c000 2000 0100", TypeBirth, []Member{named(' ', 1)}, "", 6},
		{"last name, largest port", "c000 7e00 ffff", TypeBirth, []Member{named('~', 65535)}, "", 6},
		{"keep-alive of the first name", "c300 2000", TypeKeepAlive, []Member{{Name: " "}}, "", 4},
		{"keep-alive of the last name", "c300 7e00", TypeKeepAlive, []Member{{Name: "~"}}, "", 4},
		{"empty directory", "c100 0000", TypeDirectory, nil, "", 4},
		{"full directory", "c100 5f00 " + hex.EncodeToString(directory(every(95)...)[4:]), TypeDirectory, every(95), "", 4 + 4*95},
		{"empty text", "c200 0000 00", TypeVanilla, nil, "", 5},
		{"longest text", "c200 deff " + hex.EncodeToString([]byte(text)) + "00", TypeVanilla, nil, text, 65507},
		{"text above ASCII", "c200 0200 c3a4 00", TypeVanilla, nil, "ä", 7},
	} {
		t.Run(c.name, func(t *testing.T) {
			wire := unhex(t, c.hex)
			if len(wire) != c.bytes {
				t.Errorf("vector of %d bytes, the layout has %d", len(wire), c.bytes)
			}
			const prefix = "not to be touched"
			got, _ := exact.AppendDirectory([]byte(prefix), nil, Version{}, c.of)
			if c.typ != TypeDirectory {
				got = exact.Append([]byte(prefix), &Message{Type: c.typ, Member: append(c.of, Member{})[0], Text: []byte(c.text)})
			}
			if string(got) != prefix+string(wire) {
				t.Errorf("Append gives %x after the prefix, want %x", got[min(len(got), len(prefix)):], wire)
			}
			v, err := parse(wire)
			of := slices.Collect(Members{codec: exact, list: v.List, n: v.Len}.Each())
			if v.Member != (Member{}) {
				of = append(of, v.Member)
			}
			if err != nil || v.Type != c.typ || string(v.Text) != c.text || !slices.Equal(of, c.of) || v.Len != len(v.List)/4 {
				t.Errorf("Parse gives %+v, %v; want %v of %v with text %q", v, err, c.typ, c.of, c.text)
			}
		})
	}
}

func TestLimits(t *testing.T) {
	if MaxPeers != 95 || MaxDatagram != 65507 || MaxPayload != 65502 {
		t.Errorf("%d peers, %d bytes a datagram, %d of text; want 95, 65507, 65502", MaxPeers, MaxDatagram, MaxPayload)
	}
}

// Where a directory's ports share a slot of the parser's table, they are still told apart.
func TestPortsThatCollide(t *testing.T) {
	var all []Member
	for i := range MaxPeers {
		all = append(all, named(rune(' '+i), uint16(255+256*i)))
	}
	if _, err := parse(directory(all...)); err != nil {
		t.Errorf("95 different ports: %v", err)
	}
	all[MaxPeers-1].Addr = all[0].Addr
	if _, err := parse(directory(all...)); err != ErrDuplicate {
		t.Errorf("the first port again as the last: %v, want %v", err, ErrDuplicate)
	}
}

// PROTOCOL.md, "Where a datagram is not one of the above": every row, at both
// receivers. Peer A knows B.
func TestBadInput(t *testing.T) {
	const b = 3102
	foreign := netip.AddrPortFrom(netip.MustParseAddr("127.0.0.2"), serverPort)
	foreignB := netip.AddrPortFrom(foreign.Addr(), b)
	long := vanilla(strings.Repeat("x", MaxPayload+1)) // right but for its size
	many := directory(append(every(95), named('A', 9999))...)
	for _, c := range []struct {
		name         string
		from         netip.AddrPort
		datagram     []byte
		server, peer error
	}{
		{"zero-length", from(b), nil, ErrLength, ErrLength},
		{"one byte", from(b), unhex(t, "c0"), ErrLength, ErrLength},
		{"birth, type only", from(b), unhex(t, "c000"), ErrLength, ErrLength},
		{"birth, cut in its name", from(b), unhex(t, "c000 41"), ErrLength, ErrLength},
		{"birth, no port", from(b), unhex(t, "c000 4100"), ErrLength, ErrLength},
		{"birth, cut in its port", from(b), unhex(t, "c000 4100 1d"), ErrLength, ErrLength},
		{"birth, too long", from(b), unhex(t, "c000 4100 1d0c 00"), ErrLength, ErrLength},
		{"keep-alive, type only", from(b), unhex(t, "c300"), ErrLength, ErrLength},
		{"keep-alive, cut", from(b), unhex(t, "c300 41"), ErrLength, ErrLength},
		{"keep-alive, too long", from(b), unhex(t, "c300 4100 00"), ErrLength, ErrLength},
		{"keep-alive, as long as a birth", from(b), unhex(t, "c300 4100 1d0c"), ErrLength, ErrLength},
		{"directory, type only", from(serverPort), unhex(t, "c100"), ErrLength, ErrLength},
		{"directory, count too large", from(serverPort), unhex(t, "c100 0500 4200 1e0c"), ErrLength, ErrLength},
		{"directory, count too small", from(serverPort), unhex(t, "c100 0000 4200 1e0c"), ErrLength, ErrLength},
		{"directory, cut in an entry", from(serverPort), unhex(t, "c100 0100 4200 1e"), ErrLength, ErrLength},
		{"directory, count 65535", from(serverPort), unhex(t, "c100 ffff 4200 1e0c"), ErrLength, ErrLength},
		{"directory of 96", from(serverPort), many, ErrDuplicate, ErrDuplicate},
		{"vanilla, type only", from(b), unhex(t, "c200"), ErrLength, ErrLength},
		{"vanilla, no zero byte", from(b), unhex(t, "c200 0000"), ErrLength, ErrLength},
		{"vanilla, length too large", from(b), unhex(t, "c200 9001 6869 00"), ErrLength, ErrLength},
		{"vanilla, length too large by one", from(b), unhex(t, "c200 0300 6869 00"), ErrLength, ErrLength},
		{"vanilla, length too small by one", from(b), unhex(t, "c200 0100 6869 00"), ErrLength, ErrLength},
		{"vanilla, longer than IPv4 carries", from(b), long, ErrLength, ErrLength},
		{"vanilla, another byte in the zero's place", from(b), unhex(t, "c200 0200 6869 01"), ErrPayload, ErrPayload},
		{"vanilla, zero inside", from(b), unhex(t, "c200 0300 680069 00"), ErrPayload, ErrPayload},
		{"vanilla, zero first", from(b), unhex(t, "c200 0200 0069 00"), ErrPayload, ErrPayload},
		{"vanilla, zero last", from(b), unhex(t, "c200 0200 6800 00"), ErrPayload, ErrPayload},
		{"unknown type", from(b), unhex(t, "efbe 0100"), ErrType, ErrType},
		{"type 0", from(b), unhex(t, "0000 4100 1d0c"), ErrType, ErrType},
		{"type below the first", from(b), unhex(t, "bf00 4100 1d0c"), ErrType, ErrType},
		{"type above the last", from(b), unhex(t, "c400 4100"), ErrType, ErrType},
		{"type with a high byte", from(b), unhex(t, "c001 4100 1d0c"), ErrType, ErrType},
		{"big-endian birth", from(b), unhex(t, "00c0 0041 0c1d"), ErrType, ErrType},
		{"big-endian directory", from(serverPort), unhex(t, "00c1 0001 0042 0c1e"), ErrType, ErrType},
		{"big-endian vanilla", from(b), unhex(t, "00c2 0002 6869 00"), ErrType, ErrType},
		{"big-endian keep-alive", from(b), unhex(t, "00c3 0041"), ErrType, ErrType},
		{"big-endian name", from(b), unhex(t, "c000 0041 1d0c"), ErrName, ErrName},
		{"birth, no name", from(b), unhex(t, "c000 0000 1d0c"), ErrName, ErrName},
		{"birth, name below space", from(b), unhex(t, "c000 1f00 1d0c"), ErrName, ErrName},
		{"birth, name above ~", from(b), unhex(t, "c000 7f00 1d0c"), ErrName, ErrName},
		{"birth, name above ASCII", from(b), unhex(t, "c000 c100 1d0c"), ErrName, ErrName},
		{"birth, name of two bytes", from(b), unhex(t, "c000 4142 1d0c"), ErrName, ErrName},
		{"keep-alive, no name", from(b), unhex(t, "c300 0000"), ErrName, ErrName},
		{"keep-alive, name below space", from(b), unhex(t, "c300 1f00"), ErrName, ErrName},
		{"keep-alive, name above ~", from(b), unhex(t, "c300 7f00"), ErrName, ErrName},
		{"keep-alive, name above ASCII", from(b), unhex(t, "c300 c100"), ErrName, ErrName},
		{"keep-alive, name of two bytes", from(b), unhex(t, "c300 4142"), ErrName, ErrName},
		{"directory, bad name", from(serverPort), unhex(t, "c100 0200 4200 1e0c 0a00 1f0c"), ErrName, ErrName},
		{"directory, name of two bytes", from(serverPort), unhex(t, "c100 0100 4201 1e0c"), ErrName, ErrName},
		{"birth, port 0", from(b), unhex(t, "c000 4100 0000"), ErrPort, ErrPort},
		{"directory, port 0", from(serverPort), unhex(t, "c100 0200 4200 1e0c 4300 0000"), ErrPort, ErrPort},
		{"directory, a name twice", from(serverPort), directory(named('A', 3101), named('B', 3102), named('B', 3103)), ErrDuplicate, ErrDuplicate},
		{"directory, a port twice", from(serverPort), directory(named('A', 3101), named('B', 3102), named('C', 3102)), ErrDuplicate, ErrDuplicate},
		{"directory, an entry twice", from(serverPort), directory(named('B', 3102), named('B', 3102)), ErrDuplicate, ErrDuplicate},

		{"birth with the server's port", from(b), birth(named('Z', serverPort)), ErrRejected, ErrMisdirected},
		{"birth", from(b), birth(named('Z', 3126)), nil, ErrMisdirected},
		{"keep-alive", from(b), keepAlive('Z'), nil, ErrMisdirected},
		{"directory from the server", from(serverPort), directory(peer('A'), peer('B')), ErrMisdirected, nil},
		{"directory from a member", from(b), directory(peer('A'), peer('B')), ErrMisdirected, ErrStranger},
		{"directory from the server's port elsewhere", foreign, directory(peer('A'), peer('B')), ErrMisdirected, ErrStranger},
		{"vanilla from a member", from(b), vanilla("hi"), ErrMisdirected, nil},
		{"vanilla from nobody", from(3103), vanilla("hi"), ErrMisdirected, ErrStranger},
		{"vanilla from the server", from(serverPort), vanilla("hi"), ErrMisdirected, ErrStranger},
		{"vanilla from the peer itself", from(3101), vanilla("hi"), ErrMisdirected, ErrStranger},
		{"vanilla from a member's port elsewhere", foreignB, vanilla("hi"), ErrMisdirected, ErrStranger},
	} {
		t.Run(c.name, func(t *testing.T) {
			if class(c.server) == ErrMalformed {
				if _, err := parse(c.datagram); err != c.server {
					t.Errorf("Parse gives %v, want %v", err, c.server)
				}
			}
			s, _ := server(t)
			s.hear(0, 3101, birth(peer('A')))
			p, _ := member(t)
			p.hear(0, serverPort, directory(peer('A'), peer('B')))
			for _, at := range []struct {
				receiver string
				*rig
				want error
			}{{"server", s, c.server}, {"peer", p, c.peer}} {
				at.forget()
				if poll := at.step(0, c.from, c.datagram); poll && at.want != nil && at.want != ErrRejected {
					t.Errorf("%s: polled for what it drops", at.receiver)
				}
				at.poll()
				counted := at.counters().refusals()
				for reason, n := range counted {
					want := uint64(0)
					if at.want != nil && reason == class(at.want) {
						want = 1
					}
					if n != want {
						t.Errorf("%s: %d counted as %v, want %d", at.receiver, n, reason, want)
					}
				}
				if at.want != nil {
					// refused: counted, told, and nothing else
					at.rig.want(fmt.Sprintf("0s dropped from %d: %v", c.from.Port(), at.want))
				}
			}
		})
	}
}

// A refused directory changes nothing of what the peer knows.
func TestBadDirectoryIsDroppedWhole(t *testing.T) {
	r, p := member(t)
	r.hear(0, serverPort, directory(peer('A'), peer('B')))
	r.hear(0, serverPort, directory(peer('A'), peer('C'), peer('D'), named('E', 3103)))
	if got := showMembers(p.Others()); got != "[B:3102]" {
		t.Errorf("the others are %s, want [B:3102]", got)
	}
}

// In's counters go by the type that a datagram claims, good or bad.
func TestTrafficByType(t *testing.T) {
	r, d := server(t)
	for _, b := range []string{"c00041001d0c", "c000", "c1000000", "c20000", "c3005a00", "c30000", "", "c0", "efbe0100"} {
		r.hear(0, 3101, unhex(t, b))
	}
	want := ByType{
		Birth:     Traffic{2, 8},
		Directory: Traffic{1, 4},
		Vanilla:   Traffic{1, 3},
		KeepAlive: Traffic{2, 7},
		Other:     Traffic{3, 5},
	}
	c := d.Counters()
	if c.In != want {
		t.Errorf("in: %+v, want %+v", c.In, want)
	}
	if want := (ByType{Directory: Traffic{1, 8}}); c.Out != want {
		t.Errorf("out: %+v, want %+v", c.Out, want)
	}
	if got, want := c.In.Plus(c.Out).Total(), (Traffic{10, 35}); got != want {
		t.Errorf("both: %+v, want %+v", got, want)
	}
	if twice := c.Plus(c); twice.In != c.In.Plus(c.In) || twice.Out != c.Out.Plus(c.Out) || twice.Events[Malformed] != 2*c.Events[Malformed] || c.Events[Malformed] == 0 {
		t.Errorf("twice %+v is %+v", c, twice)
	}
}

// PROTOCOL.md, "Peer", broadcast: lower-case hexadecimal without padding.
func TestBroadcastText(t *testing.T) {
	for _, c := range []struct {
		from    Name
		counter uint16
		size    int
		want    string
	}{
		{"A", 0, 0, "peerA_broadcast_0"},
		{"B", 9, 0, "peerB_broadcast_9"},
		{"A", 10, 0, "peerA_broadcast_a"},
		{"A", 31, 0, "peerA_broadcast_1f"},
		{"~", 65535, 0, "peer~_broadcast_ffff"},
		{"A", 31, 18, "peerA_broadcast_1f"},
		{"A", 31, 20, "peerA_broadcast_1f.."},
		{"A", 31, 18 + 64, "peerA_broadcast_1f" + strings.Repeat(".", 64)},
		{"A", 31, 18 + 65, "peerA_broadcast_1f" + strings.Repeat(".", 65)},
		{".", 31, 1400, "peer._broadcast_1f" + strings.Repeat(".", 1382)},
	} {
		text := AppendBroadcast([]byte("prefix"), c.from, c.counter, c.size)[len("prefix"):]
		if string(text) != c.want {
			t.Errorf("AppendBroadcast(%v, %d, %d) = %q, want %q", c.from, c.counter, c.size, text, c.want)
		}
		if from, counter, ok := ParseBroadcast(text); Name(from) != c.from || counter != c.counter || !ok {
			t.Errorf("ParseBroadcast(%q) = %v, %d, %v", text, from, counter, ok)
		}
	}
	for _, text := range []string{"", "peerA_broadcast_", "peerA_broadcast_.", "peerA_broadcast_G", "peerA_broadcast_1F",
		"peerA_broadcast_10000", "peerA_broadcast_ 1", "PeerA_broadcast_1", "peerA-broadcast_1", "peerA_broadcast_1 .", "peer_broadcast_1", "hello"} {
		if from, counter, ok := ParseBroadcast([]byte(text)); ok || counter != 0 {
			t.Errorf("ParseBroadcast(%q) = %q, %d, %v: want it refused", text, from, counter, ok)
		}
	}
	for text := []byte("peerA_broadcast_1"); len(text) > 0; { // nothing is read beyond a text's end
		text = slices.Clip(bytes.Clone(text[:len(text)-1]))
		if from, counter, ok := ParseBroadcast(text); ok {
			t.Errorf("ParseBroadcast(%q) = %q, %d: want it refused", text, from, counter)
		}
	}
}

func TestStrings(t *testing.T) {
	for got, want := range map[string]string{
		TypeBirth.String():     "birth",
		TypeDirectory.String(): "directory",
		TypeVanilla.String():   "vanilla",
		TypeKeepAlive.String(): "keep-alive",
		Type(0xBEEF).String():  "type 0xBEEF",
		ErrLength.Error():      "malformed: length does not fit the layout",
	} {
		if got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
	for _, err := range []error{ErrLength, ErrType, ErrName, ErrPort, ErrPayload, ErrDuplicate} {
		if !errors.Is(err, ErrMalformed) {
			t.Errorf("%v is not ErrMalformed", err)
		}
	}
}
