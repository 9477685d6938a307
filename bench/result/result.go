// Package result is the result document, plain data: what was asked for, what
// was measured, definitions of metrics, assertions, summaries over runs, merging,
// and the Go benchmark format.
package result

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

	"p2plocal/bench/mlrsearch"
	"p2plocal/core"
)

// Schema is the version of the result document. It goes up when a reader of
// the older version would misread the newer one.
const Schema = 1

// Result is one invocation of the benchmark, as -json writes it.
type Result struct {
	Schema      int         `json:"schema"`
	Tool        Tool        `json:"tool"`
	Env         Env         `json:"env"`
	Config      Config      `json:"config"`
	Interrupted bool        `json:"interrupted"`
	Runs        []Run       `json:"runs"`
	Summary     []Summary   `json:"summary,omitempty"` // over the runs, by metric name
	Assertions  []Assertion `json:"assertions,omitempty"`
}

// Tool says what measured.
type Tool struct {
	Name    string   `json:"name"`
	Version string   `json:"version"`
	Commit  string   `json:"commit,omitempty"`
	Dirty   bool     `json:"dirty,omitempty"` // built from a tree with uncommitted changes
	Args    []string `json:"args"`            // the command line, without the program
}

// Env says what machine it was measured on, as it was at the start. A
// simulated result depends on none, so nothing else is set in it.
type Env struct {
	Simulated  bool       `json:"simulated,omitempty"`
	Time       time.Time  `json:"time,omitzero"`
	Go         string     `json:"go,omitempty"`
	OS         string     `json:"os,omitempty"`
	Arch       string     `json:"arch,omitempty"`
	Kernel     string     `json:"kernel,omitempty"`
	CPU        string     `json:"cpu,omitempty"`
	Cores      int        `json:"cores,omitempty"`
	Load       [3]float64 `json:"load,omitzero"`         // average over 1, 5 and 15 minutes
	BufferMax  int        `json:"buffer_max,omitempty"`  // net.core.rmem_max in bytes
	BufferHave int        `json:"buffer_have,omitempty"` // bytes that the kernel granted a receiving socket
}

// Config is what was asked for.
type Config struct {
	Scenarios  []string    `json:"scenarios"`
	Peers      int         `json:"peers"`
	Seed       uint64      `json:"seed"`
	Repeat     int         `json:"repeat"`
	Isolation  string      `json:"isolation"` // goroutine or process; virtual where it is simulated
	Timing     core.Timing `json:"timing"`    // intervals in ns
	Options    Options     `json:"options"`
	Simulation *Simulation `json:"simulation,omitempty"` // nil: over UDP
	Faults     []string    `json:"faults,omitempty"`     // over UDP, what befalls a mesh, by the time since its start, as lines of a script
	Target     string      `json:"target,omitempty"`     // whose server, where it is not ours
}

// Run is one pass over the scenarios.
type Run struct {
	Seed      uint64     `json:"seed"`
	Baseline  Baseline   `json:"baseline,omitzero"` // not of a simulated run
	Scenarios []Scenario `json:"scenarios"`
}

// Baseline is what the machine does without the protocol, measured just before
// the run: a datagram back and forth between two sockets on loopback.
type Baseline struct {
	RoundTrip Metric `json:"round_trip"` // s
}

// Scenario is what one scenario measured.
type Scenario struct {
	Name        string            `json:"name"`
	Peers       int               `json:"peers"`
	Seconds     float64           `json:"seconds"`           // that it took in all, by its own clock
	Metered     float64           `json:"metered,omitempty"` // seconds of it that CPU is of
	Interrupted bool              `json:"interrupted,omitempty"`
	Failed      string            `json:"failed,omitempty"`     // somebody that is not ours died or fell silent: who, and how
	Unmeasured  string            `json:"unmeasured,omitempty"` // why it could not be measured, or only in part, though it was not interrupted
	Metrics     map[string]Metric `json:"metrics"`
	Histograms  map[string]string `json:"histograms,omitempty"` // HDR V2, compressed, base64; values in ns
	Accounts    *Accounts         `json:"accounts,omitempty"`
	Traffic     *Traffic          `json:"traffic,omitempty"`
	Notes       []Note            `json:"notes,omitempty"`
	Hosts       []Host            `json:"hosts,omitempty"` // that it was on, where those are several
	Links       []Link            `json:"links,omitempty"` // between them
	Hands       []string          `json:"hands,omitempty"` // what was done by hand meanwhile, as lines of a script
	Charts      Charts            `json:"charts"`
}

// Host is one that had a part of a mesh. The first had the server, and the clock that counts.
type Host struct {
	Worker string  `json:"worker"`
	Name   string  `json:"name"` // of the machine
	Addr   string  `json:"addr"`
	Peers  int     `json:"peers"`
	Ahead  float64 `json:"ahead"` // seconds that the first host's clock was ahead of its own,
	Drift  float64 `json:"drift"` // what that gained a second,
	Bound  float64 `json:"bound"` // and within how many seconds that is certain
	Late   float64 `json:"late"`  // seconds that an order was carried out after its time, at most
	CPU    float64 `json:"cpu"`   // seconds
	Memory int64   `json:"memory"`
	Lost   bool    `json:"lost,omitempty"`

	Kernel map[string]uint64 `json:"kernel,omitempty"` // what its network threw away meanwhile, whosever it was, by the kernel's counters
}

// Link is what became of the measured messages from one host to another, or within one: by their numbers in Hosts.
type Link struct {
	From      int     `json:"from"`
	To        int     `json:"to"`
	Sent      uint64  `json:"sent"`
	Delivered uint64  `json:"delivered"`
	Latency   Metric  `json:"latency"`
	Bound     float64 `json:"bound"` // seconds that the two clocks may differ
}

// Note is something a reader should know. Bad ones change how the figures are
// to be read, or say that the mesh did not do what it should.
type Note struct {
	Bad  bool   `json:"bad,omitempty"`
	Text string `json:"text"`
}

// Accounts say where every datagram went, over a whole scenario. At the end
//
//	Sent + Duplicated = Taken + Dropped + Kernel + Unsent + Injected + Dead + Queued + Unexplained
type Accounts struct {
	Sent        uint64 `json:"sent"`        // handed to a socket, or to the impairment before it
	Duplicated  uint64 `json:"duplicated"`  // added by the impairment
	Taken       uint64 `json:"taken"`       // received, and of use
	Dropped     uint64 `json:"dropped"`     // received, and refused by the protocol
	Kernel      uint64 `json:"kernel"`      // thrown away by the kernel: the receiver's buffer was full, or the server's filter kept it out
	Unsent      uint64 `json:"unsent"`      // refused by the kernel when sending
	Injected    uint64 `json:"injected"`    // lost on purpose by the impairment
	Dead        uint64 `json:"dead"`        // for peers that had been killed
	Queued      uint64 `json:"queued"`      // still under way at the end
	Unexplained int64  `json:"unexplained"` // the rest; 0 when the accounts are right
}

// Plus adds up two meshes' accounts.
func (a Accounts) Plus(b Accounts) Accounts {
	return Accounts{a.Sent + b.Sent, a.Duplicated + b.Duplicated, a.Taken + b.Taken, a.Dropped + b.Dropped,
		a.Kernel + b.Kernel, a.Unsent + b.Unsent, a.Injected + b.Injected, a.Dead + b.Dead, a.Queued + b.Queued,
		a.Unexplained + b.Unexplained}
}

// WithForeign counts what others have sent and a full buffer lost, which nobody
// but the kernel has seen: where more became of the datagrams than was sent, and
// no more than that was thrown away, the rest was theirs.
func (a Accounts) WithForeign() Accounts {
	if a.Unexplained < 0 && uint64(-a.Unexplained) <= a.Kernel {
		a.Sent, a.Unexplained = a.Sent+uint64(-a.Unexplained), 0
	}
	return a
}

// Traffic is what the machines sent, by type; where the server is not ours,
// its part is what the peers received from it.
type Traffic struct {
	Server core.ByType `json:"server"`
	Peers  core.ByType `json:"peers"`
}

// Charts is the data behind the pictures, times in seconds since the
// scenario's own zero. What a scenario does not have, it leaves out.
type Charts struct {
	Views        []ViewTrace       `json:"views,omitempty"`
	Converged    *float64          `json:"converged,omitempty"` // when every view was complete
	Latency      []LatencyBucket   `json:"latency,omitempty"`
	Pairs        *Pairs            `json:"pairs,omitempty"`
	Noticed      []Noticed         `json:"noticed,omitempty"`
	Ideal        *[2]float64       `json:"ideal,omitempty"` // the protocol's window for Noticed
	Disagreement []Point           `json:"disagreement,omitempty"`
	Trials       []mlrsearch.Trial `json:"trials,omitempty"`
	Usage        []Usage           `json:"usage,omitempty"` // of the benchmark's process, where peers have none of their own
}

// Usage is what a process took of the machine in the time up to T.
type Usage struct {
	T      float64 `json:"t"`
	CPU    float64 `json:"cpu"`    // cores
	Memory float64 `json:"memory"` // bytes
}

// ViewTrace is how many peers one peer's view held: N[i] from T[i] on.
type ViewTrace struct {
	Peer string    `json:"peer"`
	T    []float64 `json:"t"`
	N    []int     `json:"n"`
}

// LatencyBucket sums up the messages that were due in [T, T+Width).
type LatencyBucket struct {
	T     float64 `json:"t"`
	Width float64 `json:"width"`
	N     uint64  `json:"n"`
	P50   float64 `json:"p50"` // from due time, as all here
	P99   float64 `json:"p99"`
	Max   float64 `json:"max"`
	Lost  uint64  `json:"lost"`
}

// Pairs holds sender by receiver matrices, in the order of Names, row by row.
type Pairs struct {
	Names string   `json:"names"` // one character a peer
	Sent  []uint32 `json:"sent"`
	Lost  []uint32 `json:"lost"`
	Max   []uint32 `json:"max_us"` // latency of the slowest from actual send, in µs
}

// Noticed is when one peer's view had followed a change, and whose change.
type Noticed struct {
	Peer    string  `json:"peer"`
	Of      string  `json:"of"`
	Seconds float64 `json:"seconds"`
}

// Point is one value at one time.
type Point struct {
	T float64 `json:"t"`
	V float64 `json:"v"`
}

// Assertion is one -assert and what came of it.
type Assertion struct {
	Text   string   `json:"text"`
	Actual *float64 `json:"actual"` // in the metric's unit; null: not measured, which fails
	OK     bool     `json:"ok"`
	Reason string   `json:"reason,omitempty"` // why it was not measured
}

// String is a failed assertion, and why it failed.
func (a Assertion) String() string {
	switch {
	case a.Actual != nil:
		return fmt.Sprintf("assertion %s failed: it was %.6g", a.Text, *a.Actual)
	case a.Reason != "":
		return fmt.Sprintf("assertion %s failed: not measured: %s", a.Text, a.Reason)
	}
	return fmt.Sprintf("assertion %s failed: not measured", a.Text)
}

// Metric is one figure, or a distribution, in one unit: s, 1 (a count), ratio,
// bytes, messages/s, 1/h or cores.
type Metric struct {
	Unit  string
	Value *float64 // null: could not be measured, or never happened
	Dist  *Distribution
	Bound float64 // what clocks of different hosts may add to it, or take away; 0: it is by one clock
}

// Scalar and never make metrics of one figure.
func Scalar(unit string, v float64) Metric {
	if math.IsNaN(v) || math.IsInf(v, 0) {
		return Never(unit)
	}
	return Metric{Unit: unit, Value: &v}
}

func Never(unit string) Metric { return Metric{Unit: unit} }

func (m Metric) MarshalJSON() ([]byte, error) {
	if m.Dist == nil {
		return json.Marshal(struct {
			Unit  string   `json:"unit"`
			Value *float64 `json:"value"`
			Bound float64  `json:"bound,omitempty"`
		}{m.Unit, m.Value, m.Bound})
	}
	return json.Marshal(struct {
		Unit string `json:"unit"`
		*Distribution
		Bound float64 `json:"bound,omitempty"`
	}{m.Unit, m.Dist, m.Bound})
}

func (m *Metric) UnmarshalJSON(b []byte) error {
	var x struct {
		Unit  string   `json:"unit"`
		Value *float64 `json:"value"`
		N     *uint64  `json:"n"`
		Bound float64  `json:"bound"`
	}
	if err := json.Unmarshal(b, &x); err != nil {
		return err
	}
	*m = Metric{Unit: x.Unit, Value: x.Value, Bound: x.Bound}
	if x.N != nil {
		m.Dist = new(Distribution)
		return json.Unmarshal(b, m.Dist)
	}
	return nil
}

// WriteDocument writes what a tool came to, as JSON.
func WriteDocument(w io.Writer, document any) error {
	e := json.NewEncoder(w)
	e.SetIndent("", " ")
	return e.Encode(document)
}

// Write writes the document.
func (r *Result) Write(w io.Writer) error { return WriteDocument(w, r) }

// Read reads one back. Its errors say in one line what is wrong.
func Read(rd io.Reader) (*Result, error) {
	b, err := io.ReadAll(rd)
	if err != nil {
		return nil, err
	}
	var head struct {
		Schema *int `json:"schema"`
		Tool   struct {
			Name string `json:"name"`
		} `json:"tool"`
		Runs json.RawMessage `json:"runs"`
	}
	if err := json.Unmarshal(b, &head); err != nil {
		if what := misplaced(err); what != "" {
			return nil, noMeasurement(what)
		}
		return nil, noMeasurement("it is no JSON: " + short(err.Error()))
	}
	switch name := head.Tool.Name; {
	case name == "":
		return nil, noMeasurement("it names no tool")
	case name != ToolName:
		return nil, noMeasurement(fmt.Sprintf("\"%s\" has written it", short(name)))
	case head.Schema == nil || *head.Schema >= 1 && *head.Schema <= Schema && head.Runs == nil:
		return nil, noMeasurement("another command of meshbench's has written it")
	case *head.Schema > Schema:
		return nil, fmt.Errorf("written by a newer meshbench: schema %d, this one reads up to %d", *head.Schema, Schema)
	case *head.Schema < 1:
		return nil, fmt.Errorf("schema %d, want 1 to %d", *head.Schema, Schema)
	}
	r := new(Result)
	if err := json.Unmarshal(b, r); err != nil {
		return nil, fmt.Errorf("damaged result: %s", cmp.Or(misplaced(err), short(err.Error())))
	}
	if err := r.check(); err != nil {
		return nil, fmt.Errorf("damaged result: %w", err)
	}
	return r, nil
}

// misplaced says where a value is of the wrong type, without Go's words; "" for another error.
func misplaced(err error) string {
	e, ok := errors.AsType[*json.UnmarshalTypeError](err)
	if !ok {
		return ""
	}
	return fmt.Sprintf("there is a JSON %s where %s should be", short(e.Value), cmp.Or(e.Field, "an object"))
}

// noMeasurement is the error of a file that is none.
func noMeasurement(why string) error {
	return fmt.Errorf("not the result of a measurement: %s, want what meshbench -json has written", why)
}

// ToolName is the name in a result's tool block.
const ToolName = "meshbench"

// short is what comes of a file in an error, where it may be of any length, and anything.
func short(s string) string {
	const most = 100
	if r := []rune(s); len(r) > most {
		s = string(r[:most]) + "…"
	}
	quoted := strconv.Quote(s)
	return strings.ReplaceAll(quoted[1:len(quoted)-1], `\"`, `"`)
}

// check refuses what would make a reader of the document stumble.
func (r *Result) check() error {
	if len(r.Runs) == 0 && !r.Interrupted {
		return errors.New("no runs")
	}
	for i, run := range r.Runs {
		for _, s := range run.Scenarios {
			if p := s.Charts.Pairs; p != nil {
				n := len(p.Names)
				if len(p.Sent) != n*n || len(p.Lost) != n*n || len(p.Max) != n*n {
					return fmt.Errorf("run %d, %s: matrices do not fit %d names", i, short(s.Name), n)
				}
			}
			for _, v := range s.Charts.Views {
				if len(v.T) != len(v.N) {
					return fmt.Errorf("run %d, %s: view of %q has %d times for %d sizes", i, short(s.Name), short(v.Peer), len(v.T), len(v.N))
				}
			}
			for name, text := range s.Histograms {
				h, err := hdrhistogram.Decode([]byte(text))
				if err != nil {
					return fmt.Errorf("run %d: histogram %q: %w", i, short(name), err)
				}
				if d := s.Metrics[name].Dist; d != nil && d.N != uint64(h.TotalCount()) {
					return fmt.Errorf("run %d: histogram %q has %d samples, its metric %d", i, short(name), h.TotalCount(), d.N)
				}
			}
		}
	}
	return nil
}

// Measured reports that the result holds anything at all.
func (r *Result) Measured() bool {
	return slices.ContainsFunc(r.Runs, func(run Run) bool { return len(run.Scenarios) > 0 })
}

// Touched reports that somebody has acted on the mesh by hand.
func (r *Result) Touched() bool {
	return slices.ContainsFunc(r.Runs, func(run Run) bool {
		return slices.ContainsFunc(run.Scenarios, func(s Scenario) bool { return len(s.Hands) > 0 })
	})
}

// Failure is the first scenario that could not be measured, or that somebody who
// is not ours failed, and why; "" where there is none.
func (r *Result) Failure() string {
	for _, run := range r.Runs {
		for _, s := range run.Scenarios {
			if why := cmp.Or(s.Failed, s.Unmeasured); why != "" {
				return s.Name + ": " + why
			}
		}
	}
	return ""
}

// Complete reports that a scenario was measured to its end.
func (s Scenario) Complete() bool { return !s.Interrupted && s.Unmeasured == "" }
