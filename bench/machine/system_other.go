//go:build !linux

package machine

import "p2plocal/bench/result"

// Processes is false elsewhere than on Linux: peers are goroutines, and what the
// system does not tell in a portable way is not measured.
const Processes = false

func ResetPeak()                 {}
func Loads() (of [3]float64)     { return of }
func describe(*result.Env)       {}
func Stolen() (float64, float64) { return 0, 0 }

func NetworkLosses() map[string]uint64 { return nil }
