package campaign

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"net/http"
	"net/netip"
	"time"

	"p2plocal/core"
	"p2plocal/core/wire"
	"p2plocal/fuzz/hostile"
	"p2plocal/fuzz/target"
)

// targetCounters are what a target of ours says of itself under p2p's -metrics.
type targetCounters struct {
	P2P struct {
		Counters    core.Counters `json:"counters"`
		KernelDrops *uint64       `json:"kernel_drops"` // nil: it does not know
		Goroutines  int           `json:"goroutines"`
	} `json:"p2p"`
	Memstats struct{ Sys int64 } `json:"memstats"` // bytes that it has from the system
}

// audit compares a target's counters with the campaign's.
type audit struct {
	url    string
	target netip.AddrPort
	client http.Client
	first  targetCounters
	least  uint64 // datagrams that the campaign had sent before first was read
	most   uint64 // and after
	mesh   uint64 // of least, what the mesh had sent

	known  [len(classes)]uint64 // sent since then, by class
	others uint64               // sent, of no known class: a flood's

	good  int           // of the trial's datagrams, those before the last reading that was right
	since time.Duration // on the trial's clock, when readings began to be wrong; -1: the last was right
}

// classes are the counters of a target that can be told from what was sent: by
// the type that a datagram claims, and by why it must be dropped.
var classes = [...]struct {
	name  string
	count func(*core.Counters) uint64
	has   func(d []byte, m *wire.Message, err error, role hostile.Role) bool
	mesh  [2]bool // to a server, or a peer: the mesh itself sends such, too
}{
	{"births", func(c *core.Counters) uint64 { return c.In.Birth.Datagrams }, claims(core.TypeBirth), [2]bool{true, false}},
	{"keep-alives", func(c *core.Counters) uint64 { return c.In.KeepAlive.Datagrams }, claims(core.TypeKeepAlive), [2]bool{true, false}},
	{"directories", func(c *core.Counters) uint64 { return c.In.Directory.Datagrams }, claims(core.TypeDirectory), [2]bool{false, true}},
	{"vanilla messages", func(c *core.Counters) uint64 { return c.In.Vanilla.Datagrams }, claims(core.TypeVanilla), [2]bool{false, true}},
	{"datagrams of other types", func(c *core.Counters) uint64 { return c.In.Other.Datagrams }, func(d []byte, _ *wire.Message, _ error, _ hostile.Role) bool {
		return claimed(d) < core.TypeBirth || claimed(d) > core.TypeRetry
	}, [2]bool{}},
	{"malformed datagrams", func(c *core.Counters) uint64 { return c.Events[core.Malformed] }, func(_ []byte, _ *wire.Message, err error, _ hostile.Role) bool {
		return err != nil
	}, [2]bool{}},
	{"misdirected datagrams", func(c *core.Counters) uint64 { return c.Events[core.Misdirected] }, func(_ []byte, m *wire.Message, err error, role hostile.Role) bool {
		forServer := m.Type == core.TypeBirth || m.Type == core.TypeKeepAlive
		return err == nil && forServer != (role == hostile.Server)
	}, [2]bool{}},
}

func claims(t core.Type) func([]byte, *wire.Message, error, hostile.Role) bool {
	return func(d []byte, _ *wire.Message, _ error, _ hostile.Role) bool { return claimed(d) == t }
}

// claimed is the type that a datagram claims, 0 where it is too short for one.
func claimed(d []byte) core.Type {
	if len(d) < 2 {
		return 0
	}
	return core.Type(binary.LittleEndian.Uint16(d))
}

// sent counts a datagram for the target.
func (a *audit) sent(role hostile.Role, d []byte) {
	m, err := wire.Parse(d)
	for i := range classes {
		if classes[i].has(d, &m, err, role) {
			a.known[i]++
		}
	}
}

// wrong says what the target counts wrongly, when least to most datagrams were sent to it.
func (a *audit) wrong(b *targetCounters, role hostile.Role, least, most, mesh uint64, alone bool) string {
	if why := wrongSum(b.P2P.Counters); why != "" {
		return why
	}
	took, known := a.taken(b)
	switch {
	case !known:
		return ""
	case role == hostile.Server && (took < least || alone && took > most):
		return fmt.Sprintf("it counts %d datagrams taken or dropped, of %d sent", took, most)
	}
	return a.wrongClass(b, role, mesh, alone)
}

// wrongClass says which class the target counts wrongly: less than was sent and not
// dropped by the kernel, or, where nobody else sends to it, more. mesh is how much
// the mesh may have sent.
func (a *audit) wrongClass(b *targetCounters, role hostile.Role, mesh uint64, alone bool) string {
	drops := *b.P2P.KernelDrops - *a.first.P2P.KernelDrops
	for i, class := range classes {
		n := class.count(&b.P2P.Counters) - class.count(&a.first.P2P.Counters)
		most := a.known[i] + a.others
		if class.mesh[role] {
			most += mesh
		}
		if least := a.known[i] - min(a.known[i], drops+a.others); n < least || alone && n > most {
			return fmt.Sprintf("it counts %d %s, of %d to %d sent", n, class.name, least, most)
		}
	}
	return ""
}

func newAudit(url string, addr netip.AddrPort, sent func() uint64) (*audit, error) {
	a := &audit{url: url, target: addr, least: sent(), client: http.Client{Timeout: 10 * time.Second}, since: -1}
	var err error
	a.first, err = a.read()
	a.most, a.mesh = sent(), a.least
	return a, err
}

// clean says that the last reading was right.
func (a *audit) clean() bool { return a == nil || a.since < 0 }

func (a *audit) close() { a.client.CloseIdleConnections() }

func (a *audit) read() (b targetCounters, err error) {
	r, err := a.client.Get(a.url)
	if err != nil {
		return b, fmt.Errorf("cannot read -metrics: %w", err)
	}
	defer r.Body.Close()
	if err := json.NewDecoder(r.Body).Decode(&b); err != nil {
		return b, fmt.Errorf("-metrics %s is not p2p's /debug/vars: %v", a.url, err)
	}
	if b.P2P.KernelDrops == nil {
		if _, n, told := target.Backlog(a.target); told {
			b.P2P.KernelDrops = &n
		}
	}
	return b, nil
}

// taken is how many datagrams have come to the target's socket since the first
// reading; false where nobody knows what the kernel dropped.
func (a *audit) taken(b *targetCounters) (uint64, bool) {
	now, then := b.P2P.KernelDrops, a.first.P2P.KernelDrops
	if now == nil || then == nil {
		return 0, false
	}
	return b.P2P.Counters.In.Total().Datagrams + *now - a.first.P2P.Counters.In.Total().Datagrams - *then, true
}

const goroutinesGrown = 8 // more than this are a leak

// grown says what the target holds more of than at first.
func (a *audit) grown(b *targetCounters) string {
	if n := b.P2P.Goroutines - a.first.P2P.Goroutines; n > goroutinesGrown {
		return fmt.Sprintf("its goroutines grew by %d", n)
	}
	if n := b.Memstats.Sys - a.first.Memstats.Sys; n > memoryGrown {
		return fmt.Sprintf("its memory grew by %d MB", n>>20)
	}
	return ""
}

// wrongSum says where the counters contradict each other: what came in must have
// become something.
func wrongSum(c core.Counters) string {
	became := c.Events.Dropped() + c.Events.Taken()
	if in := c.In.Total().Datagrams; in != became {
		return fmt.Sprintf("it counts %d datagrams in, and %d by what became of them", in, became)
	}
	return ""
}
