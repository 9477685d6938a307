//go:build !linux

package target

import "time"

// suspended is not known here.
func suspended() time.Duration { return 0 }
