package mesh

import (
	"context"
	"encoding/json"
	"errors"
	"net/netip"
	"time"

	"p2plocal/bench/record"
	"p2plocal/bench/result"
	"p2plocal/core"
)

// A mesh over hosts: each host's part is kept by an Agent there, which a hostsWorld asks, again
// until it has an answer. The first host, which has the server, has the mesh's clock.

// hostRequest is what an agent is asked. A repeated number is the same request again.
type hostRequest struct {
	Mesh   string           `json:"mesh"`
	Number uint64           `json:"number"` // from 1 on
	Open   *hostPart        `json:"open,omitempty"`
	Know   []netip.AddrPort `json:"know,omitempty"` // of every slot, and the server's last
	Orders []hostOrder      `json:"orders,omitempty"`
	Close  bool             `json:"close,omitempty"`
}

// hostPart is the part of a mesh that one host has.
type hostPart struct {
	Peers     int               `json:"peers"` // of the mesh
	Host      int               `json:"host"`  // which it is: it has every Hosts-th slot from there on, and such ports; 0 has the server
	Hosts     int               `json:"hosts"`
	Keyed     bool              `json:"keyed,omitempty"`
	Divisible bool              `json:"divisible,omitempty"`
	Buffer    int               `json:"buffer"`
	Timing    core.Timing       `json:"timing"` // the server's
	Impair    result.Impairment `json:"impair"`
	Seed      uint64            `json:"seed"`
	Clock     netip.AddrPort    `json:"clock,omitzero"` // of the first host, for the others
}

// has reports whether a slot is on the host.
func (p *hostPart) has(slot int) bool {
	if slot == record.ServerSlot {
		return p.Host == 0
	}
	return slot%p.Hosts == p.Host
}

// hostOrder is what a host is to do at a time of the mesh's clock.
type hostOrder struct {
	At   int64 `json:"at"`
	Slot int   `json:"slot"`
	Command
	Control *record.Control `json:"control,omitempty"` // of the store
}

// hostReply answers.
type hostReply struct {
	Error     string           `json:"error,omitempty"`
	Now       int64            `json:"now"`
	Addresses []netip.AddrPort `json:"addresses,omitempty"` // of its slots, in order, and the server's last
	Clock     netip.AddrPort   `json:"clock,omitzero"`
	Journal   []byte           `json:"journal,omitempty"`
	More      bool             `json:"more,omitempty"` // of it
	HostState
}

// HostState is how a host stands.
type HostState struct {
	Done     uint64            `json:"done"`              // orders, of all
	Late     int64             `json:"late"`              // most that an order was, in ns
	Drops    map[int]uint64    `json:"drops,omitempty"`   // by slot: datagrams that its socket's buffer had no room for,
	Unsent   map[int]uint64    `json:"unsent,omitempty"`  // and that the kernel refused to send
	Counters *core.Counters    `json:"server,omitempty"`  // the server's
	Started  int64             `json:"started,omitempty"` // its present life
	Line     record.Line       `json:"line"`              // from its clock to the mesh's,
	Bound    int64             `json:"bound"`             // and what that was off at most, in ns
	CPU      time.Duration     `json:"cpu"`
	Memory   int64             `json:"memory"`
	Kernel   map[string]uint64 `json:"kernel,omitempty"` // what the host's network has thrown away since the mesh is there, by counter
	Fault    string            `json:"fault,omitempty"`  // an order that could not be carried out
}

// HostLink is how an agent is reached. Ask may be called again with the same request.
type HostLink struct {
	ID, Host string        // of the worker, and its machine's name
	Patience time.Duration // with its silence; 0: hostPatience
	Ask      func(ctx context.Context, request []byte) ([]byte, error)
}

// IsIdle reads an agent's answer to an empty request. The error is why it cannot host a part of a
// mesh.
func IsIdle(answer []byte) error {
	var r hostReply
	if err := json.Unmarshal(answer, &r); err != nil || r.Error == "" {
		return err
	}
	return errors.New(r.Error)
}
