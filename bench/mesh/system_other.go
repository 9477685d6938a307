//go:build !linux

package mesh

import (
	"p2plocal/bench/result"
	"time"
)

// Elsewhere than on Linux peers are goroutines, and what the system does not
// tell in a portable way is not measured.
const processes = false

func cpuOf(int) time.Duration    { return 0 }
func peakOf(int) int64           { return 0 }
func resetPeak()                 {}
func shareOf(int) int64          { return 0 }
func groupOf(int) []int          { return nil }
func describe(*result.Env)       {}
func stolen() (float64, float64) { return 0, 0 }
