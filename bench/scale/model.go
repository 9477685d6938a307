package scale

import (
	"context"
	"encoding/binary"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"p2plocal/bench/result"
	"p2plocal/core"
	"p2plocal/core/wide"
)

const (
	delay    = 100 * time.Microsecond // of a datagram, one way
	patience = time.Minute            // until all must have what they wait for
)

// cost is what a datagram takes the server.
var cost = result.HostOf(1)

// model is a wide.Directory and n peers on a clock of their own. The server is the real
// machine, one thing after the other, each of which takes it time. A peer knows no more
// than which pages have come: 30,000 whole directories of 30,000 would not fit into memory.
type model struct {
	server *wide.Directory
	begin  time.Time
	now    time.Duration // the server's: it goes on when it is done with the last datagram
	busy   time.Duration
	taken  int // datagrams, since
	sent   int // so many were sent
	peers  []peer

	// At the server, each in the order of time, for delays and intervals are constant.
	answers, beats []arrival

	size map[uint32]int // members by version
	last uint32         // version announced

	incarnation uint64 // the server's

	found Point
	dead  int // the peer that was killed, -1 for none
	seen  int // peers that have seen what is waited for
	want  int // members of the directory that is waited for
	at    time.Duration
}

// peer is what is known of one.
type peer struct {
	token    []byte
	seq      uint32
	version  uint32 // coming in
	got      int    // pages of it
	held     uint32
	first    uint32 // version that names it; 0: none does
	complete bool   // it has the directory that is waited for
}

type arrival struct {
	at   time.Duration
	from int
	data []byte // nil: what is due at the time of its sending
}

const firstPort = 1024

func address(i int) netip.AddrPort {
	return netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 0, byte(i >> 8), byte(i)}), firstPort)
}

func index(a netip.AddrPort) int { b := a.Addr().As4(); return int(b[2])<<8 | int(b[3]) }

func name(i int) core.Name { return core.Name(fmt.Sprintf("peer-%05d", i+1)) }

// Simulate has n peers born at once, and one of them killed once all views are complete.
func Simulate(ctx context.Context, n int) (Point, error) {
	m := &model{begin: time.Unix(1_000_000_000, 0), peers: make([]peer, n), size: map[uint32]int{}, dead: -1, want: n, found: Point{Peers: n, Simulated: true}}
	var err error
	m.server, err = wide.NewDirectory(core.DirectoryConfig{Addr: netip.MustParseAddrPort("10.1.0.1:3000"), Timing: wide.DefaultTiming(),
		Observe: m.did}, wide.Identity{}, m.begin)
	if err != nil {
		return m.found, err
	}
	for i := range n {
		m.beats = append(m.beats, arrival{at: delay, from: i})
	}
	joined := m.run(ctx)
	sent := m.server.Counters().Out.Total()
	m.found.Datagrams, m.found.Bytes, m.found.Busy = sent.Datagrams, sent.Bytes, m.busy
	if !joined {
		return m.found, nil
	}
	m.found.Join = m.at
	m.dead, m.want, m.seen = n/2, n-1, 1
	for i := range m.peers {
		m.peers[i].complete = i == m.dead
	}
	if killed := m.now; m.run(ctx) {
		m.found.Detection = m.at - killed
	}
	return m.found, ctx.Err()
}

// run goes on until all have a directory of as many members as wanted, or a while has
// passed. What has come is stepped before the server is polled, as udp.Socket does it.
func (m *model) run(ctx context.Context) bool {
	const look = 1024 // steps between two looks at ctx
	stop := m.now + patience
	for i := 1; m.seen < len(m.peers) && m.now < stop && (i%look != 0 || ctx.Err() == nil); i++ {
		queue := m.next()
		if (*queue)[0].at <= m.now && m.taken < core.MostTaken {
			m.taken++
			m.arrive(queue)
			continue
		}
		out, next := m.server.Poll(m.begin.Add(m.now))
		if m.sent += len(out.To); out.Empty() || m.sent >= core.MostSent {
			m.taken, m.sent = 0, 0
		}
		switch due := next.Sub(m.begin); {
		case !out.Empty():
			m.deliver(out)
		case due > m.now && due < (*queue)[0].at:
			m.now = due
		default:
			m.arrive(queue)
		}
	}
	return m.seen == len(m.peers)
}

// next is the queue whose first arrival is the next.
func (m *model) next() *[]arrival {
	if len(m.answers) > 0 && (len(m.beats) == 0 || m.answers[0].at < m.beats[0].at) {
		return &m.answers
	}
	return &m.beats
}

// arrive steps the first of a queue.
func (m *model) arrive(queue *[]arrival) {
	a := (*queue)[0]
	*queue = (*queue)[1:]
	p := &m.peers[a.from]
	if a.from == m.dead {
		return
	}
	if a.data == nil { // a keep-alive or a birth, whatever is due
		m.beats = append(m.beats, arrival{at: a.at + wide.DefaultTiming().Heartbeat, from: a.from})
		a.data = m.say(a.from, p.first > 0 && p.held >= p.first)
	}
	m.now = max(m.now, a.at) + cost.Take
	m.busy += cost.Take
	m.server.Step(m.begin.Add(m.now), address(a.from), a.data)
}

// say is a peer's keep-alive, or its birth.
func (m *model) say(i int, joined bool) []byte {
	p := &m.peers[i]
	p.seq++
	v := core.Message{Type: core.TypeBirth, Member: core.Member{Name: name(i)}, Incarnation: uint64(i) + 1, Seq: p.seq, Token: p.token}
	if joined {
		v.Type = core.TypeKeepAlive
		v.Version = core.Version{Incarnation: m.incarnation, Number: p.held}
	}
	return wide.Codec{}.Append(nil, &v)
}

// deliver has a datagram arrive wherever it goes, one after the other.
func (m *model) deliver(out core.Outgoing) {
	var v core.Message
	if core.Type(out.Datagram[0]) == core.TypeRetry {
		wide.Codec{}.Parse(&v, out.Datagram)
	} else { // a page, without its entries
		v.Version = core.Version{Incarnation: binary.LittleEndian.Uint64(out.Datagram[2:]), Number: binary.LittleEndian.Uint32(out.Datagram[10:])}
		v.Pages = int(binary.LittleEndian.Uint16(out.Datagram[16:]))
		m.incarnation = v.Version.Incarnation
		if m.last != v.Version.Number {
			m.last = v.Version.Number
			m.size[m.last] = m.server.Len()
		}
	}
	for _, to := range out.To {
		m.now += cost.Send
		m.busy += cost.Send
		i := index(to)
		p := &m.peers[i]
		if v.Pages == 0 {
			if p.token, p.first = slices.Clone(v.Token), 0; i != m.dead {
				m.answers = append(m.answers, arrival{m.now + 2*delay, i, m.say(i, false)})
			}
			continue
		}
		if v.Version.Number > p.version {
			p.version, p.got = v.Version.Number, 0
		}
		if p.got++; p.got == v.Pages {
			p.held = p.version
			if m.size[p.held] == m.want && !p.complete {
				p.complete, m.at = true, m.now+delay
				m.seen++
			}
		}
	}
}

func (m *model) did(e *core.Event) {
	switch e.Kind {
	case core.Born:
		m.peers[index(e.Peer.Addr)].first = m.last + 1
	case core.Removed:
		if index(e.Peer.Addr) != m.dead {
			m.found.Removed++
		}
	}
}
