//go:build !linux

package clock

import "net"

// Elsewhere than on Linux this process takes the times itself.

func stamp(*net.UDPConn)                {}
func receivedAt([]byte) (int64, bool)   { return 0, false }
func sentAt(*net.UDPConn) (int64, bool) { return 0, false }
