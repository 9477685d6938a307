package driver

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"sync"
)

// Mesh is what a driver written in Go hosts. Its methods are called one after
// the other; one that takes its time, such as Join where it waits, goes on in a
// goroutine of its own and reports when it is over. What a mesh cannot do is
// answered by ErrUnsupported.
type Mesh interface {
	Init(c Command) (Report, error) // the name and version, and what is unsupported
	Join(member string) error
	Broadcast(member string, id uint64, size int) error
	Kill(member string) error
	Leave(member string) error
	Pause(member string) error
	Resume(member string) error
	Stats() Stats
	Stop() // everything; what is reported after it is dropped
}

// ErrUnsupported is what a mesh cannot do.
var ErrUnsupported = errors.New("unsupported")

// Reporter writes reports. Its methods may be called from everywhere.
type Reporter struct {
	mu      sync.Mutex
	room    sync.Cond // there is some for pending
	pending []byte
	names   map[string][]byte // quoted
	wake    chan struct{}
	out     io.Writer
	done    chan struct{}
	err     error
	closed  bool
}

// mostPending is how many bytes wait for a harness that is slow to read. Who reports more
// waits, too, as whoever writes to a full pipe.
const mostPending = 1 << 20

func newReporter(out io.Writer) *Reporter {
	r := &Reporter{names: map[string][]byte{}, wake: make(chan struct{}, 1), out: out, done: make(chan struct{})}
	r.room.L = &r.mu
	go r.write()
	return r
}

// write hands over what has come together while the last of it was written: one
// system call a line would cost more than the line.
func (r *Reporter) write() {
	defer close(r.done)
	var spare []byte
	for range r.wake {
		r.mu.Lock()
		lines := r.pending
		r.pending = spare[:0]
		r.room.Broadcast()
		r.mu.Unlock()
		if _, err := r.out.Write(lines); err != nil {
			r.mu.Lock()
			r.err = err
			r.mu.Unlock()
		}
		spare = lines
	}
}

// add appends a line with what f appends.
func (r *Reporter) add(f func([]byte) []byte) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for len(r.pending) > mostPending {
		r.room.Wait()
	}
	if r.err != nil || r.closed {
		return
	}
	r.pending = f(r.pending)
	select {
	case r.wake <- struct{}{}:
	default:
	}
}

// Report writes a report.
func (r *Reporter) Report(x Report) {
	line, err := json.Marshal(x)
	if err != nil {
		return // a Report is always written
	}
	r.add(func(b []byte) []byte { return append(append(b, line...), '\n') })
}

// Message reports a message that a member got. It does not allocate in the long
// run: names are quoted once.
func (r *Reporter) Message(member, from string, id uint64, at int64) {
	r.add(func(b []byte) []byte {
		b = append(append(b, `{"type":"message","member":`...), r.quoted(member)...)
		b = append(append(b, `,"from":`...), r.quoted(from)...)
		b = strconv.AppendUint(append(b, `,"id":`...), id, 10)
		b = strconv.AppendInt(append(b, `,"at":`...), at, 10)
		return append(b, "}\n"...)
	})
}

func (r *Reporter) quoted(name string) []byte {
	q, ok := r.names[name]
	if !ok {
		q, _ = json.Marshal(name)
		r.names[name] = q
	}
	return q
}

// close writes what there is left. What is reported later, by what a mesh could not wait for, is not.
func (r *Reporter) close() error {
	r.mu.Lock()
	r.closed = true
	r.mu.Unlock()
	close(r.wake)
	<-r.done
	return r.err
}

// Serve obeys the commands of in until they end, and then stops the mesh, which
// make makes with the Reporter for its reports.
func Serve(in io.Reader, out io.Writer, make func(*Reporter) Mesh) error {
	report := newReporter(out)
	m := make(report)
	s := &server{mesh: m, report: report}
	lines := bufio.NewReaderSize(in, MaxLine)
	for {
		line, err := lines.ReadSlice('\n')
		if err == io.EOF && len(line) == 0 {
			break
		} else if err != nil && err != io.EOF {
			s.fail("", "", fmt.Errorf("a command that cannot be read: %w", err))
			break
		}
		var c Command
		if err := json.Unmarshal(line, &c); err != nil {
			s.fail("", "", fmt.Errorf("%.100q is no command: %w", line, err))
			continue
		}
		if c.Type == "stop" {
			break
		}
		s.obey(c)
	}
	if s.ready {
		m.Stop()
	}
	return report.close()
}

type server struct {
	mesh    Mesh
	report  *Reporter
	ready   bool
	members map[string]bool
}

func (s *server) fail(do, member string, err error) {
	if errors.Is(err, ErrUnsupported) {
		s.report.Report(Report{Type: "unsupported", Do: do, Member: member})
		return
	}
	s.report.Report(Report{Type: "failed", Do: do, Member: member, Text: err.Error()})
}

func (s *server) obey(c Command) {
	switch {
	case c.Type == "echo":
		s.report.Report(Report{Type: "echo", ID: c.ID})
		return
	case c.Type == "init":
		s.init(c)
		return
	case !s.ready:
		s.fail(c.Type, "", errors.New("it comes before init"))
		return
	case c.Type == "stats":
		s.report.Report(Report{Type: "stats", Stats: s.mesh.Stats()})
		return
	}
	act, known := map[string]func(string) error{"join": s.mesh.Join, "kill": s.mesh.Kill, "leave": s.mesh.Leave, "pause": s.mesh.Pause, "resume": s.mesh.Resume,
		"broadcast": func(member string) error { return s.mesh.Broadcast(member, c.ID, c.Size) }}[c.Type]
	switch {
	case !known:
		s.fail(c.Type, "", fmt.Errorf("%q is no command", c.Type))
	case !s.members[c.Member]:
		s.fail(c.Type, "", fmt.Errorf("%q is no member", c.Member))
	default:
		if err := act(c.Member); err != nil {
			s.fail(c.Type, c.Member, err)
		}
	}
}

func (s *server) init(c Command) {
	switch {
	case s.ready:
		s.fail(c.Type, "", errors.New("init came before"))
		return
	case c.Version != Version:
		s.fail(c.Type, "", fmt.Errorf("version %d of the driver protocol, want %d", c.Version, Version))
		return
	case len(c.Members) == 0:
		s.fail(c.Type, "", errors.New("there are no members, want one or more"))
		return
	}
	s.members = make(map[string]bool, len(c.Members))
	for _, m := range c.Members {
		if m.Name == "" || s.members[m.Name] {
			s.fail(c.Type, "", fmt.Errorf("the name %q is empty or there twice", m.Name))
			return
		}
		s.members[m.Name] = true
	}
	r, err := s.mesh.Init(c)
	if err != nil {
		s.fail(c.Type, "", err)
		return
	}
	r.Type = "ready"
	s.ready = true
	s.report.Report(r)
}
