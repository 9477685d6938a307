package target

import (
	"net"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// stampSpace is room for the control message that holds a time.
const stampSpace = 64

// askStamps has the kernel note when each datagram came: how late this process
// reads it is then no matter.
func askStamps(u *net.UDPConn) {
	raw, err := u.SyscallConn()
	if err != nil {
		return
	}
	raw.Control(func(fd uintptr) { unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_TIMESTAMPNS, 1) })
}

// stamp is the kernel's time in a control message, or now.
func stamp(oob []byte) time.Time {
	messages, err := unix.ParseSocketControlMessage(oob)
	if err == nil {
		for _, m := range messages {
			if m.Header.Type == unix.SO_TIMESTAMPNS && len(m.Data) >= int(unsafe.Sizeof(unix.Timespec{})) {
				return time.Unix((*unix.Timespec)(unsafe.Pointer(&m.Data[0])).Unix())
			}
		}
	}
	return time.Now().Round(0)
}
