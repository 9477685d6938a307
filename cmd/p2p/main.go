// Command p2p is the protocol to look at: one process is the directory server
// or one peer, and prints what it does. p2p -h says how.
package main

import (
	"cmp"
	"context"
	"io"
	"os"
	"time"

	"p2plocal/cmd/internal/cli"
)

func main() {
	cli.Main("p2p", func(ctx context.Context, args []string, stdout, stderr io.Writer) error {
		return run(ctx, args, os.Stdin, stdout, stderr)
	})
}

func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) (failed error) {
	if len(args) > 0 && args[0] == "keygen" {
		return keygen(args[1:], stdout)
	}
	o, err := parse(args, stdout)
	if err != nil {
		return err
	}
	files, err := cli.Open(o.json)
	if err != nil {
		return err
	}
	c := newConsole(stdin, stdout)
	text := &output{w: c.stdout, json: o.json == "-", ascii: o.ascii}
	outputs := []*output{text}
	if file := files[o.json]; file != nil {
		if err := file.Begin(); err != nil {
			return err
		}
		defer func() { failed = cmp.Or(failed, file.End(nil)) }()
		outputs = append(outputs, &output{w: file, json: true})
	}
	out := newPrinter(o.self(), o.quiet, outputs...)
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

	if o.live.IsValid() {
		stop, err := n.show(o, stderr)
		if err != nil {
			return err
		}
		defer stop()
	}

	ctx, end := context.WithCancel(ctx)
	defer end()
	if n.peer != nil { // what a server prints disturbs nobody who types a message
		c.edit(stdin, stdout)
		defer c.restore()
		text.w = c.stdout
	}
	cli.KeepRunning()
	// A read cannot be called off: this goroutine ends with its input, or the process.
	go n.obey(ctx, c, end)
	for _, x := range outputs {
		go func() {
			out.write(x)
			end() // nobody sees what is not written
		}()
	}
	err = n.socket.Serve(ctx, n.machine)
	ended := time.Now()
	return cmp.Or(err, out.end(ended, n.stats(ended).event("ended", "ended after")))
}
