//go:build !linux

package target

import (
	"net"
	"os/exec"
	"time"
)

const stampSpace = 0

func askStamps(*net.UDPConn) {}

func stamp([]byte) time.Time { return time.Now().Round(0) }

// watchStops does nothing: nobody tells here who is stopped.
func watchStops(*Process) {}

// suspended is not known here.
func suspended() time.Duration { return 0 }

// StartTied starts a command. Only Linux can kill it when this process ends.
func StartTied(cmd *exec.Cmd) error { return cmd.Start() }

func CPUOf(int) time.Duration { return 0 }
func MemoryOf(int) int64      { return 0 }
func PeakOf(int) int64        { return 0 }
func ShareOf(int) int64       { return 0 }
func GroupOf(int) []int       { return nil }
