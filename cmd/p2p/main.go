// Command p2p is the protocol to look at: one process is the directory server
// or one peer, and prints what it does. p2p -h says how.
package main

import (
	"cmp"
	"context"
	"io"
	"os"
	"sync"
	"time"

	"p2plocal/cmd/internal/cli"
)

func main() {
	cli.Main("p2p", func(ctx context.Context, args []string, stdout, stderr io.Writer) error {
		return run(ctx, args, os.Stdin, stdout, stderr)
	})
}

func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) error {
	o, err := parse(args, stdout)
	if err != nil {
		return err
	}
	out := newPrinter(o.self(), o.json, o.quiet)
	n, err := open(o, out, stderr)
	if err != nil {
		return err
	}
	defer n.socket.Close()
	if o.metrics != "" {
		stop, err := serveMetrics(o, n, stderr)
		if err != nil {
			return err
		}
		defer stop()
	}

	ctx, end := context.WithCancel(ctx)
	defer end()
	var printing sync.WaitGroup
	printing.Go(func() {
		out.run(stdout)
		end() // nobody sees what is not written
	})
	if n.peer != nil {
		// A read cannot be called off: this goroutine ends with its input, or the process.
		go n.obey(ctx, stdin, stderr, end)
	}
	err = n.socket.Serve(ctx, n.machine)
	ended := time.Now()
	out.end(ended, n.stats(ended).event("ended", "ended after"))
	printing.Wait()
	return cmp.Or(err, out.err)
}
