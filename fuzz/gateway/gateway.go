// Package gateway translates between the dialects of the protocol: whoever tests over its
// Host sends and gets the exact protocol's datagrams, and its sockets speak the wide dialect, with or
// without a key. What that has beyond the exact one they see to themselves: incarnations, numbers,
// versions and pages, and a birth that draws a retry is sent again with its token.
//
// A datagram that is of the wide dialect already goes out as it is, but that its
// placeholders (package hostile) are filled in.
package gateway

import (
	"bytes"
	"crypto/rand"
	"encoding/binary"
	"net/netip"
	"slices"
	"sync"
	"time"

	"p2plocal/core"
	"p2plocal/core/wide"
	"p2plocal/core/wire"
	"p2plocal/fuzz/hostile"
	"p2plocal/fuzz/target"
)

// FirstName is the first of the names that stand for themselves. Those before it stand for any
// other that comes, in turn.
const FirstName = wire.Name('0')

// NotSealed is put before what cannot be opened.
const NotSealed = "not sealed: "

// Host is a target.Host of which all sockets are in one mesh.
type Host struct {
	target.Host
	keys wide.Keys

	mu          sync.Mutex // guards all below, and its sockets
	aliases     map[wire.Name]string
	next        wire.Name         // that is to stand for another
	holders     map[string]uint64 // incarnations, by the names as which they were last born
	version     core.Version      // the last that came from a server, or went out as its
	token, last []byte            // of a server of ours; the last that came to any socket
	peers       map[netip.AddrPort]*peer
}

// New is a gateway to a host.
func New(on target.Host, keys wide.Keys) *Host {
	return &Host{Host: on, keys: keys, aliases: map[wire.Name]string{}, next: ' ', holders: map[string]uint64{}, token: random(20), peers: map[netip.AddrPort]*peer{}}
}

func random(n int) []byte {
	b := make([]byte, n)
	rand.Read(b) // it cannot fail
	return b
}

// Name is the wide name that one of the exact protocol's stands for.
func (h *Host) Name(n wire.Name) string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.nameOf(n)
}

// Dialect is Name for an environment of the catalogue, and nil of no Host: the exact dialect.
func (h *Host) Dialect() func(wire.Name) string {
	if h == nil {
		return nil
	}
	return h.Name
}

func (h *Host) nameOf(n wire.Name) string {
	if name, ok := h.aliases[n]; ok {
		return name
	}
	return n.String()
}

// SetName has a name stand for another.
func (h *Host) SetName(n wire.Name, name string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.aliases[n] = name
}

// Version is the last that came from a server, or was announced by one of ours.
func (h *Host) Version() core.Version {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.version
}

// nameFor is what stands for a wide name.
func (h *Host) nameFor(name string) wire.Name {
	for n, x := range h.aliases {
		if x == name {
			return n
		}
	}
	if n := wire.Name(name[0]); len(name) == 1 && n >= FirstName && h.aliases[n] == "" {
		return n
	}
	n := h.next
	if h.next++; h.next == FirstName {
		h.next = ' '
	}
	h.aliases[n] = name
	return n
}

// Start has a command told a wide name.
func (h *Host) Start(c target.Command) (target.Program, error) {
	if len(c.Name) == 1 {
		c.Name = h.Name(wire.Name(c.Name[0]))
	}
	return h.Host.Start(c)
}

// Listen binds a socket that translates.
func (h *Host) Listen(at netip.AddrPort) (target.Socket, error) {
	s, err := h.Host.Listen(at)
	if err != nil {
		return nil, err
	}
	x := &Socket{Socket: s, host: h, incarnation: binary.LittleEndian.Uint64(random(8)) | 1, announced: map[netip.AddrPort]time.Time{}}
	if len(h.keys) > 0 {
		x.sealer = wide.NewSealer(h.keys, [16]byte(random(16)), nil)
		x.alien = wide.NewSealer(wide.Keys{[32]byte(random(32))}, [16]byte(random(16)), nil)
	}
	return x, nil
}

// Plain is what went over the wire before it was sealed.
type Plain struct {
	At   time.Time
	Peer netip.AddrPort // the other side
	Data []byte
}

// Socket is one of a Host's.
type Socket struct {
	target.Socket
	host *Host

	incarnation     uint64
	seq             uint32
	name            string
	birth           uint32       // the number of the last birth that was translated
	token           []byte       // the last that came
	held            core.Version // of the last whole directory that came
	pages           [][]byte     // of the next
	coming          core.Version // their version
	sealer, alien   *wide.Sealer // nil: no key
	sealed, got     []byte       // the last that went out, and that came
	directory, list []byte       // a server's: the last that was translated, and its pages
	ends            []int
	announced       map[netip.AddrPort]time.Time
	renewed         bool // somebody has been born since
	sent            Plain
	came            []Plain // what was not handed on is among it

	Keep bool // what came is kept
	Mute bool // a server's: births draw no retries
	Heal bool // likewise: a keep-alive that says another version draws the directory
}

// peer is what a server of ours knows of one.
type peer struct {
	incarnation uint64
	seq         uint32
	born        bool
}

// Sent is what Send sent last.
func (s *Socket) Sent() Plain {
	s.host.mu.Lock()
	defer s.host.mu.Unlock()
	return s.sent
}

// Came is what has come so far, if it is kept.
func (s *Socket) Came() []Plain {
	s.host.mu.Lock()
	defer s.host.mu.Unlock()
	return slices.Clip(s.came)
}

// Send translates, or fills placeholders in.
func (s *Socket) Send(to netip.AddrPort, datagram []byte) {
	s.host.mu.Lock()
	defer s.host.mu.Unlock()
	if to == s.Addr() { // it marks a place
		s.Socket.Send(to, datagram)
		return
	}
	if len(datagram) >= 2 && datagram[1] == 0x57 {
		s.sendAs(to, datagram)
		return
	}
	m, err := wire.Parse(datagram)
	if err != nil {
		s.raw(to, datagram)
		return
	}
	v := core.Message{Type: m.Type, Member: core.Member{Name: core.Name(s.host.nameOf(m.Entry.Name))}, Incarnation: s.incarnation}
	switch m.Type {
	case core.TypeBirth:
		s.bear(to, v.Member.Name)
		return
	case core.TypeKeepAlive:
		s.seq++
		v.Seq, v.Version = s.seq, s.held
	case core.TypeVanilla:
		v.Member.Name, v.Version, v.Text = "", s.host.version, m.Payload
	case core.TypeDirectory:
		s.announce(to, m.Entries)
		return
	}
	s.out(to, wide.Codec{}.Append(nil, &v))
}

// bear sends a birth.
func (s *Socket) bear(to netip.AddrPort, name core.Name) {
	s.seq++
	s.birth, s.name = s.seq, string(name)
	s.host.holders[s.name] = s.incarnation
	s.out(to, wide.Codec{}.Append(nil, &core.Message{Type: core.TypeBirth, Member: core.Member{Name: name}, Incarnation: s.incarnation, Seq: s.seq, Token: s.token}))
}

// announce sends a server's directory. One that says something new, or comes after a birth, is a new version.
func (s *Socket) announce(to netip.AddrPort, entries wire.Entries) {
	if again := !s.announced[to].IsZero(); s.list == nil || !bytes.Equal(s.directory, entries) || s.renewed && again {
		s.host.version = core.Version{Incarnation: s.incarnation, Number: s.host.version.Number + 1}
		s.directory, s.renewed = bytes.Clone(entries), false
		var all []core.Member
		for e := range entries.Each() {
			all = append(all, core.Member{Name: core.Name(s.host.nameOf(e.Name)), Addr: netip.AddrPortFrom(s.Addr().Addr(), e.Port)})
		}
		s.list, s.ends = wide.Codec{}.AppendDirectory([]byte{}, s.ends[:0], s.host.version, all)
	}
	s.sendPages(to)
}

func (s *Socket) sendPages(to netip.AddrPort) {
	s.announced[to] = time.Now()
	begin := 0
	for _, end := range s.ends {
		s.out(to, s.list[begin:end])
		begin = end
	}
}

// out seals what is to be sent, if there is a key.
func (s *Socket) out(to netip.AddrPort, plain []byte) {
	s.sent = Plain{time.Now(), to, bytes.Clone(plain)}
	if s.sealer != nil {
		plain = s.seal(plain)
	}
	s.Socket.Send(to, plain)
}

func (s *Socket) seal(plain []byte) []byte {
	s.sealed = bytes.Clone(s.sealer.Seal(plain[:min(len(plain), core.MaxDatagram-42)]))
	return s.sealed
}

func (s *Socket) raw(to netip.AddrPort, datagram []byte) {
	s.sent = Plain{time.Now(), to, bytes.Clone(datagram)}
	s.Socket.Send(to, datagram)
}

// sendAs sends what is of the wide dialect, or says how it is to be sent.
func (s *Socket) sendAs(to netip.AddrPort, datagram []byte) {
	if datagram[0] != 0xC5 || len(datagram) < 5 || datagram[2] < 'A' || datagram[2] > 'Z' {
		inner := 0 // behind what looks like the head of a sealed one
		if datagram[0] == 0xC5 {
			inner = min(26, len(datagram))
		}
		s.out(to, append(bytes.Clone(datagram[:inner]), s.fill(to, datagram[inner:])...))
		return
	}
	op, n, plain := datagram[2], int(binary.LittleEndian.Uint16(datagram[3:])), s.fill(to, datagram[5:])
	if op == hostile.AsIt || s.sealer == nil {
		if op != hostile.AsIt {
			plain = datagram
		}
		s.raw(to, plain)
		return
	}
	b := bytes.Clone(s.sealed)
	switch op {
	case hostile.Forged:
		b = s.seal(plain)
		n %= 8 * len(b)
		b[n/8] ^= 1 << (n % 8)
	case hostile.Cut:
		b = s.seal(plain)
		b = b[:min(n, len(b)-1)]
		s.sealed = b // the whole must not come as a repeat
	case hostile.Alien:
		b = bytes.Clone(s.alien.Seal(plain))
	case hostile.Mirrored:
		b = bytes.Clone(s.got)
	case hostile.Skip:
		s.sealer.Skip(uint64(n))
		b = s.seal(plain)
	case hostile.Late:
		b = bytes.Clone(s.seal(plain))
		s.sealer.Skip(uint64(n) - 1)
		s.Socket.Send(to, s.seal([]byte{0xC3, 0x57})) // of no use, but its counter
	}
	s.raw(to, b)
}

// fill is a wide datagram with its placeholders filled in.
func (s *Socket) fill(to netip.AddrPort, datagram []byte) []byte {
	b := bytes.Clone(datagram)
	if len(b) < 2 || b[1] != 0x57 {
		return b
	}
	p := s.host.peers[to]
	incarnation := func(at int) {
		if len(b) < at+8 {
			return
		}
		x := uint64(0)
		switch string(b[at : at+8]) {
		case hostile.OwnIncarnation:
			if x = s.incarnation; p != nil {
				x = p.incarnation
			}
		case hostile.HolderIncarnation:
			if n := 15; len(b) > n && len(b) >= n+int(b[14]) {
				x = s.host.holders[string(b[n:n+int(b[14])])]
			}
		case hostile.ServerIncarnation:
			x = s.host.version.Incarnation
		default:
			return
		}
		binary.LittleEndian.PutUint64(b[at:], x)
	}
	number := func(at int, word string, value func() uint32) {
		if len(b) >= at+4 && string(b[at:at+3]) == word {
			binary.LittleEndian.PutUint32(b[at:], value()+uint32(int8(b[at+3])))
		}
	}
	seq := func() uint32 {
		if p != nil {
			return p.seq
		}
		s.seq++
		return s.seq
	}
	version := func(at int) {
		incarnation(at)
		number(at+8, hostile.LastNumber, func() uint32 { return s.host.version.Number })
	}
	token := func(at int) {
		if len(b) < at+20 || string(b[at:at+19]) != hostile.OwnToken {
			return
		}
		variant, own := b[at+19], append(bytes.Clone(s.token), make([]byte, 20)...)
		if p != nil {
			own = s.host.token
		}
		if variant == hostile.OtherToken {
			own = append(bytes.Clone(s.host.last), make([]byte, 20)...)
		}
		if copy(b[at:], own[:20]); variant != 0 && variant != hostile.OtherToken {
			b[at+int(variant-1)/8%20] ^= 1 << ((variant - 1) % 8)
		}
	}
	switch core.Type(b[0]) {
	case core.TypeBirth:
		incarnation(2)
		number(10, hostile.NextSeq, seq)
		token(47)
	case core.TypeKeepAlive:
		incarnation(2)
		number(10, hostile.NextSeq, seq)
		version(47)
	case core.TypeRetry:
		incarnation(2)
		number(10, hostile.NextSeq, seq)
		version(14)
		token(26)
	case core.TypeDirectory, core.TypeVanilla:
		version(2)
	}
	return b
}

// Receive gives what has come, translated. What is not of the wide dialect it gives as it is.
func (s *Socket) Receive() (time.Time, netip.AddrPort, []byte, error) {
	for {
		at, from, b, err := s.Socket.Receive()
		if err != nil || from == s.Addr() {
			return at, from, b, err
		}
		if b = s.take(at, from, b); b != nil {
			return at, from, b, nil
		}
	}
}

// take translates what has come; nil: it was for the gateway.
func (s *Socket) take(at time.Time, from netip.AddrPort, b []byte) []byte {
	h := s.host
	h.mu.Lock()
	defer h.mu.Unlock()
	s.got = b
	if s.sealer != nil {
		if plain, ok := s.sealer.Unseal(b); ok {
			b = bytes.Clone(plain)
		} else {
			b = append([]byte(NotSealed), b...) // whatever it is, it is not what it should be
		}
	}
	if s.Keep {
		s.came = append(s.came, Plain{at, from, b})
	}
	var v core.Message
	if (wide.Codec{}).Parse(&v, b) != nil {
		return b
	}
	switch v.Type {
	case core.TypeBirth:
		return s.born(from, &v)
	case core.TypeKeepAlive:
		p := s.host.peers[from]
		if p == nil || p.incarnation != v.Incarnation || !p.born {
			s.retry(from, &v)
			return nil
		}
		p.seq = v.Seq
		if s.Heal && v.Version.Incarnation != s.incarnation && s.list != nil { // it has believed a retry that was sent in our name
			s.retry(from, &v)
		}
		if s.Heal && v.Version != h.version && s.list != nil && at.Sub(s.announced[from]) > core.AnswerGap {
			if v.Version.Incarnation == s.incarnation && v.Version.Number > h.version.Number { // it has believed what was sent in our name
				h.version.Number, s.list = v.Version.Number, nil
			}
			s.announce(from, s.directory)
		}
		return wire.Message{Type: v.Type, Entry: wire.Entry{Name: h.nameFor(string(v.Name))}}.Append(nil)
	case core.TypeRetry:
		if v.Incarnation == s.incarnation {
			s.token, h.last = bytes.Clone(v.Token), bytes.Clone(v.Token)
			if h.version.Incarnation != v.Version.Incarnation {
				h.version = v.Version
			}
			if s.birth != 0 && v.Seq == s.birth {
				s.bear(from, core.Name(s.name))
				s.birth = 0 // one more retry is not answered
			}
		}
		return nil
	case core.TypeVanilla:
		return wire.Message{Type: v.Type, Payload: v.Text}.Append(nil)
	}
	return s.page(b, &v)
}

// born takes a birth in, which must show the token.
func (s *Socket) born(from netip.AddrPort, v *core.Message) []byte {
	p := s.host.peers[from]
	if p == nil {
		p = new(peer)
		s.host.peers[from] = p
	}
	p.incarnation, p.seq = v.Incarnation, v.Seq
	if !bytes.Equal(v.Token, s.host.token) {
		p.born = false
		s.retry(from, v)
		return nil
	}
	s.renewed, p.born = true, true
	return wire.Message{Type: v.Type, Entry: wire.Entry{Name: s.host.nameFor(string(v.Name)), Port: from.Port()}}.Append(nil)
}

func (s *Socket) retry(to netip.AddrPort, v *core.Message) {
	if s.Mute {
		return
	}
	s.host.version.Incarnation = s.incarnation
	last := s.host.version
	s.out(to, wide.Codec{}.Append(nil, &core.Message{Type: core.TypeRetry, Incarnation: v.Incarnation, Seq: v.Seq, Version: last, Token: s.host.token}))
}

// page takes one of a directory, and gives the directory if it was the last.
func (s *Socket) page(b []byte, v *core.Message) []byte {
	if v.Version != s.coming || v.Pages != len(s.pages) {
		s.coming, s.pages = v.Version, make([][]byte, v.Pages)
	}
	s.pages[v.Page] = v.List
	if slices.ContainsFunc(s.pages, func(p []byte) bool { return p == nil }) {
		return nil
	}
	var all wire.Entries
	var m core.Member
	for list := slices.Concat(s.pages...); len(list) > 0; {
		if m, list = (wide.Codec{}).Next(list, m); m.Addr.Addr() != s.Addr().Addr() {
			return b // nobody of this mesh
		}
		all = all.Append(wire.Entry{Name: s.host.nameFor(string(m.Name)), Port: m.Addr.Port()})
	}
	s.pages, s.held, s.host.version = nil, v.Version, v.Version
	return wire.Message{Type: v.Type, Entries: all}.Append(nil)
}

// Message is a datagram as the exact protocol has it, or what it is translated to when it comes from
// an address.
func (h *Host) Message(b []byte, from netip.AddrPort) (wire.Message, error) {
	if m, err := wire.Parse(b); err == nil {
		if m.Type == core.TypeBirth {
			m.Entry.Port = from.Port()
		}
		return m, nil
	}
	if len(b) > 5 && b[0] == 0xC5 && b[1] == 0x57 { // it says how it is sent
		switch op := b[2]; {
		case op == hostile.AsIt && len(h.keys) == 0, (op == hostile.Skip || op == hostile.Late) && len(h.keys) > 0:
			b = b[5:]
		}
	}
	var v core.Message
	if err := (wide.Codec{}).Parse(&v, b); err != nil {
		return wire.Message{}, err
	}
	m := wire.Message{Type: v.Type}
	if len(v.Name) > 0 {
		h.mu.Lock()
		m.Entry.Name = h.nameFor(string(v.Name))
		h.mu.Unlock()
	}
	if v.Type == core.TypeBirth {
		m.Entry.Port = from.Port()
	}
	return m, nil
}
