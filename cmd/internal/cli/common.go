package cli

import (
	"encoding/json"
	"flag"
	"fmt"
	"io"

	"p2plocal/core"
)

// Common are the flags that every command has, and that mean the same in each.
type Common struct {
	JSON         string // a file, or - for stdout
	Quiet, ASCII bool
}

// Register registers them.
func (c *Common) Register(fs *flag.FlagSet) {
	fs.StringVar(&c.JSON, "json", "", "write the result as JSON to `file`; - is standard output, in place of the text")
	fs.BoolVar(&c.Quiet, "quiet", false, "no progress on standard error")
	fs.BoolVar(&c.ASCII, "ascii", false, "no character above ASCII in the text")
}

// Write writes text to stdout, and a value as JSON wherever it is wanted.
func (c *Common) Write(stdout io.Writer, files Outputs, text func(io.Writer) error, value any) error {
	encode := func(w io.Writer) error {
		e := json.NewEncoder(w)
		e.SetIndent("", "  ")
		return e.Encode(value)
	}
	switch c.JSON {
	case "-":
		return encode(stdout)
	case "":
		return text(stdout)
	}
	return Join(text(stdout), files.Write(c.JSON, encode))
}

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

// TimingWarning says what a timing leads to that is allowed and hardly wanted; "": nothing.
func TimingWarning(t core.Timing) string {
	if t.Heartbeat < t.Deadline {
		return ""
	}
	return fmt.Sprintf("warning: with -heartbeat %v a peer is silent for longer than the server's -deadline of %v allows, and is removed again and again", t.Heartbeat, t.Deadline)
}
