package main

import (
	"cmp"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"regexp"
	"runtime"
	"strings"

	"github.com/nats-io/nats.go"

	"p2plocal/bench/mesh"
	"p2plocal/bench/result"
	"p2plocal/bench/study"
	"p2plocal/bench/swarm"
	"p2plocal/bench/work"
	"p2plocal/cmd/internal/cli"
	"p2plocal/cmd/internal/printing"
	"p2plocal/reports"
)

const workerUsage = `usage: meshbench worker -nats URL

A worker computes for others: seeds of "meshbench swarm -nats URL", and cells of study and
sweep, on any machine that reaches the same NATS server, which must have JetStream. It runs until it is
interrupted; what it had begun is then given to another. It computes nothing but
what its own program can, and only for programs of its own version.

  go run github.com/nats-io/nats-server/v2@v2.15.2 -js      a server to try it with

Exit codes: 0 never, 1 failure, 2 usage, 130 interrupted.
`

const workersUsage = `usage: meshbench workers -nats URL

Lists the workers at a NATS server, what each does, and how far its clock is ahead
of this machine's.

Exit codes: 0 done, 1 failure, 2 usage.
`

// kinds are what a worker can compute.
var kinds = map[string]work.Func{"swarm": swarm.Lease, "study": study.Lease}

// access registers how a NATS server is reached.
func access(fs *flag.FlagSet) *work.Access {
	a := new(work.Access)
	fs.StringVar(&a.URL, "nats", "", "`URL` of a NATS server with JetStream, such as nats://127.0.0.1:4222")
	fs.StringVar(&a.Creds, "creds", "", "`file` with credentials for it")
	fs.StringVar(&a.CA, "tlsca", "", "`file` with the authority that its certificate is of")
	fs.StringVar(&a.Cert, "tlscert", "", "`file` with a certificate for it")
	fs.StringVar(&a.Key, "tlskey", "", "`file` with the key of that")
	return a
}

// version is what must be equal where results must be: the commit, or else the program itself.
func version() (string, error) {
	if t := mesh.Version(nil); t.Commit != "" && !t.Dirty {
		return t.Version + " " + t.Commit, nil
	}
	name, err := os.Executable()
	if err != nil {
		return "", err
	}
	f, err := os.Open(name)
	if err != nil {
		return "", err
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return "", err
	}
	return fmt.Sprintf("devel %.6x", h.Sum(nil)), nil
}

// connect is a connection to the server that -nats names.
func connect(c *call, a *work.Access, what string, log func(string, ...any)) (*nats.Conn, error) {
	if a.URL == "" {
		return nil, cli.Usagef("no -nats: %s wants the URL of a NATS server, such as nats://127.0.0.1:4222", what)
	}
	return a.Connect(what, log)
}

// runWorker is "meshbench worker".
func runWorker(fs *flag.FlagSet, _ *cli.Groups) func(context.Context, *call) error {
	a := access(fs)
	cores := fs.Int("cores", runtime.NumCPU(), "`number` of leases at a time")
	var common cli.Common
	common.Register(fs)
	return func(ctx context.Context, c *call) error {
		if *cores < 1 {
			return cli.Usagef("-cores %d, want 1 or more", *cores)
		}
		files, err := cli.Open(common.JSON)
		if err != nil {
			return err
		}
		log := func(format string, args ...any) { fmt.Fprintf(c.stderr, "meshbench: "+format+"\n", args...) }
		conn, err := connect(c, a, "worker", log)
		if err != nil {
			return err
		}
		defer conn.Close()
		host, _ := os.Hostname()
		w := work.Worker{ID: strings.ToLower(rand.Text()[:8]), Host: host, Cores: *cores}
		if w.Version, err = version(); err != nil {
			return err
		}
		log("worker %s, %s, waits for work at %s", w.ID, result.Plural(uint64(w.Cores), "core"), conn.ConnectedUrlRedacted())
		leases, err := w.Work(ctx, conn, kinds, log)
		err = cli.Join(common.Write(c.stdout, files, func(out io.Writer) error {
			_, err := fmt.Fprintln(out, result.Plural(leases, "lease"))
			return err
		}, struct {
			Tool result.Tool `json:"tool"`
			work.Worker
			Leases uint64 `json:"leases"` // computed
		}{mesh.Version(c.args), w, leases}), err)
		if err != nil || ctx.Err() == nil {
			return err
		}
		return cli.Interrupted
	}
}

// runWorkers is "meshbench workers".
func runWorkers(fs *flag.FlagSet, _ *cli.Groups) func(context.Context, *call) error {
	a := access(fs)
	var out printing.Output
	out.Register(fs, false)
	return func(ctx context.Context, c *call) error {
		if err := out.Open(); err != nil {
			return err
		}
		conn, err := connect(c, a, "workers", func(string, ...any) {})
		if err != nil {
			return err
		}
		defer conn.Close()
		all, err := work.Workers(ctx, conn)
		if err != nil {
			return err
		}
		d := reports.Workers{Tool: mesh.Version(c.args), Workers: all}
		return out.Write(c.stdout, d.Document())
	}
}

// remote says where a job is computed.
type remote struct {
	*work.Access
	id string
}

func remoteFlags(fs *flag.FlagSet) *remote {
	r := &remote{Access: access(fs)}
	fs.StringVar(&r.id, "run", "", "go on with the run of this `ID` at the NATS server; one that is new begins it")
	return r
}

var runID = regexp.MustCompile(`^[A-Za-z0-9_-]{1,64}$`)

// check says what is wrong with the flags.
func (r *remote) check() error {
	switch {
	case r.URL == "" && (*r.Access != work.Access{} || r.id != ""):
		return cli.Usagef("-run, -creds and -tls… want -nats: they are for a NATS server")
	case r.id != "" && !runID.MatchString(r.id):
		return cli.Usagef("-run %q, want letters, digits, - and _, 64 at most", r.id)
	}
	return nil
}

// compute computes a job: here, or by workers.
func (r *remote) compute(log func(string, ...any)) study.Compute {
	if r.URL == "" {
		return work.Local
	}
	return func(ctx context.Context, j work.Job, _ work.Func, done func(work.Done) error) error {
		return r.byWorkers(ctx, j, log, done)
	}
}

func (r *remote) byWorkers(ctx context.Context, j work.Job, log func(string, ...any), done func(work.Done) error) (err error) {
	if j.Version, err = version(); err != nil {
		return err
	}
	conn, err := r.Connect(j.Kind, log)
	if err != nil {
		return err
	}
	defer conn.Close()
	j.ID = cmp.Or(r.id, strings.ToLower(j.Kind+"-"+rand.Text()[:8]))
	log("run %s; should it be interrupted, go on with -run %s", j.ID, j.ID)
	if err = work.Remote(ctx, conn, j, log, done); errors.Is(err, context.Canceled) {
		log("interrupted: go on with -run %s", j.ID)
	}
	return err
}
