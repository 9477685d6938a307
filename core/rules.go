package core

import (
	"slices"
	"time"
)

// What a peer does where its dialect has Rules.

// beToldAgain takes a retry: the server does not know this peer, or not its address. It is
// born at once, but not if what came back is a token shown: then its next birth may fare better.
func (p *Peer) beToldAgain(now time.Time, v *View) {
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

// isSelf reports that an entry is this peer's own. With Rules it goes by the name: what
// address the others see, a peer need not know.
func (p *Peer) isSelf(m Member) bool {
	if p.rules != nil {
		return m.Name == p.cfg.Self.Name
	}
	return m.Addr == p.cfg.Self.Addr
}

// in reports that a directory names this peer.
func (p *Peer) in(all Members) bool {
	if p.rules == nil {
		return all.Contains(p.cfg.Self)
	}
	for list := all.list; len(list) > 0; {
		var m Member
		if m, list = p.codec.Next(list, p.cfg.Self.Name); p.isSelf(m) {
			return true
		}
	}
	return false
}

// fresh reports that a vanilla message is for this peer, and none that was sent before it
// was born: its sender can have known it by then.
func (p *Peer) fresh(v *View) bool {
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

// collect takes a page in, and reports that with it a newer directory than the last is
// complete, which v then is. One with a name twice is dropped, all its pages.
func (p *Peer) collect(v *View) (complete bool, err error) {
	if v.Version.Incarnation != p.least.Incarnation || v.Version.Number < p.least.Number || !p.pages.add(v) {
		return false, nil
	}
	all, n := slices.Concat(p.pages.lists...), p.pages.members
	p.pages = pages{}
	if !p.rules.Unique(all, n) {
		return false, ErrDuplicate
	}
	p.held, p.least, v.List, v.Len = v.Version, v.Version, all, n
	p.least.Number++
	return true, nil
}

// maxPages bounds a directory, some 2.4 MB.
const maxPages = 2048

// pages are those of one directory that have come so far.
type pages struct {
	version Version
	lists   [][]byte // nil: has not come
	got     int
	members int
}

// add takes a page in, and reports that all are there. Pages of a directory older than the
// one that is coming do not count.
func (p *pages) add(v *View) bool {
	switch {
	case v.Version.Number < p.version.Number || v.Pages > maxPages:
		return false
	case v.Version != p.version || v.Pages != len(p.lists):
		*p = pages{version: v.Version, lists: make([][]byte, v.Pages)}
	}
	if p.lists[v.Page] == nil {
		p.lists[v.Page] = slices.Clone(v.List)
		p.got++
		p.members += v.Len
	}
	return p.got == len(p.lists)
}
