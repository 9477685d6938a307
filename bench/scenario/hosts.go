package scenario

import (
	"strings"
	"time"

	"p2plocal/bench/mesh"
	"p2plocal/bench/result"
)

// hosts are the hosts that a scenario's meshes are laid over.
type hosts struct {
	links [][]*mesh.Link // what messages between them came to, in all its meshes
	all   []mesh.Hosted  // as they stood at the end of the last one, with the widest bounds of any
}

// between returns the links between so many hosts, to be added to.
func (h *hosts) between(n int) [][]*mesh.Link {
	for len(h.links) < n {
		row := make([]*mesh.Link, n)
		for i := range row {
			row[i] = new(mesh.Link)
		}
		h.links = append(h.links, row)
	}
	return h.links
}

// add takes in how the hosts of a mesh stood at its end.
func (h *hosts) add(all []mesh.Hosted) {
	before := h.all
	h.all = all
	for i := range before {
		now, was := &h.all[i], &before[i]
		now.Bound, now.Late, now.CPU, now.Lost = max(now.Bound, was.Bound), max(now.Late, was.Late), now.CPU+was.CPU, now.Lost || was.Lost
		now.Silent = max(now.Silent, was.Silent)
		for name, n := range was.Kernel {
			if now.Kernel == nil { // it has thrown nothing away
				now.Kernel = map[string]uint64{}
			}
			now.Kernel[name] += n
		}
	}
}

// bound is what the clocks of two hosts may add to a time between them, in seconds.
func (h *hosts) bound(i, j int) float64 {
	if i == j {
		return 0
	}
	return float64(h.all[i].Bound+h.all[j].Bound) / 1e9
}

// overHosts records what there is to say of the hosts, and what their clocks do to the times.
func (s *Run) overHosts() {
	h := &s.hosts
	if h.all == nil {
		return
	}
	const (
		remarkable = time.Second // for an answer to take
		uncertain  = time.Millisecond
	)
	widest, late := 0.0, int64(0)
	for i, x := range h.all {
		out := result.Host{Worker: x.ID, Name: x.Host, Addr: x.Addr.String(), Peers: (s.N - i + len(h.all) - 1) / len(h.all), Ahead: float64(x.Line.Offset) / 1e9, Drift: x.Line.Rate,
			Bound: float64(x.Bound) / 1e9, Late: float64(x.Late) / 1e9, CPU: x.CPU.Seconds(), Memory: x.Memory, Lost: x.Lost, Kernel: x.Kernel}
		s.out.Hosts = append(s.out.Hosts, out)
		late = max(late, x.Late)
		if x.Silent > remarkable && !x.Lost {
			s.note("worker %s on %s did not answer for %v: it, its machine or the way to it stood still", x.ID, x.Host, x.Silent.Round(100*time.Millisecond))
		}
		if off := time.Duration(x.Bound); off >= uncertain && !x.Lost {
			s.warn("the clock of worker %s on %s, or the first one's, jumped, or the way between them is slow: it is known within %v", x.ID, x.Host, off.Round(100*time.Microsecond))
		}
		for j := range h.all {
			widest = max(widest, h.bound(i, j))
			l := h.links[i][j]
			if l.Sent > 0 {
				m := l.Latency.Distribution()
				m.Bound = h.bound(i, j)
				s.out.Links = append(s.out.Links, result.Link{From: i, To: j, Sent: l.Sent, Delivered: l.Delivered, Latency: m, Bound: m.Bound})
			}
		}
	}
	for name, m := range s.out.Metrics {
		// How late a timer is, and how long the impairment holds a message, one clock tells.
		if m.Unit == "s" && !strings.HasSuffix(name, ".timer_error") && !strings.HasSuffix(name, ".held") {
			m.Bound = widest
			s.out.Metrics[name] = m
		}
	}
	const tolerable = 20 * time.Millisecond
	if late := time.Duration(late); late > tolerable {
		s.warn("orders were carried out up to %v after their time: what was measured from then on may be longer by so much", late.Round(time.Millisecond))
	}
}
