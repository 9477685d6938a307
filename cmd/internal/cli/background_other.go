//go:build !linux && !darwin

package cli

import "os"

// KeepRunning does nothing: nothing stops a process that reads.
func KeepRunning() {}

// Foreground reports true: there is no background.
func Foreground(*os.File) bool { return true }
