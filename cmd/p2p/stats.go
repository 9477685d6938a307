package main

import (
	"fmt"
	"runtime"
	"strings"
	"time"

	"p2plocal/core"
	"p2plocal/core/udp"
)

// stats is what the process has counted since its start.
type stats struct {
	elapsed    time.Duration
	server     bool
	counters   core.Counters
	socket     udp.Stats
	goroutines int
}

func (n *node) stats(now time.Time) stats {
	s := stats{elapsed: now.Sub(n.opened), server: n.peer == nil, socket: n.socket.Stats(), goroutines: runtime.NumGoroutine()}
	n.socket.Do(func(time.Time) { s.counters = n.machine.Counters() })
	return s
}

func (s stats) fields() []any {
	var drops any // null: unknown
	if s.socket.DropsKnown {
		drops = s.socket.Drops
	}
	return []any{"seconds", milliseconds(s.elapsed) / 1000, "counters", s.counters, "send_failures", s.socket.SendFailures,
		"kernel_drops", drops, "buffer_granted", s.socket.ReceiveBuffer, "goroutines", s.goroutines}
}

func (s stats) event(kind, verb string) event {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %v", verb, rounded(s.elapsed))
	traffic(&b, "in ", s.counters.In)
	traffic(&b, "out", s.counters.Out)
	c := &s.counters.Events
	if s.server {
		fmt.Fprintf(&b, "\n  births %d, repeated %d, refused %d, replaced %d; removed %d; announcements %d, held back %d; keep-alives %d, of nobody %d",
			c[core.Born], c[core.Repeated], c[core.Conflict], c[core.Replaced], c[core.Removed], c[core.Announced], c[core.Held], c[core.Alive], c[core.Unknown])
	} else {
		fmt.Fprintf(&b, "\n  directories %d; messages received %d; broadcasts %d, skipped %d",
			c[core.Listed], c[core.Heard], c[core.Broadcast], c[core.Skipped])
	}
	drops := "unknown"
	if s.socket.DropsKnown {
		drops = fmt.Sprint(s.socket.Drops)
	}
	fmt.Fprintf(&b, "\n  dropped: malformed %d, rejected %d, misdirected %d, stranger %d; by the kernel: in %s, out %d",
		c[core.Malformed], c[core.Rejected], c[core.Misdirected], c[core.Stranger], drops, s.socket.SendFailures)
	return event{kind, b.String(), s.fields()}
}

// traffic writes a line of totals, and of the types that there were.
func traffic(b *strings.Builder, name string, t core.ByType) {
	total := t.Total()
	fmt.Fprintf(b, "\n  %s %s, %s", name, count(total.Datagrams, "datagram"), count(total.Bytes, "byte"))
	sep := ":"
	for _, x := range []struct {
		name  string
		count uint64
	}{
		{"birth", t.Birth.Datagrams},
		{"directory", t.Directory.Datagrams},
		{"vanilla", t.Vanilla.Datagrams},
		{"keep-alive", t.KeepAlive.Datagrams},
		{"retry", t.Retry.Datagrams},
		{"other", t.Other.Datagrams},
	} {
		if x.count > 0 {
			fmt.Fprintf(b, "%s %s %d", sep, x.name, x.count)
			sep = ","
		}
	}
}
