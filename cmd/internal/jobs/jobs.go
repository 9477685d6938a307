// Package jobs is how commands have a work.Job computed: on this machine, or by the workers at a NATS server.
package jobs

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
	"slices"
	"strings"

	"github.com/nats-io/nats.go"

	"p2plocal/bench/machine"
	"p2plocal/bench/scale"
	"p2plocal/bench/study"
	"p2plocal/bench/swarm"
	"p2plocal/bench/work"
	"p2plocal/cmd/internal/cli"
)

// Kinds are what a worker can compute.
var Kinds = map[string]work.Func{"swarm": swarm.Lease, "study": study.Lease, "scale": scale.Lease}

// Access registers how a NATS server is reached.
func Access(fs *flag.FlagSet) *work.Access {
	a := new(work.Access)
	fs.StringVar(&a.URL, "nats", "", "`URL` of a NATS server with JetStream, such as nats://127.0.0.1:4222")
	fs.StringVar(&a.Creds, "creds", "", "`file` with credentials for it, which only its owner may read")
	fs.StringVar(&a.CA, "tlsca", "", "`file` with the authority that its certificate is of")
	fs.StringVar(&a.Cert, "tlscert", "", "`file` with a certificate for it")
	fs.StringVar(&a.Key, "tlskey", "", "`file` with the key of that, which only its owner may read")
	return a
}

// Connect connects, if what is in its files is a secret.
func Connect(a *work.Access, what string, log func(string, ...any)) (*nats.Conn, error) {
	for _, f := range [][2]string{{a.Creds, "credentials"}, {a.Key, "key for TLS"}} {
		if f[0] == "" {
			continue
		}
		if _, err := cli.Secret(f[0]); err != nil {
			return nil, fmt.Errorf("cannot read the %s: %w", f[1], err)
		}
	}
	return a.Connect(what, log)
}

// Version is what must be equal where results must be: the commit, or else the program itself.
func Version() (string, error) {
	if t := machine.Version(nil); t.Commit != "" && !t.Dirty {
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

// Where says where a job is computed.
type Where struct {
	*work.Access
	id string
}

// WhereFlags registers the flags that say it.
func WhereFlags(fs *flag.FlagSet) *Where {
	w := &Where{Access: Access(fs)}
	fs.StringVar(&w.id, "run", "", "go on with the run of this `ID` at the NATS server; one that is new begins it")
	return w
}

var runID = regexp.MustCompile(`^[A-Za-z0-9_-]{1,64}$`)

// Check says what is wrong with the flags.
func (w *Where) Check() error {
	switch {
	case w.URL == "" && (*w.Access != work.Access{} || w.id != ""):
		return cli.Usagef("-run, -creds and -tls… want -nats: they are for a NATS server")
	case w.id != "" && !runID.MatchString(w.id):
		return cli.Usagef("-run %q, want letters, digits, - and _, 64 at most", w.id)
	case w.URL == "":
		return nil
	}
	if err := w.Access.Check(); err != nil {
		return cli.UsageError{Err: err}
	}
	return nil
}

// Compute is how: here, or by workers.
func (w *Where) Compute(log func(string, ...any)) work.Compute {
	if w.URL == "" {
		return work.Local
	}
	return func(ctx context.Context, j work.Job, _ work.Func, done func(work.Done) error) error {
		return w.byWorkers(ctx, j, log, done)
	}
}

func (w *Where) byWorkers(ctx context.Context, j work.Job, log func(string, ...any), done func(work.Done) error) (err error) {
	if j.Version, err = Version(); err != nil {
		return err
	}
	conn, err := Connect(w.Access, j.Kind, log)
	if err != nil {
		return err
	}
	defer conn.Close()
	j.ID = cmp.Or(w.id, strings.ToLower(j.Kind+"-"+rand.Text()[:8]))
	log("run %s; should it be interrupted, go on with -run %s", j.ID, j.ID)
	if err = work.Remote(ctx, conn, j, log, done); errors.Is(err, context.Canceled) {
		log("interrupted: go on with -run %s", j.ID)
	}
	return err
}

// elsewhere are the flags that say where a result goes, or is computed.
var elsewhere = []string{"json", "report", "quiet", "ascii", "trace", "live", "live-open", "live-control", "nats", "run", "creds", "tlsca", "tlscert", "tlskey"}

// Shaping are the arguments that the figures of a simulation depend on.
func Shaping(fs *flag.FlagSet, others []string) []string {
	args := append(strings.Fields(fs.Name())[1:], others...)
	fs.Visit(func(f *flag.Flag) {
		switch {
		case slices.Contains(elsewhere, f.Name):
		case f.Value.String() == "true":
			args = append(args, "-"+f.Name)
		default:
			args = append(args, "-"+f.Name, f.Value.String())
		}
	})
	return args
}
