package core

import (
	"bytes"
	"iter"
	"net/netip"
	"time"
)

// Name is a peer's name. To the machines it is opaque: they compare it. "" is nobody's.
type Name string

// Member is what a directory says of one peer: its name and the address that it
// receives on.
type Member struct {
	Name Name
	Addr netip.AddrPort
}

func (m Member) String() string { return string(m.Name) + "@" + m.Addr.String() }

// Message is one datagram as the machines see it. Type says which fields count. Slices alias the
// datagram.
type Message struct {
	Type   Type
	Slot   int    // of the name: a place of its own, below MaxPeers; negative: its bytes are Name
	Text   []byte // vanilla
	Member Member // birth: all of it; keep-alive: its Name; vanilla: the Name it is for, "" for all
	List   []byte // directory: its entries on the wire
	Len    int    // and how many they are

	// What only dialects with Rules have:
	Name        []byte  // what is parsed instead of Member.Name, without allocating
	Incarnation uint64  // birth, keep-alive, and the retry in answer to it: the peer's
	Seq         uint32  // and their number
	Version     Version // directory: its own; keep-alive, vanilla: the one its sender holds; retry: the last announced
	Page, Pages int     // directory: page i of n, and it has no other entries
	Token       []byte  // birth: shown, empty for none; retry: given
}

// name is the name that a birth or keep-alive is of.
func (v *Message) name() Name {
	if v.Slot < 0 {
		return Name(v.Name)
	}
	return v.Member.Name
}

// Version tells a server's directories apart. Those of one incarnation are numbered from 1.
type Version struct {
	Incarnation uint64
	Number      uint32
}

// Rules are what a dialect adds to the exact protocol, whose machines have none.
// core/wide/PROTOCOL.md has the reasons.
type Rules struct {
	Incarnation uint64 // this machine's: a number that no other one has had
	Keyed       bool   // a datagram's incarnation is proven to be its sender's

	// Server: how long one datagram of a directory to one address takes, where pacing counts,
	// and how far that may run ahead of time.
	Cost, Burst time.Duration

	// Server: a token for an address, and whether it is one.
	Token func(b []byte, now time.Time, addr netip.AddrPort) []byte
	Valid func(token []byte, now time.Time, addr netip.AddrPort) bool

	// Peer: NewPage and NewListing, or what is like theirs and another peer of this process has.
	Page    func(v *Message) *Page
	Listing func(v Version, pages []*Page) *Listing
}

// Codec is a dialect of the protocol: how its messages stand in datagrams. What the
// machines do is the same in all.
type Codec interface {
	// Parse parses one whole datagram into v, without copying. v.Type is the type that the
	// datagram claims, 0 for none, also where Parse fails. Its errors are all ErrMalformed.
	Parse(v *Message, datagram []byte) error

	// Append appends v's datagram to b, unless it is a directory. AppendDirectory appends
	// those of a directory, and to ends where each ends.
	Append(b []byte, v *Message) []byte
	AppendDirectory(b []byte, ends []int, v Version, all []Member) ([]byte, []int)

	// Next takes the first entry off a Message's List, which is not empty. before is the entry
	// before it, against which it may be encoded.
	Next(list []byte, before Member) (first Member, rest []byte)

	// MaxText is how many bytes of text a vanilla message carries.
	MaxText() int

	// EntryAddr is the address that an entry has whose peer receives where it sends from.
	EntryAddr(from netip.AddrPort) netip.AddrPort

	// Check says what is wrong with a member of a mesh whose server is at an address.
	Check(m Member, server netip.AddrPort) error

	// Accepts are the shapes of datagrams that a server has a use for.
	Accepts() []Shape
}

// Shape describes datagrams by their length and their first bytes, each of which lies between
// those of Low and High. These are equally long, and no longer than Shortest.
type Shape struct {
	Shortest, Longest int
	Low, High         string
}

// Members is a directory's list, as it came in one datagram, which it aliases, or of pages.
type Members struct {
	codec Codec
	list  []byte
	n     int
	whole *Listing // of pages
}

// Len is the number of members.
func (m Members) Len() int { return m.n }

// Each iterates over the members.
func (m Members) Each() iter.Seq[Member] {
	return func(yield func(Member) bool) {
		if m.whole != nil {
			for i := range m.n {
				if !yield(Member{m.whole.names[i], m.whole.addrs[i]}) {
					return
				}
			}
		}
		var x Member
		for list := m.list; len(list) > 0; {
			if x, list = m.codec.Next(list, x); !yield(x) {
				return
			}
		}
	}
}

// Contains reports that x is one of the members.
func (m Members) Contains(x Member) bool {
	for y := range m.Each() {
		if x == y {
			return true
		}
	}
	return false
}

// roster is a list of addresses that is quick to search. What belongs to an address its owner
// keeps in slices beside it. Usually all are on one host, and a search then compares ports
// alone: the addresses of many rosters would not fit into the caches.
type roster struct {
	addrs []netip.AddrPort
	ports []uint16
	low   []byte     // of the ports
	mixed bool       // the hosts differ
	guess [256]uint8 // by a port's low byte: where the last that was found with it stood, modulo 256
}

func (r *roster) clear() {
	r.addrs, r.ports, r.low, r.mixed = r.addrs[:0], r.ports[:0], r.low[:0], false
}

func (r *roster) add(addr netip.AddrPort) {
	r.mixed = r.mixed || len(r.addrs) > 0 && addr.Addr() != r.addrs[0].Addr()
	r.addrs, r.ports, r.low = append(r.addrs, addr), append(r.ports, addr.Port()), append(r.low, byte(addr.Port()))
}

// remove takes member i out.
func (r *roster) remove(i int) {
	r.addrs, r.ports, r.low = removed(r.addrs, i), removed(r.ports, i), removed(r.low, i)
}

// removed is s without element i, in whose place the last one comes.
func removed[T any](s []T, i int) []T {
	last := len(s) - 1
	s[i] = s[last]
	return s[:last]
}

// find is where an address stands, -1 where it does not.
func (r *roster) find(addr netip.AddrPort) int {
	low := byte(addr.Port())
	if i := int(r.guess[low]); i < len(r.addrs) && r.is(i, addr) {
		return i
	}
	for i := 0; ; i++ {
		n := bytes.IndexByte(r.low[i:], low)
		if n < 0 {
			return -1
		}
		if i += n; r.is(i, addr) {
			r.guess[low] = uint8(i)
			return i
		}
	}
}

// is reports that an address stands at i.
func (r *roster) is(i int, addr netip.AddrPort) bool {
	return r.ports[i] == addr.Port() && (!r.mixed && r.addrs[0].Addr() == addr.Addr() || r.addrs[i] == addr)
}
