//go:build long

package campaign

import "testing"

func TestLongWrongs(t *testing.T) { tryWrongs(t, 1) }
