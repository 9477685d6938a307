package main

import (
	"bytes"
	"errors"
	"os"
	"strings"
	"testing"

	"p2plocal/cmd/internal/cli"
	"p2plocal/fuzz/target/virtual"
)

func TestFullDisk(t *testing.T) {
	t.Parallel()
	inVirtualTime(t, func(t *testing.T, on *virtual.Host) {
		o := attack(t.Context(), t, on, "-exec", sound, "-mode", "random", "-count", "5000", "-pcap", "/dev/full")
		if o.err == nil || !strings.Contains(o.err.Error(), "/dev/full") || !strings.Contains(o.stdout, "srv/random") {
			t.Errorf("%v, %s, want an error that names the file, and the table", o.err, o.stdout)
		}
	})
	inVirtualTime(t, func(t *testing.T, on *virtual.Host) {
		full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
		if err != nil {
			t.Fatal(err)
		}
		defer full.Close()
		var stderr bytes.Buffer
		options, err := parse([]string{"-exec", sound, "-findings", t.TempDir(), "-mode", "random", "-count", "100"}, &stderr)
		if err != nil {
			t.Fatal(err)
		}
		options.Host = on
		if err := options.attack(t.Context(), full, &stderr); err == nil || errors.Is(err, cli.Failed) {
			t.Errorf("%v, want the table's loss reported", err)
		}
	})
}
