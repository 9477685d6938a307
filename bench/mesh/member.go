package mesh

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"net/netip"
	"time"

	"p2plocal/bench/record"
	"p2plocal/bench/result"
	"p2plocal/core"
	"p2plocal/core/udp"
	"p2plocal/core/wide"
)

// A Life is what a peer starts with.
type Life struct {
	Birth      int64 // when that is, by the clock; 0 or past: at once
	Timing     core.Timing
	Server     netip.AddrPort
	Broadcasts Broadcasts
	Impair     result.Impairment
	ImpairSeed uint64
}

// Broadcasts are a core.Schedule, by the clock.
type Broadcasts struct {
	First, End int64 // of them, and before when they end; 0: never
	Interval   time.Duration
	Size       int
	Owed       bool
}

// schedule converts b to the time of day of somebody for whom it is now.
func (b Broadcasts) schedule(c record.Clock, now time.Time) core.Schedule {
	s := core.Schedule{First: c.Time(now, b.First), Interval: b.Interval, Size: b.Size, Owed: b.Owed}
	if b.End > 0 {
		s.End = c.Time(now, b.End)
	}
	return s
}

// socket is what can be seen of a peer's socket from outside.
type socket interface {
	Addr() netip.AddrPort
	Stats() udp.Stats                               // waits while it is paused
	Waiting() (queued int64, drops uint64, ok bool) // without a lock
}

// home is a socket that a member lives on: a udp.Socket that is served, or a node
// of a virtual network.
type home interface {
	socket
	Do(f func(now time.Time)) // as udp.Socket's; waits while it is paused
	Pause()                   // as SIGSTOP does: datagrams go on waiting
	Resume()
	Paused() bool
	Close() error // waits until it is no longer served
}

// served is a socket of this machine that a goroutine serves.
type served struct {
	*udp.Socket
	done    chan struct{}
	release func() // nil: it is not paused
}

func newServed(s *udp.Socket) *served { return &served{Socket: s, done: make(chan struct{})} }

// start serves the socket until it is closed.
func (s *served) start(ctx context.Context, m core.Machine) {
	go func() {
		defer close(s.done)
		s.Serve(ctx, m)
	}()
}

func (s *served) Pause() {
	if s.release == nil {
		s.release = udp.Hold(s.Socket)
	}
}

func (s *served) Resume() {
	if s.release != nil {
		s.release()
		s.release = nil
	}
}

func (s *served) Paused() bool { return s.release != nil }

func (s *served) Close() error {
	s.Resume()
	err := s.Socket.Close()
	<-s.done
	return err
}

// A Member holds one machine on one socket, which outlives it: a datagram for a dead peer is taken
// and counted, so that its fate is known.
type Member struct {
	number int
	sock   home
	rec    *record.Recorder
	lives  byte // so far, for identities

	machine core.Machine // nil: nobody lives here
	living  *core.Peer   // machine, or what is inside it, where it is a peer
}

func NewMember(number int, sock home, b *record.Store, c record.Clock) *Member {
	s := &Member{number: number, sock: sock, rec: record.NewRecorder(b, c, number)}
	if b.Wide {
		s.rec.Codec = wide.Codec{}
	}
	return s
}

// Step implements core.Machine.
func (s *Member) Step(now time.Time, from netip.AddrPort, datagram []byte) bool {
	if s.machine == nil {
		s.rec.Slot.Dead.Add(1)
		if from := int(s.rec.Index[from.Port()]); int64(from) < s.rec.External.Load() && s.number < record.ServerSlot {
			s.rec.Pair(from, s.number).Arrived.Add(1) // as far as it is known what they sent
		} else if from == record.ServerSlot && !s.rec.ServerKnown.Load() {
			s.rec.Slot.Directories.Add(1, len(datagram))
		}
		return false
	}
	return s.machine.Step(now, from, datagram)
}

// Poll implements core.Machine.
func (s *Member) Poll(now time.Time) (core.Outgoing, time.Time) {
	if s.machine == nil {
		return core.Outgoing{}, time.Time{}
	}
	return s.machine.Poll(now)
}

// run puts a machine into the slot.
func (s *Member) run(m core.Machine, what result.Impairment, seed uint64) {
	if what != (result.Impairment{}) || s.rec.Divisible {
		m = newImpaired(m, what, seed, s.rec)
	}
	s.machine = m
}

// Do carries out a command. Commands for the living do nothing to the dead.
func (s *Member) Do(c Command) (err error) {
	switch c.Do {
	case Pause:
		s.sock.Pause()
		return nil
	case Resume:
		s.sock.Resume()
		return nil
	case Birth, Kill: // a life begins and ends with a process that is not stopped
		s.sock.Resume()
	}
	s.sock.Do(func(now time.Time) {
		p := s.living
		switch c.Do {
		case Birth:
			err = s.join(now, c.Life)
		case Kill:
			if im, ok := s.machine.(*impaired); ok {
				im.drop()
			}
			s.machine, s.living = nil, nil
		case Rebirth: // as of one that finds out that it has been removed
			if p != nil {
				s.rec.Slot.Born.Store(0)
				s.rec.Slot.Admitted.Store(0)
				p.Connect(now)
			}
		case Broadcast:
			if p != nil {
				p.Broadcast(c.Broadcasts.schedule(s.rec.Clock, now))
			}
		case Silence:
			if p != nil {
				p.Disconnect()
			}
		case hello: // it hears
		default:
			err = fmt.Errorf("no such command: %q", c.Do)
		}
	})
	return err
}

// Stop frees the socket.
func (s *Member) Stop() { s.sock.Close() }

// Socket implements peer.
func (s *Member) Socket() socket { return s.sock }

func (s *Member) join(now time.Time, l *Life) error {
	cfg := core.PeerConfig{
		Self:    core.Member{Name: s.rec.NameOf(s.number), Addr: s.sock.Addr()},
		Server:  l.Server,
		Timing:  l.Timing,
		Observe: s.rec.Observe,
	}
	begin := now
	if birth := s.rec.Clock.Time(now, l.Birth); l.Birth > 0 && birth.After(now) {
		begin = birth
	}
	m, p, err := wide.PeerOf(cfg, s.identity(now), begin)
	if err != nil {
		return err
	}
	s.rec.Reset(now)
	p.Broadcast(l.Broadcasts.schedule(s.rec.Clock, now))
	s.living = p
	s.run(m, l.Impair, l.ImpairSeed)
	return nil
}

// NewGuest is a peer of the mesh's dialect that is not a member.
func (m *Mesh) NewGuest(cfg core.PeerConfig, now time.Time) (core.Machine, error) {
	var id *wide.Identity
	if m.Store.Wide {
		id = new(wide.NewIdentity(keys(m.Store)))
	}
	guest, _, err := wide.PeerOf(cfg, id, now)
	return guest, err
}

// keys are those of a measured mesh; they are no secret.
func keys(b *record.Store) wide.Keys {
	if !b.Keyed {
		return nil
	}
	return wide.Keys{sha256.Sum256([]byte("meshbench"))}
}

// identity is new for each life of each member, but in simulations the same in every run; nil in
// the exact dialect.
func (s *Member) identity(now time.Time) *wide.Identity {
	if !s.rec.Wide {
		return nil
	}
	s.lives++
	at := binary.LittleEndian.AppendUint64([]byte{byte(stream(s.number)), byte(stream(s.number) >> 8), s.lives}, uint64(now.UnixNano()))
	return &wide.Identity{Seed: sha256.Sum256(at), Keys: keys(s.rec.Store)}
}

// stream numbers a slot's random choices. The server's comes after the exact dialect's last peer,
// whatever the size of the mesh.
func stream(slot int) uint64 {
	switch {
	case slot == record.ServerSlot:
		return core.MaxPeers
	case slot >= core.MaxPeers:
		return uint64(slot) + 1
	}
	return uint64(slot)
}
