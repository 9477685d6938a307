//go:build long

package stat

import "testing"

func TestRemovalsLong(t *testing.T) { checkRemovals(t, 1000) }
