package result

import (
	"cmp"
	"fmt"
	"io"
	"math"
	"reflect"
	"strconv"
	"strings"
	"time"

	"p2plocal/bench/mlrsearch"
	"p2plocal/core/simnet"
	"p2plocal/fuzz/figure"
)

// Options are what the scenarios can be told.
type Options struct {
	Duration time.Duration    `json:"duration"`          // that steady, churn, loss and garbage measure
	Warmup   time.Duration    `json:"warmup"`            // before steady's measured window
	Interval time.Duration    `json:"interval"`          // between a peer's measured broadcasts
	Payload  int              `json:"payload"`           // bytes of a broadcast's text; 0: the protocol's own
	InStep   bool             `json:"in_step"`           // all broadcast at the same instant
	Join     string           `json:"join"`              // storm or spread
	Spread   time.Duration    `json:"spread"`            // over which spread births lie
	Kill     int              `json:"kill"`              // peers that crash, relaunch and loss kill
	Rest     time.Duration    `json:"rest,omitempty"`    // that each part of rest takes, and partial's failures; 0: RestTime's
	Timeout  time.Duration    `json:"timeout,omitempty"` // after which what has not happened is given up, beyond what its protocol takes; 0: TimeoutTime's
	Churn    float64          `json:"churn"`             // deaths and returns a second, together
	Refresh  time.Duration    `json:"refresh"`           // of the halves of restart and pause that have it
	Impair   Impairment       `json:"impair"`            // of the loss scenario
	Search   mlrsearch.Config `json:"search"`            // of saturate
	Garbage  Garbage          `json:"garbage"`           // of garbage
	Play     time.Duration    `json:"play,omitempty"`    // that play lasts; 0: until it is ended

	ReadBuffer  int    `json:"read_buffer"` // bytes asked for on each socket
	SourceCheck bool   `json:"source_check"`
	Wide        bool   `json:"wide,omitempty"`        // the wide dialect
	Keyed       bool   `json:"key,omitempty"`         // and every datagram is sealed
	Hosts       int    `json:"hosts,omitempty"`       // that the mesh is laid over; 0: it is on this one
	External    int    `json:"external"`              // peers that are processes of another implementation
	PeerExec    string `json:"peer_exec,omitempty"`   // their command line
	Server      string `json:"server,omitempty"`      // address of a server that runs already
	ServerExec  string `json:"server_exec,omitempty"` // command line of one that is not ours

	Driver *Driver `json:"driver,omitempty"` // hosts the mesh; nil: it is ours
}

// RestTime is how long each part of rest takes.
func (o *Options) RestTime() time.Duration {
	const own = 10 * time.Second
	return cmp.Or(o.Rest, own)
}

// TimeoutTime is how long is waited for what a mesh should do, beyond what its protocol
// takes, which of another kind of mesh is not known.
func (o *Options) TimeoutTime() time.Duration {
	own := 10 * time.Second
	if o.Driver != nil {
		own = 30 * time.Second
	}
	return cmp.Or(o.Timeout, own)
}

// Driver hosts a mesh of another kind, by bench/driver/PROTOCOL.md.
type Driver struct {
	Exec        string            `json:"exec"` // its command line
	Options     map[string]string `json:"options,omitempty"`
	Name        string            `json:"name"` // what it hosts
	Version     string            `json:"version"`
	Unsupported []string          `json:"unsupported,omitempty"` // commands that it cannot obey
}

// Garbage is what the garbage scenario sends.
type Garbage struct {
	Rate float64 `json:"rate"` // datagrams a second; 0: as many as one core can send
	Kind string  `json:"kind"` // one of fuzz.FloodKinds
	At   string  `json:"at"`   // server, or peer: the first one
}

// FormatRate is what ParseRate reads.
func FormatRate(v float64) string {
	if v == 0 {
		return "max"
	}
	return scaledRate(v)
}

// rates are what a rate may end in.
var rates = []scale{{"k", 1e3}, {"M", 1e6}}

func scaledRate(v float64) string {
	switch {
	case math.IsInf(v, 0):
	case v >= 1e6:
		return strconv.FormatFloat(v/1e6, 'g', -1, 64) + "M"
	case v >= 1e3:
		return strconv.FormatFloat(v/1e3, 'g', -1, 64) + "k"
	}
	return strconv.FormatFloat(v, 'g', -1, 64)
}

// ParseRate reads a rate such as 500k or 1.2M; max is 0.
func ParseRate(s string) (float64, error) {
	if s == "max" {
		return 0, nil
	}
	v, err := parseScaled(s, rates)
	if err != nil || !(v > 0) {
		return 0, fmt.Errorf("%q, want a rate such as 500k, or max", s)
	}
	return v, nil
}

// Simulation has meshes live on a virtual network with a virtual clock. The
// result is then a function of Config alone.
type Simulation struct {
	Network simnet.Fault  `json:"network"`          // what every link does to what passes; times in ns
	Host    simnet.Host   `json:"host"`             // what computing costs; times in ns
	Queue   int           `json:"queue"`            // datagrams that may wait at a peer or at the server; 0: any number
	Faults  []string      `json:"faults,omitempty"` // what else befalls a mesh, by the time since its start, as lines of a script
	Until   time.Duration `json:"until,omitempty"`  // every mesh ends at this time at the latest; 0: when its scenario does

	Trace io.Writer `json:"-"` // where every event of every network is written to; nil: nowhere
}

// LoopbackDelay is what a datagram takes on a virtual link by default: about
// what loopback does on an idle machine.
const LoopbackDelay = 20 * time.Microsecond

// QueueOf is how many datagrams of up to 192 bytes Linux lets wait at a socket
// that has asked for a receive buffer of so many bytes, where its limit allows
// it; 0 asks for nothing. The kernel doubles what it is asked for, and charges
// 832 bytes for each (skb truesize).
func QueueOf(readBuffer int) int {
	const charge, unasked = 832, 212_992
	if readBuffer == 0 {
		return unasked / charge
	}
	return max(2*readBuffer/charge, 1)
}

// Virtual is the isolation of a simulated mesh.
const Virtual = "virtual"

// String is what the network is like, for a reader.
func (s *Simulation) String() string {
	text := "links without delay"
	if s.Network != (simnet.Fault{}) {
		text = "every link " + s.Network.String()
	}
	if s.Host.Cores == 0 {
		text += ", computing costs nothing"
	} else {
		text += ", " + Plural(uint64(s.Host.Cores), "core")
	}
	if s.Queue > 0 {
		text += fmt.Sprintf(", queues of %s", figure.Grouped(s.Queue))
	}
	if n := len(s.Faults); n > 0 {
		text += ", " + Plural(uint64(n), "fault")
	}
	return text
}

// HostOf has so many cores, and what was measured: bare system calls on loopback for a
// datagram sent and one taken in, and for the rest of a turn the CPU time by datagrams of
// a mesh of 80. Of none, computing costs nothing.
func HostOf(cores int) simnet.Host {
	if cores == 0 {
		return simnet.Host{}
	}
	return simnet.Host{Cores: cores, Wake: 8 * time.Microsecond, Take: 600 * time.Nanosecond, Send: 2200 * time.Nanosecond}
}

// A Setting is one part of an Env or a Config, as a reader may see it.
type Setting struct{ Name, Value string }

// Settings are all there is in Env and Config, by the names that JSON knows it
// under. What is never the same twice is left out.
func (r *Result) Settings() []Setting {
	return leaves(leaves(nil, "", reflect.ValueOf(r.Env)), "", reflect.ValueOf(r.Config))
}

func leaves(to []Setting, prefix string, v reflect.Value) []Setting {
	for i := range v.NumField() {
		name, _, _ := strings.Cut(v.Type().Field(i).Tag.Get("json"), ",")
		name = prefix + name
		switch f := v.Field(i); {
		case name == "time" || name == "load" || name == "repeat" || strings.HasSuffix(name, "-"):
		case f.Kind() == reflect.Pointer && f.IsNil():
			to = leaves(to, name+".", reflect.Zero(f.Type().Elem()))
		case f.Kind() == reflect.Pointer:
			to = leaves(to, name+".", f.Elem())
		case f.Kind() == reflect.Struct:
			to = leaves(to, name+".", f)
		case f.Kind() == reflect.String || f.Kind() == reflect.Slice:
			to = append(to, Setting{name, fmt.Sprintf("%q", f)})
		default:
			to = append(to, Setting{name, fmt.Sprint(f)})
		}
	}
	return to
}
