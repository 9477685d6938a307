//go:build unix

package target

import (
	"os"
	"os/exec"
	"syscall"
)

// OwnGroup has a command run in a process group of its own: a terminal's Ctrl-C
// does not reach it, and SignalGroup reaches all that it has started.
func OwnGroup(cmd *exec.Cmd) { cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} }

func SignalGroup(p *os.Process, s syscall.Signal) error { return syscall.Kill(-p.Pid, s) }
