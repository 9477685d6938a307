package target

import (
	"time"

	"golang.org/x/sys/unix"
)

// suspended is how long the machine has been suspended since it started: CLOCK_BOOTTIME
// goes on meanwhile, CLOCK_MONOTONIC does not (clock_gettime(2)).
func suspended() time.Duration {
	var boot, monotonic unix.Timespec
	if unix.ClockGettime(unix.CLOCK_MONOTONIC, &monotonic) != nil || unix.ClockGettime(unix.CLOCK_BOOTTIME, &boot) != nil {
		return 0
	}
	return time.Duration(boot.Nano() - monotonic.Nano())
}
