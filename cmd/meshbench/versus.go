package main

import (
	"cmp"
	"context"
	"flag"
	"fmt"
	"slices"
	"strings"

	"p2plocal/bench/machine"
	"p2plocal/bench/record"
	"p2plocal/bench/result"
	"p2plocal/bench/scenario"
	"p2plocal/bench/stat"
	"p2plocal/cmd/internal/cli"
	"p2plocal/cmd/internal/printing"
	"p2plocal/reports"
)

// versus measures meshes in turns.
func versus(fs *flag.FlagSet, groups *cli.Groups) func(context.Context, *call) error {
	cfg := benchFlags(fs, groups)
	groups.Begin("output", "")
	var out printing.Output
	out.Register(fs, false)
	var specs printing.Strings
	fs.Var(&specs, "mesh", "`mesh` to measure; to be given twice or more")
	fs.Lookup("repeat").Usage, fs.Lookup("repeat").DefValue, cfg.Repeat = "`rounds`, each of one run of each mesh", "6", 6
	list := fs.String("sizes", "", "comma-separated `list` of numbers of peers, instead of -peers: all is measured and compared at each")
	return func(ctx context.Context, c *call) error {
		for _, name := range []string{"target", "exec", "peer-exec", "external", "wide", "key", "driver", "driver-option"} {
			if c.given[name] {
				return cli.Usagef("-%s has no place in versus, want -mesh with what is to be measured", name)
			}
		}
		if len(specs) < 2 {
			return cli.Usagef("versus takes -mesh twice or more, not %s", result.Plural(uint64(len(specs)), "time"))
		}
		peers := []int{cfg.Peers}
		if *list != "" {
			var err error
			if peers, err = sizes("sizes", *list, record.MostPeers); err != nil {
				return err
			}
		}
		v := &stat.Versus{Schema: result.Schema, Tool: machine.Version(append([]string{"versus"}, c.args...))}
		var rounds [][]result.Config // of each size, all of which are looked at before anything is measured
		for _, n := range peers {
			meshes, names, err := contestants(ctx, c, cfg, specs, n)
			if err != nil {
				return err
			}
			rounds, v.Meshes = append(rounds, meshes), names
		}
		if err := out.Open(); err != nil {
			return err
		}
		var failed, wrong error // what ends it all, and a mesh that did badly
		for _, meshes := range rounds {
			if failed != nil || ctx.Err() != nil {
				break
			}
			var status scenario.Status
			total := meshes[0]
			total.Repeat *= len(meshes)
			stop := c.showProgress(ctx, &status, total, out.Quiet)
			var results []*result.Result
			results, failed = scenario.ExecuteInTurns(ctx, meshes, v.Tool, &status)
			stop()
			if !slices.ContainsFunc(results, (*result.Result).Measured) && failed != nil {
				break
			}
			v.Sizes = append(v.Sizes, stat.InTurns(scenario.Definitions, results))
			for i, r := range results {
				if why := r.Failure(); why != "" && wrong == nil && ctx.Err() == nil {
					wrong = fmt.Errorf("mesh %c, %s: %s", 'A'+i, v.Meshes[i], why)
				}
			}
		}
		if v.Sizes == nil {
			return failed
		}
		err := out.Write(c.stdout, reports.Versus(v))
		switch failed = cmp.Or(failed, wrong); {
		case failed != nil:
			return cli.Join(failed, err)
		case ctx.Err() != nil:
			return cli.Interrupted
		}
		return err
	}
}

// contestants are the meshes of one size that are measured in turns.
func contestants(ctx context.Context, c *call, cfg *config, specs []string, peers int) (meshes []result.Config, names []string, err error) {
	for _, spec := range specs {
		one, name := *cfg, spec
		one.Peers = peers
		kind, command, _ := strings.Cut(spec, ":")
		switch {
		case spec == "exact":
		case spec == "wide", spec == "wide:key":
			one.Options.Wide, one.Options.Keyed = true, command == "key"
		case kind == "exec" && command != "":
			one.Options.ServerExec, name = command, fmt.Sprintf("%q", command)
		case kind == "driver" && command != "":
			one.driver.Exec = command
		default:
			return nil, nil, cli.Usagef("-mesh %q, want exact, wide, wide:key, exec:COMMAND or driver:COMMAND", spec)
		}
		if err := one.finish(ctx, c); err != nil {
			return nil, nil, fmt.Errorf("-mesh %q: %w", spec, err)
		}
		if d := one.Options.Driver; d != nil {
			name = d.Name + " " + d.Version
		}
		meshes, names = append(meshes, one.Config), append(names, name)
	}
	for i := range meshes { // what one cannot do, the others are not measured for
		meshes[i].Scenarios = slices.DeleteFunc(slices.Clone(meshes[0].Scenarios), func(s string) bool {
			return slices.ContainsFunc(meshes, func(m result.Config) bool { return scenario.Find(s).CannotRun(&m) != "" })
		})
	}
	return meshes, names, nil
}
