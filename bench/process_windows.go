package bench

import (
	"os"
	"os/exec"
	"syscall"
)

// Windows has no signals that stop a process; pause is refused before it
// comes to these.
const (
	sigStop     = syscall.Signal(0x13)
	sigContinue = syscall.Signal(0x12)
)

func ownGroup(*exec.Cmd) {}

func signalGroup(p *os.Process, s syscall.Signal) error {
	if s == syscall.SIGKILL {
		return p.Kill()
	}
	return p.Signal(s)
}

func residentOf(*os.ProcessState) int64 { return 0 }
