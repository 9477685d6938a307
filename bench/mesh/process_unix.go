//go:build unix

package mesh

import (
	"os"
	"runtime"
	"syscall"
)

const (
	SigStop     = syscall.SIGSTOP
	sigContinue = syscall.SIGCONT
)

// residentOf is the most resident memory that an ended process had, in bytes.
func residentOf(p *os.ProcessState) int64 {
	r, ok := p.SysUsage().(*syscall.Rusage)
	if !ok {
		return 0
	}
	if runtime.GOOS == "darwin" {
		return int64(r.Maxrss)
	}
	return int64(r.Maxrss) * 1024
}
