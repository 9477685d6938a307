//go:build long

package driver

import (
	"testing"

	"p2plocal/fuzz/conform"
)

func TestLongExample(t *testing.T) { checkExample(t, conform.Select(Cases(), nil, eighty, nil)) }
