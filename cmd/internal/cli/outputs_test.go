//go:build unix

package cli

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// What cannot be written, or would be written twice, is noticed before the run.
func TestOpen(t *testing.T) {
	dir := t.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	for _, err := range []error{
		os.WriteFile(at("old"), nil, 0o666),
		os.Link(at("old"), at("hard")),
		os.Symlink("old", at("soft")),
		os.Symlink("new", at("dangling")),
		os.Symlink(".", at("here")),
		syscall.Mkfifo(at("fifo"), 0o666),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	readerWait = 0
	for _, test := range []struct {
		names []string
		says  string // "": nothing
	}{
		{[]string{"", "-", at("new"), "", at("old"), "-"}, ""},
		{[]string{os.DevNull, os.DevNull, "/dev/stdout"}, ""},
		{[]string{at("nowhere/x")}, "there is no directory"},
		{[]string{dir}, "is a directory"},
		{[]string{at("old/x")}, "not a directory"},
		{[]string{at("fifo")}, "nobody has read from it"},
		{[]string{at("new"), at("new")}, "written twice"},
		{[]string{at("new"), dir + "/./new"}, "written twice"},
		{[]string{at("new"), at("here/new")}, "written twice"},
		{[]string{at("new"), at("dangling")}, "written twice"},
		{[]string{at("old"), at("soft")}, "written twice"},
		{[]string{at("old"), at("hard")}, "written twice"},
	} {
		outputs, err := Open(test.names...)
		_, usage := errors.AsType[UsageError](err)
		switch {
		case test.says == "" && err != nil, test.says != "" && (!usage || !strings.Contains(err.Error(), test.says)):
			t.Errorf("Open(%q): %v, want %q", test.names, err, test.says)
		}
		outputs.Close()
	}
	if _, err := os.Stat(at("new")); err == nil {
		t.Error("a file is there before it is written")
	}
}

// A file that cannot be written to its end is as it was, and nothing is left beside it.
func TestOutputIsWhole(t *testing.T) {
	dir := t.TempDir()
	file, link := filepath.Join(dir, "file"), filepath.Join(dir, "link")
	if err := errors.Join(os.WriteFile(file, []byte("old"), 0o600), os.Symlink("file", link)); err != nil {
		t.Fatal(err)
	}
	full := errors.New("the disk is full")
	for _, test := range []struct {
		fails error
		holds string
	}{{full, "old"}, {nil, "new"}} {
		outputs, err := Open(link)
		if err != nil {
			t.Fatal(err)
		}
		err = outputs.Write(link, func(w io.Writer) error {
			_, err := io.WriteString(w, "new")
			return errors.Join(err, test.fails)
		})
		if !errors.Is(err, test.fails) || err != nil && !strings.Contains(err.Error(), link) {
			t.Errorf("written with %v, want %v and the name of the file", err, test.fails)
		}
		b, err := os.ReadFile(file)
		info, _ := os.Stat(file)
		if string(b) != test.holds || info.Mode() != 0o600 {
			t.Errorf("after %v: the file holds %q (%v), mode %v, want %q", test.fails, b, err, info.Mode(), test.holds)
		}
		if all, _ := os.ReadDir(dir); len(all) != 2 {
			t.Errorf("the directory holds %v", all)
		}
	}
}

// A FIFO is written straight, and nobody waits for ever for its reader.
func TestFIFO(t *testing.T) {
	readerWait, roomWait = time.Minute, 100*time.Millisecond
	name := filepath.Join(t.TempDir(), "fifo")
	if err := syscall.Mkfifo(name, 0o666); err != nil {
		t.Fatal(err)
	}
	text := bytes.Repeat([]byte("much "), 100_000) // more than it has room for
	for _, reads := range []bool{true, false} {
		read := make(chan []byte, 1)
		stay := make(chan bool)
		go func() {
			f, err := os.Open(name)
			if err != nil {
				t.Error(err)
			}
			defer f.Close()
			var b []byte
			if reads {
				b, _ = io.ReadAll(f)
			} else {
				<-stay
			}
			read <- b
		}()
		outputs, err := Open(name)
		if err != nil {
			t.Fatal(err)
		}
		if reads {
			roomWait = time.Minute
		}
		err = outputs.Write(name, func(w io.Writer) error { _, err := w.Write(text); return err })
		roomWait = 100 * time.Millisecond
		if reads != (err == nil) || !reads && !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("with a reader who reads (%v): %v", reads, err)
		}
		close(stay)
		if got := <-read; reads && !slices.Equal(got, text) {
			t.Errorf("read %d bytes, want %d", len(got), len(text))
		}
	}
}

func TestCheckDirectory(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, nil, 0o666); err != nil {
		t.Fatal(err)
	}
	for name, says := range map[string]string{dir: "", filepath.Join(dir, "new", "newer"): "", file: "no directory", filepath.Join(file, "x"): "not a directory", "/proc/x": "cannot write"} {
		if err := CheckDirectory(name); (err != nil) != (says != "") || err != nil && !strings.Contains(err.Error(), says) {
			t.Errorf("CheckDirectory(%q): %v, want %q", name, err, says)
		}
	}
}
