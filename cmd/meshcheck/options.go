package main

import (
	"cmp"
	_ "embed"
	"flag"
	"io"
	"regexp"
	"slices"
	"strings"

	"p2plocal/bench/driver"
	"p2plocal/cmd/internal/cli"
	"p2plocal/cmd/internal/printing"
	"p2plocal/fuzz/conform"
	"p2plocal/fuzz/hostile"
	"p2plocal/fuzz/target"
)

//go:embed usage.txt
var usageText string

var usage = strings.Replace(usageText, "{quoting}", target.Quoting, 1)

type options struct {
	targets       []conform.Config
	list          bool
	dialect       cli.Dialect
	driver        bool           // the target is a driver's
	driverOptions printing.Keyed // that are given to it
	printing.Output
}

func parse(args []string, stdout io.Writer) (*options, error) {
	var o options
	var base conform.Config
	var targets printing.Strings
	var run, skip, level string
	fs := flag.NewFlagSet("meshcheck", flag.ContinueOnError)
	fs.StringVar(&base.Exec, "exec", "", "`command` that starts the target")
	fs.Var(&targets, "target", "`address` of a server that runs; matrix: NAME=COMMAND or NAME=ADDRESS of one target, and may be given several times")
	fs.BoolVar(&base.Shared, "shared", false, "one process of the server for all cases, not one for each")
	port := fs.Uint("server-port", 0, "peers: the `port` of their server; 0: a free one for each, if {server} is in the command (default 0)")
	o.dialect.Register(fs, "the target speaks the wide dialect, of core/wide/PROTOCOL.md")
	fs.IntVar(&base.Parallel, "parallel", conform.DefaultParallel, "`number` of cases at a time")
	fs.Var(&o.driverOptions, "driver-option", "driver: `KEY=VALUE` of an option that it is given; may be there several times")
	fs.BoolVar(&o.list, "list", false, "list the cases and run none")
	fs.StringVar(&run, "run", "", "only cases whose id matches this regular `expression`")
	fs.StringVar(&skip, "skip", "", "no cases whose id matches this regular `expression`")
	fs.StringVar(&level, "level", "", "only cases of this `level`, or of several: MUST,SHOULD")
	fs.BoolVar(&o.All, "v", false, "print every case, and of a matrix every failure in full")
	o.Register(fs, true)
	others, err := cli.Parse(fs, args, usage, stdout)
	if err != nil {
		return nil, err
	}
	if len(others) == 0 {
		return nil, cli.Usagef("want server, peer, driver or matrix")
	}
	if *port > 65535 {
		return nil, cli.Usagef("-server-port %d, want 0 to 65535", *port)
	}
	if o.driver = others[0] == "driver"; o.driver && !cli.Given(fs)["parallel"] {
		base.Parallel = driver.DefaultParallel
	}
	if base.Parallel < 1 {
		return nil, cli.Usagef("-parallel %d, want 1 or more", base.Parallel)
	}
	if err := o.dialect.Open(); err != nil {
		return nil, err
	}
	base.ServerPort, base.Wide, base.Keys = uint16(*port), o.dialect.Wide, o.dialect.Keys
	if o.targets, err = choose(others, base, targets, o.list, cli.Given(fs)); err != nil {
		return nil, err
	}
	return &o, o.pick(run, skip, level)
}

// misused says what does not fit what is to be tested; others are the arguments behind that.
func misused(what string, others []string, targets printing.Strings, set map[string]bool) error {
	switch {
	case !slices.Contains([]string{"server", "peer", "driver", "matrix"}, what):
		if _, err := cli.Address(what); err == nil {
			return cli.Usagef("%q, want server before it: meshcheck server %s", what, what)
		}
		return cli.Usagef("%q, want server, peer, driver or matrix", what)
	case what != "driver" && set["driver-option"]:
		return cli.Usagef("-driver-option is for driver")
	case what == "driver" && set["wide"]:
		return cli.Usagef("-wide is not for driver, which says itself what it speaks")
	case what == "driver" && (set["shared"] || set["server-port"]):
		return cli.Usagef("-shared and -server-port are not for driver")
	case what != "matrix" && len(targets) > 0:
		return cli.Usagef("%s takes -exec, and a server one address: NAME=COMMAND and NAME=ADDRESS are for matrix", what)
	case what == "matrix" && set["exec"]:
		return cli.Usagef("-exec is for server and peer; matrix takes -target NAME=COMMAND")
	case what == "server" && set["server-port"]:
		return cli.Usagef("-server-port is for peers")
	case what == "server" && len(others) > 1, what != "server" && len(others) > 0:
		return cli.Usagef("unexpected argument %q", others[len(others)-1])
	}
	return nil
}

// choose says what is to be tested.
func choose(args []string, base conform.Config, targets printing.Strings, list bool, set map[string]bool) ([]conform.Config, error) {
	what, others := args[0], args[1:]
	if what == "server" && len(targets) == 1 && !strings.Contains(targets[0], "=") && len(others) == 0 {
		others, targets = targets, nil
	}
	if err := misused(what, others, targets, set); err != nil {
		return nil, err
	}
	if what == "matrix" {
		return matrix(base, targets, list)
	}
	base.Name = what
	if what == "peer" {
		base.Role = hostile.Peer
	}
	if len(others) > 0 {
		a, err := cli.Address(others[0])
		if err != nil {
			return nil, cli.Usagef("%q: %w", others[0], err)
		}
		base.Address, base.Shared = a, false // it is shared, in any case
	}
	if list {
		return []conform.Config{base}, nil
	}
	if base.Exec == "" && len(others) == 0 {
		return nil, cli.Usagef("%s wants %s", what, map[string]string{
			"server": "an address, as in meshcheck server 127.0.0.1:3000, or -exec COMMAND",
			"peer":   "-exec 'COMMAND {name} {port}'",
			"driver": "-exec COMMAND, as in meshcheck driver -exec 'meshdriver memberlist'",
		}[what])
	}
	if err := base.Validate(); err != nil && what != "driver" {
		return nil, cli.UsageError{Err: err}
	}
	return []conform.Config{base}, nil
}

// matrix is a target for each flag -target.
func matrix(base conform.Config, targets printing.Strings, list bool) (all []conform.Config, err error) {
	if len(targets) == 0 {
		return nil, cli.Usagef("matrix wants at least one -target NAME=COMMAND")
	}
	for _, t := range targets {
		c := base
		name, value, _ := strings.Cut(t, "=")
		c.Name, value = strings.TrimSpace(name), strings.TrimSpace(value)
		switch {
		case c.Name == "" || value == "":
			return nil, cli.Usagef("-target %q, want NAME=COMMAND or NAME=ADDRESS for matrix", t)
		case slices.ContainsFunc(all, func(x conform.Config) bool { return x.Name == c.Name }):
			return nil, cli.Usagef("-target %q, want another name: %q is there twice", t, c.Name)
		}
		if c.Address, err = cli.Address(value); err != nil {
			c.Exec = value
		}
		if strings.Contains(c.Exec, "{name}") {
			c.Role = hostile.Peer
		}
		if err := c.Validate(); err != nil && !list {
			return nil, cli.Usagef("-target %s: %w", c.Name, err)
		}
		all = append(all, c)
	}
	return all, nil
}

// pick selects each target's cases.
func (o *options) pick(run, skip, level string) error {
	wanted, err := pattern("run", run)
	unwanted, err2 := pattern("skip", skip)
	if err = cmp.Or(err, err2); err != nil {
		return err
	}
	var levels []conform.Level
	for _, l := range strings.FieldsFunc(strings.ToUpper(level), func(r rune) bool { return r == ',' || r == ' ' }) {
		if levels = append(levels, conform.Level(l)); !slices.Contains(conform.Levels, conform.Level(l)) {
			return cli.Usagef("-level %q, want MUST, SHOULD or INFO, or several with commas between", l)
		}
	}
	all := o.targets
	o.targets = nil
	for _, t := range all {
		cases := conform.Cases(t.Role)
		if t.Wide {
			cases = conform.WideCases(t.Role)
		}
		if o.driver {
			cases = driver.Cases()
		}
		if t.Cases = conform.Select(cases, levels, wanted, unwanted); len(t.Cases) > 0 {
			o.targets = append(o.targets, t)
		}
	}
	if len(o.targets) == 0 {
		return cli.Usagef("no case is selected by -run %q -skip %q -level %q; -list lists them", run, skip, level)
	}
	return nil
}

// pattern is a flag's regular expression; nil where it is empty.
func pattern(flag, s string) (*regexp.Regexp, error) {
	if s == "" {
		return nil, nil
	}
	re, err := regexp.Compile(s)
	if err != nil {
		return nil, cli.Usagef("-%s %q is no regular expression: %w", flag, s, err)
	}
	return re, nil
}
