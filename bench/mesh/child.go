package mesh

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"time"

	"p2plocal/bench/record"
	"p2plocal/bench/sample"
	"p2plocal/fuzz/send"
	"p2plocal/fuzz/target"
)

// childEnv marks a peer process; its value is a childSlot, or senderChild.
const (
	childEnv  = "P2PLOCAL_MESH_CHILD"
	childSlot = "%d of %d" // peers
)

// IsChild reports that this process was started to be a peer of a mesh, or the
// sender beside it. Its program must call Child then, and exit with what that
// returns.
func IsChild() bool { return os.Getenv(childEnv) != "" }

// How long a process may take to obey, and to answer for the first time, for which a busy
// machine has to load it: far longer than it takes, but one that somebody has stopped would
// take for ever.
const (
	commandTimeout = 10 * time.Second
	startTimeout   = time.Minute
)

// childProcess is a process of this program, a peer's or a sender's, as the mesh sees it.
type childProcess struct {
	Cmd     *exec.Cmd // nil: it has ended
	in      io.WriteCloser
	out     *bufio.Reader
	answers *os.File // what out reads
	met     bool     // it has answered
}

// patience is how long it may take to answer next.
func (x *childProcess) patience() time.Duration {
	if x.met {
		return commandTimeout
	}
	return startTimeout
}

// startChild starts one, with a value for childEnv and with files from 3 on.
func startChild(what string, files ...*os.File) (x childProcess, err error) {
	self, err := os.Executable()
	if err != nil {
		return x, err
	}
	x.Cmd = exec.Command(self)
	x.Cmd.Env = append(os.Environ(), childEnv+"="+what)
	x.Cmd.ExtraFiles = files
	x.Cmd.Stderr = os.Stderr
	if x.in, err = x.Cmd.StdinPipe(); err != nil {
		return x, err
	}
	out, err := x.Cmd.StdoutPipe()
	if err != nil {
		return x, err
	}
	x.answers, x.out = out.(*os.File), bufio.NewReader(out)
	return x, target.StartTied(x.Cmd)
}

// ask sends an order, if there is one, and reads the line that answers it.
func (x *childProcess) ask(order any, within time.Duration) (answer string, err error) {
	x.answers.SetReadDeadline(time.Now().Add(within))
	if order != nil {
		err = json.NewEncoder(x.in).Encode(order)
	}
	if err == nil {
		answer, err = x.out.ReadString('\n')
		x.met = x.met || err == nil
	}
	return strings.TrimSpace(answer), err
}

// trains is the rate from which on the sender sends 64 datagrams at a time
// (UDP_SEGMENT): below it, each by itself.
const (
	trains = 100_000
	train  = 64
)

// Attack is the order that a sender's process is given.
type Attack struct {
	Target    netip.AddrPort `json:"target"`
	Rate      float64        `json:"rate"`
	Datagrams [][]byte       `json:"datagrams"`
	Peers     int            `json:"peers"` // of the mesh whose store the sender counts in
}

// AttackResult is its final answer.
type AttackResult struct {
	send.Counts
	Elapsed time.Duration `json:"elapsed"`
	CPU     time.Duration `json:"cpu"`
	Error   string        `json:"error,omitempty"`
}

// senderChild is childEnv's value in a sender's process.
const senderChild = "sender"

// SendGarbage is all that a sender's process does: it reads an order, says that it is ready or why
// not, sends until its input ends, and says what it has sent.
func SendGarbage(in io.Reader, out io.Writer) error {
	var a Attack
	r := bufio.NewReader(in)
	line, err := r.ReadBytes('\n')
	if err == nil {
		err = json.Unmarshal(line, &a)
	}
	if err != nil {
		return fmt.Errorf("no order to send: %w", err)
	}
	answer := json.NewEncoder(out)
	s, err := send.Dial(netip.AddrPortFrom(a.Target.Addr(), 0), a.Target)
	if err != nil {
		return answer.Encode(AttackResult{Error: err.Error()})
	}
	defer s.Close()
	ctx, cancel := context.WithCancel(context.Background())
	go func() {
		defer cancel()
		io.Copy(io.Discard, r)
	}()
	load := send.Pack(a.Datagrams, s.Supported() && (a.Rate == 0 || a.Rate >= trains))
	if err := answer.Encode(AttackResult{}); err != nil {
		return err
	}
	if a.Peers > 0 {
		if b, unmap, err := record.MapStore(os.NewFile(3, "store"), a.Peers); err == nil {
			defer unmap()
			last := uint64(0)
			stop := sample.Regularly(sample.Every*time.Millisecond, func() {
				now := s.Counts().Sent
				b.Hostile.Add(now - last)
				last = now
			})
			defer stop()
		}
	}
	before := target.CPUOf(os.Getpid())
	start := time.Now()
	s.Run(ctx, load, a.Rate)
	after := target.CPUOf(os.Getpid())
	return answer.Encode(AttackResult{Counts: s.Counts(), Elapsed: time.Since(start), CPU: after - before})
}

// sender is a process that sends.
type sender struct{ childProcess }

// startSender returns when the sender is about to send: the time that its process takes to start is
// not measured.
func startSender(a Attack, store *os.File) (*sender, error) {
	var files []*os.File
	if store != nil && a.Peers > 0 {
		files = append(files, store)
	}
	child, err := startChild(senderChild, files...)
	if err != nil {
		return nil, fmt.Errorf("cannot start the sender: %w", err)
	}
	x := &sender{child}
	if _, err := x.answer(a); err != nil {
		x.in.Close()
		x.Cmd.Wait()
		return nil, err
	}
	return x, nil
}

// answer sends an order, if there is one, and reads what the sender says next. One that says
// nothing is killed.
func (x *sender) answer(order any) (v AttackResult, err error) {
	line, err := x.ask(order, startTimeout) // what is under way ends first
	if err == nil {
		err = json.Unmarshal([]byte(line), &v)
	}
	if err != nil {
		x.Cmd.Process.Kill()
	} else if v.Error != "" {
		err = errors.New(v.Error)
	}
	if err != nil {
		return v, fmt.Errorf("the sender failed: %w", err)
	}
	return v, nil
}

// Stop ends the sending.
func (x *sender) Stop() (AttackResult, error) {
	x.in.Close()
	v, err := x.answer(nil)
	if failed := x.Cmd.Wait(); err == nil && failed != nil {
		err = fmt.Errorf("the sender failed: %w", failed)
	}
	return v, err
}
