package main

import (
	_ "embed"
	"flag"
	"fmt"
	"io"
	"math"
	"net/netip"
	"os"
	"slices"
	"strings"
	"time"

	units "p2plocal/bench/result"
	"p2plocal/cmd/internal/cli"
	"p2plocal/fuzz/campaign"
	"p2plocal/fuzz/hostile"
	"p2plocal/fuzz/target"
)

//go:embed usage.txt
var usageText string

var usage = strings.Replace(usageText, "{quoting}", target.Quoting, 1)

// options are the command line.
type options struct {
	campaign.Config
	cli.Common
	dialect cli.Dialect
	pcap    string
	out     string
	virtual simulation
}

func parse(args []string, stdout io.Writer) (o options, err error) {
	fs := flag.NewFlagSet("udpgarbage", flag.ContinueOnError)
	cli.AddressVar(fs, &o.Target, "target", netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), 3000), "the server's `address`")
	mode := fs.String("mode", "catalogue,mutate,generate,random", "`modes`, separated by commas: "+strings.Join(campaign.Modes, ", "))
	ports := fs.Uint("ports", 0, fmt.Sprintf("first `port` of the %d that udpgarbage uses (0: by the seed, the next that are free)", campaign.PortsUsed))
	as := fs.String("as", "server", "attack this `role`: server or peer")
	fs.StringVar(&o.Exec, "exec", "", "`command` line that starts the server")
	fs.StringVar(&o.PeerExec, "peer-exec", "", "`command` line that starts the peer; beside -exec: two peers of the server's own, which must live")
	fs.DurationVar(&o.Duration, "duration", 0, "end after this `time` (0: 30s, or -count; catalogue and replay alone: never before their last datagram)")
	fs.Uint64Var(&o.Count, "count", 0, "end after this `number` of datagrams, or in a flood with the second that reaches it (0: no bound)")
	fs.Var((*units.Rate)(&o.Rate), "rate", "`datagrams` a second at most, which may end in k or M (0: no bound)")
	fs.Uint64Var(&o.Seed, "seed", 1, "`seed` of every random choice")
	fs.DurationVar(&o.ProbeTimeout, "probe-timeout", 500*time.Millisecond, "`time` within which the target must answer")
	fs.DurationVar(&o.Narrow, "narrow", 20*time.Second, "longest `time` to narrow one finding down, on a machine that is not late")
	fs.IntVar(&o.Most, "findings-max", 0, "end after this `number` of findings (0: no bound)")
	fs.StringVar(&o.out, "findings", "udpgarbage-findings", "`directory` for the findings' files, made with the first of them")
	fs.StringVar(&o.pcap, "pcap", "", "write all but floods to this `file`, for Wireshark")
	o.virtual.register(fs)
	o.Register(fs)
	o.dialect.Register(fs, "what is attacked speaks the wide dialect, of core/wide/PROTOCOL.md")
	files, err := cli.Parse(fs, args, usage, stdout)
	if err != nil {
		return o, err
	}
	if err := o.virtual.check(fs, files, o); err != nil || o.virtual.on {
		return o, err
	}
	o.Modes = strings.Split(*mode, ",")
	for _, m := range o.Modes {
		if !slices.Contains(campaign.Modes, m) {
			return o, cli.Usagef("-mode %q, want some of %s", m, strings.Join(campaign.Modes, ", "))
		}
	}
	if err := o.replay(fs, files); err != nil {
		return o, err
	}
	if err := o.dialect.Open(); err != nil {
		return o, err
	}
	o.Wide, o.Keys = o.dialect.Wide, o.dialect.Keys
	const mostPorts = math.MaxUint16 - campaign.PortsUsed
	if *ports > mostPorts {
		return o, cli.Usagef("-ports %d, want 0 to %d", *ports, mostPorts)
	}
	o.Ports = uint16(*ports)
	if err := o.bounds(); err != nil {
		return o, err
	}
	if err := o.role(*as); err != nil {
		return o, err
	}
	endless := slices.ContainsFunc(o.Modes, func(m string) bool { return m != "catalogue" && m != "replay" })
	if endless && o.Duration == 0 && o.Count == 0 {
		o.Duration = 30 * time.Second
	}
	return o, nil
}

func (o *options) bounds() error {
	switch {
	case !o.Target.Addr().IsLoopback() || o.Target.Port() == 0:
		return cli.Usagef("-target %v, want a loopback address and a port, such as 127.0.0.1:3000: peers live on their server's host", o.Target)
	case o.ProbeTimeout < 10*time.Millisecond:
		return cli.Usagef("-probe-timeout %v, want at least 10ms", o.ProbeTimeout)
	case o.Most < 0:
		return cli.Usagef("-findings-max %d, want 0 or more", o.Most)
	}
	return nil
}

func (o *options) role(as string) error {
	switch {
	case as != "server" && as != "peer":
		return cli.Usagef("-as %q, want server or peer", as)
	case as == "server" && o.PeerExec != "" && o.Exec == "":
		return cli.Usagef("-peer-exec wants -as peer, or -exec beside it")
	case as == "peer" && o.PeerExec == "":
		return cli.Usagef("-as peer wants -peer-exec COMMAND")
	case as == "peer" && o.Exec != "":
		return cli.Usagef("-exec %q with -as peer, want -peer-exec", o.Exec)
	}
	wanted := []string{"{name}", "{port}"}
	if as == "server" {
		wanted = append(wanted, "{server")
	}
	for _, placeholder := range wanted {
		if o.PeerExec != "" && !strings.Contains(o.PeerExec, placeholder) {
			return cli.Usagef("-peer-exec %q, want {name} and {port} in it, and {server} where the server is not on port 3000", o.PeerExec)
		}
	}
	if as == "peer" {
		o.Role = hostile.Peer
	}
	return nil
}

// replay reads what is to be sent again, and to whom, where the flags do not say so.
func (o *options) replay(fs *flag.FlagSet, files []string) error {
	given := cli.Given(fs)
	replay := slices.Contains(o.Modes, "replay")
	switch {
	case replay && len(files) != 1:
		return cli.Usagef("-mode replay with %d files, want one", len(files))
	case !replay && len(files) > 0:
		if _, err := cli.Address(files[0]); err == nil {
			return cli.Usagef("argument %q, want -target %s for the server there", files[0], files[0])
		}
		if files[0] == "server" || files[0] == "peer" {
			return cli.Usagef("argument %q, want -as %s", files[0], files[0])
		}
		if _, err := os.Stat(files[0]); err == nil {
			return cli.Usagef("argument %q, want -mode replay %s to send what the file says", files[0], files[0])
		}
		if slices.Contains(campaign.Modes, files[0]) {
			return cli.Usagef("argument %q, want -mode %s", files[0], files[0])
		}
		return cli.Usagef("argument %q, want none without -mode replay", files[0])
	case !replay:
		return nil
	}
	f, err := os.Open(files[0])
	if err != nil {
		return err
	}
	defer f.Close()
	setup, shots, err := hostile.ReadShots(f)
	if err != nil {
		return fmt.Errorf("%q: %w", files[0], err)
	}
	if o.Replay = shots; len(shots) == 0 {
		return fmt.Errorf("%q has no datagrams", files[0])
	}
	for name, value := range map[string]string{"as": setup.As, "target": setup.Target, "exec": setup.Exec, "peer-exec": setup.PeerExec, "wide": map[bool]string{true: "true"}[setup.Wide], "key": setup.Key, "ports": fmt.Sprint(setup.Ports)} {
		if value == "" || given[name] || name == "exec" && given["target"] || setup == (hostile.Setup{}) {
			continue
		}
		if err := fs.Set(name, value); err != nil {
			return fmt.Errorf("%q: %s %q: %w", files[0], name, value, err)
		}
	}
	return nil
}
