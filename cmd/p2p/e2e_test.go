package main

import (
	"fmt"
	"os"
	"slices"
	"syscall"
	"testing"
)

// The timers run faster than the protocol's, but for the deadline: a live peer
// must not be removed because this machine is busy.
var fast = []string{"-heartbeat", "50ms", "-broadcast", "200ms", "-retry", "100ms"}

func peerWith(more ...string) []string   { return append(slices.Clone(fast), more...) }
func serverWith(more ...string) []string { return append([]string{"-reap", "50ms"}, more...) }

func TestMesh(t *testing.T) {
	t.Parallel()
	server := launch(t, serverWith("-listen", "127.0.0.1:0")...)
	addr := server.out.expect(t, `server listens on (127\.0\.0\.1:\d+)`)[1]
	ports := map[string]string{}
	join := func(name string) *instance {
		if ports[name] == "" {
			ports[name] = freePort(t)
		}
		p := launch(t, peerWith(name, ports[name], "-server", addr)...)
		p.out.expect(t, fmt.Sprintf(`peer%s listens on 127\.0\.0\.1:%s, its server is %s`, name, ports[name], addr))
		server.out.expect(t, fmt.Sprintf(`server received birth of peer%s on port %s`, name, ports[name]))
		return p
	}
	hears := func(p *instance, name string, from ...string) {
		t.Helper()
		for _, other := range from {
			p.out.expect(t, fmt.Sprintf(`peer%s received vanilla message: "peer%s_broadcast_[0-9a-f]+"`, name, other))
		}
	}

	a := join("A")
	server.out.expect(t, `server sent directory of 1 peer: A \(added A\)`)
	a.out.expect(t, `peerA received directory of 1 peer: A \(added A\)`)
	b := join("B")
	server.out.expect(t, `server sent directory of 2 peers: A B \(added B\)`)
	b.out.expect(t, `peerB received directory of 2 peers: A B \(added A B\)`)
	c := join("C")
	for name, p := range map[string]*instance{"A": a, "B": b} {
		p.out.expect(t, `peer`+name+` received directory of 3 peers: A B C \(added C\)`)
	}
	c.out.expect(t, `peerC received directory of 3 peers: A B C \(added A B C\)`)
	hears(a, "A", "B", "C")
	hears(b, "B", "A", "C")
	hears(c, "C", "A", "B")

	b.signal(os.Kill)
	b.wait()
	server.out.expect(t, `server removed peerB on port `+ports["B"]+`: silent for \d.*s`)
	server.out.expect(t, `server sent directory of 2 peers: A C \(removed B\)`)
	a.out.expect(t, `peerA received directory of 2 peers: A C \(removed B\)`)
	c.out.expect(t, `peerC received directory of 2 peers: A C \(removed B\)`)
	hears(a, "A", "C")
	hears(c, "C", "A")

	b = join("B")
	b.out.expect(t, `peerB received directory of 3 peers: A B C \(added A B C\)`)
	a.out.expect(t, `peerA received directory of 3 peers: A B C \(added B\)`)
	c.out.expect(t, `peerC received directory of 3 peers: A B C \(added B\)`)
	a.out.expect(t, `peerA received vanilla message: "peerB_broadcast_0"`)
	hears(b, "B", "A", "C")
	hears(c, "C", "B")

	for _, end := range []struct {
		p      *instance
		name   string
		signal os.Signal
		counts string
	}{
		{a, "peerA", os.Interrupt, `  directories 5; messages received [1-9][\d,]*; broadcasts [1-9][\d,]*, skipped 0`},
		{c, "peerC", syscall.SIGTERM, `  directories 3; messages received [1-9][\d,]*; broadcasts [1-9][\d,]*, skipped 0`},
		{server, "server", os.Interrupt, `  births 4, repeated [\d,]+, refused 0, replaced 0; removed [1-3]; announcements [5-7], held back 0; keep-alives [1-9][\d,]*, of nobody 0`},
	} {
		end.p.signal(end.signal)
		end.p.out.expect(t, end.name+` ended after .*s`)
		end.p.out.expect(t, `  in  [1-9][\d,]* datagrams, [1-9][\d,]* bytes: .*`)
		end.p.out.expect(t, `  out [1-9][\d,]* datagrams, [1-9][\d,]* bytes: .*`)
		end.p.out.expect(t, end.counts)
		end.p.out.expect(t, `  dropped: malformed 0, rejected 0, misdirected 0, stranger [\d,]+; by the kernel: in (\d+|unknown), out \d+`)
		if code := end.p.wait(); code != 0 {
			t.Errorf("%s ended with exit code %d by %v, want 0", end.name, code, end.signal)
		}
		if s := end.p.err.String(); s != "" {
			t.Errorf("%s wrote to stderr: %s", end.name, s)
		}
	}
}

func TestPeerBeforeServer(t *testing.T) {
	t.Parallel()
	addr := "127.0.0.1:" + freePort(t)
	port := freePort(t)
	a := launch(t, peerWith("A", port, "-server", addr)...)
	a.out.expect(t, `peerA is in no directory after \d+ms, and goes on trying: is the server up at `+addr+`, and are this name and port free\?`)
	server := launch(t, serverWith("-listen", addr)...)
	server.out.expect(t, `server received birth of peerA on port `+port)
	a.out.expect(t, `peerA received directory of 1 peer: A \(added A\)`)
}
