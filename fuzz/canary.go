package fuzz

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"p2plocal/core"
)

// canary is a live peer that the campaign keeps in the target's mesh, and what
// it has seen there.
type canary struct {
	entry  core.Entry
	socket *core.Socket
	stop   context.CancelFunc
	done   chan struct{}
	joined chan struct{}
	got    *atomic.Uint64 // datagrams from the target, to all canaries and probes

	mu        sync.Mutex
	view      []byte // the last directory's entries
	viewed    time.Time
	again     uint64 // bytes of directories that said what the last one had said
	malformed []byte // the first of the target's datagrams that is none
}

// join makes a peer and has it born. Its socket must be left by leave.
func join(server netip.AddrPort, name core.Name, retry time.Duration, got *atomic.Uint64) (*canary, error) {
	socket, err := core.Listen(netip.AddrPortFrom(server.Addr(), 0), core.ReadBuffer)
	if err != nil {
		return nil, err
	}
	c := &canary{entry: core.Entry{Name: name, Port: socket.Addr().Port()}, socket: socket, joined: make(chan struct{}), done: make(chan struct{}), got: got}
	timing := core.DefaultTiming()
	timing.Retry, timing.Broadcast = retry, 0
	var once sync.Once
	peer, err := core.NewPeer(core.PeerConfig{Self: c.entry, Server: server, Timing: timing, Observer: core.Observer{
		Directory: func(now time.Time, all core.Entries) {
			got.Add(1)
			c.mu.Lock()
			defer c.mu.Unlock()
			if bytes.Equal(c.view, all) && c.view != nil {
				c.again += uint64(4 + len(all))
			}
			c.view, c.viewed = append(c.view[:0], all...), now
			if c.names(c.entry) {
				once.Do(func() { close(c.joined) })
			}
		},
		Dropped: func(_ time.Time, from netip.AddrPort, datagram []byte, why error) {
			if from != server || !errors.Is(why, core.ErrMalformed) {
				return
			}
			got.Add(1)
			c.mu.Lock()
			defer c.mu.Unlock()
			if c.malformed == nil {
				c.malformed = append([]byte{}, head(datagram)...)
			}
		},
	}}, time.Now())
	if err != nil {
		socket.Close()
		return nil, err
	}
	ctx, stop := context.WithCancel(context.Background())
	c.stop = stop
	go func() { socket.Serve(ctx, server.Addr(), peer); close(c.done) }()
	return c, nil
}

// leave ends the peer.
func (c *canary) leave() {
	c.stop()
	<-c.done
}

// names says whether the last directory has e; the caller holds mu.
func (c *canary) names(e core.Entry) bool {
	for i := range core.Entries(c.view).Len() {
		if core.Entries(c.view).At(i) == e {
			return true
		}
	}
	return false
}

func (c *canary) sees(e core.Entry) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.names(e)
}

// free is a name that nobody in the last directory has, from the n-th on; 0: none is.
func (c *canary) free(n int) core.Name {
	c.mu.Lock()
	defer c.mu.Unlock()
	taken := [128]bool{}
	for i := range core.Entries(c.view).Len() {
		taken[core.Entries(c.view).At(i).Name] = true
	}
	for i := range int(core.MaxPeers) {
		if name := core.Name(' ' + (n+i)%core.MaxPeers); !taken[name] {
			return name
		}
	}
	return 0
}

func (c *canary) holder(name core.Name) (e core.Entry, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for i := range core.Entries(c.view).Len() {
		if e := core.Entries(c.view).At(i); e.Name == name {
			return e, true
		}
	}
	return core.Entry{}, false
}

func head(b []byte) []byte { return b[:min(len(b), 32)] }

const canaries = 3

// mesh is what the campaign keeps around its target to tell how it fares.
type mesh struct {
	server   netip.AddrPort
	timeout  time.Duration
	canaries []*canary
	got      atomic.Uint64
	probes   int
	again    uint64 // as last judged
}

func newMesh(server netip.AddrPort, timeout time.Duration) (*mesh, error) {
	m := &mesh{server: server, timeout: timeout}
	for name := core.Name('~'); len(m.canaries) < canaries && name > '~'-12; name-- { // some names may be taken
		c, err := join(server, name, timeout/4, &m.got)
		if err != nil {
			m.leave()
			return nil, err
		}
		select {
		case <-c.joined:
			m.canaries = append(m.canaries, c)
		case <-time.After(timeout):
			c.leave()
			if name == '~'-2 && len(m.canaries) == 0 {
				m.leave()
				return nil, fmt.Errorf("no answer from %v to a peer's birth within %v", server, timeout)
			}
		}
	}
	if len(m.canaries) < canaries {
		m.leave()
		return nil, fmt.Errorf("only %d of %d canaries let in by %v", len(m.canaries), canaries, server)
	}
	return m, nil
}

func (m *mesh) leave() {
	for _, c := range m.canaries {
		c.leave()
	}
	m.canaries = nil
}

// Kind is the class of a finding.
type Kind string

const (
	Died      Kind = "died"      // the target's process ended
	Hung      Kind = "hung"      // a fresh peer is not let in any more
	Culled    Kind = "culled"    // a live peer is missing from the directory
	Poisoned  Kind = "poisoned"  // the target sends what is no directory
	Amplified Kind = "amplified" // the same directory again, though nothing has changed, and more bytes than came in
	Leaked    Kind = "leaked"    // the target's memory grows
	Ghost     Kind = "ghost"     // a silent peer stays in the directory
)

// probe has a fresh peer born and says whether it was let in.
func (m *mesh) probe() (Kind, string) {
	deadline := time.Now().Add(m.timeout)
	for full := time.Now().Add(2500 * time.Millisecond); ; time.Sleep(5 * time.Millisecond) {
		m.probes += 7 // so that a name is not used again before its last holder is reaped
		name := m.canaries[0].free(m.probes)
		if name == 0 {
			if deadline = time.Now().Add(m.timeout); time.Now().After(full) {
				return Hung, "the directory is full and stays so"
			}
			continue
		}
		p, err := join(m.server, name, m.timeout/4, &m.got)
		if err != nil {
			continue
		}
		for {
			select {
			case <-p.joined:
				p.leave()
				return "", ""
			case <-time.After(min(20*time.Millisecond, m.timeout)):
			}
			if time.Now().After(deadline) {
				p.leave()
				return Hung, fmt.Sprintf("a fresh peer was not let in within %v", m.timeout)
			}
			if e, ok := m.canaries[0].holder(name); ok && e != p.entry {
				break // somebody else got the name
			}
		}
		p.leave()
	}
}

// judge says what is wrong with the target after in bytes were sent to it.
func (m *mesh) judge(in uint64, amplification float64) (Kind, string) {
	if kind, why := m.probe(); kind != "" {
		return kind, why
	}
	for _, c := range m.canaries {
		c.mu.Lock()
		bad := c.malformed
		c.mu.Unlock()
		if bad != nil {
			return Poisoned, fmt.Sprintf("the target sent %x, which is no directory", bad)
		}
		for _, other := range m.canaries {
			if !c.sees(other.entry) {
				return Culled, fmt.Sprintf("the live peer %v is not in the directory of %v", other.entry, c.entry)
			}
		}
	}
	again := uint64(0)
	for _, c := range m.canaries {
		c.mu.Lock()
		again += c.again
		c.mu.Unlock()
	}
	news := again - m.again
	m.again = again
	if float64(news) > amplification*float64(in) && news > 0 {
		return Amplified, fmt.Sprintf("%d bytes drew %d bytes of directories that said nothing new", in, news)
	}
	return "", ""
}
