//go:build long

package main

import (
	"testing"

	"p2plocal/bench/driver"
	"p2plocal/fuzz/conform"
)

// By its own timing a member of memberlist can be unknown to another until they exchange all
// that they know, which a large mesh does once in a minute or more.
func TestLongDrivers(t *testing.T) {
	checkDrivers(t, conform.Select(driver.Cases(), nil, eighty, nil), map[string]string{"memberlist": " pushpull=5s"})
}
