package fuzz_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"p2plocal/bench/faults"
	"p2plocal/bench/swarm"
	"p2plocal/core"
	"p2plocal/core/simnet"
	"p2plocal/fuzz/corpus"
)

// FuzzMesh makes a mesh and its faults of any bytes. Every invariant holds
// throughout. When the faults are over, every view is within bound the server's,
// with refresh; without it, but for the gaps that the protocol is known to leave.
func FuzzMesh(f *testing.F) {
	f.Fuzz(func(t *testing.T, b []byte) {
		s := decodeMesh(b)
		if err := s.Validate(); err != nil {
			t.Fatalf("%x is no scenario: %v", b, err)
		}
		// The engine takes ten seconds for a deadlock, and a large mesh may need them on a busy machine.
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		if found := swarm.Exact(swarm.Core)(ctx, s, 0, nil).Finding; found != nil {
			var script bytes.Buffer
			s.Write(&script)
			t.Fatalf("%v\n%s", found, script.Bytes())
		}
	})
}

// The layout of FuzzMesh's bytes. A head of
//
//	peers    1 byte   modulo 12, plus 1; 255: 95
//	refresh  1 byte   times 25 ms, at least 100 ms; odd: none
//	queue    1 byte   modulo 64; 0, and from 128 on: no bound
//	seed     2 bytes  of chance
//	network  6 bytes  see decodeNet
//
// and of each fault
//
//	verb     1 byte   modulo 7
//	at       1 byte   times 50 ms
//	length   1 byte   times 50 ms, plus 10 ms
//	A, B     2 bytes  modulo the nodes; from 240 on: all, where that may be
//	value    6 bytes  a link's network, or the first two: drift, jump, datagrams
const (
	headSize    = 11
	faultSize   = 11
	faultsMost  = 64
	hostileMost = 64 // datagrams at once
	timeUnit    = 50 * time.Millisecond
	calmAt      = 16 * time.Second       // a fault begins at 12.75 s at the latest
	backMost    = 3 * time.Second        // all that clocks may stand still
	jumpUnit    = 100 * time.Millisecond //
)

var verbs = [...]faults.Verb{faults.Link, faults.Cut, faults.Pause, faults.Crash, faults.Drift, faults.Jump, faults.Hostile}

// decodeMesh gives a valid scenario for any bytes.
func decodeMesh(b []byte) faults.Script {
	head := make([]byte, headSize)
	b = b[copy(head, b):]
	s := faults.Script{
		Peers:   1 + int(head[0])%12,
		Seed:    uint64(binary.LittleEndian.Uint16(head[3:])),
		Calm:    calmAt,
		Network: decodeNet(head[5:]),
	}
	if head[0] == 255 {
		s.Peers = core.MaxPeers
	}
	if head[1]%2 == 0 {
		s.Refresh = max(100, 25*time.Duration(head[1])) * time.Millisecond
	}
	if head[2] < 128 {
		s.Queue = int(head[2]) % 64
	}
	back := backMost
	for ; len(b) >= faultSize && len(s.Faults) < faultsMost; b = b[faultSize:] {
		s.Faults = append(s.Faults, decodeFault(b, s.Peers, &back))
	}
	s.Duration = swarm.Healed(s)
	return s
}

func decodeFault(b []byte, peers int, back *time.Duration) faults.Fault {
	f := faults.Fault{Verb: verbs[int(b[0])%len(verbs)], At: time.Duration(b[1]) * timeUnit}
	f.Until = min(calmAt, f.At+time.Duration(b[2])*timeUnit+10*time.Millisecond)
	f.A = simnet.ServerPort + uint16(int(b[3])%(peers+1))
	f.B = simnet.ServerPort + uint16(int(b[4])%(peers+1))
	value := b[5:]
	number := int(int16(binary.LittleEndian.Uint16(value)))
	switch f.Verb {
	case faults.Link, faults.Cut:
		if b[3] >= 240 {
			f.A = 0
		}
		if b[4] >= 240 {
			f.B = 0
		}
		if f.Verb == faults.Link {
			f.Net = decodeNet(value)
		}
		return f
	case faults.Drift, faults.Jump: // of peers: the invariants go by the server's clock
		f.A = simnet.ServerPort + 1 + uint16(int(b[3])%peers)
	}
	f.B = 0
	switch f.Verb {
	case faults.Drift:
		f.N = number * 15 // ppm
	case faults.Jump:
		f.Until, f.Jump = 0, time.Duration(int8(value[0]))*jumpUnit
		if f.Jump < 0 {
			f.Jump = max(f.Jump, -*back)
			*back += f.Jump
		}
	case faults.Hostile:
		f.Until, f.N = 0, 1+int(value[0])%hostileMost
	}
	return f
}

// decodeNet makes a link of six bytes: loss, jitter (6 bits of ms, and whether it
// has a tail), duplicate, reorder, hold (times 4 ms), and how links turn bad.
func decodeNet(b []byte) simnet.Fault {
	chance := func(b byte) float64 { return float64(b) / 255 }
	f := simnet.Fault{
		Delay:  20 * time.Microsecond,
		Loss:   chance(b[0]),
		Jitter: time.Duration(b[1]%64) * time.Millisecond, Tail: b[1]&64 != 0,
		Duplicate: chance(b[2]),
		Reorder:   chance(b[3]), Hold: 4 * time.Duration(b[4]) * time.Millisecond,
	}
	if often := b[5] % 16; often > 0 {
		f.Worsen, f.Recover, f.Bad = float64(often)/32, float64(1+b[5]/16)/16, 1
	}
	return f
}

// encodeMesh is decodeMesh's inverse, as near as the layout can come.
func encodeMesh(s faults.Script) []byte {
	units := func(d, unit time.Duration) byte { return byte(min(255, d/unit)) }
	b := []byte{byte(s.Peers-1) % 12, units(s.Refresh, 25*time.Millisecond) &^ 1, byte(s.Queue)}
	if s.Peers > 12 {
		b[0] = 255
	}
	if s.Refresh == 0 {
		b[1] = 1
	}
	b = binary.LittleEndian.AppendUint16(b, uint16(s.Seed))
	b = append(b, encodeNet(s.Network)...)
	who := func(port uint16) byte {
		if port == 0 {
			return 240
		}
		return byte(port - simnet.ServerPort)
	}
	for _, f := range s.Faults {
		a := who(f.A)
		if f.Verb == faults.Drift || f.Verb == faults.Jump {
			a--
		}
		b = append(b, byte(slices.Index(verbs[:], f.Verb)), units(f.At, timeUnit), units(max(0, f.Until-f.At), timeUnit), a, who(f.B))
		value := encodeNet(f.Net)
		switch f.Verb {
		case faults.Drift:
			binary.LittleEndian.PutUint16(value, uint16(f.N/15))
		case faults.Jump:
			value[0] = byte(f.Jump / jumpUnit)
		case faults.Hostile:
			value[0] = byte(min(f.N, hostileMost) - 1)
		}
		b = append(b, value...)
	}
	return b
}

func encodeNet(f simnet.Fault) []byte {
	chance := func(p float64) byte { return byte(p * 255) }
	b := []byte{chance(f.Loss), byte(min(63, f.Jitter/time.Millisecond)), chance(f.Duplicate), chance(f.Reorder), byte(min(255, f.Hold/(4*time.Millisecond))), 0}
	if f.Tail {
		b[1] |= 64
	}
	if f.Worsen > 0 {
		b[5] = byte(max(1, min(15, f.Worsen*32))) | byte(f.Recover*15)<<4
	}
	return b
}

// meshSeeds are the examples' faults and some of the swarm's, by file name.
func meshSeeds(t *testing.T) map[string][]byte {
	seeds := map[string][]byte{"empty": {}}
	files, err := filepath.Glob("../bench/swarm/testdata/*.faults")
	if err != nil || len(files) == 0 {
		t.Fatalf("no examples: %v", err)
	}
	for _, file := range files {
		script, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		s, err := faults.Default().Parse(bytes.NewReader(script))
		if err != nil {
			t.Fatal(err)
		}
		base := strings.TrimSuffix(filepath.Base(file), ".faults")
		for name, refresh := range map[string]time.Duration{"exact": 0, "refresh": time.Second} {
			s.Refresh = refresh
			seeds[base+"-"+name] = encodeMesh(s)
		}
	}
	for seed := range uint64(40) {
		seeds[fmt.Sprintf("swarm-%d", seed)] = encodeMesh(swarm.Draw(seed))
	}
	return seeds
}

// The committed seeds are what the examples and the swarm give today.
func TestMeshCorpus(t *testing.T) {
	corpus.Hold(t, *update, ".", "FuzzMesh", meshSeeds(t))
}

// Nothing that the layout can say is lost between the two.
func TestMeshLayout(t *testing.T) {
	for seed := range uint64(500) {
		s := decodeMesh(encodeMesh(swarm.Draw(seed)))
		if again := decodeMesh(encodeMesh(s)); again.Peers != s.Peers || len(again.Faults) != len(s.Faults) {
			t.Errorf("%v reads back as %v", s, again)
		}
	}
}

// Every known gap is one: the swarm falls into each of them.
func TestMeshGaps(t *testing.T) {
	seen := map[swarm.Gap]int{}
	for seed := range uint64(300) {
		s := decodeMesh(encodeMesh(swarm.Draw(seed)))
		if s.Peers > 12 {
			continue // slow, and no different
		}
		s.Refresh = 0
		r := swarm.Exact(swarm.Core)(t.Context(), s, 0, nil)
		if r.Finding != nil {
			t.Errorf("seed %d: %v", seed, r.Finding)
		}
		for why, n := range r.Gaps {
			seen[why] += n
		}
	}
	t.Log(seen)
	for _, why := range swarm.Gaps {
		if seen[why] == 0 {
			t.Errorf("no view differs because %s", why)
		}
	}
}
