package main

import (
	"fmt"
	"runtime"
	"strings"
	"time"

	"p2plocal/core"
)

// stats is what the process has counted since its start.
type stats struct {
	Seconds       float64       `json:"seconds"`
	Counters      core.Counters `json:"counters"`
	SendFailures  uint64        `json:"send_failures"` // datagrams that the kernel refused to send
	KernelDrops   *uint64       `json:"kernel_drops"`  // datagrams that found the receive buffer full; nil: unknown
	BufferGranted int           `json:"buffer_granted"`
	Goroutines    int           `json:"goroutines"`

	ended  bool
	server bool
}

func (n *node) stats(now time.Time, ended bool) stats {
	socket := n.socket.Stats()
	s := stats{
		Seconds:       milliseconds(now.Sub(n.opened)) / 1000,
		SendFailures:  socket.SendFailures,
		BufferGranted: n.granted,
		Goroutines:    runtime.NumGoroutine(),
		ended:         ended,
		server:        n.peer == nil,
	}
	if socket.DropsKnown {
		s.KernelDrops = &socket.Drops
	}
	n.socket.Do(func(time.Time) { s.Counters = n.machine.Counters() })
	return s
}

func (s stats) kind() string {
	if s.ended {
		return "ended"
	}
	return "stats"
}

func (s stats) text() string {
	var b strings.Builder
	verb := "has run for"
	if s.ended {
		verb = "ended after"
	}
	fmt.Fprintf(&b, "%s %v", verb, duration(s.Seconds*1000))
	traffic(&b, "in ", s.Counters.In)
	traffic(&b, "out", s.Counters.Out)
	c := &s.Counters.Events
	if s.server {
		fmt.Fprintf(&b, "\n  births %d, repeated %d, refused %d, replaced %d; removed %d; announcements %d, held back %d; keep-alives %d, of nobody %d",
			c[core.Born], c[core.Repeated], c[core.Conflict], c[core.Replaced], c[core.Removed], c[core.Announced], c[core.Held], c[core.Alive], c[core.Unknown])
	} else {
		fmt.Fprintf(&b, "\n  directories %d; messages received %d; broadcasts %d, skipped %d",
			c[core.Listed], c[core.Heard], c[core.Broadcast], c[core.Skipped])
	}
	drops := "unknown"
	if s.KernelDrops != nil {
		drops = fmt.Sprint(*s.KernelDrops)
	}
	fmt.Fprintf(&b, "\n  dropped: malformed %d, rejected %d, misdirected %d, stranger %d; by the kernel: in %s, out %d",
		c[core.Malformed], c[core.Rejected], c[core.Misdirected], c[core.Stranger], drops, s.SendFailures)
	return b.String()
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
		{"other", t.Other.Datagrams},
	} {
		if x.count > 0 {
			fmt.Fprintf(b, "%s %s %d", sep, x.name, x.count)
			sep = ","
		}
	}
}
