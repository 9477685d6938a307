//go:build !linux

package target

import "os/exec"

// StartTied starts a command. Only Linux can kill it when this process ends.
func StartTied(cmd *exec.Cmd) error { return cmd.Start() }
