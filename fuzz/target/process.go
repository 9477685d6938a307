package target

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"time"
)

// Process is a command that runs in a process group of its own.
type Process struct {
	cmd    *exec.Cmd
	input  *os.File // the other end of its standard input; nil: it is empty
	output io.Writer
	done   chan struct{}
	ended  time.Time

	mu   sync.Mutex
	tail []byte // the end of what it has printed

	waits waits         // see Waited
	held  time.Duration // for which others have stopped it
	still time.Time     // since when others have; zero: they have not
	byUs  bool          // we have
}

const (
	tailSize   = 4096 // bytes of output that are kept
	quoteLines = 3    // of it that are quoted
	lineLength = 200  // bytes of a line that are shown
)

// Start starts a command. Whoever starts it must Kill it.
func Start(c Command) (*Process, error) {
	words, err := c.words()
	if err != nil {
		return nil, err
	}
	p := &Process{cmd: exec.Command(words[0], words[1:]...), output: c.Output, done: make(chan struct{})}
	if c.Input {
		stdin, input, err := os.Pipe()
		if err != nil {
			return nil, err
		}
		defer stdin.Close()
		p.cmd.Stdin, p.input = stdin, input
	}
	p.cmd.Stdout, p.cmd.Stderr = outputOf{p}, outputOf{p}
	if c.Stdin != nil {
		p.cmd.Stdin = c.Stdin
	}
	if c.Stdout != nil {
		p.cmd.Stdout = c.Stdout
	}
	p.cmd.WaitDelay = time.Second // a child that it has left behind may hold its output
	ownGroup(p.cmd)
	if err := StartTied(p.cmd); err != nil {
		p.closeInput()
		return nil, fmt.Errorf("cannot start %q: %w", strings.Join(words, " "), err)
	}
	watchStops(p)
	go func() {
		p.cmd.Wait()
		p.ended = time.Now()
		close(p.done)
	}()
	return p, nil
}

// outputOf takes a process's output.
type outputOf struct{ p *Process }

func (o outputOf) Write(b []byte) (int, error) {
	p := o.p
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.output != nil {
		p.output.Write(b)
	}
	p.tail = append(p.tail, b...)
	p.tail = append(p.tail[:0], p.tail[max(0, len(p.tail)-tailSize):]...)
	return len(b), nil
}

// Done is closed when the process has ended.
func (p *Process) Done() <-chan struct{} { return p.done }

// Ended says how the process ended, with the end of its output quoted; "" while
// it runs.
func (p *Process) Ended() string {
	select {
	case <-p.done:
	default:
		return ""
	}
	if tail := p.Tail(quoteLines); tail != "" {
		return fmt.Sprintf("%v, last output %.240q", p.cmd.ProcessState, strings.ReplaceAll(tail, "\n", " / "))
	}
	return fmt.Sprintf("%v, no output", p.cmd.ProcessState)
}

// State is the process's end and when that was; nil while it runs.
func (p *Process) State() (*os.ProcessState, time.Time) {
	select {
	case <-p.done:
		return p.cmd.ProcessState, p.ended
	default:
		return nil, time.Time{}
	}
}

// Tail is the last lines of the output, long ones cut.
func (p *Process) Tail(lines int) string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return LastLines(string(p.tail), lines)
}

// LastLines are those of an output, long ones cut.
func LastLines(output string, lines int) string {
	all := strings.Split(strings.TrimSpace(output), "\n")
	all = all[max(0, len(all)-lines):]
	for i, l := range all {
		if len(l) > lineLength {
			all[i] = l[:lineLength] + "..."
		}
	}
	return strings.Join(all, "\n")
}

// Pid is the process's number, and that of its group.
func (p *Process) Pid() int { return p.cmd.Process.Pid }

// Signal sends a signal to the process and to all that it has started.
func (p *Process) Signal(s syscall.Signal) error {
	p.mu.Lock()
	p.byUs = s == Stop || p.byUs && s != Continue
	p.mu.Unlock()
	return signalGroup(p.cmd.Process, s)
}

// stopped notes that somebody has stopped the process.
func (p *Process) stopped(now time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.byUs {
		p.still = now
	}
}

// continued notes that it goes on.
func (p *Process) continued(now time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.still.IsZero() {
		p.held += now.Sub(p.still)
	}
	p.still = time.Time{}
}

func (p *Process) closeInput() {
	if p.input != nil {
		p.input.Close()
	}
}

// Kill ends the process and all that it has started, and waits until it is gone.
func (p *Process) Kill() {
	if p.Signal(syscall.SIGKILL) != nil {
		p.cmd.Process.Kill()
	}
	<-p.done
	p.closeInput()
}
