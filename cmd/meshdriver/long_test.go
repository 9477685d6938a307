//go:build long

package main

import (
	"testing"

	"p2plocal/bench/driver"
	"p2plocal/fuzz/conform"
)

func TestLongDrivers(t *testing.T) { checkDrivers(t, conform.Select(driver.Cases(), nil, eighty, nil)) }
