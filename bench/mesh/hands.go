package mesh

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"p2plocal/bench/faults"
	"p2plocal/bench/record"
	"p2plocal/bench/sample"
	"p2plocal/core/simnet"
)

// ordered is an order from somebody who watches, and where the answer goes.
type ordered struct {
	sample.Order
	answer chan<- obeyed
}

type obeyed struct {
	script string
	err    error
}

// underway is a fault that was ordered, and that somebody may end.
type underway struct {
	fault *faults.Fault
	end   func() error // nil: it has ended
}

// Control has the watch take orders through the function that it returns. What is done becomes
// lines of a fault script, which that function returns.
func (w *Watch) Control() func(context.Context, sample.Order) (script string, err error) {
	w.orders = make(chan ordered)
	return func(ctx context.Context, o sample.Order) (string, error) {
		const patience = 5 * time.Second
		ctx, cancel := context.WithTimeout(ctx, patience)
		defer cancel()
		answer := make(chan obeyed, 1)
		select {
		case w.orders <- ordered{o, answer}:
			a := <-answer
			return a.script, a.err
		case <-ctx.Done():
			return "", errors.New("no mesh took the order: none is there now, or it is not ours to act on")
		}
	}
}

// takesOrders reports whether orders may come.
func (m *Mesh) takesOrders() bool {
	return m.watch != nil && m.watch.orders != nil && m.opt.Driver == nil && m.opt.Hosts == 0
}

// obey carries out the orders that have come.
func (m *Mesh) obey(ctx context.Context) {
	for {
		select {
		case o := <-m.watch.orders:
			script, err := m.order(ctx, o.Order)
			if err == nil { // so that who opens the page later knows that the run is touched
				m.Tell("order", -1, "ordered: %s", strings.ReplaceAll(script, "\n", "; "))
			}
			o.answer <- obeyed{script, err}
		default:
			return
		}
	}
}

// order carries out one.
func (m *Mesh) order(ctx context.Context, o sample.Order) (string, error) {
	peer, err := m.who(o.Peer)
	if err != nil {
		return "", err
	}
	other, err := m.who(o.Other)
	if err != nil {
		return "", err
	}
	switch {
	case peer == 0 && (o.Verb == "kill" || o.Verb == "relaunch"):
		return "", fmt.Errorf("order %q wants a peer, or server", o.Verb)
	case peer <= simnet.ServerPort && (o.Verb == "pause" || o.Verb == "resume"):
		return "", fmt.Errorf("order %q wants a peer", o.Verb)
	}
	switch o.Verb {
	case "kill":
		return m.beginFaults(faults.Fault{Verb: faults.Crash, A: peer})
	case "pause":
		return m.beginFaults(faults.Fault{Verb: faults.Pause, A: peer})
	case "relaunch":
		return m.endFaults(func(f *faults.Fault) bool { return f.Verb == faults.Crash && f.A == peer })
	case "resume":
		return m.endFaults(func(f *faults.Fault) bool { return f.Verb == faults.Pause && f.A == peer })
	case "restart":
		if _, err := m.beginFaults(faults.Fault{Verb: faults.Crash, A: simnet.ServerPort}); err != nil {
			return "", err
		}
		const down = 100 * time.Millisecond
		m.World.Sleep(ctx, down)
		return m.endFaults(func(f *faults.Fault) bool { return f.Verb == faults.Crash && f.A == simnet.ServerPort })
	case "cut", "impair":
		return m.links(o, peer, other)
	case "heal":
		return m.endFaults(func(f *faults.Fault) bool { return isLinkOf(f, peer, other) })
	case "flood":
		if peer == 0 {
			peer = simnet.ServerPort
		}
		return m.beginFaults(faults.Fault{Verb: faults.Flood, A: peer, Kind: o.Kind, N: o.Rate})
	case "calm":
		return m.endFaults(func(f *faults.Fault) bool { return f.Verb == faults.Flood })
	}
	return "", fmt.Errorf("order %q, want kill, pause, resume, relaunch, restart, cut, heal, impair, flood or calm", o.Verb)
}

// isLinkOf reports whether a fault is on a link of a peer's, or between two; 0 stands for
// everybody.
func isLinkOf(f *faults.Fault, peer, other uint16) bool {
	switch f.Verb {
	case faults.Divide:
		return peer == 0
	case faults.Cut, faults.Link:
		return peer == 0 || f.A == peer && (other == 0 || f.B == other) || f.B == peer && (other == 0 || f.A == other)
	}
	return false
}

// links cuts or impairs, both ways, what passes between two, or between one and all others, or
// between the half of the peers that came last and the rest.
func (m *Mesh) links(o sample.Order, peer, other uint16) (string, error) {
	verb, net := faults.Cut, simnet.Fault{}
	if o.Verb == "impair" {
		verb, net.Loss = faults.Link, o.Loss
		if o.Delay != "" {
			d, err := time.ParseDuration(o.Delay)
			if err != nil {
				return "", fmt.Errorf("delay %q, want one such as 10ms", o.Delay)
			}
			net.Delay = d
		}
	}
	half := firstPort + uint16(m.N/2)
	if o.Half && verb == faults.Cut {
		return m.beginFaults(faults.Fault{Verb: faults.Divide, A: half})
	}
	if !o.Half && peer == 0 {
		return "", fmt.Errorf("order %q wants a peer, or half", o.Verb)
	}
	var all []faults.Fault
	both := func(a, b uint16) {
		all = append(all, faults.Fault{Verb: verb, A: a, B: b, Net: net}, faults.Fault{Verb: verb, A: b, B: a, Net: net})
	}
	if !o.Half {
		both(peer, other)
	} else {
		for a := half; a < firstPort+uint16(m.N); a++ {
			both(a, 0)
		}
	}
	return m.beginFaults(all...)
}

// who is the port that scripts use for whom an order names; 0, for everybody, where it names
// nobody.
func (m *Mesh) who(name string) (uint16, error) {
	switch name {
	case "":
		return 0, nil
	case "server":
		return simnet.ServerPort, nil
	}
	for i := range m.N {
		if string(record.SlotName(i)) == name {
			return firstPort + uint16(i), nil
		}
	}
	return 0, fmt.Errorf("peer %q, want one of the mesh's, or server", name)
}

// forever is when a script has a fault end that nobody has ended.
const forever = time.Hour

// scriptTime is now, as a script writes it: over UDP no finer than a hand can time an order.
func (m *Mesh) scriptTime() time.Duration {
	now := time.Duration(m.Clock.Now() - m.began)
	if m.Cfg.Simulation == nil {
		now = now.Truncate(100 * time.Microsecond)
	}
	return now
}

// beginFaults begins what was ordered, and returns it as lines of a script.
func (m *Mesh) beginFaults(all ...faults.Fault) (string, error) {
	var lines []string
	for _, f := range all {
		f.At = m.scriptTime()
		f.Until = max(forever, f.At+time.Second)
		if err := m.script().Check(f); err != nil {
			return "", fmt.Errorf("order for %q: %w", f, err)
		}
		a, err := m.actionOf(f)
		if err == nil {
			err = a.begin()
		}
		if err != nil {
			return "", err
		}
		m.underway = append(m.underway, underway{&f, a.end})
		lines = append(lines, f.String())
	}
	return strings.Join(lines, "\n"), nil
}

// endFaults ends those of the ordered faults that are meant, and returns their lines as they are
// now.
func (m *Mesh) endFaults(meant func(*faults.Fault) bool) (string, error) {
	var lines []string
	for i := range m.underway {
		u := &m.underway[i]
		if u.end == nil || !meant(u.fault) {
			continue
		}
		if err := u.end(); err != nil {
			return "", err
		}
		u.end = nil
		u.fault.Until = max(m.scriptTime(), u.fault.At+100*time.Microsecond)
		lines = append(lines, u.fault.String())
	}
	if len(lines) == 0 {
		return "", errors.New("there is nothing of that kind to end, that was begun here")
	}
	return strings.Join(lines, "\n"), nil
}

// Hands are the faults that were ordered, as lines of a script.
func (m *Mesh) Hands() (lines []string) {
	for _, u := range m.underway {
		lines = append(lines, u.fault.String())
	}
	return lines
}

func (m *Mesh) script() faults.Script {
	return faults.Script{Seed: m.seed, Peers: m.N, Duration: 2 * forever, Calm: 2 * forever}
}
