package record

import (
	"fmt"
	"os"
	"unsafe"

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

// NewStore maps a fresh store that child processes can map, too.
func NewStore() (*Store, *os.File, func(), error) {
	fd, err := unix.MemfdCreate("p2plocal-store", unix.MFD_CLOEXEC)
	if err != nil {
		return nil, nil, nil, fmt.Errorf("cannot make shared memory: %w", err)
	}
	f := os.NewFile(uintptr(fd), "store")
	if err := f.Truncate(int64(unsafe.Sizeof(Store{}))); err != nil {
		f.Close()
		return nil, nil, nil, fmt.Errorf("cannot make %d bytes of shared memory: %w", unsafe.Sizeof(Store{}), err)
	}
	b, unmap, err := MapStore(f)
	if err != nil {
		f.Close()
		return nil, nil, nil, err
	}
	return b, f, func() { unmap(); f.Close() }, nil
}

func MapStore(f *os.File) (*Store, func(), error) {
	m, err := unix.Mmap(int(f.Fd()), 0, int(unsafe.Sizeof(Store{})), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		return nil, nil, fmt.Errorf("cannot map %d bytes of shared memory: %w", unsafe.Sizeof(Store{}), err)
	}
	return (*Store)(unsafe.Pointer(unsafe.SliceData(m))), func() { unix.Munmap(m) }, nil
}
