package core

import (
	"fmt"
	"net/netip"
	"testing"
	"time"
)

// Whoever stays gets every page once, in order, whoever goes meanwhile, and no group is larger
// than may be where there are several pages.
func TestDelivery(t *testing.T) {
	for _, pages := range []int{1, 2, 15, 16, 17, 40} {
		for _, n := range []int{1, 31, 32, 33, 64, 95} {
			t.Run(fmt.Sprintf("%d pages to %d", pages, n), func(t *testing.T) {
				var d delivery
				for i := range pages {
					d.datagrams = append(d.datagrams, byte(i))
					d.ends = append(d.ends, len(d.datagrams))
				}
				to := make([]netip.AddrPort, n)
				for i := range to {
					to[i] = from(uint16(1 + i))
				}
				got := map[netip.AddrPort]int{}
				d.begin(start, true)
				for now := start; d.underWay(); now = now.Add(time.Second) {
					page, group := d.next(now, to)
					if want := min(n, 32); pages > 1 && len(group) > want {
						t.Fatalf("a group of %d, want at most %d", len(group), want)
					}
					for _, addr := range group {
						if len(page) != 1 || int(page[0]) != got[addr] {
							t.Fatalf("%v gets page %v after %d", addr, page, got[addr])
						}
						got[addr]++
					}
					if done := !d.underWay(); done != d.listed.Equal(now) {
						t.Fatalf("listed at %v, sent at %v, under way: %v", d.listed, now, !done)
					}
				}
				for _, addr := range to {
					if got[addr] != pages {
						t.Errorf("%v has %d pages, want %d", addr, got[addr], pages)
					}
				}
			})
		}
	}
}

// Where all receivers that have yet to get a page have gone, nothing is under way any more.
func TestDeliveryToNobody(t *testing.T) {
	d := delivery{datagrams: []byte{0, 1}, ends: []int{1, 2}}
	d.begin(start, true)
	to := []netip.AddrPort{from(1)}
	d.next(start, to)
	if page, group := d.next(start, nil); page != nil || group != nil || d.underWay() || !d.listed.IsZero() {
		t.Errorf("page %v to %v, under way %v, listed at %v; want none, to nobody", page, group, d.underWay(), d.listed)
	}
}
