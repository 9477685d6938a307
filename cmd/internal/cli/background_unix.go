//go:build linux || darwin

package cli

import (
	"os"
	"os/signal"

	"golang.org/x/sys/unix"
)

// KeepRunning has a read from the terminal fail where the process is in the background, and not stop it.
func KeepRunning() { signal.Ignore(unix.SIGTTIN) }

// Foreground reports that what is typed at a terminal is for this process.
func Foreground(terminal *os.File) bool {
	group, err := unix.IoctlGetInt(int(terminal.Fd()), unix.TIOCGPGRP)
	return err != nil || group == unix.Getpgrp() // an error: it is not the one that controls the process
}
