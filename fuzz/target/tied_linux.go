package target

import (
	"os/exec"
	"runtime"
	"sync"
	"syscall"
)

// StartTied starts a command that the kernel kills when this process ends,
// however it does; what the command has started itself is not.
func StartTied(cmd *exec.Cmd) error {
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = new(syscall.SysProcAttr)
	}
	cmd.SysProcAttr.Pdeathsig = syscall.SIGKILL
	started := make(chan error)
	starters() <- func() { started <- cmd.Start() }
	return <-started
}

// starters is the way to a thread that lives as long as the process: the kernel
// sends the signal at the end of the thread that has started the command (prctl(2),
// PR_SET_PDEATHSIG).
var starters = sync.OnceValue(func() chan<- func() {
	start := make(chan func())
	go startTied(start)
	return start
})

func startTied(start <-chan func()) {
	runtime.LockOSThread()
	for f := range start {
		f()
	}
}
