//go:build long

package stat

import "testing"

func TestLongRemovalsLong(t *testing.T) { checkRemovals(t, 1000) }
