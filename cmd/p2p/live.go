package main

import (
	"fmt"
	"io"
	"iter"
	"slices"
	"strings"
	"time"

	"p2plocal/bench/sample"
	"p2plocal/core"
	"p2plocal/core/udp"
	"p2plocal/reports/live"
)

// shown is a server's directory as its page has it.
type shown struct {
	feed    *sample.Feed
	names   []string // of all who have been members; when they are too many, of those who are
	states  []byte
	opened  time.Time
	refused uint64
	flood   time.Time // when there last was one, that goes on
	socket  sample.Socket
}

const (
	mostShown = 256
	flooding  = 100 // datagrams refused or thrown away in one sample: a thousand a second
)

// show serves a page of the server's directory, until stop is called.
func (n *node) show(o *options, stderr io.Writer) (stop func(), err error) {
	x := &shown{opened: n.opened, feed: sample.NewFeed(sample.Head{Title: "server " + n.socket.Addr().String(), Server: true, Peers: []string{}})}
	server, err := live.Listen(o.live.AddrPort, live.Config{Feed: x.feed})
	if err != nil {
		return nil, err
	}
	fmt.Fprintf(stderr, "p2p: live at %s\n", server.URL())
	end := sample.Regularly(sample.Every*time.Millisecond, func() {
		members := map[string]time.Duration{}
		var counters core.Counters
		var now time.Time
		n.socket.Do(func(t time.Time) {
			now, counters = t, n.machine.Counters()
			for m, age := range n.members(t) {
				members[string(m.Name)] = age
			}
		})
		x.sample(now, members, counters.Events, n.socket)
	})
	return func() {
		end()
		x.feed.End(false)
		server.Close()
	}, nil
}

// members are those in a server's directory, and for how long each has been silent.
func (n *node) members(now time.Time) iter.Seq2[core.Member, time.Duration] {
	return n.machine.(interface {
		Silences(time.Time) iter.Seq2[core.Member, time.Duration]
	}).Silences(now)
}

func (x *shown) note(now time.Time, kind string, peer int, format string, args ...any) {
	x.feed.Note(sample.MarkOf(x.ms(now), kind, peer, format, args...))
}

func (x *shown) ms(now time.Time) float64 { return float64(now.Sub(x.opened)) / 1e6 }

// sample tells what the directory is now, and what has become of datagrams since.
func (x *shown) sample(now time.Time, members map[string]time.Duration, events core.Counts, socket *udp.Socket) {
	x.follow(now, members)
	s := sample.Sample{T: x.ms(now), Phase: "server", States: string(x.states), Ages: make([]int64, len(x.names))}
	for i, name := range x.names {
		s.Ages[i] = members[name].Milliseconds()
	}
	refused := events.Dropped() + events[core.Conflict] + events[core.Unknown]
	s.Refused, x.refused = refused-x.refused, refused
	s.Taken = s.Refused
	for _, m := range x.socket.Read(&s, socket) {
		x.feed.Note(m)
	}
	s.Doing = count(uint64(len(members)), "member")
	s.Headline = fmt.Sprintf("%s; %s refused so far, %s by the kernel.", s.Doing, count(refused, "datagram"), count(x.socket.Drops, "datagram"))
	if s.Refused+s.Drops >= flooding {
		if x.flood.IsZero() {
			x.note(now, "flood", -1, "a flood begins")
		}
		x.flood = now
	} else if !x.flood.IsZero() && now.Sub(x.flood) >= time.Second { // not at each pause of a sender
		x.flood = time.Time{}
		x.note(now, "flood", -1, "the flood has ended")
	}
	x.feed.Add(s)
}

// follow takes in who has come, and who is gone.
func (x *shown) follow(now time.Time, members map[string]time.Duration) {
	came := false
	if len(x.names)+len(members) > 2*mostShown { // the dead are forgotten
		x.names, x.states = nil, nil
	}
	for name := range members {
		came = came || !slices.Contains(x.names, name) && len(x.names) < mostShown
	}
	if came {
		for name := range members {
			if !slices.Contains(x.names, name) && len(x.names) < mostShown {
				x.names = append(x.names, name)
			}
		}
		states := strings.Repeat(string(sample.Unborn), len(x.names)-len(x.states))
		x.states = append(x.states, states...)
		x.feed.SetPeers(slices.Clone(x.names))
	}
	for i, name := range x.names {
		_, is := members[name]
		switch {
		case is && x.states[i] != sample.Alive:
			x.states[i] = sample.Alive
			x.note(now, "join", i, "%s joins", name)
		case !is && x.states[i] == sample.Alive:
			x.states[i] = sample.Dead
			x.note(now, "removal", i, "%s is removed", name)
		}
	}
}
