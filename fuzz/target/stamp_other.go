//go:build !linux

package target

import (
	"net"
	"time"
)

const stampSpace = 0

func askStamps(*net.UDPConn) {}

func stamp([]byte) time.Time { return time.Now().Round(0) }
