package scenario

import (
	"context"
	"fmt"
	"time"

	"p2plocal/bench/result"
	"p2plocal/bench/stat"
)

// Ours stands for our own server among commands.
const Ours = "ours"

// ExecutePairs measures two servers in turn, A B B A A B B A and so on: so
// neither is always the first of its pair, and what gets slowly better or worse
// weighs on both alike. Both of a pair have the same seed. Where it fails or is
// interrupted, the pairing holds what there is.
func ExecutePairs(ctx context.Context, cfg result.Config, servers [2]string, tool result.Tool, status *Status) (*stat.Pairing, error) {
	p := &stat.Pairing{Schema: result.Schema, Tool: tool, Servers: servers}
	p.Tool.Name = result.PairToolName
	total := cfg.Repeat
	var failed error
	for i := 0; i < 2*total && failed == nil && ctx.Err() == nil; i++ {
		pair, side := i/2, i%2
		if pair%2 == 1 {
			side = 1 - side
		}
		one := cfg
		one.Repeat, one.Seed = 1, cfg.Seed+uint64(pair)
		if one.Options.ServerExec = servers[side]; servers[side] == Ours {
			one.Options.ServerExec = ""
		}
		status.label, status.later = fmt.Sprintf("pair %d of %d, %c", pair+1, total, 'A'+side), time.Duration(2*total-1-i)*Expected(&one)
		r, err := Execute(ctx, one, tool, status)
		if err != nil {
			failed = fmt.Errorf("server %c, %q: %w", 'A'+side, servers[side], err)
		}
		if r == nil {
			break
		}
		if p.Results[side] == nil {
			p.Results[side] = r
			r.Config.Seed, r.Config.Repeat = cfg.Seed, total
		} else {
			p.Results[side].Runs = append(p.Results[side].Runs, r.Runs...)
		}
		p.Results[side].Interrupted = p.Results[side].Interrupted || r.Interrupted
		if failed == nil && !r.Interrupted && i%2 == 1 {
			p.Pairs++
		}
	}
	p.Interrupted = ctx.Err() != nil
	for side, r := range p.Results {
		if r == nil {
			r = &result.Result{Schema: result.Schema, Tool: tool, Config: cfg, Interrupted: true}
			p.Results[side] = r
		}
		r.Summary = Metrics.Summarize(r.Runs)
	}
	p.Ratios = stat.Pair(Metrics, p.Results[0].Runs[:p.Pairs], p.Results[1].Runs[:p.Pairs])
	return p, failed
}
