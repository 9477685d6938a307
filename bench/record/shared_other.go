//go:build !linux

package record

import (
	"errors"
	"os"
)

// Elsewhere than on Linux nothing is shared with other processes.

func monotonic() (int64, bool) { return 0, false }

func newBoard() (*store, *os.File, func(), error) { return new(store), nil, func() {}, nil }

func mapBoard(*os.File) (*store, func(), error) {
	return nil, nil, errors.New("shared memory is only used on Linux")
}
