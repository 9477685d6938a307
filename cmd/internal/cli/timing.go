package cli

import (
	"flag"

	"p2plocal/core"
)

// Timing registers the flags of the protocol's intervals, with the protocol's
// own as defaults. Validate what comes of them after parsing.
func Timing(fs *flag.FlagSet) *core.Timing {
	t := core.DefaultTiming()
	fs.DurationVar(&t.Heartbeat, "heartbeat", t.Heartbeat, "`interval` between a peer's keep-alives")
	fs.DurationVar(&t.Reap, "reap", t.Reap, "`interval` between the server's looks for silent peers")
	fs.DurationVar(&t.Deadline, "deadline", t.Deadline, "a peer silent for longer than this `time` is removed")
	fs.DurationVar(&t.Broadcast, "broadcast", t.Broadcast, "`interval` between a peer's broadcasts; 0: none")
	fs.DurationVar(&t.Retry, "retry", t.Retry, "`interval` between the births of a peer that hears no answer; 0: one birth only")
	fs.DurationVar(&t.Refresh, "refresh", t.Refresh, "`interval` between the births of a peer that is a member; 0: no more (default 0s)")
	return &t
}
