// Package faults is a script of what goes wrong in a simulated mesh: read,
// written, and entered in a virtual network's calendar.
package faults

import (
	"bufio"
	"fmt"
	"io"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"p2plocal/core"
	"p2plocal/core/simnet"
	"p2plocal/core/wire"
	"p2plocal/fuzz/hostile"
)

// Script is one run: a server, peers on ports 3001 and up, and the faults
// that happen to them. Before Calm all peers have been launched; from Calm on there are no
// faults any more and everybody runs.
type Script struct {
	Seed     uint64
	Peers    int           // 1 to 95
	Queue    int           // datagrams that may wait at a node; 0: any number
	Refresh  time.Duration // of the peers; 0: the exact protocol
	Duration time.Duration
	Calm     time.Duration
	Network  simnet.Fault // on every link, until Calm
	Faults   []Fault
}

// Launching is the time within which all peers are launched.
const Launching = 2 * time.Second

// Verb is what a Fault does.
type Verb string

const (
	Link    Verb = "link"    // the links from A to B behave as Net says
	Cut     Verb = "cut"     // nothing passes from A to B
	Pause   Verb = "pause"   // A is stopped
	Crash   Verb = "crash"   // A is killed, and launched at the end
	Drift   Verb = "drift"   // A's clock runs N ppm faster
	Jump    Verb = "jump"    // A's clock jumps by Jump, at once
	Hostile Verb = "hostile" // N hostile datagrams reach A, at once
	Divide  Verb = "divide"  // nothing passes between the peers from A on and the rest
	Flood   Verb = "flood"   // N hostile datagrams of Kind a second reach A
)

// Fault is one thing that goes wrong, for a while or at once.
type Fault struct {
	At, Until time.Duration // Until counts for all but Jump and Hostile
	Verb      Verb
	A, B      uint16 // ports; 0: all
	Net       simnet.Fault
	Jump      time.Duration
	N         int
	Kind      string
}

// instant reports that it happens at once, and has no end.
func (v Verb) instant() bool { return v == Jump || v == Hostile }

// String is the fault's line of a script.
func (f Fault) String() string {
	s := f.At.String()
	if !f.Verb.instant() {
		s += "-" + f.Until.String()
	}
	s += " " + string(f.Verb) + " " + who(f.A)
	switch f.Verb {
	case Link, Cut:
		s += strings.TrimRight(" "+who(f.B)+" "+f.Net.String(), " ")
	case Jump:
		s += " " + f.Jump.String()
	case Flood:
		s += " " + f.Kind
		fallthrough
	case Drift, Hostile:
		s += " " + strconv.Itoa(f.N)
	}
	return s
}

func who(port uint16) string {
	switch port {
	case 0:
		return "*"
	case simnet.ServerPort:
		return "server"
	}
	return strconv.Itoa(int(port))
}

// OfLinks reports that a line of a script is about links.
func OfLinks(line string) bool {
	all, err := ParseFaults([]string{line})
	return err == nil && slices.Contains([]Verb{Link, Cut, Divide}, all[0].Verb)
}

// ParseFaults reads lines of a script that are faults.
func ParseFaults(lines []string) (all []Fault, err error) {
	for _, line := range lines {
		words := strings.Fields(line)
		if len(words) == 0 {
			words = []string{""} // which is no time
		}
		f, err := parseFault(words)
		if err != nil {
			return nil, fmt.Errorf("fault %q: %w", line, err)
		}
		all = append(all, f)
	}
	return all, nil
}

// Lines are the faults as ParseFaults reads them.
func Lines(all []Fault) (lines []string) {
	for _, f := range all {
		lines = append(lines, f.String())
	}
	return lines
}

// setting is one by its name, and where it is.
type setting struct {
	name string
	to   any
}

func (s *Script) settings() []setting {
	return []setting{{"seed", &s.Seed}, {"peers", &s.Peers}, {"queue", &s.Queue}, {"refresh", &s.Refresh}, {"duration", &s.Duration}, {"calm", &s.Calm}}
}

// Write writes the script that Parse reads back.
func (s Script) Write(w io.Writer) error {
	var b strings.Builder
	for _, x := range s.settings() {
		fmt.Fprintf(&b, "%s %v\n", x.name, reflect.ValueOf(x.to).Elem())
	}
	b.WriteString(strings.TrimRight("network "+s.Network.String(), " ") + "\n")
	for _, f := range s.Faults {
		b.WriteString(f.String() + "\n")
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// most is the longest script.
const most = time.Hour

// Grammar is what Parse reads, for -h.
const Grammar = `A fault script has a setting or a fault a line; # begins a comment. Times count
from the start of the mesh. Who is server (port 3000), a peer's port (3001 and
up) or *, everybody. seed, peers, refresh count where no flag says otherwise.

  seed N, peers N, refresh T, queue N (datagrams that may wait at a node)
  duration T, calm T            a swarm's end, and when its faults are over
  network PROPERTY...           of every link
  T-T link WHO WHO PROPERTY...  of the links from the one to the other: loss=,
                  duplicate=, reorder=, worsen=, recover=, bad= (probabilities);
                  delay=, jitter=, hold= (times); tail (exponential jitter)
  T-T cut WHO WHO               nothing passes from the one to the other
  T-T divide WHO                nothing passes between peers from this port on
                                and the rest
  T-T flood WHO KIND N          N hostile datagrams a second reach it, of a kind
                                of -garbage-kind
  T-T pause WHO, T-T crash WHO  it is stopped; killed, and launched at the end
  T-T drift WHO PPM, T jump WHO T  its clock runs faster; jumps
  T hostile WHO N               N hostile datagrams reach it at once
`

// Parse reads a script: settings and faults, one a line, # begins a comment. Settings left
// out are those of s.
func (s Script) Parse(r io.Reader) (Script, error) {
	given := map[string]bool{}
	lines := bufio.NewScanner(r)
	number := 1
	for ; lines.Scan(); number++ {
		text, _, _ := strings.Cut(lines.Text(), "#")
		words := strings.Fields(text)
		if len(words) == 0 {
			continue
		}
		if err := s.line(words); err != nil {
			return s, fmt.Errorf("line %d: %w", number, err)
		}
		if given[words[0]] && !isTime(words[0]) {
			return s, fmt.Errorf("line %d: a second %s", number, words[0])
		}
		given[words[0]] = true
	}
	if err := lines.Err(); err != nil {
		return s, fmt.Errorf("line %d: %w", number, err)
	}
	return s, s.Validate()
}

func isTime(word string) bool { return word[0] >= '0' && word[0] <= '9' }

func (s *Script) line(words []string) (err error) {
	if words[0] == "network" {
		s.Network, err = simnet.ParseFault(words[1:])
		return err
	}
	if isTime(words[0]) {
		f, err := parseFault(words)
		s.Faults = append(s.Faults, f)
		return err
	}
	if len(words) != 2 {
		return fmt.Errorf("%q: want a setting and its value", strings.Join(words, " "))
	}
	for _, x := range s.settings() {
		if x.name != words[0] {
			continue
		}
		switch to := x.to.(type) {
		case *uint64:
			*to, err = strconv.ParseUint(words[1], 10, 64)
		case *int:
			*to, err = strconv.Atoi(words[1])
		case *time.Duration:
			*to, err = time.ParseDuration(words[1])
		}
		if err != nil {
			return fmt.Errorf("%s %q makes no sense", words[0], words[1])
		}
		return nil
	}
	return fmt.Errorf("%q is no setting: want seed, peers, queue, refresh, duration, calm, network, or a fault that begins with its time", words[0])
}

func parseFault(words []string) (f Fault, err error) {
	span := words[0]
	from, until, ranged := strings.Cut(span, "-")
	if f.At, err = time.ParseDuration(from); err != nil {
		return f, fmt.Errorf("time %q, want one such as 3s, or 3s-5s", span)
	}
	if ranged {
		if f.Until, err = time.ParseDuration(until); err != nil {
			return f, fmt.Errorf("time %q, want one such as 3s-5s", span)
		}
	}
	if len(words) < 3 {
		return f, fmt.Errorf("%q: want TIME VERB WHO", strings.Join(words, " "))
	}
	f.Verb = Verb(words[1])
	if f.A, err = parseWho(words[2]); err != nil {
		return f, err
	}
	rest := words[3:]
	want := map[Verb]int{Link: -1, Cut: 1, Pause: 0, Crash: 0, Drift: 1, Jump: 1, Hostile: 1, Divide: 0, Flood: 2}
	n, known := want[f.Verb]
	switch {
	case !known:
		return f, fmt.Errorf("%q is no fault: want link, cut, divide, pause, crash, drift, jump, hostile or flood", words[1])
	case ranged == f.Verb.instant():
		return f, fmt.Errorf("%s at %q: jump and hostile take one time, the others two such as 3s-5s", f.Verb, span)
	case n >= 0 && len(rest) != n, n < 0 && len(rest) < 1:
		return f, fmt.Errorf("%q: wrong number of words for %s", strings.Join(words, " "), f.Verb)
	}
	switch f.Verb {
	case Link, Cut:
		if f.B, err = parseWho(rest[0]); err == nil {
			f.Net, err = simnet.ParseFault(rest[1:])
		}
	case Jump:
		f.Jump, err = time.ParseDuration(rest[0])
	case Flood:
		f.Kind, rest = rest[0], rest[1:]
		fallthrough
	case Drift, Hostile:
		f.N, err = strconv.Atoi(rest[0])
	}
	if err != nil && f.Verb != Link && f.Verb != Cut {
		err = fmt.Errorf("%s %q makes no sense", f.Verb, rest[0])
	}
	return f, err
}

func parseWho(s string) (uint16, error) {
	switch s {
	case "*":
		return 0, nil
	case "server":
		return simnet.ServerPort, nil
	}
	port, err := strconv.ParseUint(s, 10, 16)
	if err != nil || port == 0 {
		return 0, fmt.Errorf("%q is nobody: want server, a peer's port, or *", s)
	}
	return uint16(port), nil
}

// Default is a mesh of 10 for a minute, without faults.
func Default() Script {
	return Script{Seed: 1, Peers: 10, Duration: time.Minute, Calm: 40 * time.Second,
		Network: simnet.Fault{Delay: 20 * time.Microsecond}}
}

// Validate names the first thing that cannot be run.
func (s Script) Validate() error {
	switch {
	case s.Peers < 1 || s.Peers > core.MaxPeers:
		return fmt.Errorf("%d peers, want 1 to %d", s.Peers, core.MaxPeers)
	case s.Queue < 0:
		return fmt.Errorf("queue of %d, want 0 or more", s.Queue)
	case s.Refresh < 0 || s.Refresh > most:
		return fmt.Errorf("refresh %v, want 0 to %v", s.Refresh, most)
	case s.Duration <= 0 || s.Duration > most:
		return fmt.Errorf("duration %v, want more than 0, at most %v", s.Duration, most)
	case s.Calm < Launching || s.Calm > s.Duration:
		return fmt.Errorf("calm from %v on, want %v to the duration, %v", s.Calm, Launching, s.Duration)
	}
	if err := s.Network.Validate(); err != nil {
		return fmt.Errorf("network: %w", err)
	}
	for _, f := range s.Faults {
		if err := s.Check(f); err != nil {
			return fmt.Errorf("fault %q: %w", f, err)
		}
	}
	return nil
}

// Check names what is wrong with a fault of this script.
func (s Script) Check(f Fault) error {
	exists := func(port uint16) bool {
		return port >= simnet.ServerPort && int(port) <= simnet.ServerPort+s.Peers
	}
	switch {
	case f.At < 0 || f.At > s.Calm || f.Until > s.Calm:
		return fmt.Errorf("must be over when it is calm, at %v", s.Calm)
	case !f.Verb.instant() && f.Until <= f.At:
		return fmt.Errorf("ends before it begins")
	case f.A != 0 && !exists(f.A) || f.B != 0 && !exists(f.B):
		return fmt.Errorf("peers have ports %d to %d", simnet.ServerPort+1, simnet.ServerPort+s.Peers)
	case f.A == 0 && f.Verb != Link && f.Verb != Cut:
		return fmt.Errorf("%s wants one port, not *", f.Verb)
	case (f.Verb == Drift || f.Verb == Jump) && f.A == simnet.ServerPort:
		return fmt.Errorf("the invariants are told by the server's clock: only a peer's may %s", f.Verb)
	}
	return f.checkAmount()
}

func (f Fault) checkAmount() error {
	switch {
	case f.Verb == Drift && (f.N < -500_000 || f.N > 500_000):
		return fmt.Errorf("drift of %d ppm, want -500000 to 500000", f.N)
	case f.Verb == Divide && f.A <= simnet.ServerPort:
		return fmt.Errorf("divide wants a peer's port, from which on they are cut off")
	case f.Verb == Flood && (f.N < 1 || f.N > 1_000_000):
		return fmt.Errorf("flood of %d a second, want 1 to 1000000", f.N)
	case f.Verb == Flood && !slices.Contains(hostile.FloodKinds, f.Kind):
		return fmt.Errorf("flood of kind %q, want one of %s", f.Kind, strings.Join(hostile.FloodKinds, ", "))
	case f.Verb == Hostile && (f.N < 1 || f.N > 100_000):
		return fmt.Errorf("%d datagrams, want 1 to 100000", f.N)
	case f.Verb == Jump && (f.Jump < -time.Minute || f.Jump > time.Hour):
		return fmt.Errorf("jump of %v, want -1m to 1h", f.Jump)
	}
	return f.Net.Validate()
}

// Plan enters the scenario's fault of a number in a Net's calendar.
func (s Script) Plan(n *simnet.Net, number int) {
	f := s.Faults[number]
	begin, end := s.Actions(n, f)
	n.At(f.At, begin)
	if end != nil {
		n.At(f.Until, end)
	}
}

// Actions are what a fault does as it begins and as it ends; nil: it has no end. A flood's are
// a matter of the mesh that has a sender.
func (s Script) Actions(n *simnet.Net, f Fault) (begin, end func()) {
	x := n.Node(f.A)
	switch f.Verb {
	case Link:
		return func() { n.SetFault(f.A, f.B, &f.Net) }, func() { n.SetFault(f.A, f.B, nil) }
	case Cut:
		return func() { n.Cut(f.A, f.B) }, func() { n.Heal(f.A, f.B) }
	case Divide:
		between := func(do func(from, to uint16)) {
			for _, a := range n.Nodes() {
				for _, b := range n.Nodes() {
					if a.Port() >= f.A != (b.Port() >= f.A) {
						do(a.Port(), b.Port())
					}
				}
			}
		}
		return func() { between(n.Cut) }, func() { between(n.Heal) }
	case Pause:
		return x.Pause, x.Resume
	case Crash:
		return x.Kill, x.Launch
	case Drift:
		return func() { x.DriftClock(f.N) }, func() { x.DriftClock(0) }
	case Jump:
		return func() { x.JumpClock(f.Jump) }, nil
	}
	return func() {
		h := newHostile(s, f)
		for range f.N {
			from, datagram := h.next()
			n.Inject(from, f.A, datagram)
		}
	}, nil
}

// PeerEntry is the i-th peer's.
func PeerEntry(i int) wire.Entry {
	return wire.Entry{Name: wire.Name(' ' + i), Port: simnet.ServerPort + 1 + uint16(i)}
}
