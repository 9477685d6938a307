package cli

import (
	"errors"
	"flag"
	"os"
	"sync/atomic"
)

// A Stdout is this process's standard output, which remembers that writing to it has failed:
// what nobody got has not been said, whatever a command makes of it. (Of one that was
// closed from the beginning that cannot be known: Go's runtime has put /dev/null in its place.)
type Stdout struct {
	file   *os.File
	failed atomic.Pointer[error]
}

// Write is io.Writer's.
func (s *Stdout) Write(b []byte) (n int, err error) {
	n, err = s.file.Write(b)
	if err = cannotWrite("standard output", err); err != nil {
		s.failed.Store(&err)
	}
	return n, err
}

// Fd is the file descriptor, of which only a terminal makes a use.
func (s *Stdout) Fd() uintptr { return s.file.Fd() }

// outcome is a command's, or what keeps it from counting.
func (s *Stdout) outcome(err error) error {
	var code Code
	failed := s.failed.Load()
	if failed != nil && (err == nil || errors.Is(err, flag.ErrHelp) || errors.As(err, &code) && code != Interrupted) {
		return *failed
	}
	return err
}
