package record

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// Monotonic is CLOCK_MONOTONIC, which is what Go's own monotonic time is.
func Monotonic() (int64, bool) {
	var t unix.Timespec
	if unix.ClockGettime(unix.CLOCK_MONOTONIC, &t) != nil {
		return 0, false
	}
	return t.Nano(), true
}

// NewStore maps a fresh store for so many peers that child processes can map, too.
func NewStore(peers int) (*Store, *os.File, func(), error) {
	fd, err := unix.MemfdCreate("p2plocal-store", unix.MFD_CLOEXEC)
	if err != nil {
		return nil, nil, nil, fmt.Errorf("cannot make shared memory: %w", err)
	}
	f := os.NewFile(uintptr(fd), "store")
	_, size := layout(nil, peers)
	if err := f.Truncate(int64(size)); err != nil {
		f.Close()
		return nil, nil, nil, fmt.Errorf("cannot make %d bytes of shared memory: %w", size, err)
	}
	b, unmap, err := MapStore(f, peers)
	if err != nil {
		f.Close()
		return nil, nil, nil, err
	}
	b.Peers = peers
	return b, f, func() { unmap(); f.Close() }, nil
}

// MapStore maps one that another process has made for so many peers.
func MapStore(f *os.File, peers int) (*Store, func(), error) {
	_, size := layout(nil, peers)
	m, err := unix.Mmap(int(f.Fd()), 0, size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		return nil, nil, fmt.Errorf("cannot map %d bytes of shared memory: %w", size, err)
	}
	b, _ := layout(m, peers)
	return b, func() { unix.Munmap(m) }, nil
}
