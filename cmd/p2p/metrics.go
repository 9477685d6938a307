package main

import (
	"expvar"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	_ "net/http/pprof" // puts its handlers into http.DefaultServeMux
	"time"

	"p2plocal/cmd/internal/cli"
)

// checkMetrics makes sure that -metrics is an address, and one of this machine
// alone unless others are meant to reach it: profiles and counters are nobody
// else's business, and a profile costs time.
func (o *options) checkMetrics() error {
	addr, err := net.ResolveTCPAddr("tcp", o.metrics)
	if err != nil {
		return cli.Usagef("flag -metrics is %q, want an address with a port, such as 127.0.0.1:6060", o.metrics)
	}
	if !addr.IP.IsLoopback() && !o.metricsRemote {
		return cli.Usagef("flag -metrics is %q, which others can reach: want a loopback address such as 127.0.0.1:6060, or -metrics-remote too", o.metrics)
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
	server := &http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second, ErrorLog: log.New(io.Discard, "", 0)}
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

// vars writes what expvar.Handler would write if the node's stats were
// published. They are not, because that could not be undone.
func (n *node) vars(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	fmt.Fprint(w, "{\n")
	expvar.Do(func(v expvar.KeyValue) { fmt.Fprintf(w, "%q: %s,\n", v.Key, v.Value) })
	fmt.Fprintf(w, "%q: %s\n}\n", "p2p", appendObject(nil, n.stats(time.Now()).fields()))
}
