package target

import (
	"os"
	"os/exec"
	"syscall"
)

// OwnGroup does nothing: there are no process groups here.
func OwnGroup(*exec.Cmd) {}

func SignalGroup(p *os.Process, s syscall.Signal) error {
	if s == syscall.SIGKILL {
		return p.Kill()
	}
	return p.Signal(s)
}
