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

// peer is what a mesh can do to one of its peers, wherever that runs.
type peer interface {
	Join(l Life) error // start a life; the peer must be dead
	Rejoin()           // be born again within the same life
	Kill()             // end the life without a word
	Pause() error      // stop the process, or what is like it
	Resume()
	Broadcast(b Broadcasts)
	Silence() // send nothing more
	Stop()    // leave for good and free everything
}

// localPeer is a goroutine of this process.
type localPeer struct {
	*Member
	release func() // nil: it is not paused
}

func (p *localPeer) Pause() error {
	p.release = udp.Hold(p.sock)
	return nil
}

func (p *localPeer) Resume() {
	if p.release != nil {
		p.release()
		p.release = nil
	}
}

func (p *localPeer) Stop() {
	p.Resume()
	p.sock.Close()
}

// command is what a mesh tells a peer process, one JSON object a line. Each is
// answered by a line: empty, or what went wrong.
type command struct {
	Do         string      `json:"do"`
	Life       *Life       `json:"life,omitempty"`
	Broadcasts *Broadcasts `json:"broadcasts,omitempty"`
}

// Child is the whole of a peer process: the socket is file 3, the store file 4.
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
		var o command
		err := json.Unmarshal(in.Bytes(), &o)
		if err == nil {
			err = s.obey(o)
		}
		answer := ""
		if err != nil {
			answer = err.Error()
		}
		fmt.Println(answer)
	}
	return home.Close()
}

func (s *Member) obey(o command) error {
	switch o.Do {
	case "birth":
		return s.Join(*o.Life)
	case "hello": // is anybody there?
	case "rebirth":
		s.Rejoin()
	case "broadcast":
		s.Broadcast(*o.Broadcasts)
	case "silence":
		s.Silence()
		s.rec.Slot.Unsent.Store(s.sock.Stats().SendFailures)
	default:
		return fmt.Errorf("no such command: %q", o.Do)
	}
	return nil
}

// ProcessPeer is a process of its own, which a kill kills. The mesh keeps its
// socket: so the port stays its own, and what is left in the queue when it
// dies can be counted.
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

// start makes the process, which waits for a life.
func (p *ProcessPeer) start() (err error) {
	if p.childProcess, err = startChild(fmt.Sprintf(childSlot, p.number, p.peers), p.udp, p.store); err != nil {
		p.Cmd = nil
		return fmt.Errorf("cannot start a peer process: %w", err)
	}
	return nil
}

// tell gives a command and waits until it has been obeyed. A process that is
// gone, or does not answer, is dead from then on.
func (p *ProcessPeer) tell(o command) error {
	if p.Cmd == nil {
		return errors.New("the peer process is dead")
	}
	answer, err := p.ask(o)
	if err != nil {
		state := p.Cmd
		p.Kill()
		p.Died = "died: " + state.ProcessState.String()
		if errors.Is(err, os.ErrDeadlineExceeded) {
			p.Died = fmt.Sprintf("did not answer within %v, and was killed", commandTimeout)
		}
		return fmt.Errorf("its process %s", p.Died)
	}
	if answer != "" {
		return errors.New(answer)
	}
	return nil
}

func (p *ProcessPeer) Join(l Life) error {
	if p.Cmd == nil {
		p.drain()
		if err := p.start(); err != nil {
			return err
		}
	}
	return p.tell(command{Do: "birth", Life: &l})
}

// drain counts what came while nobody lived here.
func (p *ProcessPeer) drain() { p.mine.Dead.Add(p.sock.Discard()) }

func (p *ProcessPeer) Rejoin() { p.tell(command{Do: "rebirth"}) }
func (p *ProcessPeer) Broadcast(b Broadcasts) {
	p.tell(command{Do: "broadcast", Broadcasts: &b})
}
func (p *ProcessPeer) Silence() { p.tell(command{Do: "silence"}) }

func (p *ProcessPeer) Kill() {
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

func (p *ProcessPeer) Pause() error {
	if p.Cmd == nil {
		return errors.New("the peer process is dead")
	}
	p.stopped = true
	return p.Cmd.Process.Signal(target.Stop)
}

func (p *ProcessPeer) Resume() {
	if p.Cmd != nil && p.stopped {
		p.Cmd.Process.Signal(target.Continue)
	}
	p.stopped = false
}

func (p *ProcessPeer) Stop() {
	p.Resume()
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

// ExternalPeer is a process of another implementation. What it sees is not
// known; what it does is seen by the others.
type ExternalPeer struct {
	command target.Command
	release func() // gives its port back
	Proc    *target.Process
}

func (p *ExternalPeer) Join(Life) (err error) {
	p.Proc, err = target.Start(p.command)
	return err
}

func (p *ExternalPeer) Kill() {
	if p.Proc != nil {
		p.Proc.Kill()
		p.Proc = nil
	}
}

func (p *ExternalPeer) Pause() error {
	if p.Proc == nil {
		return errors.New("the external peer is dead")
	}
	return p.Proc.Signal(target.Stop)
}

func (p *ExternalPeer) Resume() {
	if p.Proc != nil {
		p.Proc.Signal(target.Continue)
	}
}

func (p *ExternalPeer) Rejoin()              {}
func (p *ExternalPeer) Broadcast(Broadcasts) {}
func (p *ExternalPeer) Silence()             { p.Kill() }
func (p *ExternalPeer) Stop()                { p.Kill(); p.release() }
