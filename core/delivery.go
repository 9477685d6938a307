package core

import (
	"net/netip"
	"time"
)

// A directory of several pages goes to groups of receivers, and a block of pages at a time: a
// receiver wakes once for a block, and its queue has room for it.
const (
	groupMost = 32
	blockMost = 16
)

// delivery is a directory on its way: a block of its pages to one group of receivers after
// the other, then the next block.
type delivery struct {
	datagrams []byte // the pages,
	ends      []int  // and where each ends
	version   Version
	stale     bool      // the members have changed since
	toAll     bool      // to all, or to those answering
	owed      time.Time // since when it was due
	block     int       // the first page of the block
	page      int       // the next of them to be sent,
	first     int       // and the first of the receivers that get it next
	listed    time.Time // when the last page was last sent to all
}

// begin sends the directory from its first page on.
func (d *delivery) begin(due time.Time, toAll bool) {
	d.owed, d.toAll = due, toAll
	d.block, d.page, d.first = 0, 0, 0
}

// underWay reports that pages are still to be sent.
func (d *delivery) underWay() bool { return d.page < len(d.ends) }

// next is the page that goes next, and those of all receivers that get it: none if the rest
// have left meanwhile.
func (d *delivery) next(now time.Time, all []netip.AddrPort) (page []byte, to []netip.AddrPort) {
	if d.first >= len(all) {
		d.page = len(d.ends)
		return nil, nil
	}
	to = all[d.first:]
	if len(d.ends) > 1 {
		to = to[:min(len(to), groupMost)]
	}
	begin := 0
	if d.page > 0 {
		begin = d.ends[d.page-1]
	}
	page = d.datagrams[begin:d.ends[d.page]]
	if d.page++; d.page == min(d.block+blockMost, len(d.ends)) {
		if d.first += len(to); d.first < len(all) {
			d.page = d.block
		} else {
			d.first, d.block = 0, d.page
		}
	}
	if d.toAll && !d.underWay() {
		d.listed = now
	}
	return page, to
}
