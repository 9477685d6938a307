//go:build !linux

package record

import (
	"errors"
	"os"
)

// Elsewhere than on Linux nothing is shared with other processes.

// Monotonic is false.
func Monotonic() (int64, bool) { return 0, false }

// NewStore makes a store for so many peers in this process's memory.
func NewStore(peers int) (*Store, *os.File, func(), error) {
	_, size := layout(nil, peers)
	b, _ := layout(make([]byte, size), peers)
	b.Peers = peers
	return b, nil, func() {}, nil
}

// MapStore gives an error.
func MapStore(*os.File, int) (*Store, func(), error) {
	return nil, nil, errors.New("shared memory is only used on Linux")
}
