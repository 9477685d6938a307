package main

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"p2plocal/cmd/internal/cli"
)

// pty is a terminal: what p2p has, and what the person at it has.
func pty(t *testing.T) (process, person *os.File) {
	t.Helper()
	person, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Skip(err)
	}
	t.Cleanup(func() { person.Close() })
	if err := unix.IoctlSetPointerInt(int(person.Fd()), unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	number, err := unix.IoctlGetInt(int(person.Fd()), unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	process, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { process.Close() })
	return process, person
}

// A command that is being typed stands below what comes meanwhile, and Ctrl-C ends the peer.
func TestTypedCommand(t *testing.T) {
	t.Parallel()
	server := within(t, serverWith("-listen", "127.0.0.1:0")...)
	addr := server.out.expect(t, `server listens on (.*)`)[1]
	process, person := pty(t)
	cmd := exec.Command(binary, peerWith("A", freePort(t), "-server", addr)...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = process, process, process
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	process.Close()
	var mu sync.Mutex
	var screen strings.Builder
	go func() {
		b := make([]byte, 1<<12)
		for {
			n, err := person.Read(b)
			mu.Lock()
			screen.Write(b[:n])
			mu.Unlock()
			if err != nil {
				return
			}
		}
	}()
	shown := func(what string, after int) int {
		t.Helper()
		s := ""
		for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(time.Millisecond) {
			mu.Lock()
			s = screen.String()
			mu.Unlock()
			if i := strings.Index(s[after:], what); i >= 0 {
				return after + i + len(what)
			}
		}
		t.Fatalf("never shown: %q in\n%q", what, s)
		return 0
	}
	at := shown("received directory of 1 peer: A", 0)
	person.WriteString("pee")
	at = shown("pee", at)
	b := within(t, peerWith("B", freePort(t), "-server", addr)...)
	b.out.expect(t, `peerB received directory .*`)
	at = shown("received vanilla message: \"peerB_broadcast_", at) // A may have heard of B only after the first
	at = shown("\"\r\n> pee", at)                                  // as it was
	person.WriteString("rs\r")
	at = shown("is connected and knows 1 other peer: B", at)
	person.WriteString("dance\r")
	at = shown("cannot do that: unknown command \"dance\", \"help\" lists them\r\n", at)
	person.WriteString("\x03")
	shown("ended after", at)
	if err := cmd.Wait(); err != nil {
		t.Errorf("after Ctrl-C: %v", err)
	}
}

// Who writes into a pipe that is full and that nobody reads ends all the same.
func TestFullPipe(t *testing.T) {
	t.Parallel()
	for name, end := range map[string]func(in *os.File, cmd *exec.Cmd){
		"quit":    func(in *os.File, _ *exec.Cmd) { in.WriteString("quit\n") },
		"SIGTERM": func(_ *os.File, cmd *exec.Cmd) { cmd.Process.Signal(unix.SIGTERM) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			out, full, err := os.Pipe()
			if err != nil {
				t.Fatal(err)
			}
			defer out.Close()
			commands, in, err := os.Pipe()
			if err != nil {
				t.Fatal(err)
			}
			defer in.Close()
			cmd := exec.Command(binary, peerWith("A", freePort(t), "-server", "127.0.0.1:1")...)
			var said strings.Builder
			cmd.Stdin, cmd.Stdout, cmd.Stderr = commands, full, &said
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			defer full.Close()
			commands.Close()
			out.Read(make([]byte, 1)) // it runs
			for range 2000 {          // 64 KiB is full of what they say
				in.WriteString("help\n")
			}
			in.WriteString("bad\n")
			// It is full when it takes no more, which may be before there are 64 KiB in it: pages that
			// a write does not fill stay so.
			writable := []unix.PollFd{{Fd: int32(full.Fd()), Events: unix.POLLOUT}}
			for deadline := time.Now().Add(time.Minute); ; time.Sleep(time.Millisecond) {
				if n, _ := unix.Poll(writable, 0); n == 0 {
					break
				}
				if time.Now().After(deadline) {
					cmd.Process.Kill()
					t.Fatal("the pipe does not get full")
				}
			}
			end(in, cmd)
			if err := cmd.Wait(); cmd.ProcessState.ExitCode() != cli.ExitFailure || !strings.HasSuffix(said.String(), "p2p: cannot write the output: nobody has taken any for 2s\n") {
				t.Errorf("%v, stderr %q", err, said.String())
			}
		})
	}
}
