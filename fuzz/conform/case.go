// Package conform tests any server or peer against PROTOCOL.md, case by case, over
// real UDP. The cases of the levels MUST and INFO stand in server.cases and peer.cases,
// as scripts; those of bad input (SHOULD) are made from the catalogue of package
// hostile. Run starts the targets and tries Cases side by side, each in a trial with
// sockets and a log of its own; what fails while this machine is late is tried again,
// and is Void if it never was on time.
package conform

import (
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"p2plocal/core/wire"
	"p2plocal/fuzz/hostile"
)

// Level says how much a case counts.
type Level string

const (
	Must   Level = "MUST"   // the exact protocol: who fails it cannot be in a mesh with others
	Should Level = "SHOULD" // robustness and the additions of PROTOCOL.md: others do not notice
	Info   Level = "INFO"   // where implementations differ and may: cannot fail
)

// Levels from the strictest on.
var Levels = []Level{Must, Should, Info}

// Outcome is how a case ended.
type Outcome string

const (
	Pass   Outcome = "pass"
	Fail   Outcome = "fail"
	Seen   Outcome = "info"    // an INFO case, with what was seen
	Broken Outcome = "broken"  // the target died or hung on it
	NotRun Outcome = "not run" // the run ended before it did

	Void Outcome = "void" // it failed, but this machine was too late to blame the target
)

// Outcomes in the order in which they are counted.
var Outcomes = []Outcome{Pass, Fail, Broken, Seen, Void, NotRun}

// Case is one thing that an implementation does or does not do.
type Case struct {
	ID      string // role/group/which, such as server/birth/3
	Title   string // what is to be so
	Section string // of PROTOCOL.md
	Level   Level
	Role    hostile.Role
	Span    time.Duration // about how long it takes; where Others try it, at most

	names   int  // of the 95 that it uses; 0: a few; all: every one
	odd     bool // the names that stand for no letter are given first
	whole   bool // it wants the server for itself
	stops   bool // it has the target stand still, so it wants one of its own
	risky   bool // it sends what a target may die of
	loud    bool // it sends births that are repeated or conflict
	members int  // peers that are in the directory when it begins, kept there
	called  work // panics with an abortCase when it has failed; nil: steps do
	steps   []step
	both    bool   // it is one of the wide dialect's, too
	keyed   string // wide: "keyed" or "keyless" where it is about that
	mute    bool   // wide peers: their server does not answer births
	wanted  string // peer cases: the name that the target must have
	needs   option // what the target must be told; a command without a place for it does not have the case
}

// option is a placeholder that a command may have beside those that it needs, and what it is to
// stand for in a case.
type option struct{ placeholder, value string }

// options are all, as they are where a case is not about them.
var options = []option{{"{broadcast}", "4s"}, {"{refresh}", "0s"}, {"{source-check}", "false"}}

// fill is what the options stand for.
func (c Case) fill() (pairs []string) {
	for _, o := range append([]option{c.needs}, options...) {
		if o.placeholder != "" { // of two the first counts
			pairs = append(pairs, o.placeholder, o.value)
		}
	}
	return pairs
}

// work is what a case does; m are its members.
type work = func(l *trial, m []*endpoint)

const (
	few = 5  // names that a case gets if it does not say
	all = 95 // every name there is
)

// Group is the part of the id before the last slash.
func (c Case) Group() string { return c.ID[:strings.LastIndexByte(c.ID, '/')] }

// Cases are all that there are for a role: those of the scripts, in the order of PROTOCOL.md, and
// those of the catalogue.
func Cases(role hostile.Role) []Case { return slices.Clone(exactCases[role]()) }

var exactCases = [...]func() []Case{hostile.Server: casesOf(hostile.Server), hostile.Peer: casesOf(hostile.Peer)}

func casesOf(role hostile.Role) func() []Case {
	return sync.OnceValue(func() []Case {
		return append(scripted(role, role.String()), robustness(role, hostile.DefaultEnv())...)
	})
}

// wideDocument is where the sections of the wide dialect's cases stand.
const wideDocument = "core/wide/PROTOCOL.md: "

// WideCases are those of the wide dialect: the exact one's that hold for it, too, and its own.
func WideCases(role hostile.Role) []Case {
	all := slices.DeleteFunc(scripted(role, role.String()), func(c Case) bool { return !c.both })
	for i := range all {
		all[i].Section = []string{hostile.Server: "Server", hostile.Peer: "Peer"}[role]
	}
	env := hostile.DefaultEnv()
	env.Wide = wire.Name.String
	all = slices.Concat(all, scripted(role, "wide-"+role.String()), robustness(role, env))
	for i := range all {
		all[i].Section = wideDocument + all[i].Section
	}
	return all
}

// Select gives those of some levels (nil: all) whose id matches run and does
// not match skip; nil is a pattern that is not asked for.
func Select(cases []Case, levels []Level, run, skip *regexp.Regexp) []Case {
	return slices.DeleteFunc(slices.Clone(cases), func(c Case) bool {
		return levels != nil && !slices.Contains(levels, c.Level) ||
			run != nil && !run.MatchString(c.ID) ||
			skip != nil && skip.MatchString(c.ID)
	})
}

// Event is one datagram that a case sent or got.
type Event struct {
	At       time.Duration `json:"at_ns"` // after the case began, in ns; of one that came, the kernel's time where it tells
	From     string        `json:"from"`  // who, and its port
	To       string        `json:"to"`
	Datagram Hex           `json:"datagram"`
}

// Failure says why a case has failed.
type Failure struct {
	Expected string  `json:"expected"`
	Got      string  `json:"got"`
	Sent     []Event `json:"sent"`             // what led to it, the last few
	Came     []Event `json:"came"`             // the last few that the judged socket got
	Output   string  `json:"output,omitempty"` // the end of what a peer has printed

	certain bool          // no lateness of this machine excuses it
	over    time.Duration // how much too late or too early something was; 0: it is not about that
}

// Result is what became of one case.
type Result struct {
	ID       string        `json:"id"`
	Title    string        `json:"title"`
	Section  string        `json:"section"`
	Level    Level         `json:"level"`
	Outcome  Outcome       `json:"outcome"`
	Detail   string        `json:"detail,omitempty"` // info: what was seen; broken: how it ended; void: why
	Failure  *Failure      `json:"failure,omitempty"`
	Took     time.Duration `json:"took_ns"`
	Attempts int           `json:"attempts,omitempty"` // more than 1: the machine was late before
	Late     time.Duration `json:"late_ns"`            // how late the machine was meanwhile, at most

	doubtful, excused bool // see judge
}

// Group is the part of the id before the last slash.
func (r Result) Group() string { return r.ID[:strings.LastIndexByte(r.ID, '/')] }

// Report is one target's results.
type Report struct {
	Name        string        `json:"name"` // how the target is called beside others
	Target      string        `json:"target"`
	Role        string        `json:"role"`
	Mode        string        `json:"mode"` // how the cases got their targets
	Started     time.Time     `json:"started"`
	Took        time.Duration `json:"took_ns"`
	Late        time.Duration `json:"late_ns"` // the worst of the results
	Interrupted bool          `json:"interrupted,omitempty"`
	Gone        string        `json:"gone,omitempty"` // why the target cannot be reached (any more)
	Results     []Result      `json:"results"`
}

// Count is how many results have an outcome.
func (r Report) Count(o Outcome) (n int) {
	for _, x := range r.Results {
		if x.Outcome == o {
			n++
		}
	}
	return n
}

// Sound says that nothing has failed.
func (r Report) Sound() bool { return r.Count(Fail)+r.Count(Broken) == 0 }
