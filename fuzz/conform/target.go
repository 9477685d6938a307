package conform

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strings"
	"sync"
	"time"

	"p2plocal/fuzz"
)

// target is a process under test.
type target struct {
	proc  *fuzz.Process
	port  uint16
	input *os.File // its standard input's other end

	mu     sync.Mutex
	out    bytes.Buffer // all that it has said, up to outputMost
	news   func()       // it has said something
	ending bool         // it is to end
}

const outputMost = 8 << 20

// start runs a command. The words were split before anything was filled in, so
// that a name may be a blank.
// The port, which is promised to it, is free again when it is stopped.
func start(command string, port uint16, fill *strings.Replacer) (_ *target, err error) {
	defer func() {
		if err != nil {
			release(port)
		}
	}()
	words := strings.Fields(command)
	for i, w := range words {
		words[i] = fill.Replace(w)
	}
	in, input, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer in.Close()
	t := &target{input: input, port: port}
	if t.proc, err = fuzz.StartWords(words, in, t); err != nil {
		input.Close()
		return nil, err
	}
	return t, nil
}

// Write takes the target's output.
func (t *target) Write(b []byte) (int, error) {
	t.mu.Lock()
	if t.out.Len() < outputMost {
		t.out.Write(b)
	}
	news := t.news
	t.mu.Unlock()
	if news != nil {
		news()
	}
	return len(b), nil
}

func (t *target) listen(news func()) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.news = news
}

func (t *target) output() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.out.String()
}

// lastLines are the end of what it has said.
func (t *target) lastLines() string {
	const lines, long = 4, 200
	all := strings.Split(strings.TrimSpace(t.output()), "\n")
	all = all[max(0, len(all)-lines):]
	for i, l := range all {
		if len(l) > long {
			all[i] = l[:long] + "..."
		}
	}
	return strings.Join(all, "\n")
}

// died is closed once it has ended, unless it is to.
func (t *target) died() <-chan struct{} {
	if t == nil {
		return nil
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.ending {
		return nil
	}
	return t.proc.Done()
}

func (t *target) how() string {
	how, _ := t.proc.Exited()
	return how
}

func (t *target) starved() time.Duration {
	if t == nil {
		return 0
	}
	return t.proc.Starved()
}

func (t *target) interrupt() {
	t.expectEnd()
	t.proc.Interrupt()
}

func (t *target) closeInput() {
	t.expectEnd()
	t.input.Close()
}

func (t *target) expectEnd() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.ending = true
}

// ends waits for its end.
func (t *target) ends(within time.Duration) bool {
	select {
	case <-t.proc.Done():
		return true
	case <-time.After(within):
		return false
	}
}

func (t *target) stop() {
	t.input.Close()
	t.proc.Stop()
	release(t.port)
}

// servesAt reports whether a command lets its caller say where it listens.
func servesAt(command string) bool {
	return strings.Contains(command, "{port}") || strings.Contains(command, "{addr}")
}

const standardPort = 3000 // of a server whose command has neither {port} nor {addr}

// startServer runs a server's command and waits until its port is bound.
func startServer(ctx context.Context, command string) (t *target, at netip.AddrPort, err error) {
	const tries = 3 // somebody else may be faster with a port
	for range tries {
		port := uint16(standardPort)
		if servesAt(command) {
			port, err = promise(loopback)
		} else {
			var u *net.UDPConn
			if u, err = bind(loopback, port); err == nil {
				u.Close()
			}
		}
		if err != nil {
			return nil, at, err
		}
		at = netip.AddrPortFrom(loopback, port)
		if t, err = start(command, port, strings.NewReplacer("{addr}", at.String(), "{port}", fmt.Sprint(port))); err != nil {
			return nil, at, err
		}
		if err = t.binds(ctx, at); err == nil {
			return t, at, nil
		}
		ended := t.ends(0)
		t.stop()
		if ctx.Err() != nil {
			return nil, at, ctx.Err()
		}
		if !ended {
			break
		}
	}
	return nil, at, fmt.Errorf("server %q %w", command, err)
}

var errUnbound = errors.New("has not bound UDP port")

// binds waits until it has bound its port.
func (t *target) binds(ctx context.Context, at netip.AddrPort) error {
	for begun, pause := time.Now(), 2*time.Millisecond; !listens(at, pause); pause = min(2*pause, 20*time.Millisecond) {
		select {
		case <-t.proc.Done():
			return fmt.Errorf("ended at once: %s", t.how())
		case <-ctx.Done():
			return ctx.Err()
		default:
		}
		if time.Since(begun)-t.starved() > 4*startup {
			return fmt.Errorf("%w %d within %v", errUnbound, at.Port(), 4*startup)
		}
	}
	return nil
}

// listens says whether somebody does at an address. If not, the host says so of a
// datagram to it within the pause, and the next one is refused for that.
func listens(at netip.AddrPort, pause time.Duration) bool {
	u, err := net.DialUDP("udp4", nil, net.UDPAddrFromAddrPort(at))
	if err != nil {
		return false
	}
	defer u.Close()
	knock := keepAliveOf('z') // nobody's: to be ignored
	u.Write(knock)
	time.Sleep(pause)
	_, err = u.Write(knock)
	return err == nil
}
