//go:build !linux

package mesh

import (
	"time"

	"p2plocal/bench/result"
)

// Processes is false elsewhere than on Linux: peers are goroutines, and what the
// system does not tell in a portable way is not measured.
const Processes = false

func CPUOf(int) time.Duration    { return 0 }
func PeakOf(int) int64           { return 0 }
func ResidentOf(int) int64       { return 0 }
func ResetPeak()                 {}
func ShareOf(int) int64          { return 0 }
func groupOf(int) []int          { return nil }
func loads() (of [3]float64)     { return of }
func describe(*result.Env)       {}
func Stolen() (float64, float64) { return 0, 0 }

func networkLosses() map[string]uint64 { return nil }
