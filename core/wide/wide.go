package wide

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/binary"
	"encoding/hex"
	"hash"
	"net/netip"
	"runtime"
	"sync"
	"time"
	"weak"

	"p2plocal/core"
)

const (
	// TokenLife is how long a token is good for, to a second.
	TokenLife = 10 * time.Second

	// Pacing: 200,000 datagrams of directories a second, 2,000 at once.
	cost  = 5 * time.Microsecond
	burst = 2000 * cost
)

// DefaultTiming is core's, but that a birth is repeated as often as a keep-alive.
func DefaultTiming() core.Timing {
	t := core.DefaultTiming()
	t.Retry = t.Heartbeat
	return t
}

// NewIdentity is a new random one.
func NewIdentity(keys Keys) Identity {
	id := Identity{Keys: keys}
	rand.Read(id.Seed[:]) // it cannot fail
	return id
}

// NewKey makes a line of a key file.
func NewKey() string {
	var key [32]byte
	rand.Read(key[:])
	return hex.EncodeToString(key[:]) + "\n"
}

// Identity distinguishes a machine from all before it.
type Identity struct {
	Seed [32]byte // random, and no machine's before: incarnation, session and secrets come from it
	Keys Keys     // the mesh's; none: nothing is sealed
}

// derived are 32 bytes of the seed's for one purpose.
func (id *Identity) derived(purpose byte) [32]byte {
	return sha256.Sum256(append(id.Seed[:], purpose))
}

func (id *Identity) rules() *core.Rules {
	incarnation := id.derived('i')
	return &core.Rules{Incarnation: binary.LittleEndian.Uint64(incarnation[:]) | 1, Keyed: len(id.Keys) > 0, Cost: cost, Burst: burst}
}

func (id *Identity) sealer(observe func(*core.Event)) *Sealer {
	if len(id.Keys) == 0 {
		return nil
	}
	session := id.derived('s')
	return NewSealer(id.Keys, [16]byte(session[:]), observe)
}

// Directory is a core.Directory that speaks the wide dialect.
type Directory struct {
	*core.Directory
	sealer *Sealer
	tokens *tokens
}

// NewDirectory is core.NewDirectory.
func NewDirectory(cfg core.DirectoryConfig, id Identity, now time.Time) (*Directory, error) {
	secret, rules := id.derived('t'), id.rules()
	t := &tokens{mac: hmac.New(sha256.New, secret[:])}
	rules.Token, rules.Valid = t.append, t.valid
	cfg.Codec, cfg.Rules = Codec{}, rules
	d, err := core.NewDirectory(cfg, now)
	return &Directory{d, id.sealer(cfg.Observe), t}, err
}

func (d *Directory) Step(now time.Time, from netip.AddrPort, datagram []byte) bool {
	plain, ok := d.sealer.open(now, from, datagram)
	return ok && d.Directory.Step(now, from, plain)
}

func (d *Directory) Poll(now time.Time) (core.Outgoing, time.Time) {
	out, next := d.Directory.Poll(now)
	return d.sealer.sealed(out), next
}

func (d *Directory) Counters() core.Counters { return d.sealer.count(d.Directory.Counters()) }

// Accepts are the shapes of datagrams that a server has a use for.
func (d *Directory) Accepts() []core.Shape {
	shapes := d.Directory.Accepts()
	if d.sealer != nil {
		for i := range shapes {
			s := &shapes[i]
			s.Shortest, s.Longest = s.Shortest+overhead, s.Longest+overhead
			s.Low, s.High = string([]byte{typeSealed, typeHigh}), string([]byte{typeSealed, typeHigh})
		}
	}
	return shapes
}

// Machine is one of either dialect, and Server a directory server.
type (
	Machine interface {
		core.Machine
		Counters() core.Counters
	}
	Server interface {
		Machine
		Lost(now time.Time)
		Announces(now time.Time) bool
		Accepts() []core.Shape
	}
)

// ServerOf makes one of the wide dialect, or with no identity of the exact one.
func ServerOf(cfg core.DirectoryConfig, id *Identity, now time.Time) (Server, error) {
	if id == nil {
		return core.NewDirectory(cfg, now)
	}
	return NewDirectory(cfg, *id, now)
}

// PeerOf makes a peer likewise: the machine to run, and the peer that is in it.
func PeerOf(cfg core.PeerConfig, id *Identity, now time.Time) (Machine, *core.Peer, error) {
	if id == nil {
		p, err := core.NewPeer(cfg, now)
		return p, p, err
	}
	p, err := NewPeer(cfg, *id, now)
	return p, p.Peer, err
}

// Peer is a core.Peer that speaks the wide dialect.
type Peer struct {
	*core.Peer
	sealer *Sealer
}

// NewPeer is core.NewPeer. The address of cfg.Self need not be known.
func NewPeer(cfg core.PeerConfig, id Identity, now time.Time) (*Peer, error) {
	cfg.Codec, cfg.Rules = Codec{}, id.rules()
	cfg.Rules.Page, cfg.Rules.Listing = page, listing
	p, err := core.NewPeer(cfg, now)
	return &Peer{p, id.sealer(cfg.Observe)}, err
}

func (p *Peer) Step(now time.Time, from netip.AddrPort, datagram []byte) bool {
	plain, ok := p.sealer.open(now, from, datagram)
	return ok && p.Peer.Step(now, from, plain)
}

func (p *Peer) Poll(now time.Time) (core.Outgoing, time.Time) {
	if p.sealer == nil {
		return p.Peer.Poll(now)
	}
	out, next := p.Peer.Poll(now)
	return p.sealer.sealed(out), next
}

func (p *Peer) Counters() core.Counters { return p.sealer.count(p.Peer.Counters()) }

// common are values that machines of this process share, each for as long as one of them uses it.
type common[K comparable, V any] struct {
	mu sync.Mutex
	of map[K]weak.Pointer[V]
}

func (c *common[K, V]) find(key K) *V {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.of[key].Value()
}

func (c *common[K, V]) keep(key K, v *V) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.of == nil {
		c.of = map[K]weak.Pointer[V]{}
	}
	if c.of[key].Value() != v {
		c.of[key] = weak.Make(v)
		runtime.AddCleanup(v, c.forget, key)
	}
}

// forget is called when a value has been collected.
func (c *common[K, V]) forget(key K) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.of[key].Value() == nil {
		delete(c.of, key)
	}
}

type pageOf struct {
	version     core.Version
	page, pages int
}

var (
	pages    common[pageOf, core.Page]
	listings common[core.Version, core.Listing]

	// Others wait for a value that is being made: all complete a directory at the same time.
	making sync.Mutex
)

// page is core.NewPage, and listing core.NewListing, but equal ones are shared.
func page(v *core.Message) *core.Page {
	making.Lock()
	defer making.Unlock()
	key := pageOf{v.Version, v.Page, v.Pages}
	p := pages.find(key)
	if p == nil || !p.Is(v) {
		p = core.NewPage(v)
		pages.keep(key, p)
	}
	return p
}

func listing(v core.Version, pages []*core.Page) *core.Listing {
	making.Lock()
	defer making.Unlock()
	l := listings.find(v)
	if l == nil || !l.Is(pages) {
		if l = core.NewListing(Codec{}, pages); l != nil {
			listings.keep(v, l)
		}
	}
	return l
}

// tokens are a server's: the second in which one was given, and a MAC of it and the address
// that it was given to. Nothing is kept of them.
type tokens struct {
	mac   hash.Hash
	space [sha256.Size]byte
	input [4 + 16 + 2]byte
}

func (t *tokens) append(b []byte, now time.Time, addr netip.AddrPort) []byte {
	return t.of(b, uint32(now.Unix()), addr)
}

func (t *tokens) of(b []byte, second uint32, addr netip.AddrPort) []byte {
	ip := addr.Addr().As16()
	binary.LittleEndian.PutUint32(t.input[:], second)
	copy(t.input[4:], ip[:])
	binary.LittleEndian.PutUint16(t.input[20:], addr.Port())
	t.mac.Reset()
	t.mac.Write(t.input[:])
	return append(append(b, t.input[:4]...), t.mac.Sum(t.space[:0])[:tokenSize-4]...)
}

func (t *tokens) valid(token []byte, now time.Time, addr netip.AddrPort) bool {
	if len(token) != tokenSize {
		return false
	}
	second := binary.LittleEndian.Uint32(token)
	if uint32(now.Unix())-second > uint32(TokenLife/time.Second) {
		return false
	}
	var want [tokenSize]byte
	return subtle.ConstantTimeCompare(token, t.of(want[:0], second, addr)) == 1
}
