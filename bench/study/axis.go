package study

import (
	"fmt"
	"math"
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

// setting is what an axis can vary: a number in a unit of metrics.
type setting struct {
	Name, About, unit string
	parse             func(string) (float64, error)
	set               func(*result.Config, float64)
}

// Settings are all of them.
var Settings = []setting{
	{"peers", "size of the mesh", "1", whole, func(c *result.Config, v float64) { c.Peers = int(v) }},
	{"loss", "part of the datagrams lost on every link, such as 5%", "ratio", result.ParseRatio, setLoss},
	{"heartbeat", "interval between a peer's keep-alives", "s", seconds, func(c *result.Config, v float64) { c.Timing.Heartbeat = duration(v) }},
	{"reap", "interval between the server's looks for silent peers", "s", seconds, func(c *result.Config, v float64) { c.Timing.Reap = duration(v) }},
	{"deadline", "a peer silent for longer is removed", "s", seconds, func(c *result.Config, v float64) { c.Timing.Deadline = duration(v) }},
	{"refresh", "interval between the births of a member; 0: no more", "s", seconds, func(c *result.Config, v float64) {
		if c.Timing.Refresh = duration(v); v > 0 {
			c.Options.Refresh = duration(v)
		}
	}},
	{"churn", "deaths and returns a second", "1", result.ParseRatio, func(c *result.Config, v float64) { c.Options.Churn = v }},
}

func whole(s string) (float64, error) {
	n, err := strconv.Atoi(s)
	return float64(n), err
}

func seconds(s string) (float64, error) {
	d, err := time.ParseDuration(s)
	return d.Seconds(), err
}

func duration(seconds float64) time.Duration {
	return time.Duration(math.Round(seconds * float64(time.Second)))
}

// setting is nil where the axis varies none.
func (a Axis) setting() *setting {
	if i := slices.IndexFunc(Settings, func(s setting) bool { return s.Name == a.Name }); i >= 0 {
		return &Settings[i]
	}
	return nil
}

// setLoss is the impairment of the loss scenario. Other scenarios lose from the
// first second on, because without refresh a mesh may never be whole that loses
// while it joins; join alone, which is about that, loses from the start.
func setLoss(c *result.Config, loss float64) {
	net := simnet.Fault{Delay: result.LoopbackDelay, Loss: loss}
	switch v := c.Simulation; {
	case slices.Contains(c.Scenarios, "loss"):
		c.Options.Impair = result.Impairment{Loss: loss}
	case slices.Contains(c.Scenarios, "join"):
		v.Network = net
	default:
		v.Faults = append(slices.Clone(v.Faults), faults.Fault{At: time.Second, Until: time.Hour, Verb: faults.Link, Net: net}.String())
	}
}

// Number is a value of an axis as a figure, in one of the units of metrics.
func (a Axis) Number(value string) (v float64, unit string) {
	s := a.setting()
	v, _ = s.parse(value) // it has been read before
	return v, s.unit
}

// most is how many cells one grid may have.
const most = 1000

// ParseAxis reads NAME=VALUES, where VALUES have commas between them.
func ParseAxis(text string) (Axis, error) {
	name, values, ok := strings.Cut(text, "=")
	a := Axis{Name: name}
	s := a.setting()
	if !ok || s == nil {
		var names []string
		for _, s := range Settings {
			names = append(names, s.Name)
		}
		return Axis{}, fmt.Errorf("axis %q, want NAME=VALUES with one of %s", text, strings.Join(names, ", "))
	}
	for part := range strings.SplitSeq(values, ",") {
		if _, err := s.parse(part); err != nil {
			return a, fmt.Errorf("axis %q: %q makes no sense, want %s", text, part, s.About)
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
