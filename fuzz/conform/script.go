package conform

import (
	"embed"
	"fmt"
	"maps"
	"regexp"
	"strconv"
	"strings"
	"time"

	"p2plocal/core/wire"
	"p2plocal/fuzz/hostile"
)

// The scripts of the cases that are not made of the catalogue. A group is
//
//	# group | level | section of PROTOCOL.md | loud
//
// where loud is left out but for groups whose births repeat or conflict. A case is its title,
// behind a bar what Case says of it, and below that its steps, each a verb and what that takes:
//
//	VERB WHAT.. from WHERE = ENTRIES.. within TIME "TEXT"..
//
// What is indented below "N times" is done N times. An endpoint is there from when it is first named:
// a peer, not yet born, or with a small letter a stranger, which no directory names. M are the
// case's members, M1 the first of them; new is a fresh peer and another a fresh stranger each time.
// An entry is a peer, self (the peer under test), or the name of one and the port of another,
// as A:B; the name free is nobody's.
//
// Those marked "both" are of the wide dialect, too, whose own are in the other two files.
//
//go:embed server.cases peer.cases wide-server.cases wide-peer.cases
var scripts embed.FS

// step is a line of a script.
type step struct {
	verb   string
	what   []string // behind the verb
	from   string
	of     []string // entries, behind =
	within time.Duration
	text   []string
	body   []step // what is indented below
}

// scripted are a role's cases that have a script, in a file.
func scripted(role hostile.Role, file string) (cases []Case) {
	script, _ := scripts.ReadFile(file + ".cases")
	var group Case // what its cases have in common, and the beginning of their ids
	n := 0
	for line := range strings.Lines(string(script)) {
		line = strings.TrimSuffix(line, "\n")
		text := strings.TrimLeft(line, "\t")
		switch depth := len(line) - len(text); {
		case text == "":
		case strings.HasPrefix(line, "# "):
			f := strings.Split(line[2:], " | ")
			group, n = Case{ID: role.String() + "/" + f[0], Level: Level(f[1]), Section: f[2], Role: role, loud: len(f) > 3}, 0
		case depth == 0:
			c := group
			n++
			c.ID = fmt.Sprintf("%s/%d", group.ID, n)
			title, attributes, _ := strings.Cut(line, " | ")
			c.Title = title
			for a := range strings.FieldsSeq(attributes) {
				c.attribute(a)
			}
			cases = append(cases, c)
		default:
			to := &cases[len(cases)-1].steps
			for range depth - 1 {
				to = &(*to)[len(*to)-1].body
			}
			*to = append(*to, parseStep(text))
		}
	}
	return cases
}

// attribute sets what stands behind a case's title.
func (c *Case) attribute(a string) {
	key, value, _ := strings.Cut(a, "=")
	flags := map[string]*bool{"alone": &c.whole, "odd": &c.odd, "stops": &c.stops, "both": &c.both, "mute": &c.mute}
	if flag := flags[key]; flag != nil {
		*flag = true
		return
	}
	switch key {
	case "keyed", "keyless":
		c.keyed = key
	case "MUST", "SHOULD", "INFO":
		c.Level = Level(key)
	case "members":
		c.members = number(value)
	case "names":
		if c.names = all; value != "all" {
			c.names = number(value)
		}
	case "called":
		c.wanted = value
	default:
		if key[0] == '{' {
			c.needs = option{key, value}
		} else {
			c.Span = duration(key)
		}
	}
}

var word = regexp.MustCompile(`"(?:[^"\\]|\\.)*"|\S+`)

func parseStep(line string) step {
	words := word.FindAllString(line, -1)
	s := step{verb: words[0], within: soon}
	if len(words) == 2 && words[1] == "times" {
		s.verb, s.what = "times", words[:1]
		return s
	}
	to := &s.what
	for i := 1; i < len(words); i++ {
		switch w := words[i]; {
		case w == "=":
			to = &s.of
		case w == "from":
			i++
			s.from = words[i]
		case w == "within":
			i++
			s.within = duration(words[i])
		case w[0] == '"' && s.verb != "raw":
			text, err := strconv.Unquote(w)
			must(err)
			s.text = append(s.text, text)
		default:
			*to = append(*to, w)
		}
	}
	if verbs[s.verb] == nil {
		panic(fmt.Sprintf("no verb in %q", line))
	}
	return s
}

func must(err error) {
	if err != nil {
		panic(err)
	}
}

func number(s string) int {
	n, err := strconv.Atoi(s)
	must(err)
	return n
}

func duration(s string) time.Duration {
	d, err := time.ParseDuration(s)
	must(err)
	return d
}

func (s step) number(i int) int         { return number(s.what[i]) }
func (s step) time(i int) time.Duration { return duration(s.what[i]) }

// player carries a script out.
type player struct {
	*trial
	cast   map[string][]*endpoint
	marked int       // see mark
	since  time.Time // when that was, or when somebody was told that a peer has left
}

// perform does what a case says.
func (c Case) perform(l *trial) {
	members := l.gather(c.members)
	if c.called != nil {
		c.called(l, members)
		return
	}
	p := &player{trial: l, cast: map[string][]*endpoint{}}
	p.name("M", members)
	p.play(c.steps)
}

func (p *player) play(steps []step) {
	for _, s := range steps {
		if s.verb != "times" {
			verbs[s.verb](p, s)
			continue
		}
		for range s.number(0) {
			p.play(s.body)
		}
	}
}

// name has endpoints called so, and each by its number.
func (p *player) name(name string, all []*endpoint) {
	p.cast[name] = all
	for i := range all {
		p.cast[fmt.Sprint(name, i+1)] = all[i : i+1]
	}
}

// called are those of a name.
func (p *player) called(name string) []*endpoint {
	switch {
	case p.cast[name] != nil:
		return p.cast[name]
	case name == "new":
		return p.peers(1)
	case name == "another":
		return []*endpoint{p.stranger()}
	case 'a' <= name[0] && name[0] <= 'z':
		p.cast[name] = []*endpoint{p.stranger()}
	default:
		p.cast[name] = p.peers(1)
	}
	return p.cast[name]
}

func (p *player) one(name string) *endpoint { return p.called(name)[0] }

func (p *player) all(names []string) (all []*endpoint) {
	for _, name := range names {
		all = append(all, p.called(name)...)
	}
	return all
}

func (p *player) entries(names []string) (all []wire.Entry) {
	for _, x := range names {
		name, port, mixed := strings.Cut(x, ":")
		switch {
		case x == "self":
			all = append(all, p.self)
		case !mixed:
			all = append(all, entriesOf(p.called(x))...)
		default:
			e := wire.Entry{Name: p.self.Name, Port: p.one(port).addr.Port()}
			if name == "free" {
				e.Name = p.trial.name()
			} else if name != "self" {
				e.Name = p.one(name).entry.Name
			}
			all = append(all, e)
		}
	}
	return all
}

// verbs are what scripts may say.
var verbs = func() map[string]func(*player, step) {
	v := map[string]func(*player, step){
		"mark":   func(p *player, _ step) { p.marked, p.since = p.mark(), clock() },
		"settle": func(p *player, _ step) { p.settle() },
		"sleep":  func(p *player, s step) { p.sleep(s.time(0)) },
		"open":   func(p *player, s step) { p.all(s.what) },
		"peers": func(p *player, s step) {
			n := p.left()
			if s.what[1] != "all" {
				n = s.number(1)
			}
			p.name(s.what[0], p.peers(n))
		},
		"silent": each(func(p *player, x *endpoint, s step) { p.wantNothing(x, s.text[0]) }),
		"count":  eachOf(1, func(p *player, x *endpoint, s step) { p.wantCount(x, p.marked, s.number(len(s.what)-1), s.text[0]) }),
	}
	maps.Copy(v, serverVerbs)
	maps.Copy(v, peerVerbs)
	maps.Copy(v, wideVerbs)
	return v
}()

// eachOf does something with all endpoints of a step but for its last few words.
func eachOf(but int, f func(*player, *endpoint, step)) func(*player, step) {
	return func(p *player, s step) {
		for _, x := range p.all(s.what[:len(s.what)-but]) {
			f(p, x, s)
		}
	}
}

func each(f func(*player, *endpoint, step)) func(*player, step) { return eachOf(0, f) }
