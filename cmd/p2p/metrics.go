package main

import (
	"expvar"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	_ "net/http/pprof" // puts its handlers into http.DefaultServeMux
	"strings"
	"time"

	"p2plocal/cmd/internal/cli"
)

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
	return nil
}

// serveMetrics serves the node's counters and the process's profiles until stop is called.
func serveMetrics(o *options, n *node, stderr io.Writer) (stop func(), err error) {
	l, err := net.Listen("tcp", o.metrics)
	if err != nil {
		return nil, fmt.Errorf("cannot listen for -metrics: %w", err)
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
