//go:build !portable

package udp

import (
	"context"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

func TestPortInUse(t *testing.T) {
	t.Parallel()
	s := listen(t, 0)
	if _, err := Listen(s.Addr(), 0); err == nil || err.Error() != "cannot listen on "+s.Addr().String()+": "+syscall.EADDRINUSE.Error() {
		t.Errorf("%v", err)
	}
}

func TestBufferGranted(t *testing.T) {
	t.Parallel()
	setting := func(name string) int {
		b, err := os.ReadFile("/proc/sys/net/core/" + name)
		if err != nil {
			t.Fatal(err)
		}
		n, err := strconv.Atoi(strings.TrimSpace(string(b)))
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	most := setting("rmem_max")
	for asked, want := range map[int]int{
		0:          setting("rmem_default") / 2, // Linux counts its bookkeeping in
		64 << 10:   min(64<<10, most),
		ReadBuffer: min(ReadBuffer, most),
		1 << 30:    most,
	} {
		if got := listen(t, asked).Stats().ReceiveBuffer; got != want {
			t.Errorf("%d bytes asked for: granted %d, want %d", asked, got, want)
		}
	}
}

// A buffer that overflows: every datagram is either taken or counted.
func TestKernelDrops(t *testing.T) {
	t.Parallel()
	const n = 500
	s, u := listen(t, 1), sender(t) // the least that Linux grants
	for range n {
		send(t, u, s.Addr(), keepAlive('A'))
	}
	before := s.Stats().Drops
	if before == 0 || before >= n {
		t.Fatalf("%d of %d dropped, want some", before, n)
	}
	taken := make(chan bool, n)
	ended := serve(t, context.Background(), s, script{step: func(time.Time, netip.AddrPort, []byte) { taken <- true }})
	for range n - before {
		await(t, taken, "a datagram that was not dropped")
	}
	s.Close()
	await(t, ended, "Serve's end")
	if after := s.Stats(); !after.DropsKnown || after.Drops != before {
		t.Errorf("after Close %+v, want %d drops as before", after, before)
	}
}
