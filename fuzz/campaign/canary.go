package campaign

import (
	"bytes"
	"encoding/binary"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"p2plocal/core"
	"p2plocal/core/wire"
	"p2plocal/fuzz/target"
)

// canary is a live peer that the campaign keeps in the target's mesh, and what
// it has seen there.
type canary struct {
	*served
	entry  wire.Entry
	peer   *core.Peer
	marker *net.UDPConn   // that marks come from
	joined chan struct{}  // closed once a directory has named it
	got    *atomic.Uint64 // datagrams from the target, to all canaries and probes

	mu        sync.Mutex
	view      wire.Entries // the last directory's
	repeated  uint64       // bytes of directories that said what the last one had said
	malformed []byte       // the first of the target's datagrams that is none
	heard     map[wire.Name]heardMessages
	sent      uint64    // datagrams to the server
	alive     time.Time // when it last sent a sign of life
	late      time.Time // when it last did so more than lateAlive after the one before
	marked    uint64    // the number of the last mark that it was sent
	passed    uint64    // and of the last that it has read
}

// lateAlive is how long a canary may be silent before the machine, and not the
// target, is to blame for its removal.
const lateAlive = time.Second

// join makes a peer on a port (0: the kernel's choice) and has it born. It must
// be left by leave.
func join(server netip.AddrPort, e wire.Entry, retry time.Duration, got *atomic.Uint64) (*canary, error) {
	c := &canary{joined: make(chan struct{}), got: got, heard: map[wire.Name]heardMessages{}, alive: time.Now()}
	timing := core.DefaultTiming()
	timing.Retry, timing.Broadcast = retry, 0
	var err error
	if c.marker, err = target.Listen(netip.AddrPortFrom(server.Addr(), 0)); err != nil {
		return nil, err
	}
	marker := c.marker.LocalAddr().(*net.UDPAddr).AddrPort()
	c.served, err = serve(netip.AddrPortFrom(server.Addr(), e.Port), func(self netip.AddrPort) (_ core.Machine, err error) {
		c.entry = wire.Entry{Name: e.Name, Port: self.Port()}
		c.peer, err = core.NewPeer(core.PeerConfig{Self: c.entry.Member(server.Addr()), Server: server, Timing: timing, Observe: c.observer(server, marker)}, time.Now())
		return c.peer, err
	})
	if err != nil {
		c.marker.Close()
	}
	return c, err
}

func (c *canary) leave() {
	c.served.leave()
	c.marker.Close()
}

func (c *canary) observer(server, marker netip.AddrPort) func(*core.Event) {
	var once sync.Once
	return func(e *core.Event) {
		switch e.Kind {
		case core.Listed:
			c.got.Add(1)
			c.mu.Lock()
			defer c.mu.Unlock()
			all := wire.Entries(e.Data[4:])
			if bytes.Equal(c.view, all) && c.view != nil {
				c.repeated += uint64(len(e.Data))
			}
			c.view = append(c.view[:0], all...)
			if c.view.Contains(c.entry) {
				once.Do(func() { close(c.joined) })
			}
		case core.Heard:
			c.mu.Lock()
			defer c.mu.Unlock()
			now := time.Now()
			from := wire.EntryOf(e.Peer).Name
			v := c.heard[from]
			c.heard[from] = heardMessages{v.times + 1, now, now.Sub(v.last), string(head(e.Data))}
		case core.Sent:
			c.mu.Lock()
			defer c.mu.Unlock()
			if e.At.Sub(c.alive) > lateAlive {
				c.late = e.At
			}
			c.alive = e.At
			if len(e.To) == 1 && e.To[0] == server {
				c.sent++
			}
		case core.Malformed, core.Rejected, core.Misdirected, core.Stranger:
			if e.Peer.Addr == marker {
				c.pass(e.Data)
				return
			}
			if e.Peer.Addr != server || e.Kind != core.Malformed {
				return
			}
			c.got.Add(1)
			c.mu.Lock()
			defer c.mu.Unlock()
			if c.malformed == nil {
				c.malformed = append([]byte{}, head(e.Data)...)
			}
		}
	}
}

// mark sends the canary a datagram with a number in it, behind all that waits to be
// read. It has caughtUp when it has read that, too.
func (c *canary) mark() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.marked++
	c.marker.WriteToUDPAddrPort(binary.LittleEndian.AppendUint64(nil, c.marked<<16), c.socket.Addr()) // of type 0: malformed
}

func (c *canary) pass(mark []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(mark) == 8 {
		c.passed = binary.LittleEndian.Uint64(mark) >> 16
	}
}

func (c *canary) caughtUp() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.passed == c.marked
}

// out is how many datagrams have gone to the server.
func (c *canary) out() uint64 {
	failed := c.socket.Stats().SendFailures // before mu: the socket's lock is held when an observer takes mu
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.sent - min(c.sent, failed)
}

// voice is what a canary has heard of one fellow peer.
type heardMessages struct {
	times int
	last  time.Time
	gap   time.Duration // between the last two
	text  string        // the last message's beginning
}

// heardFrom is what has been heard of a peer.
func (c *canary) heardFrom(from wire.Name) heardMessages {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.heard[from]
}

// find is the name of the first entry of the last directory that is as wanted,
// 0 where none is; the caller holds mu.
func (c *canary) find(wanted func(wire.Entry) bool) wire.Name {
	for i := range c.view.Len() {
		if e := c.view.At(i); wanted(e) {
			return e.Name
		}
	}
	return 0
}

func (c *canary) sees(e wire.Entry) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.find(func(x wire.Entry) bool { return x == e }) != 0
}

// conflicts says that somebody else has a name or port of e's, as far as this
// canary knows.
func (c *canary) conflicts(e wire.Entry) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.find(func(x wire.Entry) bool { return x != e && (x.Name == e.Name || x.Port == e.Port) }) != 0
}

// free is a name that nobody in the last directory has, from the n-th on; 0: none is.
func (c *canary) free(n int) wire.Name {
	c.mu.Lock()
	defer c.mu.Unlock()
	taken := [128]bool{}
	for i := range c.view.Len() {
		taken[c.view.At(i).Name] = true
	}
	for i := range int(core.MaxPeers) {
		if name := wire.Name(' ' + (n+i)%core.MaxPeers); !taken[name] {
			return name
		}
	}
	return 0
}

// silent says that it has lately been silent for so long that a sound server
// may have removed it.
func (c *canary) silent() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := time.Now()
	return now.Sub(c.alive) > lateAlive || now.Sub(c.late) < excuseTime
}

// excuseTime is how long ago a silence may lie that explains a removal: the deadline,
// a round of the reaper, and some.
const excuseTime = 3 * time.Second

// say sends a message to one fellow canary, by its name.
func (c *canary) say(to wire.Name, text string) {
	c.socket.Do(func(now time.Time) { c.peer.Send(now, core.Name(to.String()), []byte(text)) })
}

// head is as much of a datagram as a line shows.
func head(b []byte) []byte { return b[:min(len(b), 32)] }
