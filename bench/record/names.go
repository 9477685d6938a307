package record

import (
	"strconv"

	"p2plocal/core"
)

// SlotName is the name of the peer in a slot: letters first, then digits, then
// the rest of printable ASCII.
func SlotName(slot int) core.Name { return names[slot] }

var names = func() (n [core.MaxPeers]core.Name) {
	const first = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
	i := copyNames(n[:], first)
	for c := core.Char(' '); c.Valid(); c++ {
		if !PlainName(c.String()) {
			n[i] = c.Name()
			i++
		}
	}
	return n
}()

// QuoteName is a slot's name in a sentence: quoted unless it is a letter or a digit.
func QuoteName(slot int) string {
	name := string(SlotName(slot))
	if PlainName(name) {
		return name
	}
	return strconv.Quote(name)
}

func PlainName(name string) bool {
	c := name[0]
	return c >= '0' && c <= '9' || c >= 'A' && c <= 'Z' || c >= 'a' && c <= 'z'
}

func copyNames(to []core.Name, from string) int {
	for i := range from {
		to[i] = core.Name(from[i : i+1])
	}
	return len(from)
}
