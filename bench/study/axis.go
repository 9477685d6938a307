package study

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"p2plocal/bench/faults"
	"p2plocal/bench/result"
	"p2plocal/core/simnet"
)

// Axis is a setting that a grid varies, and the values that it takes.
type Axis struct {
	Name   string   `json:"name"`
	Values []string `json:"values"`
}

// setting is what an axis can vary.
type setting struct {
	Name, About string
	set         func(c *result.Config, value string) error
}

// Settings are all of them.
var Settings = []setting{
	{"peers", "size of the mesh", func(c *result.Config, s string) (err error) {
		c.Peers, err = strconv.Atoi(s)
		return err
	}},
	{"loss", "part of the datagrams lost on every link, such as 5%", setLoss},
	{"heartbeat", "interval between a peer's keep-alives", interval(func(c *result.Config, d time.Duration) { c.Timing.Heartbeat = d })},
	{"reap", "interval between the server's looks for silent peers", interval(func(c *result.Config, d time.Duration) { c.Timing.Reap = d })},
	{"deadline", "a peer silent for longer is removed", interval(func(c *result.Config, d time.Duration) { c.Timing.Deadline = d })},
	{"refresh", "interval between the births of a member; 0: no more", interval(func(c *result.Config, d time.Duration) {
		if c.Timing.Refresh = d; d > 0 {
			c.Options.Refresh = d
		}
	})},
	{"churn", "deaths and returns a second", func(c *result.Config, s string) (err error) {
		c.Options.Churn, err = strconv.ParseFloat(s, 64)
		return err
	}},
}

// interval sets one of the timing.
func interval(set func(*result.Config, time.Duration)) func(*result.Config, string) error {
	return func(c *result.Config, s string) error {
		d, err := time.ParseDuration(s)
		set(c, d)
		return err
	}
}

// setLoss is the impairment of the loss scenario. Other scenarios lose from the
// first second on, because without refresh a mesh may never be whole that loses
// while it joins; join alone, which is about that, loses from the start.
func setLoss(c *result.Config, s string) error {
	loss, err := result.ParseRatio(s)
	net := simnet.Fault{Delay: result.LoopbackDelay, Loss: loss}
	switch v := c.Simulation; {
	case slices.Contains(c.Scenarios, "loss"):
		c.Options.Impair = result.Impairment{Loss: loss}
	case slices.Contains(c.Scenarios, "join"):
		v.Network = net
	default:
		v.Faults = append(slices.Clone(v.Faults), faults.Fault{At: time.Second, Until: time.Hour, Verb: faults.Link, Net: net}.String())
	}
	return err
}

// Number is a value of an axis as a figure, in one of the units of metrics.
func (a Axis) Number(value string) (v float64, unit string) {
	switch a.Name {
	case "peers", "churn":
		v, _ = strconv.ParseFloat(value, 64) // it has been read before, as all of these
		return v, "1"
	case "loss":
		v, _ = result.ParseRatio(value)
		return v, "ratio"
	}
	d, _ := time.ParseDuration(value)
	return d.Seconds(), "s"
}

// most is how many cells one grid may have.
const most = 1000

// ParseAxis reads NAME=VALUES, where VALUES are parts with commas between them.
// Those of an interval may be ranges: A..B in five points, A..B/STEP with a
// duration for a step, or A..B/N in N points.
func ParseAxis(text string) (Axis, error) {
	name, values, ok := strings.Cut(text, "=")
	i := slices.IndexFunc(Settings, func(s setting) bool { return s.Name == name })
	if !ok || i < 0 {
		var names []string
		for _, s := range Settings {
			names = append(names, s.Name)
		}
		return Axis{}, fmt.Errorf("axis %q, want NAME=VALUES with one of %s", text, strings.Join(names, ", "))
	}
	a := Axis{Name: name}
	for part := range strings.SplitSeq(values, ",") {
		if strings.Contains(part, "..") {
			points, err := parseRange(part)
			if err != nil {
				return a, fmt.Errorf("axis %q: %w", text, err)
			}
			a.Values = append(a.Values, points...)
			continue
		}
		if err := Settings[i].set(&result.Config{Scenarios: []string{"loss"}}, part); err != nil {
			return a, fmt.Errorf("axis %q: %q makes no sense, want %s", text, part, Settings[i].About)
		}
		a.Values = append(a.Values, part)
	}
	for i, v := range a.Values {
		if slices.Contains(a.Values[:i], v) {
			return a, fmt.Errorf("axis %q: %s is there twice", text, v)
		}
	}
	return a, nil
}

// parseRange reads a range of durations.
func parseRange(s string) (values []string, err error) {
	from, to, _ := strings.Cut(s, "..")
	to, by, given := strings.Cut(to, "/")
	a, err1 := time.ParseDuration(from)
	b, err2 := time.ParseDuration(to)
	if err1 != nil || err2 != nil || b <= a {
		return nil, fmt.Errorf("%q is no range such as 1s..5s", s)
	}
	points := 5
	if given {
		if step, err := time.ParseDuration(by); err == nil && step > 0 {
			if (b-a)/step >= most {
				return nil, fmt.Errorf("%q has more than %d values", s, most)
			}
			for ; a <= b; a += step {
				values = append(values, a.String())
			}
			return values, nil
		}
		if points, err = strconv.Atoi(by); err != nil || points < 2 || points > most {
			return nil, fmt.Errorf("%q is no step such as 500ms, and no number of points from 2 to %d", by, most)
		}
	}
	for i := range points {
		values = append(values, (a + (b-a)*time.Duration(i)/time.Duration(points-1)).Round(time.Microsecond).String())
	}
	return values, nil
}
