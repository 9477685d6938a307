package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"

	"github.com/nats-io/nats-server/v2/server"

	"p2plocal/bench/work"
	"p2plocal/bench/work/natstest"
	"p2plocal/cmd/internal/cli"
)

// Workers at a NATS server come to the bytes that one process does, and are listed.
func TestWorkers(t *testing.T) {
	t.Parallel()
	s := natstest.Start(t)
	ctx, cancel := context.WithCancel(t.Context())
	var working sync.WaitGroup
	for range 2 {
		working.Go(func() {
			if err := run(ctx, strings.Fields("worker -cores 1 -nats "+s.ClientURL()), io.Discard, io.Discard); err != cli.Interrupted {
				t.Errorf("a worker: %v", err)
			}
		})
	}
	defer working.Wait()
	defer cancel()
	for _, args := range []string{"swarm -seeds 1..40", "swarm -wide -key -seeds 7..20", "scale -sim 10,20,5", "study restart peers=3,4,5 -repeat 2", "sweep deadline=1s,2s refresh=0s peers=5 loss=0% -repeat 1"} {
		local, remote := new(bytes.Buffer), new(bytes.Buffer)
		args += " -json - -quiet"
		if err := run(ctx, strings.Fields(args), local, io.Discard); err != nil {
			t.Fatal(err)
		}
		if err := run(ctx, strings.Fields(args+" -nats "+s.ClientURL()), remote, io.Discard); err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(local.Bytes(), remote.Bytes()) {
			t.Errorf("%s: here\n%s\nby workers\n%s", args, local, remote)
		}
	}
	var list bytes.Buffer
	if err := run(ctx, strings.Fields("workers -nats "+s.ClientURL()), &list, io.Discard); err != nil || !strings.HasPrefix(list.String(), "2 workers, 2 cores.\n") {
		t.Errorf("%v, %s", err, list.String())
	}
}

// A server without JetStream is one line, and nobody waits for work there. What is said of workers is said once, however
// many meshes are laid over them.
func TestWorkersSay(t *testing.T) {
	t.Parallel()
	s := natstest.Start(t, func(o *server.Options) { o.JetStream = false })
	const want = "meshbench: NATS server without JetStream, want one that was started with -js\n"
	for _, command := range []string{"worker", "workers", "swarm"} {
		if code, _, said := invoke(t.Context(), command, "-nats", s.ClientURL()); code != 1 || !strings.HasSuffix(said, want) || strings.Contains(said, "waits") {
			t.Errorf("%s: exit code %d, %q, want %q", command, code, said, want)
		}
	}
	conn, err := (&work.Access{URL: natstest.Start(t).ClientURL()}).Connect("test", t.Logf)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	said := ""
	find := hosts(conn, func(format string, args ...any) { said += fmt.Sprintf(format+"\n", args...) })
	for range 2 {
		if _, err := find(t.Context(), 1); err == nil {
			t.Error("there is a worker")
		}
	}
	if want := "no worker of this version is there yet\n"; said != want {
		t.Errorf("it says %q, want %q", said, want)
	}
}

func TestWorkersFlags(t *testing.T) {
	for args, want := range map[string]string{
		"worker":  "no -nats: worker wants the URL",
		"workers": "no -nats: workers wants the URL",
		"worker -nats nats://127.0.0.1:1 -cores 0": "-cores 0, want 1 or more",
		"swarm -run x":           "want -nats",
		"swarm -creds x":         "want -nats",
		"swarm -nats x -seed 1":  "for many seeds",
		"workers -nats a:b/c@h":  `-nats "h", want a URL such as`,
		"study -nats nats://:1":  `-nats "nats://:1", want a URL`,
		"worker -nats h:99999":   "port 99999, want 1 to 65535",
		"scale -nats h:0":        "port 0, want 1 to 65535",
		"swarm -nats http://h":   "scheme http, want one of nats, tls, ws, wss",
		"swarm -nats x -run a.b": `-run "a.b", want letters`,
	} {
		expect(t, args, 2, want)
	}
	for _, args := range []string{"worker", "workers", "swarm -seeds 1..2"} {
		expect(t, args+" -nats nats://127.0.0.1:1", 1, `NATS server "nats://127.0.0.1:1": `)
	}
	file := filepath.Join(t.TempDir(), "secret")
	for _, args := range []string{"worker -creds", "workers -tlskey", "swarm -creds", "-wide -hosts 2 -tlskey"} { // nobody who could know it is asked
		expect(t, args+" "+file+" -nats nats://127.0.0.1:1", 1, "cannot read the ")
	}
	if runtime.GOOS == "windows" {
		return
	}
	if err := errors.Join(os.WriteFile(file, nil, 0o600), os.Chmod(file, 0o640)); err != nil {
		t.Fatal(err)
	}
	for args, what := range map[string]string{"worker -creds": "credentials", "workers -tlskey": "key for TLS", "swarm -creds": "credentials", "-wide -hosts 2 -tlskey": "key for TLS"} {
		expect(t, args+" "+file+" -nats nats://127.0.0.1:1", 1, fmt.Sprintf("cannot read the %s: %q has mode 0640, so that others can read or change it: want chmod 600 %[2]q", what, file))
	}
}
