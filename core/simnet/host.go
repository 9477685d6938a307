package simnet

import (
	"fmt"
	"time"
)

// Host is the machine that all nodes share, if computing is to take time: its cores serve the
// nodes that have something to do in the order in which they got it. A node's turn takes Wake,
// Take for each datagram that waits for it, and Send for each datagram that it sends: the ports
// of one Outgoing get it one after the other. The zero Host computes in no time.
type Host struct {
	Cores int           `json:"cores"` // 0: any number, and all costs nothing
	Wake  time.Duration `json:"wake"`
	Take  time.Duration `json:"take"`
	Send  time.Duration `json:"send"`
}

// Validate names the first invalid value.
func (h Host) Validate() error {
	if h.Cores < 0 || h.Cores > 1024 {
		return fmt.Errorf("%d cores, want 0 to 1024", h.Cores)
	}
	for _, d := range []struct {
		name  string
		value time.Duration
	}{{"wake", h.Wake}, {"take", h.Take}, {"send", h.Send}} {
		switch {
		case d.value < 0 || d.value > time.Second:
			return fmt.Errorf("%s %v, want 0 to 1s", d.name, d.value)
		case d.value > 0 && h.Cores == 0:
			return fmt.Errorf("%s %v without cores that it could keep busy", d.name, d.value)
		}
	}
	return nil
}

// assign queues the nodes that got something to do at this instant, and gives idle cores to
// those at the head of the queue.
func (n *Net) assign() {
	for _, x := range n.ready {
		n.line.push(int32(x.index))
	}
	n.ready = n.ready[:0]
	for n.working < n.cfg.Host.Cores && n.line.n > 0 {
		n.working++
		n.schedule(event{at: n.now + n.cfg.Host.Wake, kind: computing, number: n.line.pop()})
	}
}

// compute is a node's turn.
func (n *Net) compute(x *Node) {
	x.again = false
	n.cost = n.cfg.Host.Send
	if x.machine != nil && !x.paused {
		x.work()
	}
	n.schedule(event{at: n.now + n.lag, kind: finished, number: int32(x.index)})
	n.lag, n.cost = 0, 0
}

// finish gives the core back.
func (n *Net) finish(x *Node) {
	n.working--
	x.ready = false
	if x.again || x.queue.n > 0 {
		n.run(x)
	}
}

// Clock is Now or, while a machine is called, the later time that its
// computing has come to by then.
func (n *Net) Clock() time.Duration { return n.now + n.lag }
