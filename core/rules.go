package core

import (
	"bytes"
	"slices"
	"time"
)

// What a peer does where its dialect has Rules.

// ruled is what a peer keeps for that.
type ruled struct {
	seq      uint32     // of its last birth or keep-alive
	shown    uint32     // of the last birth with a token
	answered uint32     // that the last retry was the answer to
	token    []byte     // of that retry
	pages    pages      // of the directory that is coming in
	held     Version    // of the last directory
	least    Version    // of the directories of the server's incarnation, that counts
	floor    [2]Version // of this server and the one before: older vanilla messages may be replayed
}

// beToldAgain takes a retry: the server does not know this peer, or has not validated its
// address. The peer sends a birth at once, unless the retry answers one that had a token
// already: then it waits for its next birth.
func (p *Peer) beToldAgain(now time.Time, v *Message) {
	p.answered = v.Seq
	p.token = append(p.token[:0], v.Token...)
	v.Token = nil // nothing is kept of the datagram
	p.least = v.Version
	if v.Version.Incarnation != p.floor[0].Incarnation {
		p.floor[1], p.floor[0] = p.floor[0], Version{v.Version.Incarnation, v.Version.Number + 1}
		p.pages = pages{}
	}
	if p.joined {
		p.joined, p.overdue, p.bornAt = false, false, now
	}
	if v.Seq != p.shown {
		p.birth = now
	}
}

// fresh reports that a vanilla message is for this peer, and is no replay of one sent before
// its birth.
func (p *Peer) fresh(v *Message) bool {
	if len(v.Name) > 0 && Name(v.Name) != p.cfg.Self.Name {
		return false
	}
	for _, f := range p.floor {
		if v.Version.Incarnation == f.Incarnation {
			return v.Version.Number >= f.Number
		}
	}
	return false
}

// collect takes a page in, and returns the directory if that completes it and it is newer than
// the last; nil otherwise. A directory with a name twice is dropped, with all its pages.
func (p *Peer) collect(v *Message) (*Listing, error) {
	if v.Version.Incarnation != p.least.Incarnation || v.Version.Number < p.least.Number || !p.pages.collect(p.rules, v) {
		return nil, nil
	}
	whole := p.rules.Listing(v.Version, p.pages.all)
	p.pages = pages{}
	if whole == nil {
		return nil, ErrDuplicate
	}
	p.held, p.least = v.Version, v.Version
	p.least.Number++
	return whole, nil
}

// maxPages bounds a directory to some 4.8 MB: enough for MaxMembers with names and addresses
// of the greatest length that share nothing.
const maxPages = 4096

// pages are those of one directory that have come so far.
type pages struct {
	version Version
	all     []*Page // nil: has not come
	got     int
	members int // in these
}

// collect takes a page in, and reports that all are there. Pages of a directory older than the
// one that is coming do not count.
func (p *pages) collect(r *Rules, v *Message) bool {
	switch {
	case v.Version.Number < p.version.Number || v.Pages > maxPages:
		return false
	case v.Version != p.version || v.Pages != len(p.all):
		*p = pages{version: v.Version, all: make([]*Page, v.Pages)}
	}
	if p.all[v.Page] == nil && p.members+v.Len <= MaxMembers {
		p.all[v.Page] = r.Page(v)
		p.members += v.Len
		p.got++
	}
	return p.got == len(p.all)
}

// Page is what one page of a directory lists, on the wire. Nobody writes to it.
type Page struct {
	list []byte
	n    int
}

// NewPage copies what v lists.
func NewPage(v *Message) *Page { return &Page{slices.Clone(v.List), v.Len} }

// Len is how many entries it has.
func (p *Page) Len() int { return p.n }

// Is reports that v lists the same.
func (p *Page) Is(v *Message) bool { return bytes.Equal(p.list, v.List) }

// Listing is a parsed directory of several pages. It lists all members twice in a row, so that
// all but one are a contiguous slice, from the one after it on. It is read-only, and the peers
// of a process may share it: 1,000 that keep 1,000 members each would take 80 MB.
type Listing struct {
	pages []*Page
	names []Name
	index map[Name]int
	roster
}

// NewListing keeps the pages. It is nil where two members have one name.
func NewListing(c Codec, pages []*Page) *Listing {
	l := &Listing{pages: pages, index: map[Name]int{}}
	for _, page := range pages {
		var m Member
		for list := page.list; len(list) > 0; {
			m, list = c.Next(list, m)
			l.index[m.Name] = len(l.names)
			l.names = append(l.names, m.Name)
			l.add(m.Addr)
		}
	}
	n := len(l.names)
	if len(l.index) != n {
		return nil
	}
	l.names = append(l.names, l.names...)
	for _, addr := range l.addrs[:n] {
		l.add(addr)
	}
	return l
}

// Is reports that the listing is of such pages.
func (l *Listing) Is(pages []*Page) bool { return slices.Equal(l.pages, pages) }

// adopt makes a listing the peer's view, and reports that the peer is in it. With Rules that
// goes by its name: a peer need not know the address at which others see it.
func (p *Peer) adopt(l *Listing) bool {
	n := len(l.names) / 2
	self, named := l.index[p.cfg.Self.Name]
	from, to := self+1, self+n
	if !named {
		from, to = 0, n
	}
	p.whole, p.listed, p.names = l, p.listed[:0], l.names[from:to]
	p.known.addrs, p.known.ports, p.known.low, p.known.mixed = l.addrs[from:to], l.ports[from:to], l.low[from:to], l.mixed
	return named
}
