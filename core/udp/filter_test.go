package udp

import (
	"math/rand/v2"
	"testing"

	"golang.org/x/net/bpf"

	"p2plocal/core"
	"p2plocal/core/wire"
)

// acceptable reports that a server can take a datagram: a birth, but for one with
// port 0, which the filter does not look at, or a keep-alive.
func acceptable(b []byte) bool {
	m, err := wire.Parse(b)
	return err == nil && (m.Type == core.TypeBirth || m.Type == core.TypeKeepAlive) || err == core.ErrPort && len(b) == 6
}

// filterCases are valid datagrams, and such as are nearly valid.
func filterCases() (all [][]byte) {
	for _, b := range [][]byte{birth(wire.Entry{Name: 'A'}), birth(every(34)[33]), keepAlive('A'), {0xC1, 0, 1, 0, 'A', 0, 0x3E, 0x0C}, vanilla("A"), {0, 0xC3, 0, 'A'}, {0xC3, 1, 'A', 0}} {
		for n := range len(b) {
			all = append(all, b[:n:n])
		}
		all = append(all, append(b[:len(b):len(b)], 0), b)
	}
	for name := range 256 {
		for _, high := range []byte{0, 1, 0x80, 0xFF} {
			for _, kind := range []byte{0xBF, 0xC0, 0xC3, 0xC4} {
				b := []byte{kind, 0, byte(name), high, 0x1D, 0x0C}
				all = append(all, b[:4:4], b)
			}
		}
	}
	return all
}

// The filter lets pass what a server can take, and nothing else.
func TestServerFilter(t *testing.T) {
	t.Parallel()
	program, ok := bpf.Disassemble(assemble((&core.Exact{Host: host}).Accepts()))
	if !ok {
		t.Fatal("no program")
	}
	vm, err := bpf.NewVM(program)
	if err != nil {
		t.Fatal(err)
	}
	passed := 0
	try := func(b []byte) {
		t.Helper()
		n, err := vm.Run(append(make([]byte, udpHeader), b...))
		if err != nil {
			t.Fatal(err)
		}
		if passes := n >= len(b) && n > 0; passes != acceptable(b) {
			t.Errorf("%x passes: %v", b, passes)
		} else if passes {
			passed++
		}
	}
	for _, b := range filterCases() {
		try(b)
	}
	if passed < 2*core.MaxPeers {
		t.Errorf("only %d datagrams pass", passed)
	}
	random := rand.New(rand.NewPCG(1, 2))
	for range 100_000 {
		b := make([]byte, random.IntN(9))
		for i := range b {
			b[i] = byte(random.Uint32())
		}
		if len(b) > 1 && random.IntN(4) > 0 {
			b[0], b[1] = 0xC0+byte(random.IntN(5)), 0
		}
		if len(b) > 3 && random.IntN(4) > 0 {
			b[3] = 0
		}
		try(b)
	}
}

// What no program can say is not filtered.
func TestNoFilter(t *testing.T) {
	t.Parallel()
	long := core.Shape{Shortest: 100, Longest: 100, Low: string(make([]byte, 100)), High: string(make([]byte, 100))}
	for _, shapes := range [][]core.Shape{nil, {long}} {
		if assemble(shapes) != nil {
			t.Errorf("a filter for %d shapes", len(shapes))
		}
	}
}
