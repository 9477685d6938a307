package main

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"strconv"
	"sync"
)

// pack is a message, as text: its id, its sender's name, and noise up to its size.
func pack(id uint64, from string, size int) []byte {
	b := fmt.Appendf(nil, "%d %q\n", id, from)
	return append(b, noise()[:min(max(0, size-len(b)), len(noise()))]...)
}

// unpack is what a message says; false: it is none.
func unpack(b []byte) (from string, id uint64, ok bool) {
	line, _, _ := bytes.Cut(b, []byte{'\n'})
	number, name, _ := bytes.Cut(line, []byte{' '})
	id, err := strconv.ParseUint(string(number), 10, 64)
	if err == nil {
		from, err = strconv.Unquote(string(name))
	}
	return from, id, err == nil
}

// noise is what fills messages up: zeros a library compresses away, which no text of anybody's
// is, and our exact dialect's text ends at one.
var noise = sync.OnceValue(func() []byte {
	b := make([]byte, 1<<16)
	rand.NewChaCha8([32]byte{}).Read(b)
	return bytes.ReplaceAll(b, []byte{0}, []byte{1})
})
