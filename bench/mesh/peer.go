package mesh

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"os/signal"
	"sync/atomic"
	"time"

	"p2plocal/bench/record"
	"p2plocal/core/udp"
	"p2plocal/fuzz/target"
)

// peer is one of a mesh's peers, wherever it runs.
type peer interface {
	Do(c Command) error
	Stop()          // leave for good and free everything
	Socket() socket // nil: it is not known here what its socket does
}

// Command is what a mesh tells a peer. A peer process reads one JSON object a line, and answers
// with a line that is empty or says what went wrong.
type Command struct {
	Do         string      `json:"do"`
	Life       *Life       `json:"life,omitempty"`       // of Birth
	Broadcasts *Broadcasts `json:"broadcasts,omitempty"` // of Broadcast
}

// What a peer can be told.
const (
	Birth     = "birth"   // start a life; the peer must be dead
	Rebirth   = "rebirth" // be born again within the same life
	Kill      = "kill"    // end the life without a word
	Leave     = "leave"   // end it in an orderly way: a driver's member
	Pause     = "pause"   // stop the process, or what is like it
	Resume    = "resume"
	Broadcast = "broadcast" // by a schedule from now on
	Silence   = "silence"   // send nothing more
	hello     = "hello"     // is anybody there?
	restart   = "restart"   // of a server on a host
)

// Child is all that a peer process does. File 3 is its socket, file 4 the store.
func Child() int {
	if err := child(); err != nil {
		fmt.Fprintf(os.Stderr, "meshbench peer: %v\n", err)
		return 1
	}
	return 0
}

func child() error {
	signal.Ignore(os.Interrupt) // Ctrl-C is for the mesh, which ends this process in its own time
	if os.Getenv(childEnv) == senderChild {
		return SendGarbage(os.Stdin, os.Stdout)
	}
	var number, peers int
	if _, err := fmt.Sscanf(os.Getenv(childEnv), childSlot, &number, &peers); err != nil || number < 0 || number >= peers {
		return fmt.Errorf("%s is %q, want a slot and how many there are, as %q", childEnv, os.Getenv(childEnv), fmt.Sprintf(childSlot, 0, 80))
	}
	file := os.NewFile(3, "socket")
	conn, err := net.FilePacketConn(file)
	if err != nil {
		return fmt.Errorf("file 3 is no socket: %w", err)
	}
	file.Close()
	b, unmap, err := record.MapStore(os.NewFile(4, "store"), peers)
	if err != nil {
		return err
	}
	defer unmap()
	u, ok := conn.(*net.UDPConn)
	if !ok {
		return errors.New("file 3 is no UDP socket")
	}
	sock, err := udp.Adopt(u, 0)
	if err != nil {
		return err
	}
	home := newServed(sock)
	s := NewMember(number, home, b, record.NewClock())
	home.start(context.Background(), s)
	in := bufio.NewScanner(os.Stdin)
	for in.Scan() { // the end of input is the end of the mesh
		var c Command
		err := json.Unmarshal(in.Bytes(), &c)
		if err == nil {
			err = s.Do(c)
		}
		s.rec.Slot.Unsent.Store(sock.Stats().SendFailures)
		answer := ""
		if err != nil {
			answer = err.Error()
		}
		fmt.Println(answer)
	}
	return home.Close()
}

// ProcessPeer is a process of its own, which a kill kills. The mesh keeps its socket, so that the
// port stays taken and what is left in the queue can be counted.
type ProcessPeer struct {
	number int
	peers  int // of the mesh
	udp    *os.File
	store  *os.File
	mine   *record.Slot
	sock   *udp.Socket // the mesh's hold on the same socket

	childProcess
	spent   *atomic.Int64 // CPU time of ended processes, in ns
	stopped bool
	Died    string // how, if nobody here did it
}

// start starts the process, which waits for a life.
func (p *ProcessPeer) start() (err error) {
	if p.childProcess, err = startChild(fmt.Sprintf(childSlot, p.number, p.peers), p.udp, p.store); err != nil {
		p.Cmd = nil
		return fmt.Errorf("cannot start a peer process: %w", err)
	}
	return nil
}

func (p *ProcessPeer) Do(c Command) error {
	switch {
	case c.Do == Kill:
		p.kill()
		return nil
	case c.Do == Resume:
		if p.Cmd != nil && p.stopped {
			p.Cmd.Process.Signal(target.Continue)
		}
		p.stopped = false
		return nil
	case c.Do == Birth && p.Cmd == nil:
		p.drain()
		if err := p.start(); err != nil {
			return err
		}
	case p.Cmd == nil:
		return errors.New("the peer process is dead")
	case c.Do == Pause:
		p.stopped = true
		return p.Cmd.Process.Signal(target.Stop)
	}
	return p.tell(c)
}

// tell sends a command and waits until it has been carried out. A process that is gone or does not
// answer is dead from then on.
func (p *ProcessPeer) tell(c Command) error {
	patience := p.patience()
	answer, err := p.ask(c, patience)
	if err != nil {
		state := p.Cmd
		p.kill()
		p.Died = "died: " + state.ProcessState.String()
		if errors.Is(err, os.ErrDeadlineExceeded) {
			p.Died = fmt.Sprintf("did not answer within %v, and was killed", patience)
		}
		return fmt.Errorf("its process %s", p.Died)
	}
	if answer != "" {
		return errors.New(answer)
	}
	return nil
}

// drain counts what came while nobody was alive here.
func (p *ProcessPeer) drain() { p.mine.Dead.Add(p.sock.Discard()) }

func (p *ProcessPeer) Socket() socket { return p.sock }

func (p *ProcessPeer) kill() {
	if p.Cmd != nil {
		p.Cmd.Process.Kill()
		p.reap()
		p.mine.Vanish()
	}
}

func (p *ProcessPeer) reap() {
	p.in.Close()
	p.Cmd.Wait()
	p.spent.Add(int64(p.Cmd.ProcessState.UserTime() + p.Cmd.ProcessState.SystemTime()))
	p.Cmd = nil
}

func (p *ProcessPeer) Stop() {
	p.Do(Command{Do: Resume})
	if p.Cmd != nil {
		p.in.Close() // which ends it
		done := time.AfterFunc(2*time.Second, func() { p.Cmd.Process.Kill() })
		p.reap()
		done.Stop()
	}
	p.drain()
	p.sock.Close()
	p.udp.Close()
}

// ExternalPeer is a process of another implementation. Its view is not known; what it does is seen
// by the others.
type ExternalPeer struct {
	command target.Command
	release func() // gives its port back
	Proc    *target.Process
}

func (p *ExternalPeer) Do(c Command) (err error) {
	switch {
	case c.Do == Birth:
		p.Proc, err = target.Start(p.command)
	case p.Proc == nil && c.Do == Pause:
		err = errors.New("the external peer is dead")
	case p.Proc == nil:
	case c.Do == Kill || c.Do == Silence:
		p.Proc.Kill()
		p.Proc = nil
	case c.Do == Pause:
		err = p.Proc.Signal(target.Stop)
	case c.Do == Resume:
		err = p.Proc.Signal(target.Continue)
	}
	return err
}

func (p *ExternalPeer) Socket() socket { return nil }

func (p *ExternalPeer) Stop() {
	p.Do(Command{Do: Kill})
	p.release()
}
