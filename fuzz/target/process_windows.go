package target

import (
	"os"
	"os/exec"
	"syscall"
)

// Stop and Continue are signals that there are not here.
const Stop, Continue = syscall.Signal(0x13), syscall.Signal(0x12)

// ownGroup does nothing: there are no process groups here.
func ownGroup(*exec.Cmd) {}

func signalGroup(p *os.Process, s syscall.Signal) error {
	if s == syscall.SIGKILL {
		return p.Kill()
	}
	return p.Signal(s)
}
