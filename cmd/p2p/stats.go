package main

import (
	"expvar"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	_ "net/http/pprof" // puts its handlers into http.DefaultServeMux
	"net/netip"
	"runtime"
	"strings"
	"time"

	"p2plocal/cmd/internal/cli"
	"p2plocal/core"
	"p2plocal/core/udp"
	"p2plocal/fuzz/figure"
)

// stats is what the process has counted since its start.
type stats struct {
	elapsed    time.Duration
	server     bool
	counters   core.Counters
	socket     udp.Stats
	goroutines int
}

func (n *node) stats(now time.Time) stats {
	s := stats{elapsed: now.Sub(n.opened), server: n.peer == nil, socket: n.socket.Stats(), goroutines: runtime.NumGoroutine()}
	n.socket.Do(func(time.Time) { s.counters = n.machine.Counters() })
	return s
}

func (s stats) fields() []any {
	var drops any // null: unknown
	if s.socket.DropsKnown {
		drops = s.socket.Drops
	}
	return []any{"seconds", milliseconds(s.elapsed) / 1000, "counters", s.counters, "send_failures", s.socket.SendFailures,
		"kernel_drops", drops, "buffer_granted", s.socket.ReceiveBuffer, "goroutines", s.goroutines}
}

func (s stats) event(kind, verb string) event {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %v", verb, rounded(s.elapsed))
	traffic(&b, "in ", s.counters.In)
	traffic(&b, "out", s.counters.Out)
	counts := func(kinds ...core.Kind) (all []any) {
		for _, k := range kinds {
			all = append(all, figure.Grouped(s.counters.Events[k]))
		}
		return all
	}
	if s.server {
		fmt.Fprintf(&b, "\n  births %s, repeated %s, refused %s, replaced %s; removed %s; announcements %s, held back %s; keep-alives %s, of nobody %s",
			counts(core.Born, core.Repeated, core.Conflict, core.Replaced, core.Removed, core.Announced, core.Held, core.Alive, core.Unknown)...)
	} else {
		fmt.Fprintf(&b, "\n  directories %s; messages received %s; broadcasts %s, skipped %s",
			counts(core.Listed, core.Heard, core.Broadcast, core.Skipped)...)
	}
	drops := "unknown"
	if s.socket.DropsKnown {
		drops = figure.Grouped(s.socket.Drops)
	}
	fmt.Fprintf(&b, "\n  dropped: malformed %s, rejected %s, misdirected %s, stranger %s; by the kernel: in %s, out %s",
		append(counts(core.Malformed, core.Rejected, core.Misdirected, core.Stranger), drops, figure.Grouped(s.socket.SendFailures))...)
	return event{kind, b.String(), s.fields()}
}

// traffic writes a line of totals, and of the types that there were.
func traffic(b *strings.Builder, name string, t core.ByType) {
	total := t.Total()
	fmt.Fprintf(b, "\n  %s %s, %s", name, count(total.Datagrams, "datagram"), count(total.Bytes, "byte"))
	sep := ":"
	for _, x := range []struct {
		name  string
		count uint64
	}{
		{"birth", t.Birth.Datagrams},
		{"directory", t.Directory.Datagrams},
		{"vanilla", t.Vanilla.Datagrams},
		{"keep-alive", t.KeepAlive.Datagrams},
		{"retry", t.Retry.Datagrams},
		{"other", t.Other.Datagrams},
	} {
		if x.count > 0 {
			fmt.Fprintf(b, "%s %s %s", sep, x.name, figure.Grouped(x.count))
			sep = ","
		}
	}
}

// checkMetrics makes sure that -metrics is an address of this machine alone: profiles
// and counters are nobody else's business, and a profile costs time.
func (o *options) checkMetrics() error {
	addr, err := net.ResolveTCPAddr("tcp", o.metrics)
	if err != nil {
		return cli.Usagef("flag -metrics is %q, want an address with a port, such as 127.0.0.1:6060", o.metrics)
	}
	if !addr.IP.IsLoopback() {
		return cli.Usagef("flag -metrics is %q, which others can reach: want a loopback address such as 127.0.0.1:6060", o.metrics)
	}
	o.metricsAt = netip.AddrPortFrom(addr.AddrPort().Addr().Unmap(), uint16(addr.Port))
	return nil
}

// serveMetrics serves the node's counters and the process's profiles until stop is called.
func serveMetrics(o *options, n *node, stderr io.Writer) (stop func(), err error) {
	l, err := net.Listen("tcp", o.metricsAt.String())
	if err != nil {
		return nil, fmt.Errorf("-metrics: %w", udp.ListenError(o.metricsAt, err))
	}
	mux := http.NewServeMux()
	mux.HandleFunc("/debug/vars", n.vars)
	mux.Handle("/debug/pprof/", http.DefaultServeMux)
	server := &http.Server{Handler: guarded(mux), ReadHeaderTimeout: 10 * time.Second, ErrorLog: log.New(io.Discard, "", 0)}
	served := make(chan struct{})
	go func() {
		defer close(served)
		server.Serve(l)
	}()
	fmt.Fprintf(stderr, "p2p: metrics at http://%v/debug/vars, profiles at /debug/pprof/\n", l.Addr())
	return func() {
		server.Close()
		<-served
	}, nil
}

// guarded lets nothing through but GET, and that only for a loopback host: a page in a
// browser here could have any other name lead here, and read what it gets (DNS rebinding).
func guarded(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		host := r.Host
		if h, _, err := net.SplitHostPort(host); err == nil {
			host = h
		}
		switch {
		case r.Method != http.MethodGet:
			w.Header().Set("Allow", http.MethodGet)
			http.Error(w, fmt.Sprintf("method %q, want GET", r.Method), http.StatusMethodNotAllowed)
		case host != "localhost" && !net.ParseIP(strings.Trim(host, "[]")).IsLoopback():
			http.Error(w, fmt.Sprintf("host %q, want a loopback address", host), http.StatusMisdirectedRequest)
		default:
			h.ServeHTTP(w, r)
		}
	})
}

// vars writes what expvar.Handler would write if the node's stats were
// published. They are not, because that could not be undone.
func (n *node) vars(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	fmt.Fprint(w, "{\n")
	expvar.Do(func(v expvar.KeyValue) { fmt.Fprintf(w, "%q: %s,\n", v.Key, v.Value) })
	fmt.Fprintf(w, "%q: %s\n}\n", "p2p", appendObject(nil, n.stats(time.Now()).fields()))
}
