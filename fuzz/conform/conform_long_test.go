//go:build long

package conform

import (
	"testing"
	"time"
)

// Every wrong behaviour against every case that is about it, and the sound ones
// against all.
func TestAllWrongs(t *testing.T) {
	for i, w := range behaviours {
		t.Run(w.role.String()+"/"+w.wrong, func(t *testing.T) { t.Parallel(); w.try(t, i, 1, time.Hour) })
	}
}

func TestSharedServerBreaksOnAnyOf(t *testing.T) {
	sharedServerBreaks(t, `/birth/[1-4]$|/any/|/time/`)
}
