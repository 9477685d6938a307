package wide

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"math"
	"net/netip"
	"strings"
	"time"

	"p2plocal/core"
)

const (
	headerSize = 2 + 16 + 8 // type, session, counter
	tagSize    = 16
	overhead   = headerSize + tagSize // 42 bytes: what sealing adds to a datagram

	// maxSessions bounds what is kept of others: when there are so many, those that have sent
	// nothing since the last time that there were are forgotten.
	maxSessions = 1 << 16

	keyInfo = "p2plocal wide 1"
)

// ErrSealed is what is wrong with a datagram that a machine with a key cannot open.
var ErrSealed = errors.New("stranger: not sealed with this mesh's key, or not for the first time")

// Keys are those of a mesh. Every one opens, the first one seals.
type Keys [][32]byte

// ParseKeys reads a key file: a line of 64 hexadecimal digits for each key. Empty lines
// and those that begin with # are not read.
func ParseKeys(text string) (Keys, error) {
	var keys Keys
	for i, line := range strings.Split(text, "\n") {
		if line = strings.TrimSpace(line); line == "" || line[0] == '#' {
			continue
		}
		b, err := hex.DecodeString(line) // no error shows the line: it may be a key
		if err != nil || len(b) != 32 {
			return nil, fmt.Errorf("line %d of the key file is not a key, want 64 hexadecimal digits", i+1)
		}
		if [32]byte(b) == [32]byte{} {
			return nil, fmt.Errorf("line %d of the key file is all zeros, which anybody would try: want 64 random hexadecimal digits, as p2p keygen makes them", i+1)
		}
		keys = append(keys, [32]byte(b))
	}
	if len(keys) == 0 {
		return nil, errors.New("the key file has no key in it, want a line of 64 hexadecimal digits")
	}
	return keys, nil
}

// Sealer authenticates and encrypts what a machine sends, and opens what it gets.
type Sealer struct {
	keys    Keys
	session [16]byte
	aead    *aead  // this session's
	counter uint64 // of the last datagram sealed

	recent, older map[[16]byte]*stream // the others' sessions
	refused       core.Traffic
	observe       func(*core.Event)

	nonce       [12]byte // scratch, likewise
	out, opened []byte
}

// stream is what is known of another's session.
type stream struct {
	aead   *aead
	window window
}

func NewSealer(keys Keys, session [16]byte, observe func(*core.Event)) *Sealer {
	s := &Sealer{observe: observe, keys: keys, session: session, aead: derive(keys[0], session), recent: map[[16]byte]*stream{}}
	aeads.keep(keyed{keys[0], session}, s.aead)
	return s
}

// aead is a session's cipher. It is stateless, so the peers of a process share it: 95 peers that
// keep 95 each would not fit into a processor's caches.
type aead struct{ cipher.AEAD }

type keyed struct {
	key     [32]byte
	session [16]byte
}

var aeads common[keyed, aead]

// derive makes a session's AEAD. Sessions are random, so no two share a key, and a counter
// suffices as nonce.
func derive(key [32]byte, session [16]byte) *aead {
	k, err := hkdf.Key(sha256.New, key[:], session[:], keyInfo, 32)
	if err != nil {
		panic(err)
	}
	block, err := aes.NewCipher(k)
	if err != nil {
		panic(err)
	}
	gcm, err := cipher.NewGCM(block)
	if err != nil {
		panic(err)
	}
	return &aead{gcm}
}

// Seal seals one datagram. It is valid until the next call.
func (s *Sealer) Seal(datagram []byte) []byte {
	if s.counter == math.MaxUint64 {
		panic("wide: a session has used up its counter")
	}
	s.counter++
	s.out = append(s.out[:0], typeSealed, typeHigh)
	s.out = append(s.out, s.session[:]...)
	s.out = binary.LittleEndian.AppendUint64(s.out, s.counter)
	binary.LittleEndian.PutUint64(s.nonce[4:], s.counter)
	s.out = s.aead.Seal(s.out, s.nonce[:], datagram, s.out[:headerSize])
	return s.out
}

// Skip leaves out some counters.
func (s *Sealer) Skip(n uint64) { s.counter += n }

// open is the datagram in a sealed one, valid until the next call; false if its counter has been
// seen, it is this machine's own, or it was not sealed with a key of the mesh.
func (s *Sealer) open(now time.Time, from netip.AddrPort, b []byte) ([]byte, bool) {
	if s == nil {
		return b, true
	}
	plain, ok := s.Unseal(b)
	if !ok {
		s.refused.Datagrams++
		s.refused.Bytes += uint64(len(b))
		if s.observe != nil {
			s.observe(&core.Event{Kind: core.Stranger, At: now, Peer: core.Member{Addr: from}, Data: b, Err: ErrSealed})
		}
	}
	return plain, ok
}

// Unseal is open without the counters.
func (s *Sealer) Unseal(b []byte) ([]byte, bool) {
	if len(b) < overhead || b[0] != typeSealed || b[1] != typeHigh || [16]byte(b[2:18]) == s.session {
		return nil, false
	}
	session, counter := [16]byte(b[2:18]), binary.LittleEndian.Uint64(b[18:])
	binary.LittleEndian.PutUint64(s.nonce[4:], counter)
	t := s.find(session)
	if t != nil && !t.window.fresh(counter) {
		return nil, false
	}
	for i := 0; ; i++ { // a session that is not known may be of any key
		known := t
		if known == nil {
			if i == len(s.keys) {
				return nil, false
			}
			known = &stream{aead: aeads.find(keyed{s.keys[i], session})}
			if known.aead == nil {
				known.aead = derive(s.keys[i], session)
			}
		}
		var err error
		s.opened, err = known.aead.Open(s.opened[:0], s.nonce[:], b[headerSize:], b[:headerSize])
		if err == nil && known.window.fresh(counter) {
			if t == nil {
				aeads.keep(keyed{s.keys[i], session}, known.aead)
				s.keep(session, known)
			}
			known.window.take(counter)
			return s.opened, true
		}
		if t != nil {
			return nil, false
		}
	}
}

// find is what is known of a session, nil for nothing.
func (s *Sealer) find(session [16]byte) *stream {
	t := s.recent[session]
	if t == nil {
		if t = s.older[session]; t != nil {
			s.keep(session, t)
		}
	}
	return t
}

func (s *Sealer) keep(session [16]byte, t *stream) {
	if len(s.recent) == maxSessions {
		s.older, s.recent = s.recent, map[[16]byte]*stream{}
	}
	s.recent[session] = t
}

// window tells what has come before (RFC 6479): the counters up to top, of which it
// remembers the last windowBits at least. 0 is no counter.
type window struct {
	top    uint64
	blocks [windowBlocks]uint64
}

const (
	windowBlocks = 16
	windowBits   = (windowBlocks - 1) * 64
)

func (w *window) fresh(counter uint64) bool {
	return counter > w.top || counter > 0 && w.top-counter < windowBits && w.blocks[counter/64%windowBlocks]>>(counter%64)&1 == 0
}

// take marks a counter that is fresh.
func (w *window) take(counter uint64) {
	if counter > w.top {
		for i, n := w.top/64, min(counter/64-w.top/64, windowBlocks); n > 0; n-- {
			i++
			w.blocks[i%windowBlocks] = 0
		}
		w.top = counter
	}
	w.blocks[counter/64%windowBlocks] |= 1 << (counter % 64)
}

// sealed has a machine's datagrams sealed, if it has keys.
func (s *Sealer) sealed(out core.Outgoing) core.Outgoing {
	if s != nil && !out.Empty() {
		out.Datagram = s.Seal(out.Datagram)
	}
	return out
}

// count adds to a machine's counters what was refused before it.
func (s *Sealer) count(c core.Counters) core.Counters {
	if s != nil {
		c.In.Other = c.In.Other.Plus(s.refused)
		c.Events[core.Stranger] += s.refused.Datagrams
	}
	return c
}
