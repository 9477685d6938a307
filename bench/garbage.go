package bench

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/netip"
	"os"
	"os/exec"
	"slices"
	"strings"
	"time"

	"p2plocal/bench/record"
	"p2plocal/bench/result"
	"p2plocal/core"
	"p2plocal/fuzz/hostile"
	"p2plocal/fuzz/send"
	fuzztarget "p2plocal/fuzz/target"
)

// garbage: a steady mesh beside a sender of hostile datagrams.

// Validate names what makes no sense.
func validateGarbage(g result.Garbage) error {
	switch {
	case !(g.Rate >= 0 && g.Rate <= 1e9):
		return fmt.Errorf("garbage at %v datagrams a second, want 0 (as fast as can be) to 1G", g.Rate)
	case !slices.Contains(hostile.FloodKinds, g.Kind):
		return fmt.Errorf("garbage of kind %q, want one of %s", g.Kind, strings.Join(hostile.FloodKinds, ", "))
	case !slices.Contains(result.GarbageTargets, g.At):
		return fmt.Errorf("garbage at %q, want one of %s", g.At, strings.Join(result.GarbageTargets, ", "))
	}
	return nil
}

// trains is the rate from which on the sender sends 64 datagrams at a time
// (UDP_SEGMENT): below it, each by itself.
const (
	trains = 100_000
	train  = 64
)

// assault is the order to a sender's process.
type assault struct {
	Target    netip.AddrPort `json:"target"`
	Rate      float64        `json:"rate"`
	Datagrams [][]byte       `json:"datagrams"`
}

// volley is what it answers in the end.
type volley struct {
	send.Counts
	Elapsed time.Duration `json:"elapsed"`
	CPU     time.Duration `json:"cpu"`
	Error   string        `json:"error,omitempty"`
}

// senderChild is childEnv's value in a sender's process.
const senderChild = "sender"

// sendGarbage is the whole of a sender's process: an order comes in; it sends
// until the input ends, and then says what it has sent.
func sendGarbage(in io.Reader, out io.Writer) error {
	var a assault
	r := bufio.NewReader(in)
	line, err := r.ReadBytes('\n')
	if err == nil {
		err = json.Unmarshal(line, &a)
	}
	if err != nil {
		return fmt.Errorf("no order to send: %w", err)
	}
	var v volley
	s, err := send.Dial(netip.AddrPortFrom(a.Target.Addr(), 0), a.Target)
	if err != nil {
		v.Error = err.Error()
		return json.NewEncoder(out).Encode(v)
	}
	defer s.Close()
	ctx, cancel := context.WithCancel(context.Background())
	go func() {
		defer cancel()
		io.Copy(io.Discard, r)
	}()
	load := send.Pack(a.Datagrams, s.Supported() && (a.Rate == 0 || a.Rate >= trains))
	before := cpuOf(os.Getpid())
	start := time.Now()
	s.Run(ctx, load, a.Rate)
	after := cpuOf(os.Getpid())
	v = volley{Counts: s.Counts(), Elapsed: time.Since(start), CPU: after - before}
	return json.NewEncoder(out).Encode(v)
}

// senderProcess is a sender's process as the mesh has it.
type senderProcess struct {
	cmd *exec.Cmd
	in  io.WriteCloser
	out io.Reader
}

func startSender(a assault) (*senderProcess, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	cmd := exec.Command(self)
	cmd.Env = append(os.Environ(), childEnv+"="+senderChild)
	cmd.Stderr = os.Stderr
	x := &senderProcess{cmd: cmd}
	if x.in, err = cmd.StdinPipe(); err != nil {
		return nil, err
	}
	if x.out, err = cmd.StdoutPipe(); err != nil {
		return nil, err
	}
	if err := fuzztarget.StartTied(cmd); err != nil {
		return nil, fmt.Errorf("cannot start the sender: %w", err)
	}
	if err := json.NewEncoder(x.in).Encode(a); err != nil {
		x.stop()
		return nil, fmt.Errorf("the sender takes no order: %w", err)
	}
	return x, nil
}

// stop ends the sending.
func (x *senderProcess) stop() (v volley, err error) {
	x.in.Close()
	stuck := time.AfterFunc(tellPatience, func() { x.cmd.Process.Kill() }) // somebody has stopped it
	err = json.NewDecoder(x.out).Decode(&v)
	failed := x.cmd.Wait()
	switch ended := stuck.Stop(); {
	case !ended:
		err = fmt.Errorf("it did not say within %v what it had sent", tellPatience)
	case failed != nil:
		err = failed
	}
	if err == nil && v.Error != "" {
		err = fmt.Errorf("%s", v.Error)
	}
	if err != nil {
		return v, fmt.Errorf("the sender failed: %w", err)
	}
	return v, nil
}

// drainPatience is how long a target may take to read what waits for it.
const drainPatience = 10 * time.Second

func garbageScenario(s *stage) error {
	return s.with(setup{}, func() error {
		seat, target := int(record.ServerSlot), s.mesh.server.addr()
		if s.opt.Garbage.At == "peer" {
			seat = s.external // the first of ours
			target = s.socks[seat].Addr()
		}
		env := s.hostileEnv()
		guests := &newcomers{}
		if !s.simulated() {
			guests = startNewcomers(s.mesh, &env, s.opt.Garbage.Kind == "fill")
		}
		set, err := hostile.Flood(s.opt.Garbage.Kind, env, s.seed)
		if err != nil {
			return cannot(err.Error())
		}
		if err := s.joinAll(s.ctx, 0); err != nil {
			return err
		}
		before := peakOf(os.Getpid())
		x, err := s.world.attack(assault{target, s.opt.Garbage.Rate, set})
		if err != nil {
			return err
		}
		guests.begin(s.ctx)
		w := s.window(s.opt.Warmup, s.opt.Duration, s.opt.Interval)
		after := peakOf(os.Getpid())
		guests.end()
		v, err := x.stop()
		s.mesh.hostile[seat] = v.Sent
		s.mesh.hostile[record.ServerSlot] += guests.sent.Load()
		s.sum(w)
		if err != nil {
			return err
		}
		s.until(context.WithoutCancel(s.ctx), drainPatience, func() bool { return s.world.accounts(s.mesh).Unexplained == 0 })
		guests.report(s)
		if seat == record.ServerSlot {
			s.assaulted(v, seat, guests.sent.Load())
		} else {
			s.assaulted(v, seat, 0)
		}
		if s.set("memory_growth", result.Never("bytes")); !s.simulated() {
			s.value("memory_growth", "bytes", float64(after-before))
		}
		return nil
	})
}

// assaulted writes down what was sent to a seat, and how much of it came: of
// what it took that is neither the mesh's nor one of others.
func (s *stage) assaulted(v volley, seat int, others uint64) {
	s.count("hostile_sent", v.Sent)
	s.value("hostile_rate", "messages/s", float64(v.Sent)/v.Elapsed.Seconds())
	if s.set("hostile_cpu", result.Never("cores")); !s.simulated() {
		s.value("hostile_cpu", "cores", v.CPU.Seconds()/v.Elapsed.Seconds())
	}
	took, known := s.took(seat)
	if !known {
		s.set("hostile_taken", result.Never("1"))
		return
	}
	took -= min(took, others)
	for i := range s.board.Slots {
		took -= min(took, s.board.Slots[i].To[seat].Load())
	}
	s.count("hostile_taken", took)
	if v.Refused > 0 {
		s.bad("%d times nobody listened on the port that the hostile datagrams were for", v.Refused)
	}
}

// took is how many datagrams a seat has taken from its socket; known is false
// for a server that is not ours.
func (m *mesh) took(seat int) (n uint64, known bool) {
	if seat != record.ServerSlot {
		return m.board.Slots[seat].Taken.Load() + m.board.Slots[seat].Dropped.Load(), true
	}
	if m.ours == nil {
		return 0, false
	}
	return m.ours.counters().In.Total().Datagrams, true
}

// hostileEnv is the mesh as the catalogue of hostile datagrams wants it.
func (m *mesh) hostileEnv() hostile.Env {
	e := hostile.Env{Server: m.server.addr()}
	for i, sock := range m.socks {
		if sock != nil {
			e.Members = append(e.Members, core.Entry{Name: record.SlotName(i), Port: sock.Addr().Port()})
		}
	}
	for i := m.n; i < core.MaxPeers; i++ {
		e.Spare = append(e.Spare, core.Entry{Name: record.SlotName(i), Port: 1 + uint16(i)}) // where nobody listens
	}
	return e
}
