package driver

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"slices"
	"sync"
	"time"

	"p2plocal/fuzz/target"
)

// Config is what a driver is started with.
type Config struct {
	Exec    string // its command line
	Members []Member
	Server  *Place // of a server that the mesh may have, where members are bound elsewhere
	Options map[string]string
	Stderr  io.Writer     // gets what it says to people; nil: nobody does
	Within  time.Duration // it must be ready; 0: readyTimeout
	// Report gets each view, message, sent, joined, done, unsupported and failed report and each log,
	// in order, and when it was read. It must not keep the Report, which is read into again.
	Report func(r *Report, read time.Time)
}

// Driver is a driver that runs.
type Driver struct {
	Ready Report

	cfg   Config
	proc  *target.Process
	in    *os.File // its standard input
	write sync.Mutex
	out   *os.File
	read  chan struct{} // closed when its output has ended

	mu      sync.Mutex
	err     error // what ended its output
	waiting []*answer
	echoes  uint64
}

// answer is one that somebody waits for.
type answer struct {
	ok  func(*Report) bool
	got chan Report // of one
}

const (
	readyTimeout = 30 * time.Second // a mesh may have to make itself ready
	writeTimeout = 5 * time.Second
	stopTimeout  = 5 * time.Second
)

// Start starts a driver and waits until it is ready. Whoever starts it must Stop
// or Kill it.
func Start(ctx context.Context, c Config) (*Driver, error) {
	if c.Report == nil {
		c.Report = func(*Report, time.Time) {}
	}
	if c.Within == 0 {
		c.Within = readyTimeout
	}
	d := &Driver{cfg: c, read: make(chan struct{})}
	stdin, in, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	out, stdout, err := os.Pipe()
	if err != nil {
		stdin.Close()
		in.Close()
		return nil, err
	}
	d.in, d.out = in, out
	d.proc, err = target.Start(target.Command{Line: c.Exec, Stdin: stdin, Stdout: stdout, Output: c.Stderr})
	stdin.Close()
	stdout.Close() // the driver's end alone is left: its death is the end of the output
	if err != nil {
		in.Close()
		out.Close()
		return nil, err
	}
	go d.reports()
	d.Ready, err = d.Ask(ctx, Command{Type: "init", Version: Version, Members: c.Members, Server: c.Server, Options: c.Options}, c.Within)
	if err != nil {
		d.Kill()
		return nil, err
	}
	return d, nil
}

// reports reads what the driver says.
func (d *Driver) reports() {
	defer close(d.read)
	lines := NewReader(d.out, d.cfg.Members)
	var r Report
	for {
		err := lines.Next(&r)
		if err != nil {
			d.mu.Lock()
			if d.err = err; err == io.EOF {
				d.err = nil
			}
			d.mu.Unlock()
			return
		}
		now := time.Now()
		if r.Type != "message" && r.Type != "sent" && r.Type != "view" && d.answered(&r) {
			continue
		}
		d.cfg.Report(&r, now)
	}
}

// answered gives a report to who waits for it. What a mesh is measured by goes on to
// Report all the same.
func (d *Driver) answered(r *Report) (only bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	i := slices.IndexFunc(d.waiting, func(a *answer) bool { return a.ok(r) })
	if i >= 0 {
		d.waiting[i].got <- *r
		d.waiting = slices.Delete(d.waiting, i, i+1)
	}
	return r.Type == "ready" || r.Type == "stats" || r.Type == "echo"
}

// Tell gives a command and waits for nothing.
func (d *Driver) Tell(c Command) error {
	line, err := json.Marshal(c)
	if err != nil {
		return err
	}
	return d.TellLine(append(line, '\n'))
}

// TellLine gives a line as it stands.
func (d *Driver) TellLine(line []byte) error {
	d.write.Lock()
	defer d.write.Unlock()
	d.in.SetWriteDeadline(time.Now().Add(writeTimeout))
	if _, err := d.in.Write(line); errors.Is(err, os.ErrDeadlineExceeded) {
		return fmt.Errorf("the driver has not read a command for %v", writeTimeout)
	} else if err != nil {
		return d.gone()
	}
	return nil
}

// answers are the types by which commands are answered.
var answers = map[string]string{"init": "ready", "join": "joined", "kill": "done", "leave": "done", "pause": "done", "resume": "done", "stats": "stats", "echo": "echo"}

// Ask gives a command and waits for its answer: an error is what the driver
// failed with, ErrUnsupported, or that it is silent or gone.
func (d *Driver) Ask(ctx context.Context, c Command, most time.Duration) (Report, error) {
	a := &answer{got: make(chan Report, 1), ok: func(r *Report) bool {
		if r.Type == "failed" || r.Type == "unsupported" {
			return r.Do == c.Type && (r.Member == c.Member || r.Member == "")
		}
		return r.Type == answers[c.Type] && r.Member == c.Member && r.ID == c.ID && (r.Type != "done" || r.Do == c.Type)
	}}
	d.mu.Lock()
	d.waiting = append(d.waiting, a)
	d.mu.Unlock()
	defer func() {
		d.mu.Lock()
		d.waiting = slices.DeleteFunc(d.waiting, func(b *answer) bool { return a == b })
		d.mu.Unlock()
	}()
	if err := d.Tell(c); err != nil {
		return Report{}, err
	}
	r, err := d.await(ctx, a, c.Type, most)
	switch {
	case err != nil:
		return r, err
	case r.Type == "failed":
		return r, fmt.Errorf("the driver failed to %s: %s", c.Type, r.Text)
	case r.Type == "unsupported":
		return r, fmt.Errorf("%s: %w by this driver", c.Type, ErrUnsupported)
	}
	return r, nil
}

// await waits for an answer.
func (d *Driver) await(ctx context.Context, a *answer, to string, most time.Duration) (Report, error) {
	w := wait{most: most}
	for over := false; ; {
		select {
		case r := <-a.got:
			return r, nil
		default:
		}
		if over {
			return Report{}, fmt.Errorf("the driver did not answer %q within %v", to, most)
		}
		select {
		case r := <-a.got:
			return r, nil
		case <-d.read:
			select {
			case r := <-a.got: // its last word
				return r, nil
			default:
				return Report{}, d.gone()
			}
		case <-w.part():
			over = w.over(d)
		case <-ctx.Done():
			return Report{}, ctx.Err()
		}
	}
}

// wait is for what may take a driver a time, of which it is given back what it has waited for a processor.
type wait struct {
	most, left time.Duration
	parts      int
	waited     time.Duration
	known      bool // what it had waited before
}

// part is over when the driver is to be looked at: if need be, after half of the time to learn what it has waited.
func (w *wait) part() <-chan time.Time {
	if w.parts++; w.parts == 1 {
		w.left = w.most
		if !w.known {
			w.left /= 2
		}
	}
	return time.After(w.left)
}

// over says that nothing is left after a part.
func (w *wait) over(d *Driver) bool {
	const most = 50 // parts
	now, _ := d.proc.Waited()
	w.left, w.waited = min(w.left, now-w.waited), now
	if !w.known {
		w.known, w.left = true, w.most/2
		return false
	}
	return w.left < w.most/50 || w.parts == most
}

// Echo is how long a line to the driver and its answer take: half of it is the
// pipe's part in a time that the harness stamps.
func (d *Driver) Echo(ctx context.Context, most time.Duration) (time.Duration, error) {
	d.mu.Lock()
	d.echoes++
	id := d.echoes
	d.mu.Unlock()
	start := time.Now()
	_, err := d.Ask(ctx, Command{Type: "echo", ID: id}, most)
	return time.Since(start), err
}

// Err is why the driver can be measured no longer; nil while it can.
func (d *Driver) Err() error {
	select {
	case <-d.read:
		return d.gone()
	default:
		return nil
	}
}

// gone says how the driver's output ended.
func (d *Driver) gone() error {
	d.mu.Lock()
	err := d.err
	d.mu.Unlock()
	if err != nil {
		return err
	}
	select {
	case <-d.proc.Done():
	case <-time.After(stopTimeout):
		return errors.New("the driver has closed its output, and goes on")
	}
	return fmt.Errorf("the driver ended: %s", d.proc.Ended())
}

// Process is what runs, for its CPU time and memory.
func (d *Driver) Process() *target.Process { return d.proc }

// ends waits for the driver's end.
func (d *Driver) ends() bool {
	w := wait{most: stopTimeout, known: true}
	w.waited, _ = d.proc.Waited()
	for over := false; ; {
		select {
		case <-d.proc.Done():
			return true
		default:
		}
		if over {
			return false
		}
		select {
		case <-d.proc.Done():
		case <-w.part():
			over = w.over(d)
		}
	}
}

// Stop has the driver end in its own way, and kills it where that does not.
func (d *Driver) Stop() error {
	err := d.Tell(Command{Type: "stop"})
	d.in.Close()
	if d.ends() {
		if state, _ := d.proc.State(); err == nil && !state.Success() {
			err = fmt.Errorf("the driver ended: %s", d.proc.Ended())
		}
	} else {
		err = fmt.Errorf("the driver did not end within %v of stop, and was killed", stopTimeout)
	}
	d.Kill()
	return err
}

// Kill ends it at once. What it has said is read to the end.
func (d *Driver) Kill() {
	d.proc.Kill()
	select {
	case <-d.read:
	case <-time.After(stopTimeout): // somebody whom it left behind holds its output
	}
	d.in.Close()
	d.out.Close()
}

// Addresses gives each member one of its own on this host.
func Addresses(members []Member) (release func(), err error) {
	var all []func()
	release = func() {
		for _, f := range all {
			f()
		}
	}
	host := target.OwnHost()
	for i := range members {
		port, f, err := target.FreePort(host)
		if err != nil {
			release()
			return nil, err
		}
		all = append(all, f)
		members[i].Addr = netip.AddrPortFrom(host, port)
	}
	return release, nil
}

// Bind has each member bound at a host of its own: by that a relay knows whose a stream is.
func Bind(members []Member) {
	const hosts = 1<<24 - 2 // of 127.0.0.0/8
	for i := range members {
		at := members[i].Addr
		b := at.Addr().As4()
		binary.BigEndian.PutUint32(b[:], 127<<24+(binary.BigEndian.Uint32(b[:])%(1<<24)+uint32(i)+1)%hosts+1)
		members[i].Bind = netip.AddrPortFrom(netip.AddrFrom4(b), at.Port())
	}
}
