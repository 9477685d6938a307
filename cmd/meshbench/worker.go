package main

import (
	"context"
	"crypto/rand"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats.go"

	"p2plocal/bench/machine"
	"p2plocal/bench/mesh"
	"p2plocal/bench/result"
	"p2plocal/bench/work"
	"p2plocal/cmd/internal/cli"
	"p2plocal/cmd/internal/jobs"
	"p2plocal/cmd/internal/printing"
	"p2plocal/reports"
)

// connect is a connection to the server that -nats names.
func connect(a *work.Access, what string, log func(string, ...any)) (*nats.Conn, error) {
	if a.URL == "" {
		return nil, cli.Usagef("no -nats: %s wants the URL of a NATS server, such as nats://127.0.0.1:4222", what)
	}
	if err := (&jobs.Where{Access: a}).Check(); err != nil {
		return nil, err
	}
	return jobs.Connect(a, what, log)
}

// runWorker is "meshbench worker".
func runWorker(fs *flag.FlagSet, _ *cli.Groups) func(context.Context, *call) error {
	a := jobs.Access(fs)
	cores := fs.Int("cores", runtime.NumCPU(), "`number` of leases at a time")
	addr := fs.String("addr", "", "`IP` address of this machine's where it hosts members of meshes; that from which it reaches the NATS server if it is not given")
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
		conn, err := connect(a, "worker", c.log)
		if err != nil {
			return err
		}
		defer conn.Close()
		host, _ := os.Hostname()
		at, err := hostAddress(*addr, conn)
		if err != nil {
			return err
		}
		agent := &mesh.Agent{Addr: at, Allowed: workerAddresses(ctx, conn), Log: c.log}
		defer agent.Close()
		w := work.Worker{Addr: at.String(), Answer: agent.Answer, Hosting: agent.Busy, ID: strings.ToLower(rand.Text()[:8]), Host: host, Cores: *cores}
		if w.Version, err = jobs.Version(); err != nil {
			return err
		}
		w.Ready = func() {
			c.log("worker %s, %s, waits for work at %s", w.ID, result.Plural(uint64(w.Cores), "core"), conn.ConnectedUrlRedacted())
		}
		leases, err := w.Work(ctx, conn, jobs.Kinds, c.log)
		err = cli.Join(common.Write(c.stdout, files, func(out io.Writer) error {
			_, err := fmt.Fprintln(out, result.Plural(leases, "lease"))
			return err
		}, struct {
			Tool result.Tool `json:"tool"`
			work.Worker
			Leases uint64 `json:"leases"` // computed
		}{machine.Version(c.args), w, leases}), err)
		if err != nil || ctx.Err() == nil {
			return err
		}
		return cli.Interrupted
	}
}

// hostAddress is where a worker hosts members of meshes.
func hostAddress(given string, c *nats.Conn) (netip.Addr, error) {
	if given != "" {
		at, err := netip.ParseAddr(given)
		if err == nil && (at.IsUnspecified() || at.IsMulticast()) {
			err = errors.New("want one that others can send to")
		}
		if err != nil {
			return at, cli.Usagef("-addr %q, want an IP address of this machine's: %w", given, err)
		}
		u, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.AddrPortFrom(at, 0)))
		if err != nil {
			return at, cli.Usagef("-addr %q, want an IP address of this machine's: %w", given, err)
		}
		u.Close()
		return at, nil
	}
	u, err := net.Dial("udp", c.ConnectedAddr()) // which sends nothing
	if err != nil {
		return netip.Addr{}, err
	}
	defer u.Close()
	return u.LocalAddr().(*net.UDPAddr).AddrPort().Addr().Unmap(), nil
}

// workerAddresses reports whether some worker is at an address, as the NATS server knows from time
// to time.
func workerAddresses(ctx context.Context, c *nats.Conn) func(netip.Addr) bool {
	var known []string
	var asked time.Time
	return func(at netip.Addr) bool {
		const stale = time.Second
		if !slices.Contains(known, at.String()) && time.Since(asked) > stale {
			known, _ = work.Addresses(ctx, c) // none: nobody is allowed
			asked = time.Now()
		}
		return slices.Contains(known, at.String())
	}
}

// hosts finds workers for each mesh that is laid over several. It logs each line once.
func hosts(c *nats.Conn, say func(string, ...any)) func(context.Context, int) ([]mesh.HostLink, error) {
	said := map[string]bool{}
	log := func(format string, args ...any) {
		if line := fmt.Sprintf(format, args...); !said[line] {
			said[line] = true
			say("%s", line)
		}
	}
	return func(ctx context.Context, n int) (links []mesh.HostLink, err error) {
		own, err := jobs.Version()
		if err != nil {
			return nil, err
		}
		workers, err := work.Hosts(ctx, c, own, n, func(w work.Worker) error {
			const patience = 2 * time.Second
			ctx, cancel := context.WithTimeout(ctx, patience)
			defer cancel()
			answer, err := work.Ask(ctx, c, w.ID, []byte("{}"))
			if err == nil {
				err = mesh.IsIdle(answer)
			}
			return err
		}, log)
		for _, w := range workers {
			links = append(links, mesh.HostLink{ID: w.ID, Host: w.Host, Ask: func(ctx context.Context, q []byte) ([]byte, error) { return work.Ask(ctx, c, w.ID, q) }})
		}
		return links, err
	}
}

// runWorkers is "meshbench workers".
func runWorkers(fs *flag.FlagSet, _ *cli.Groups) func(context.Context, *call) error {
	a := jobs.Access(fs)
	var out printing.Output
	out.Register(fs, false)
	return func(ctx context.Context, c *call) error {
		if err := out.Open(); err != nil {
			return err
		}
		conn, err := connect(a, "workers", func(string, ...any) {})
		if err != nil {
			return err
		}
		defer conn.Close()
		all, err := work.Workers(ctx, conn)
		if err != nil {
			return err
		}
		d := reports.Workers{Tool: machine.Version(c.args), Workers: all}
		return out.Write(c.stdout, d.Document())
	}
}
