package result

import (
	"fmt"
	"io"
	"time"

	"p2plocal/core/simnet"
)

// Simulation has meshes live on a virtual network with a virtual clock. The
// result is then a function of Config alone.
type Simulation struct {
	Network simnet.Fault  `json:"network"`          // what every link does to what passes; times in ns
	Host    simnet.Host   `json:"host"`             // what computing costs; times in ns
	Queue   int           `json:"queue"`            // datagrams that may wait at a peer or at the server; 0: any number
	Faults  []string      `json:"faults,omitempty"` // what else befalls a mesh, by the time since its start, as lines of a script
	Until   time.Duration `json:"until,omitempty"`  // every mesh ends at this time at the latest; 0: when its scenario does

	Trace io.Writer `json:"-"` // where every event of every network is written to; nil: nowhere
}

// LoopbackDelay is what a datagram takes on a virtual link by default: about
// what loopback does on an idle machine.
const LoopbackDelay = 20 * time.Microsecond

// QueueOf is how many datagrams of up to 192 bytes Linux lets wait at a socket
// that has asked for a receive buffer of so many bytes, where its limit allows
// it; 0 asks for nothing. The kernel doubles what it is asked for, and charges
// 832 bytes for each (skb truesize).
func QueueOf(readBuffer int) int {
	const charge, unasked = 832, 212_992
	if readBuffer == 0 {
		return unasked / charge
	}
	return max(2*readBuffer/charge, 1)
}

// Virtual is the isolation of a simulated mesh.
const Virtual = "virtual"

// String is what the network is like, for a reader.
func (s *Simulation) String() string {
	text := "links without delay"
	if s.Network != (simnet.Fault{}) {
		text = "every link " + s.Network.String()
	}
	if s.Host.Cores == 0 {
		text += ", computing costs nothing"
	} else {
		text += ", " + Plural(uint64(s.Host.Cores), "core")
	}
	if s.Queue > 0 {
		text += fmt.Sprintf(", queues of %d", s.Queue)
	}
	if n := len(s.Faults); n > 0 {
		text += ", " + Plural(uint64(n), "fault")
	}
	return text
}

// HostOf has so many cores, and what was measured: bare system calls on loopback for a
// datagram sent and one taken in, and for the rest of a turn the CPU time by datagrams of
// a mesh of 80. Of none, computing costs nothing.
func HostOf(cores int) simnet.Host {
	if cores == 0 {
		return simnet.Host{}
	}
	return simnet.Host{Cores: cores, Wake: 8 * time.Microsecond, Take: 600 * time.Nanosecond, Send: 2200 * time.Nanosecond}
}
