package scenario_test

import (
	"context"
	"fmt"

	"p2plocal/bench/result"
	"p2plocal/bench/scenario"
)

// Eighty simulated peers join at once: how long until every view is complete?
func Example() {
	cfg := scenario.Simulated(80, "join")
	r, err := scenario.Execute(context.Background(), cfg, result.Tool{}, new(scenario.Status))
	if err != nil {
		fmt.Println(err)
		return
	}
	join := r.Runs[0].Scenarios[0]
	fmt.Printf("%.0f µs\n", *join.Metrics["join.converge"].Value*1e6)
	// Output: 40 µs
}
