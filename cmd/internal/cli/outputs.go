package cli

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"sync/atomic"
	"syscall"
	"time"
)

// How long a FIFO may keep a command waiting: for its reader, and for room.
var (
	readerWait = 10 * time.Second
	roomWait   = time.Minute
)

// Outputs are the files that the results of a run go to, by the names that were given.
type Outputs map[string]*Output

// An Output is written under a temporary name beside its own, which it gets when it is
// complete: what was there before survives a full disk and a kill. What is no regular
// file, such as a FIFO, a device or /dev/stdout, is written straight.
type Output struct {
	name, path string      // as it was given; of a regular file, with no link in it
	info       fs.FileInfo // of a regular file that is there
	file       *os.File    // the temporary, or what is written straight
	straight   bool
	borrowed   bool // it is the process's own stdout or stderr
}

// Open makes sure before a run that its outputs can be written, "" and "-" aside, and
// that no two of them are one file under two names. What it says is a UsageError.
func Open(names ...string) (Outputs, error) {
	outputs := Outputs{}
	var taken []*Output
	for name, file := range map[string]*os.File{"standard output": os.Stdout, "standard error": os.Stderr} {
		if info, err := file.Stat(); err == nil && info.Mode().IsRegular() {
			taken = append(taken, &Output{name: name, info: info})
		}
	}
	for _, name := range names {
		if name == "" || name == "-" {
			continue
		}
		o, err := open(name)
		for _, other := range taken {
			if err == nil && !o.straight && (o.path == other.path || o.info != nil && other.info != nil && os.SameFile(o.info, other.info)) {
				err = fmt.Errorf("it is to be written twice, want another file than that of %s", other.name)
			}
		}
		if err != nil {
			outputs.Close()
			return nil, UsageError{Err: cannot(name, err)}
		}
		outputs[name] = o
		taken = append(taken, o)
	}
	return outputs, nil
}

// open finds out what a name is, and that it can be written.
func open(name string) (*Output, error) {
	o := &Output{name: name, straight: true, borrowed: true}
	switch name { // opened anew they might be written from their beginning
	case "/dev/stdout", "/dev/fd/1", "/proc/self/fd/1":
		o.file = os.Stdout
		return o, nil
	case "/dev/stderr", "/dev/fd/2", "/proc/self/fd/2":
		o.file = os.Stderr
		return o, nil
	}
	info, err := os.Stat(name)
	if err == nil {
		flags := os.O_WRONLY
		if o.borrowed, o.straight = false, !info.Mode().IsRegular(); o.straight {
			flags |= syscall.O_NONBLOCK // or a FIFO that nobody reads is never open
		}
		o.file, err = os.OpenFile(name, flags, 0)
		for end := time.Now().Add(readerWait); errors.Is(err, syscall.ENXIO); o.file, err = os.OpenFile(name, flags, 0) {
			if time.Now().After(end) {
				return nil, fmt.Errorf("nobody has read from it for %v", readerWait)
			}
			time.Sleep(10 * time.Millisecond)
		}
		if err != nil || o.straight {
			return o, err
		}
		o.file.Close() // it may be written, so it may be replaced
		o.info = info
	}
	o.straight, o.borrowed = false, false
	if o.path, err = resolve(name); err == nil {
		err = o.Begin()
		o.Close()
	}
	return o, err
}

// resolve follows symbolic links, also to what is not there yet.
func resolve(name string) (string, error) {
	for range 40 {
		link, err := os.Readlink(name)
		if err != nil {
			break
		}
		if !filepath.IsAbs(link) {
			link = filepath.Dir(name) + string(filepath.Separator) + link
		}
		name = link
	}
	dir, err := filepath.Abs(filepath.Dir(name))
	if err == nil {
		dir, err = filepath.EvalSymlinks(dir)
	}
	if errors.Is(err, fs.ErrNotExist) {
		return "", fmt.Errorf("there is no directory %q", filepath.Dir(name))
	}
	return filepath.Join(dir, filepath.Base(name)), err
}

// Close lets go of what has not been written.
func (o Outputs) Close() {
	for _, x := range o {
		x.Close()
	}
}

// Write has an output written whole, and its error names the file. The others are no
// worse off for it.
func (o Outputs) Write(name string, write func(io.Writer) error) error {
	x := o[name]
	err := x.Begin()
	if err == nil {
		err = write(x)
	}
	return x.End(err)
}

// Begin starts an output; End ends it.
func (o *Output) Begin() (err error) {
	if o.straight {
		return nil
	}
	mode := fs.FileMode(0o666)
	if o.info != nil {
		mode = o.info.Mode().Perm()
	}
	dir, base := filepath.Split(o.path)
	o.file, err = os.OpenFile(fmt.Sprintf("%s.%.100s.%016x.tmp", dir, base, rand.Uint64()), os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
	return err
}

// Write is io.Writer's.
func (o *Output) Write(b []byte) (n int, err error) {
	const most = 1 << 16 // for which a slow reader has roomWait
	for n < len(b) && err == nil {
		if o.straight && !o.borrowed {
			o.file.SetWriteDeadline(time.Now().Add(roomWait)) // a FIFO's; others have none
		}
		var m int
		m, err = o.file.Write(b[n:min(len(b), n+most)])
		n += m
	}
	return n, cannot(o.name, err)
}

// End makes the output complete, unless there is an error already, and names the file in it.
func (o *Output) End(err error) error {
	defer o.Close()
	if o.file == nil || o.straight || err != nil {
		return cannot(o.name, err)
	}
	if err = o.file.Sync(); err == nil {
		temporary := o.file.Name()
		o.file.Close()
		o.file = nil
		if err = os.Rename(temporary, o.path); err != nil {
			err = fmt.Errorf("%w, so it is in %q", err.(*os.LinkError).Err, temporary)
		}
	}
	return cannot(o.name, err)
}

// Close lets go of an output, and takes away what was begun and not ended.
func (o *Output) Close() {
	if o.file != nil && !o.borrowed {
		o.file.Close()
		if !o.straight {
			os.Remove(o.file.Name())
		}
	}
	o.file = nil
}

// unwritten is what could not be written, and why.
type unwritten struct {
	what string
	err  error
}

func (u unwritten) Error() string { return fmt.Sprintf("cannot write %s: %v", u.what, u.err) }
func (u unwritten) Unwrap() error { return u.err }

// cannot names the file as it was given, and not its temporary.
func cannot(name string, err error) error { return cannotWrite(strconv.Quote(name), err) }

func cannotWrite(what string, err error) error {
	if err == nil || errors.As(err, new(unwritten)) { // it has said so
		return err
	}
	if p, ok := errors.AsType[*fs.PathError](err); ok {
		err = p.Err
	}
	return unwritten{what, err}
}

// CheckDirectory makes sure that files can be made in a directory, or that it can be made.
func CheckDirectory(name string) error {
	dir := filepath.Clean(name)
	info, err := os.Stat(dir)
	for errors.Is(err, fs.ErrNotExist) && dir != filepath.Dir(dir) {
		dir = filepath.Dir(dir)
		info, err = os.Stat(dir)
	}
	if err == nil && !info.IsDir() {
		return Usagef("%q is no directory", dir)
	}
	if err == nil {
		_, err = open(filepath.Join(dir, "a-new-file"))
	}
	if err != nil {
		return UsageError{Err: cannot(name, err)}
	}
	return nil
}

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
