package mesh

import "syscall"

// Windows has no signals that stop a process; pause is refused before it
// comes to these.
const (
	SigStop     = syscall.Signal(0x13)
	sigContinue = syscall.Signal(0x12)
)
