//go:build !linux

package record

import (
	"errors"
	"os"
)

// Elsewhere than on Linux nothing is shared with other processes.

// Monotonic is false.
func Monotonic() (int64, bool) { return 0, false }

// NewStore makes a store in this process's memory.
func NewStore() (*Store, *os.File, func(), error) { return new(Store), nil, func() {}, nil }

// MapStore gives an error.
func MapStore(*os.File) (*Store, func(), error) {
	return nil, nil, errors.New("shared memory is only used on Linux")
}
