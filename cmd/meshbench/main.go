// Meshbench measures a mesh of the p2plocal protocol on this machine.
package main

import (
	"cmp"
	"context"
	"embed"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"

	"p2plocal/bench/faults"
	"p2plocal/bench/mesh"
	"p2plocal/bench/result"
	"p2plocal/bench/scenario"
	"p2plocal/bench/study"
	"p2plocal/bench/swarm"
	"p2plocal/cmd/internal/cli"
	"p2plocal/cmd/internal/jobs"
	"p2plocal/reports"
)

func main() {
	if mesh.IsChild() {
		os.Exit(mesh.Child())
	}
	cli.Main("meshbench", run)
}

// command is what meshbench does under one name.
type command struct {
	name, about string
	arguments   bool // it takes arguments that are no flags
	reads       bool // it reads and prints, and never looks at its context

	// flags registers its flags, and gives what it does once they are parsed.
	flags func(*flag.FlagSet, *cli.Groups) func(context.Context, *call) error
}

// call is one call of a command.
type call struct {
	fs             *flag.FlagSet
	args           []string        // all, as they were given
	others         []string        // those that are no flags
	given          map[string]bool // the flags that are there
	stdout, stderr io.Writer
}

// log says something beside the result.
func (c *call) log(format string, args ...any) {
	cli.Say(c.stderr, "meshbench: "+format, args...)
}

// shaping are the arguments that figures of a simulation depend on.
func (c *call) shaping() []string { return jobs.Shaping(c.fs, c.others) }

// commands are all but the one without a name, which measures.
var commands = []command{
	{"compare", "set two results side by side and say what has changed", true, true, compare},
	{"versus", "measure meshes in turns and compare them: ours, memberlist, NATS", false, false, versus},
	{"report", "draw results that -json has written", true, true, report},
	{"metrics", "list all metrics with their definitions", false, true, metrics},
	{"play", "a mesh to play with in the browser: kill, cut, flood", false, false, playing},
	{"sweep", "try settings of the timing, simulated: which are worth choosing", true, false, runSweep},
	{"study", "sum up many simulated meshes: false removals, healing, churn", true, false, runStudy},
	{"swarm", "check the protocol's invariants, simulated under random faults", false, false, runSwarm},
	{"scale", "95 to 30,000 peers of the wide dialect at one server", false, false, runScale},
	{"agree", "measure over UDP and simulated, and compare the two", false, false, agree},
	{"worker", "compute for others, at a NATS server", false, false, runWorker},
	{"workers", "list the workers at a NATS server", false, false, runWorkers},
}

//go:embed usage
var usages embed.FS

// usage is what -h says of it before the flags.
func (c *command) usage() string {
	text, err := usages.ReadFile("usage/" + cmp.Or(c.name, "meshbench") + ".txt")
	if err != nil {
		panic(err) // each has one
	}
	var list, studies, axes, invariants, wide strings.Builder
	for _, c := range commands {
		cli.Item(&list, 13, "  "+c.name, c.about)
	}
	for _, g := range study.Presets() {
		cli.Item(&studies, 13, "  "+g.Name, g.About)
	}
	for _, s := range study.Settings {
		cli.Item(&axes, 13, "  "+s.Name, s.About)
	}
	for _, i := range swarm.Invariants {
		cli.Item(&invariants, 17, "  "+i[0], i[1])
	}
	for _, i := range swarm.WideInvariants {
		cli.Item(&wide, 17, "  "+i[0], i[1])
	}
	return strings.NewReplacer("{commands}", list.String(), "{studies}", studies.String(), "{axes}", axes.String(),
		"{invariants}", invariants.String(), "{wide invariants}", wide.String(), "{fault scripts}", faults.Grammar, "{formats}", strings.Join(reports.Formats, ", ")).Replace(string(text))
}

// run is the whole program. The first argument may name a command; without one it measures.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	if len(args) > 0 && args[0] == "help" {
		if len(args) > 2 {
			return cli.Usagef("help takes one command, not %d", len(args)-1)
		}
		args = append(args[1:len(args):len(args)], "-h")
	}
	c := command{arguments: true, flags: measure}
	if len(args) > 0 && args[0] != "" && args[0][0] != '-' {
		i := slices.IndexFunc(commands, func(c command) bool { return c.name == args[0] })
		if i < 0 {
			return noCommand(args[0])
		}
		c, args = commands[i], args[1:]
	}
	fs := flag.NewFlagSet(strings.TrimSpace("meshbench "+c.name), flag.ContinueOnError)
	groups := cli.NewGroups(fs)
	do := c.flags(fs, groups)
	others, err := cli.ParseGrouped(fs, groups, args, c.usage(), stdout)
	switch {
	case errors.Is(err, flag.ErrHelp) && c.name == "":
		var more strings.Builder
		fmt.Fprintf(&more, "\nFault scripts:\n\n%s\nAssertions:\n\n%s\nMetrics (\"meshbench metrics\" defines each). %s\n", faults.Grammar, result.AssertGrammar, metricNaming)
		for _, g := range scenario.MetricGroups() {
			var names []string
			for _, d := range g.Metrics {
				names = append(names, marked(d))
			}
			of, _, _ := strings.Cut(g.Of, ":")
			cli.Item(&more, 12, "  "+of, strings.Join(names, ", "))
		}
		cli.Help(stdout, more.String())
	case err != nil:
	case len(others) > 0 && cli.Given(fs)["live"] && strings.Contains(others[0], ":"):
		err = cli.Usagef("%q is no flag and no command: for the page there say -live=%s", others[0], others[0])
	case len(others) > 0 && c.name == "":
		err = noCommand(others[0])
	case len(others) > 0 && !c.arguments:
		hint := ""
		switch word := others[0]; {
		case fs.Lookup("scenario") != nil && areScenarios(word):
			hint = ": for the scenario say -scenario " + word
		case fs.Lookup("mesh") != nil:
			hint = ": for a mesh say -mesh " + word
		case fs.Lookup("seed") != nil && isNumber(word):
			hint = ": for the seed say -seed " + word
		case fs.Lookup("exec") != nil:
			hint = ": for a server say -exec with its command"
		}
		err = cli.Usagef("%s takes no arguments, not %q%s", c.name, others[0], hint)
	default:
		called := &call{fs, args, others, cli.Given(fs), stdout, stderr}
		if c.reads {
			err = cli.Until(ctx, func() error { return do(ctx, called) })
		} else {
			err = do(ctx, called)
		}
	}
	if usage, ok := errors.AsType[cli.UsageError](err); ok {
		usage.Of = fs.Name()
		return usage
	}
	return err
}

// areScenarios says that a word is what -scenario takes.
func areScenarios(word string) bool {
	for name := range strings.SplitSeq(word, ",") {
		if !slices.Contains(scenario.Known, name) {
			return false
		}
	}
	return true
}

func isNumber(word string) bool {
	_, err := strconv.ParseUint(word, 10, 64)
	return err == nil
}

// noCommand says what there is instead of a word that is neither flag nor command.
func noCommand(word string) error {
	if areScenarios(word) {
		return cli.Usagef("%q is no flag and no command: for the scenario say -scenario %s", word, word)
	}
	if _, err := cli.Address(word); err == nil {
		return cli.Usagef("%q is no flag and no command: for the server there say -target %s", word, word)
	}
	var names []string
	for _, c := range commands {
		names = append(names, c.name)
	}
	return cli.Usagef("%q is no flag and no command, want one of %s", word, strings.Join(names, ", "))
}
