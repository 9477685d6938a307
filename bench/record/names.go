package record

import (
	"fmt"
	"strconv"
	"sync"

	"p2plocal/core"
)

// SlotName is the name of the peer in a slot: letters first, then digits, then
// the rest of printable ASCII, and of those beyond the names of the wide dialect.
func SlotName(slot int) core.Name {
	if slot < len(names) {
		return names[slot]
	}
	return wideNames()[slot]
}

var names = func() (n [core.MaxPeers]core.Name) {
	order := "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
	for c := ' '; c <= '~'; c++ {
		if !plain(string(c)) {
			order += string(c)
		}
	}
	for i := range n {
		n[i] = core.Name(order[i : i+1])
	}
	return n
}()

// NameOf is the name that the peer in a slot has in the mesh's dialect.
func (b *Store) NameOf(slot int) core.Name {
	if b.Wide {
		return wideNames()[slot]
	}
	return names[slot]
}

var wideNames = sync.OnceValue(func() (n *[MostPeers]core.Name) {
	n = new([MostPeers]core.Name)
	for i := range n {
		n[i] = core.Name(fmt.Sprintf("peer-%04d", i+1))
	}
	return n
})

// QuoteName is a slot's name in a sentence: quoted unless it is a letter or a digit.
func QuoteName(slot int) string {
	name := string(SlotName(slot))
	if plain(name) || len(name) > 1 {
		return name
	}
	return strconv.Quote(name)
}

func plain(name string) bool {
	c := name[0]
	return c >= '0' && c <= '9' || c >= 'A' && c <= 'Z' || c >= 'a' && c <= 'z'
}
