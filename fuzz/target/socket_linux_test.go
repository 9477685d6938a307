package target

import (
	"net"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// A socket that nobody reads: what was sent is what waits there and what the
// kernel dropped.
func TestKernelDropsAreThoseOfTheTarget(t *testing.T) {
	u, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	defer u.Close()
	u.SetReadBuffer(4096)
	addr := u.LocalAddr().(*net.UDPAddr).AddrPort()
	if _, n, ok := Backlog(addr); n != 0 || !ok {
		t.Fatalf("%d, %v before anything was sent, want 0", n, ok)
	}
	const sent = 1000
	for range sent {
		if _, err := u.WriteToUDPAddrPort([]byte("x"), addr); err != nil {
			t.Fatal(err)
		}
	}
	raw, err := u.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	// What was sent may be on its way still: loopback can deliver later than it sends.
	await := func(ok func() bool) {
		for end := time.Now().Add(time.Minute); !ok() && time.Now().Before(end); time.Sleep(time.Millisecond) {
		}
	}
	var full, rest, waiting, n uint64
	ok := false
	await(func() bool { full, n, ok = Backlog(addr); return n > 0 })
	await(func() bool {
		raw.Control(func(fd uintptr) {
			for buffer := make([]byte, 1); ; waiting++ {
				if _, _, err := unix.Recvfrom(int(fd), buffer, unix.MSG_DONTWAIT); err != nil {
					return
				}
			}
		})
		rest, n, ok = Backlog(addr)
		return waiting+n == sent
	})
	if full == 0 || rest != 0 {
		t.Errorf("%d bytes in the full queue and %d in the empty one", full, rest)
	}
	if n != sent-waiting || n == 0 || !ok {
		t.Errorf("%d dropped, %v, want %d", n, ok, sent-waiting)
	}
}
