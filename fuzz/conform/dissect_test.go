package conform

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"p2plocal/core/wire"
	"p2plocal/fuzz/hostile"
)

func TestAnnotate(t *testing.T) {
	t.Parallel()
	many := []wire.Entry{}
	for n := wire.Name('A'); n <= 'L'; n++ {
		many = append(many, wire.Entry{Name: n, Port: 3100 + uint16(n)})
	}
	for _, test := range []struct {
		datagram string // hexadecimal, with blanks
		want     string // line by line
	}{
		{"c000 4100 1d0c", "0000 c0 00 type: birth|0002 41 00 name: 'A'|0004 1d 0c port: 3101"},
		{"c300 4100", "0000 c3 00 type: keep-alive|0002 41 00 name: 'A'"},
		{"c100 0200 4100 1d0c 4200 1e0c", "0000 c1 00 type: directory|0002 02 00 count: 2|0004 41 00 1d 0c entry 1: 'A' on port 3101|0008 42 00 1e 0c entry 2: 'B' on port 3102"},
		{"c200 0200 6869 00", "0000 c2 00 type: vanilla|0002 02 00 length: 2|0004 68 69 text: \"hi\"|0006 00 zero: the end"},
		{"", "0000 nothing: a datagram of 0 bytes"},
		{"c0", "0000 c0 half a type: 1 byte"},
		{"c000", "0000 c0 00 type: birth"},
		{"c000 41", "0000 c0 00 type: birth|0002 41 half a name: 1 byte"},
		{"c000 4100 1d", "0000 c0 00 type: birth|0002 41 00 name: 'A'|0004 1d half a port: 1 byte"},
		{"c000 4101 0000 ffee", "0000 c0 00 type: birth|0002 41 01 name: 0x0141, which is no name|0004 00 00 port: 0|0006 ff ee left over: 2 bytes"},
		{"00c0 0041 0c1d", "0000 00 c0 type: 0xC000, which there is not|0002 00 41 0c 1d unknown: 4 bytes"},
		{"c100 0300 4100 1d0c 42", "0000 c1 00 type: directory|0002 03 00 count: 3|0004 41 00 1d 0c entry 1: 'A' on port 3101|0008 42 half an entry: 1 byte"},
		{"c100 0000 4100 1d0c", "0000 c1 00 type: directory|0002 00 00 count: 0|0004 41 00 1d 0c left over: 4 bytes"},
		{"c100 01", "0000 c1 00 type: directory|0002 01 half a count: 1 byte"},
		{"c200 ffff 6869 00", "0000 c2 00 type: vanilla|0002 ff ff length: 65535|0004 68 69 00 text: \"hi\\x00\""},
		{"c200 0100 6869 00", "0000 c2 00 type: vanilla|0002 01 00 length: 1|0004 68 text: \"h\"|0005 69 00 left over: 2 bytes"},
		{"c200 0b00 68656c6c6f20776f726c6421 00", "0000 c2 00 type: vanilla|0002 0b 00 length: 11|0004 68 65 6c 6c 6f 20 77 .. text: \"hello world\"|000f 21 00 left over: 2 bytes"},
		{fmt.Sprintf("%x", hostile.Directory(many...)), "0000 c1 00 type: directory|0002 0c 00 count: 12|0004 41 00 5d 0c entry 1: 'A' on port 3165|0008 42 00 5e 0c entry 2: 'B' on port 3166|" +
			"000c 43 00 5f 0c entry 3: 'C' on port 3167|0010 44 00 60 0c entry 4: 'D' on port 3168|6 more|002c 4b 00 67 0c entry 11: 'K' on port 3175|0030 4c 00 68 0c entry 12: 'L' on port 3176"},
		{"c157 2222222222222222 02000000 0000 0100 0500616e746f6ec0000201a20f 410261a00f 4109",
			"0000 c1 57 type: wide directory|0002 22 22 22 22 22 22 22 22 server: 2222222222222222|000a 02 00 00 00 version: 2|000e 00 00 page: 0|0010 01 00 pages: 1|" +
				"0012 05 00 61 6e 74 6f 6e .. entry 1: \"anton\" at 192.0.2.1:4002|001f 41 02 61 a0 0f entry 2: \"ana\" on the same host, port 4000|0024 41 09 half an entry: 2 bytes"},
	} {
		var h Hex
		if err := h.UnmarshalText([]byte(strings.ReplaceAll(test.datagram, " ", ""))); err != nil {
			t.Fatal(err)
		}
		var lines []string
		for _, l := range Annotate(h) {
			lines = append(lines, strings.Join(strings.Fields(l), " "))
		}
		if got := strings.Join(lines, "|"); got != test.want {
			t.Errorf("%s:\n%s\nwant\n%s", test.datagram, strings.ReplaceAll(got, "|", "\n"), strings.ReplaceAll(test.want, "|", "\n"))
		}
	}
}

// Whatever the catalogue has can be taken apart, and no byte is missing.
func TestDissectAccountsForEveryByte(t *testing.T) {
	t.Parallel()
	wide := hostile.DefaultEnv()
	wide.Wide = wire.Name.String
	for _, c := range slices.Concat(hostile.DefaultEnv().Cases(hostile.Server), hostile.DefaultEnv().Cases(hostile.Peer), wide.Cases(hostile.Server), wide.Cases(hostile.Peer)) {
		for _, s := range c.Steps {
			at := 0
			dissect(s.Datagram, func(part []byte, name, _ string) {
				if !bytes.Equal(part, s.Datagram[at:at+len(part)]) {
					t.Fatalf("%s: field %q of % x is not what stands at %d", c.Name, name, s.Datagram[:min(16, len(s.Datagram))], at)
				}
				at += len(part)
			})
			if at != len(s.Datagram) {
				t.Fatalf("%s: the fields of a datagram of %d bytes have %d", c.Name, len(s.Datagram), at)
			}
		}
	}
}

func TestHexInJSON(t *testing.T) {
	t.Parallel()
	b, err := json.Marshal(Event{Datagram: Hex{0xC3, 0, 'A', 0}})
	if err != nil || !bytes.Contains(b, []byte(`"datagram":"c3004100"`)) {
		t.Errorf("%s, %v", b, err)
	}
	var e Event
	if err := json.Unmarshal([]byte(`{"datagram":"c30"}`), &e); err == nil {
		t.Error("half a byte is no error")
	}
}

func TestCasesAreNamedAndPlaced(t *testing.T) {
	t.Parallel()
	description, err := os.ReadFile("../../core/PROTOCOL.md")
	if err != nil {
		t.Fatal(err)
	}
	id := regexp.MustCompile(`^(server|peer)/([a-z-]+/[0-9]+|robust/[a-z-]+/[a-z0-9'-]+)$`)
	seen := map[string]bool{}
	own := 0
	for _, role := range []hostile.Role{hostile.Server, hostile.Peer} {
		for _, c := range Cases(role) {
			if seen[c.ID] || !id.MatchString(c.ID) || !strings.HasPrefix(c.ID, role.String()+"/") || c.Title == "" || (c.called == nil) == strings.Contains(c.ID, "/robust/") || c.Role != role {
				t.Errorf("%+v", c)
			}
			seen[c.ID] = true
			if !strings.Contains(string(description), "\n## "+c.Section+"\n") {
				t.Errorf("%s: PROTOCOL.md has no section %q", c.ID, c.Section)
			}
			if !strings.Contains(c.ID, "/robust/") {
				own++
				continue
			}
			if c.Level != Should {
				t.Errorf("%s: level %s, want %s", c.ID, c.Level, Should)
			}
		}
	}
	if own < 60 {
		t.Errorf("%d cases beside the catalogue's, want 60", own)
	}
}
