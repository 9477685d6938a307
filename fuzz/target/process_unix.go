//go:build unix

package target

import (
	"os"
	"os/exec"
	"syscall"
)

// Stop has a program stand still, until Continue.
const Stop, Continue = syscall.SIGSTOP, syscall.SIGCONT

// ownGroup has a command run in a process group of its own: a terminal's Ctrl-C
// does not reach it, and signalGroup reaches all that it has started.
func ownGroup(cmd *exec.Cmd) { cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} }

func signalGroup(p *os.Process, s syscall.Signal) error { return syscall.Kill(-p.Pid, s) }
