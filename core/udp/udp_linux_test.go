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

	"p2plocal/core"
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
	if got, least := listen(t, 1).Stats().ReceiveBuffer, setting("rmem_default")/2; got == 0 || got >= least {
		t.Errorf("1 byte asked for: granted %d, want less than the %d that nobody has asked for", got, least)
	}
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
	send(t, u, s.Addr(), keepAlive('A'))
	each := queued(t, s, 1)
	for range n - 1 {
		send(t, u, s.Addr(), keepAlive('A'))
	}
	before := uint64(0)
	for end := time.Now().Add(patience); ; time.Sleep(time.Millisecond / 10) { // until all have been delivered
		bytes, drops, _ := s.Waiting()
		if before = drops; uint64(bytes/each)+drops == n {
			break
		}
		if time.Now().After(end) {
			t.Fatalf("%d bytes are queued and %d datagrams dropped, want %d of %d bytes in all", bytes, drops, n, each)
		}
	}
	if before == 0 {
		t.Fatalf("none of %d dropped, want some", n)
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

// announcing is a script that owes an announcement once it has heard something.
type announcing struct {
	script
	owes func() bool
}

func (a announcing) Announces(time.Time) bool { return a.owes() }

// What arrives while an announcement is owed goes into it; what goes on arriving does not
// put it off for ever.
func TestGather(t *testing.T) {
	t.Parallel()
	for _, births := range []int{2, 1 << 30} {
		s, u := listen(t, ReadBuffer), sender(t)
		heard, sent := 0, 1
		polled := make(chan int, 1)
		ctx, cancel := context.WithCancel(t.Context())
		ended := serve(t, ctx, s, announcing{script{
			step: func(time.Time, netip.AddrPort, []byte) { heard++ },
			poll: func(time.Time) (core.Outgoing, time.Time) {
				if heard > 0 {
					select {
					case polled <- heard:
					default:
					}
				}
				return core.Outgoing{}, time.Time{}
			},
		}, func() bool {
			if heard > 0 && sent < births { // the next arrives while this is under way
				sent++
				send(t, u, s.Addr(), keepAlive('A'))
			}
			return heard > 0
		}})
		send(t, u, s.Addr(), keepAlive('A'))
		if got := await(t, polled, "an announcement"); got < 2 {
			t.Errorf("%d of %d births are announced first, want those that followed at once, too", got, births)
		}
		cancel()
		await(t, ended, "Serve's end")
	}
}
