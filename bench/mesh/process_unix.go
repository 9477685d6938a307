//go:build unix

package mesh

import "syscall"

const (
	SigStop     = syscall.SIGSTOP
	sigContinue = syscall.SIGCONT
)
