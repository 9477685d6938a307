package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"p2plocal/core"
)

const helpText = `  peers               who is in the directory
  broadcast on|off    broadcast at the interval, or not
  send TEXT           send a message to all others
  send NAME TEXT      send it to one, if the first word is one character (with
                      -wide: the name of a peer);
                      TEXT may be a Go string, such as "\x1b[2J\xff"
  disconnect          fall silent, but go on hearing and keep the port
  connect             be born again
  stats               what has been counted so far
  quit                end
  help                this list`

const serverHelp = `  peers               who is in the directory
  stats               what has been counted so far
  quit                end
  help                this list`

// command is one line of input, understood.
type command struct {
	verb string
	to   core.Name // send: whom; "": all
	text string    // send
}

// lineMost is the longest line taken: four bytes for each of the largest text's, and some.
const lineMost = 4*core.MaxPayload + 64

func parseCommand(line string) (command, error) {
	verb, rest, _ := strings.Cut(strings.TrimSpace(line), " ")
	rest = strings.TrimSpace(rest)
	switch verb {
	case "":
		return command{}, nil
	case "broadcast":
		if rest != "on" && rest != "off" {
			return command{}, fmt.Errorf("broadcast %q, want on or off", rest)
		}
		return command{verb: verb + " " + rest}, nil
	case "send":
		return parseSend(rest)
	case "help", "peers", "connect", "disconnect", "stats", "quit":
		if rest != "" {
			return command{}, fmt.Errorf("%s takes nothing more, got %q", verb, rest)
		}
		return command{verb: verb}, nil
	}
	return command{}, fmt.Errorf("unknown command %q, \"help\" lists them", verb)
}

func parseSend(rest string) (command, error) {
	c := command{verb: "send", text: rest}
	name, text, found := strings.Cut(rest, " ")
	if _, err := strconv.QuotedPrefix(rest); found && len(name) == 1 && err != nil {
		c.to, c.text = core.Name(name), strings.TrimSpace(text)
	}
	if c.text == "" {
		return command{}, errors.New("send what? want a text, or a peer's name and a text")
	}
	if c.text[0] == '"' {
		text, err := strconv.Unquote(c.text)
		if err != nil {
			return command{}, fmt.Errorf("text %s begins with a quote but is no Go string", strconv.Quote(c.text))
		}
		c.text = text
	}
	return c, nil
}

// obey carries out commands, a line each, until the console's end.
func (n *node) obey(ctx context.Context, c *console, quit func()) {
	for ctx.Err() == nil {
		line, err := c.line()
		bad := err
		if err != errLongLine {
			var x command
			if x, bad = parseCommand(line); bad == nil && x.verb == "quit" || err != nil && c.typed {
				quit()
				return
			}
			if bad == nil {
				bad = n.do(x)
			}
		}
		if bad != nil {
			n.out.reply(time.Now(), failure(bad))
		}
		if err != nil && err != errLongLine {
			return // the end, or as good as that: the peer goes on
		}
	}
}

// do carries out one command and prints what came of it.
func (n *node) do(c command) (err error) {
	switch c.verb {
	case "":
		return nil
	case "help":
		text := helpText
		if n.peer == nil {
			text = serverHelp
		}
		n.out.reply(time.Now(), help(text))
		return nil
	case "stats":
		now := time.Now()
		n.out.reply(now, n.stats(now).event("stats", "has run for"))
		return nil
	}
	n.socket.Do(func(now time.Time) {
		var e event
		if e, err = n.change(now, c); err == nil {
			n.out.reply(now, e)
		}
	})
	return err
}

// entries are members in print, by name.
func (n *node) entries(all []core.Member) []entry {
	list := []entry{}
	for _, x := range all {
		list = append(list, n.entry(x))
	}
	slices.SortFunc(list, func(a, b entry) int { return strings.Compare(a.Name, b.Name) })
	return list
}

// change does what needs the machine.
func (n *node) change(now time.Time, c command) (event, error) {
	p := n.peer
	switch {
	case p == nil && c.verb != "peers":
		verb, _, _ := strings.Cut(c.verb, " ")
		return event{}, fmt.Errorf("%s is for a peer, a server takes peers, stats, quit and help", verb)
	case p == nil:
		var list []core.Member
		for m := range n.members(now) {
			list = append(list, m)
		}
		return members(n.entries(list)), nil
	}
	switch c.verb {
	case "peers":
		return peers(p.Online(), p.Joined(), n.entries(p.Others())), nil
	case "send":
		if word, text, found := strings.Cut(c.text, " "); found && n.wide && slices.ContainsFunc(p.Others(), func(m core.Member) bool { return string(m.Name) == word }) {
			c.to, c.text = core.Name(word), strings.TrimSpace(text)
		}
		to := len(p.Others())
		if c.to != "" {
			to = 1
		}
		return sent(string(c.to), to, []byte(c.text)), p.Send(now, c.to, []byte(c.text))
	case "broadcast on", "broadcast off":
		n.broadcast = c.verb == "broadcast on"
		return n.setBroadcast(now), nil
	case "connect":
		p.Connect(now)
		n.setBroadcast(now) // as it was said last
		return connected(), nil
	default: // disconnect
		p.Disconnect()
		return disconnected(), nil
	}
}

func (n *node) setBroadcast(now time.Time) event {
	interval := n.interval
	if !n.broadcast {
		interval = 0
	}
	n.peer.Broadcast(core.Schedule{First: now.Add(interval), Interval: interval})
	return broadcasting(interval)
}
