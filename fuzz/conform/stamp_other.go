//go:build !linux

package conform

import (
	"net"
	"time"
)

const stampSpace = 0

func askStamps(*net.UDPConn) {}

func stamp([]byte) time.Time { return clock() }
