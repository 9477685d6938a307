package clock

import (
	"net"
	"unsafe"

	"golang.org/x/sys/unix"
)

// stamp has the kernel stamp what a socket sends and receives. Where it does not, it is this process
// that takes the time, and the bounds are wider.
func stamp(u *net.UDPConn) {
	raw, err := u.SyscallConn()
	if err != nil {
		return
	}
	raw.Control(func(fd uintptr) {
		const flags = unix.SOF_TIMESTAMPING_SOFTWARE | unix.SOF_TIMESTAMPING_RX_SOFTWARE | unix.SOF_TIMESTAMPING_TX_SOFTWARE | unix.SOF_TIMESTAMPING_OPT_TSONLY
		unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_TIMESTAMPING_NEW, flags)
	})
}

// receivedAt is the time that is in a datagram's control messages.
func receivedAt(control []byte) (ns int64, ok bool) {
	messages, err := unix.ParseSocketControlMessage(control)
	if err != nil {
		return 0, false
	}
	for _, m := range messages {
		if m.Header.Level == unix.SOL_SOCKET && m.Header.Type == unix.SO_TIMESTAMPING_NEW && len(m.Data) >= int(unsafe.Sizeof(unix.Timespec{})) {
			at := *(*unix.Timespec)(unsafe.Pointer(&m.Data[0]))
			return monotonic(at.Nano())
		}
	}
	return 0, false
}

// sentAt is when the datagram that was sent last went to the network.
func sentAt(u *net.UDPConn) (ns int64, ok bool) {
	raw, err := u.SyscallConn()
	if err != nil {
		return 0, false
	}
	raw.Control(func(fd uintptr) {
		var control [256]byte
		for { // the last one of those that there are
			_, n, _, _, err := unix.Recvmsg(int(fd), nil, control[:], unix.MSG_ERRQUEUE|unix.MSG_DONTWAIT)
			if err != nil {
				return
			}
			ns, ok = receivedAt(control[:n])
		}
	})
	return ns, ok
}

// monotonic is what CLOCK_MONOTONIC showed when CLOCK_REALTIME, by which the kernel stamps, showed a
// time of just now. A clock that is set in between spoils the one exchange, whose times then contradict
// each other, or fit no other's.
func monotonic(real int64) (ns int64, ok bool) {
	var before, now, after unix.Timespec
	best, ahead := int64(1<<62), int64(0)
	for range 3 {
		if unix.ClockGettime(unix.CLOCK_MONOTONIC, &before) != nil || unix.ClockGettime(unix.CLOCK_REALTIME, &now) != nil || unix.ClockGettime(unix.CLOCK_MONOTONIC, &after) != nil {
			return 0, false
		}
		if width := after.Nano() - before.Nano(); width < best {
			best, ahead = width, now.Nano()-before.Nano()-width/2
		}
	}
	return real - ahead, real > 0 && best < precision
}
