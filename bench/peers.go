package bench

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"p2plocal/bench/record"
	"p2plocal/core"
	"p2plocal/core/udp"
	fuzztarget "p2plocal/fuzz/target"
)

// peer is what a mesh can do to one of its peers, wherever that runs.
type peer interface {
	birth(l life) error // start a life; the peer must be dead
	rebirth()           // be born again within the same life
	kill()              // end the life without a word
	pause() error       // stop the process, or what is like it
	resume()
	broadcast(first, end int64, interval time.Duration, fill int)
	silence() // send nothing more
	stop()    // leave for good and free everything
}

// localPeer is a goroutine of this process.
type localPeer struct {
	*seat
	paused chan struct{}
	held   chan struct{}
}

// pause holds the lock that the driver needs between two system calls: the
// kernel goes on queueing what comes in, as for a stopped process.
func (p *localPeer) pause() error {
	p.paused, p.held = make(chan struct{}), make(chan struct{})
	stopped := make(chan struct{})
	go func() {
		defer close(p.held)
		p.sock.Do(func(time.Time) {
			close(stopped)
			<-p.paused
		})
	}()
	<-stopped
	return nil
}

func (p *localPeer) resume() {
	if p.paused != nil {
		close(p.paused)
		<-p.held
		p.paused = nil
	}
}

func (p *localPeer) stop() {
	p.resume()
	p.sock.Close()
}

// command is what a mesh tells a peer process, one JSON object a line. Each is
// answered by a line: empty, or what went wrong.
type command struct {
	Do       string        `json:"do"`
	Life     *life         `json:"life,omitempty"`
	First    int64         `json:"first,omitempty"`
	End      int64         `json:"end,omitempty"`
	Interval time.Duration `json:"interval,omitempty"`
	Fill     int           `json:"fill,omitempty"`
}

// childEnv marks a peer process; its value is the seat's number, or senderChild.
const childEnv = "P2PLOCAL_MESH_SEAT"

// IsChild reports that this process was started to be a peer of a mesh, or the
// sender beside it. Its program must call Child then, and exit with what that
// returns.
func IsChild() bool { return os.Getenv(childEnv) != "" }

// Child is the whole of a peer process: the socket is file 3, the board file 4.
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
		return sendGarbage(os.Stdin, os.Stdout)
	}
	number, err := strconv.Atoi(os.Getenv(childEnv))
	if err != nil || number < 0 || number >= core.MaxPeers {
		return fmt.Errorf("%s is %q, want a seat from 0 to %d", childEnv, os.Getenv(childEnv), core.MaxPeers-1)
	}
	file := os.NewFile(3, "socket")
	conn, err := net.FilePacketConn(file)
	if err != nil {
		return fmt.Errorf("file 3 is no socket: %w", err)
	}
	file.Close()
	b, unmap, err := record.MapStore(os.NewFile(4, "board"))
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
	s := newSeat(number, home, b, record.NewClock())
	home.start(context.Background(), sock.Addr().Addr(), s)
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

func (s *seat) obey(o command) error {
	switch o.Do {
	case "birth":
		return s.birth(*o.Life)
	case "hello": // is anybody there?
	case "rebirth":
		s.rebirth()
	case "broadcast":
		s.broadcast(o.First, o.End, o.Interval, o.Fill)
	case "silence":
		s.silence()
		s.rec.Slot.Unsent.Store(s.sock.Stats().SendFailures)
	default:
		return fmt.Errorf("no such command: %q", o.Do)
	}
	return nil
}

// processPeer is a process of its own, which a kill kills. The mesh keeps its
// socket: so the port stays its own, and what is left in the queue when it
// dies can be counted.
type processPeer struct {
	number int
	udp    *os.File
	board  *os.File
	mine   *record.Slot
	sock   *udp.Socket // the mesh's hold on the same socket

	cmd     *exec.Cmd
	in      io.WriteCloser
	answers interface{ SetReadDeadline(time.Time) error }
	out     *bufio.Reader // of answers
	spent   *spent
	stopped bool
	died    string // how, if nobody here did it
}

// spent sums up what ended processes have used.
type spent struct {
	mu  sync.Mutex
	cpu time.Duration
}

func (s *spent) add(p *os.ProcessState) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.cpu += p.UserTime() + p.SystemTime()
}

// start makes the process, which waits for a life.
func (p *processPeer) start() error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	cmd := exec.Command(self)
	cmd.Env = append(os.Environ(), childEnv+"="+strconv.Itoa(p.number))
	cmd.ExtraFiles = []*os.File{p.udp, p.board}
	cmd.Stderr = os.Stderr
	if p.in, err = cmd.StdinPipe(); err != nil {
		return err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	p.answers, _ = out.(*os.File)
	p.out = bufio.NewReader(out)
	if err := fuzztarget.StartTied(cmd); err != nil {
		return fmt.Errorf("cannot start a peer process: %w", err)
	}
	p.cmd = cmd
	return nil
}

// tellPatience is how long a process may take to obey: far longer than a busy
// machine keeps one waiting, but one that somebody has stopped would take for ever.
const tellPatience = 10 * time.Second

// tell gives a command and waits until it has been obeyed. A process that is
// gone, or does not answer, is dead from then on.
func (p *processPeer) tell(o command) error {
	if p.cmd == nil {
		return errors.New("the peer process is dead")
	}
	p.answers.SetReadDeadline(time.Now().Add(tellPatience))
	err := json.NewEncoder(p.in).Encode(o)
	answer := ""
	if err == nil {
		answer, err = p.out.ReadString('\n')
	}
	if err != nil {
		state := p.cmd
		p.kill()
		p.died = "died: " + state.ProcessState.String()
		if errors.Is(err, os.ErrDeadlineExceeded) {
			p.died = fmt.Sprintf("did not answer within %v, and was killed", tellPatience)
		}
		return fmt.Errorf("its process %s", p.died)
	}
	if answer = strings.TrimSpace(answer); answer != "" {
		return errors.New(answer)
	}
	return nil
}

func (p *processPeer) birth(l life) error {
	if p.cmd == nil {
		p.drain()
		if err := p.start(); err != nil {
			return err
		}
	}
	return p.tell(command{Do: "birth", Life: &l})
}

// drain counts what came while nobody lived here.
func (p *processPeer) drain() { p.mine.Dead.Add(p.sock.Discard()) }

func (p *processPeer) rebirth() { p.tell(command{Do: "rebirth"}) }
func (p *processPeer) broadcast(first, end int64, interval time.Duration, fill int) {
	p.tell(command{Do: "broadcast", First: first, End: end, Interval: interval, Fill: fill})
}
func (p *processPeer) silence() { p.tell(command{Do: "silence"}) }

func (p *processPeer) kill() {
	if p.cmd != nil {
		p.cmd.Process.Kill()
		p.reap()
	}
}

func (p *processPeer) reap() {
	p.in.Close()
	p.cmd.Wait()
	p.spent.add(p.cmd.ProcessState)
	p.cmd = nil
}

func (p *processPeer) pause() error {
	if p.cmd == nil {
		return errors.New("the peer process is dead")
	}
	p.stopped = true
	return p.cmd.Process.Signal(sigStop)
}

func (p *processPeer) resume() {
	if p.cmd != nil && p.stopped {
		p.cmd.Process.Signal(sigContinue)
	}
	p.stopped = false
}

func (p *processPeer) stop() {
	p.resume()
	if p.cmd != nil {
		p.in.Close() // which ends it
		done := time.AfterFunc(2*time.Second, func() { p.cmd.Process.Kill() })
		p.reap()
		done.Stop()
	}
	p.drain()
	p.sock.Close()
	p.udp.Close()
}

// externalPeer is a process of another implementation. What it sees is not
// known; what it does is seen by the others.
type externalPeer struct {
	command string // with {name} and {port} filled in
	proc    *process
}

func (p *externalPeer) birth(life) (err error) {
	p.proc, err = startProcess(p.command)
	return err
}

func (p *externalPeer) kill() {
	if p.proc != nil {
		p.proc.kill()
		p.proc = nil
	}
}

func (p *externalPeer) pause() error {
	if p.proc == nil {
		return errors.New("the external peer is dead")
	}
	return p.proc.signal(sigStop)
}

func (p *externalPeer) resume() {
	if p.proc != nil {
		p.proc.signal(sigContinue)
	}
}

func (p *externalPeer) rebirth()                                   {}
func (p *externalPeer) broadcast(int64, int64, time.Duration, int) {}
func (p *externalPeer) silence()                                   { p.kill() }
func (p *externalPeer) stop()                                      { p.kill() }

// process is a command that somebody else has written, in a process group of
// its own so that whatever it starts dies with it.
type process struct {
	cmd    *exec.Cmd
	output tail
	ended  chan struct{}
	at     time.Time // when
	cpu    time.Duration
	memory int64
}

func startProcess(command string) (*process, error) {
	p := &process{cmd: exec.Command("/bin/sh", "-c", "exec "+command), ended: make(chan struct{})}
	p.cmd.Stdout, p.cmd.Stderr = &p.output, &p.output
	p.cmd.WaitDelay = time.Second // where it has left somebody behind who holds its output
	fuzztarget.OwnGroup(p.cmd)
	if err := fuzztarget.StartTied(p.cmd); err != nil {
		return nil, fmt.Errorf("cannot start %q: %w", command, err)
	}
	go func() {
		p.cmd.Wait()
		p.at = time.Now()
		p.cpu, p.memory = p.cmd.ProcessState.UserTime()+p.cmd.ProcessState.SystemTime(), residentOf(p.cmd.ProcessState)
		close(p.ended)
	}()
	return p, nil
}

func (p *process) signal(s syscall.Signal) error { return fuzztarget.SignalGroup(p.cmd.Process, s) }

// usage is what the process has used, dead or alive.
func (p *process) usage() (cpu time.Duration, memory int64) {
	select {
	case <-p.ended:
		return p.cpu, p.memory
	default:
		for _, pid := range groupOf(p.cmd.Process.Pid) { // whatever it has started, too
			cpu, memory = cpu+cpuOf(pid), memory+peakOf(pid)
		}
		return cpu, memory
	}
}

// died says how the process ended, "" where it has not.
func (p *process) died() string {
	select {
	case <-p.ended:
		return strings.TrimSpace(p.cmd.ProcessState.String() + p.output.last())
	default:
		return ""
	}
}

func (p *process) kill() {
	p.signal(syscall.SIGKILL)
	<-p.ended
}

// tail keeps the end of what is written to it.
type tail struct {
	mu   sync.Mutex
	kept []byte
}

func (t *tail) Write(b []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	const most = 4096
	t.kept = append(t.kept, b...)
	if n := len(t.kept); n > most {
		t.kept = append(t.kept[:0], t.kept[n-most:]...)
	}
	return len(b), nil
}

// last is the last line written, quoted, behind a colon.
func (t *tail) last() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	lines := strings.Split(strings.TrimSpace(string(t.kept)), "\n")
	if last := lines[len(lines)-1]; last != "" {
		return ", last words " + strconv.Quote(last)
	}
	return ""
}
