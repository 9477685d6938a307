package main

import (
	"bytes"
	"errors"
	"os"
	"strings"
	"testing"

	"p2plocal/cmd/internal/cli"
)

func TestFullDisk(t *testing.T) {
	t.Parallel()
	var stdout, stderr bytes.Buffer
	err := run(t.Context(), []string{"-target", sound(t), "-findings", t.TempDir(), "-mode", "random", "-count", "5000", "-pcap", "/dev/full"}, &stdout, &stderr)
	if err == nil || !strings.Contains(err.Error(), "/dev/full") || !strings.Contains(stdout.String(), "srv/random") {
		t.Errorf("%v, %s, want an error that names the file, and the table", err, stdout.Bytes())
	}
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer full.Close()
	if err := run(t.Context(), []string{"-target", sound(t), "-findings", t.TempDir(), "-mode", "random", "-count", "100"}, full, &stderr); err == nil || errors.Is(err, cli.Failed) {
		t.Errorf("%v, want the table's loss reported", err)
	}
}
