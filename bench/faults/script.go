// Package faults is a script of what goes wrong in a simulated mesh: read,
// written, and entered in a virtual network's calendar.
package faults

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"p2plocal/core"
	"p2plocal/core/simnet"
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
)

// Fault is one thing that goes wrong, for a while or at once.
type Fault struct {
	At, Until time.Duration // Until counts for all but Jump and Hostile
	Verb      Verb
	A, B      uint16 // ports; 0: all
	Net       simnet.Fault
	Jump      time.Duration
	N         int
}

// String is the fault's line of a script.
func (f Fault) String() string {
	s := f.At.String()
	if f.Verb != Jump && f.Verb != Hostile {
		s += "-" + f.Until.String()
	}
	s += " " + string(f.Verb) + " " + who(f.A)
	switch f.Verb {
	case Link:
		s += strings.TrimRight(" "+who(f.B)+" "+f.Net.String(), " ")
	case Cut:
		s += " " + who(f.B)
	case Jump:
		s += " " + f.Jump.String()
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

// Write writes the script that Parse reads back.
func (s Script) Write(w io.Writer) error {
	var b strings.Builder
	fmt.Fprintf(&b, "seed %d\npeers %d\nqueue %d\nrefresh %v\nduration %v\ncalm %v\nnetwork%s\n",
		s.Seed, s.Peers, s.Queue, s.Refresh, s.Duration, s.Calm, strings.TrimRight(" "+s.Network.String(), " "))
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
  T-T pause WHO, T-T crash WHO  it is stopped; killed, and launched at the end
  T-T drift WHO PPM, T jump WHO T  its clock runs faster; jumps
  T hostile WHO N               N hostile datagrams reach it at once
`

// Parse reads a script: settings and faults, one a line, # begins a comment.
// See testdata for one of each kind. Settings left out are those of Default.
func Parse(r io.Reader) (Script, error) {
	s := Default()
	settings := map[string]int{} // the line of each
	var faults []int             // likewise
	lines := bufio.NewScanner(r)
	number := 1
	for ; lines.Scan(); number++ {
		text, _, _ := strings.Cut(lines.Text(), "#")
		words := strings.Fields(text)
		if len(words) == 0 {
			continue
		}
		before := len(s.Faults)
		if err := s.line(words); err != nil {
			return s, fmt.Errorf("line %d: %w", number, err)
		}
		if len(s.Faults) > before {
			faults = append(faults, number)
		} else if first := settings[words[0]]; first > 0 {
			return s, fmt.Errorf("line %d: %s has been set in line %d", number, words[0], first)
		} else {
			settings[words[0]] = number
		}
	}
	if err := lines.Err(); errors.Is(err, bufio.ErrTooLong) {
		return s, fmt.Errorf("line %d is longer than %d bytes", number, bufio.MaxScanTokenSize)
	} else if err != nil {
		return s, fmt.Errorf("line %d: %w", number, err)
	}
	setting, fault, err := s.invalid()
	switch number := settings[setting]; {
	case err == nil:
		return s, nil
	case fault >= 0:
		return s, fmt.Errorf("line %d: %w", faults[fault], err)
	case number > 0:
		return s, fmt.Errorf("line %d: %w", number, err)
	}
	return s, fmt.Errorf("%s, not set: %w", setting, err) // a default that does not fit what was set
}

func (s *Script) line(words []string) (err error) {
	if words[0] == "network" {
		s.Network, err = simnet.ParseFault(words[1:])
		return err
	}
	if words[0][0] >= '0' && words[0][0] <= '9' {
		f, err := parseFault(words)
		s.Faults = append(s.Faults, f)
		return err
	}
	if len(words) != 2 {
		return fmt.Errorf("%q: want a setting and its value", strings.Join(words, " "))
	}
	switch value := words[1]; words[0] {
	case "seed":
		s.Seed, err = strconv.ParseUint(value, 10, 64)
	case "peers":
		s.Peers, err = strconv.Atoi(value)
	case "queue":
		s.Queue, err = strconv.Atoi(value)
	case "refresh":
		s.Refresh, err = time.ParseDuration(value)
	case "duration":
		s.Duration, err = time.ParseDuration(value)
	case "calm":
		s.Calm, err = time.ParseDuration(value)
	default:
		return fmt.Errorf("%q is no setting: want seed, peers, queue, refresh, duration, calm, network, or a fault that begins with its time", words[0])
	}
	if err != nil {
		return fmt.Errorf("%s %q makes no sense", words[0], words[1])
	}
	return nil
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
	want := map[Verb]int{Link: -1, Cut: 1, Pause: 0, Crash: 0, Drift: 1, Jump: 1, Hostile: 1}
	n, known := want[f.Verb]
	switch {
	case !known:
		return f, fmt.Errorf("%q is no fault: want link, cut, pause, crash, drift, jump or hostile", words[1])
	case ranged == (f.Verb == Jump || f.Verb == Hostile):
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
	case Drift, Hostile:
		f.N, err = strconv.Atoi(rest[0])
	}
	if err != nil && (f.Verb == Jump || f.Verb == Drift || f.Verb == Hostile) {
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
	_, _, err := s.invalid()
	return err
}

// invalid is what cannot be run, and which setting or, if not -1, which fault it is.
func (s Script) invalid() (setting string, fault int, err error) {
	for _, x := range []struct {
		setting string
		bad     bool
		err     error
	}{
		{"peers", s.Peers < 1 || s.Peers > core.MaxPeers, fmt.Errorf("%d peers, want 1 to %d", s.Peers, core.MaxPeers)},
		{"queue", s.Queue < 0, fmt.Errorf("queue of %d, want 0 or more", s.Queue)},
		{"refresh", s.Refresh < 0 || s.Refresh > most, fmt.Errorf("refresh %v, want 0 to %v", s.Refresh, most)},
		{"duration", s.Duration <= 0 || s.Duration > most, fmt.Errorf("duration %v, want more than 0, at most %v", s.Duration, most)},
		{"calm", s.Calm < Launching || s.Calm > s.Duration, fmt.Errorf("calm from %v on, want %v to the duration, %v", s.Calm, Launching, s.Duration)},
	} {
		if x.bad {
			return x.setting, -1, x.err
		}
	}
	if err := s.Network.Validate(); err != nil {
		return "network", -1, err
	}
	for i, f := range s.Faults {
		if err := s.check(f); err != nil {
			return "", i, fmt.Errorf("fault %q: %w", f, err)
		}
	}
	return "", -1, nil
}

// check names what is wrong with a fault of this script.
func (s Script) check(f Fault) error {
	exists := func(port uint16) bool {
		return port >= simnet.ServerPort && int(port) <= simnet.ServerPort+s.Peers
	}
	switch {
	case f.At < 0 || f.At > s.Calm || f.Until > s.Calm:
		return fmt.Errorf("must be over when it is calm, at %v", s.Calm)
	case f.Verb != Jump && f.Verb != Hostile && f.Until <= f.At:
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
	case f.Verb == Hostile && (f.N < 1 || f.N > 100_000):
		return fmt.Errorf("%d datagrams, want 1 to 100000", f.N)
	case f.Verb == Jump && (f.Jump < -time.Minute || f.Jump > time.Hour):
		return fmt.Errorf("jump of %v, want -1m to 1h", f.Jump)
	}
	return f.Net.Validate()
}
