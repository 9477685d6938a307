package swarm

import (
	"fmt"
	"math"
	"net/netip"
	"slices"
	"time"

	"p2plocal/core"
	"p2plocal/core/simnet"
	"p2plocal/core/wire"
)

// Finding is a broken invariant.
type Finding struct {
	Invariant string        // one of Invariants
	At        time.Duration // virtual time
	Detail    string
}

func (f *Finding) String() string {
	return fmt.Sprintf("%s at %v: %s", f.Invariant, f.At, f.Detail)
}

// Invariants are what is checked, and what each demands.
var Invariants = [][2]string{
	{"membership", "the server has exactly those whose birth it took, names and ports unique, less those it reaped or replaced"},
	{"early-removal", "nobody whom the server has heard within the deadline is removed, nor within one of an overflow of its queue, four deadlines at most"},
	{"late-removal", "nobody is still there a reap interval after that"},
	{"announce", "every change goes to all members within 2 x Pace"},
	{"answer", "a repeated birth is answered within AnswerGap, or by an announcement"},
	{"bounded", "the server sends no more than its pacing and answers allow"},
	{"directory", "every directory sent is valid"},
	{"accounts", "every machine's counters add up: what came in is what it was taken for"},
	{"view", "a peer knows the last directory it took, without itself, and broadcasts to all of it"},
	{"timers", "a peer's births, keep-alives and broadcasts go out when they are due by its own clock, not before and not after; those missed while it was stopped, once"},
	{"counter", "a broadcast has the number of its tick: 0 for the first after a launch, then one more each time"},
	{"heal", "in the end all are members and every view is the server's (with refresh), or all have been members (without); but for those whose name or port a ghost holds, one with a keep-alive of its own where there is refresh"},
	{"gap", "without refresh, a view that is not the server's in the end has one of the known gaps: its last directory was lost, or overtaken by an older one, or the server does not have the peer any more, because it was restarted, or another was born with its name or port, or it had heard nothing: the peer was stopped, or what it sent was lost or late"},
}

// Gap is why a peer's view may differ from the server's for good, in a mesh
// without refresh, or why it may be outside. These are all that the exact
// protocol is known to leave.
type Gap string

const (
	GapLost      Gap = "lost"      // the last directory; the next one comes with the next change, and there is none
	GapOvertaken Gap = "overtaken" // an older directory came after the last one, and counts as newer; perhaps after a relaunch

	// The server does not have the peer any more, and a member is not born again.
	GapRestarted Gap = "restarted" // the server came back knowing nobody
	GapStopped   Gap = "stopped"   // the peer was dead or paused, or its clock stood still, until it was removed
	GapUnheard   Gap = "unheard"   // what the peer sent was lost or late until it was removed
	GapDisplaced Gap = "displaced" // another was born with its name or port, and with refresh, too: has them still
)

// Gaps are all of them.
var Gaps = []Gap{GapLost, GapOvertaken, GapRestarted, GapStopped, GapUnheard, GapDisplaced}

// server and member are what the checker reads of the machines.
type server interface {
	core.Machine
	Lost(now time.Time)
	Members() []core.Member
	Len() int
	Counters() core.Counters
}

type member interface {
	core.Machine
	Others() []core.Member
	Joined() bool
	Counters() core.Counters
}

// judge is what every part of the checker has: the Net that it looks at, and the
// first broken invariant.
type judge struct {
	net    *simnet.Net
	timing core.Timing
	found  *Finding
	listed func(wire.Entry) bool // reports that the server must know somebody
}

func (j *judge) fail(invariant, format string, args ...any) {
	if j.found == nil {
		j.found = &Finding{invariant, j.net.Now(), fmt.Sprintf(format, args...)}
	}
}

// account adds up a machine's counters.
func (j *judge) account(port uint16, n core.Counters) {
	known := n.Events.Dropped() + n.Events.Taken()
	if in := n.In.Total().Datagrams; in != known {
		j.fail("accounts", "%d datagrams came to %d, and %d are accounted for", in, port, known)
	}
}

// same reports that members are entries, in any order.
func same(members []core.Member, entries []wire.Entry) bool {
	is := func(m core.Member, e wire.Entry) bool { return wire.EntryOf(m) == e }
	return slices.EqualFunc(members, entries, is) || // most have the same order
		len(members) == len(entries) && !slices.ContainsFunc(entries, func(e wire.Entry) bool {
			return !slices.ContainsFunc(members, func(m core.Member) bool { return is(m, e) })
		})
}

// on reports that an address is an entry's.
func on(a netip.AddrPort, e wire.Entry) bool { return a.Port() == e.Port }

// without appends all but the one on a port to list.
func without(list []wire.Entry, all wire.Entries, port uint16) []wire.Entry {
	for e := range all.Each() {
		if e.Port != port {
			list = append(list, e)
		}
	}
	return list
}

// never is when something that is not to happen is due.
const never = time.Duration(math.MaxInt64)

var serverAddr = simnet.Addr(simnet.ServerPort)
