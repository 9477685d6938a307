//go:build long && unix

package manual

import "testing"

// The sessions that take their time.
func TestLongSessions(t *testing.T) {
	replay(t, func(s session) bool { return s.how == "long" })
}
