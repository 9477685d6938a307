package wire

import (
	"encoding/hex"
	"net/netip"
	"reflect"
	"slices"
	"testing"

	"p2plocal/core"
)

// What Append writes Parse reads back.
func TestMessages(t *testing.T) {
	two := Entries("A\x00\x1d\x0cB\x00\x1e\x0c")
	for want, m := range map[string]Message{
		"c00041001d0c":             {Type: core.TypeBirth, Entry: Entry{'A', 3101}},
		"c3007e00":                 {Type: core.TypeKeepAlive, Entry: Entry{Name: '~'}},
		"c100020041001d0c42001e0c": {Type: core.TypeDirectory, Entries: two},
		"c1000000":                 {Type: core.TypeDirectory, Entries: Entries{}},
		"c2000200686900":           {Type: core.TypeVanilla, Payload: []byte("hi")},
	} {
		b := m.Append([]byte("prefix"))[len("prefix"):]
		if hex.EncodeToString(b) != want {
			t.Errorf("%+v is %x, want %s", m, b, want)
		}
		if got, err := Parse(b); err != nil || !reflect.DeepEqual(got, m) {
			t.Errorf("Parse gives %+v, %v; want %+v", got, err, m)
		}
	}
	if m, err := Parse([]byte("\xC0\x00A\x00\x00\x00")); err != core.ErrPort || !reflect.DeepEqual(m, Message{}) {
		t.Errorf("Parse gives %+v, %v; want nothing and %v", m, err, core.ErrPort)
	}
}

// No byte from the network reaches a terminal raw.
func TestNames(t *testing.T) {
	for n, want := range map[Name]string{'A': "A", 0x1b: `\x1b`, 0xff: `\xff`, ' ': " ", '~': "~", 0x1f: `\x1f`, 0x7f: `\x7f`} {
		if n.String() != want {
			t.Errorf("%q, want %q", n.String(), want)
		}
	}
}

func TestEntries(t *testing.T) {
	host := netip.MustParseAddr("127.0.0.1")
	a, b := Entry{'A', 3101}, Entry{0xff, 9}
	all := EntriesOf(nil, []core.Member{a.Member(host), b.Member(host)})
	if all.Len() != 2 || all.At(0) != a || all.At(1) != b || !all.Contains(b) || all.Contains(Entry{'A', 9}) || a.String() != "A:3101" {
		t.Errorf("%v of %v and %v", all, a, b)
	}
	for e := range all.Each() {
		if e != a {
			t.Errorf("the first is %v, want %v", e, a)
		}
		break
	}
	if got := slices.Collect(all.Each()); !slices.Equal(got, []Entry{a, b}) {
		t.Errorf("%v, want %v and %v", got, a, b)
	}
}
