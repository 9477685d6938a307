package fuzz_test

import (
	"bytes"
	"errors"
	"testing"

	"p2plocal/core"
	"p2plocal/core/wire"
)

// FuzzParse: no bytes make Parse panic, what it takes it gives back, and it agrees
// with a decoder that was written without a look at it.
func FuzzParse(f *testing.F) {
	prefix := []byte("prefix")
	var space []byte
	f.Fuzz(func(t *testing.T, datagram []byte) {
		m, err := wire.Parse(datagram)
		if why := differ(decode(datagram), m, err); why != nil {
			t.Fatalf("%x: %v: core says %+v, %v", datagram, why, m, err)
		}
		if err != nil {
			return
		}
		space = m.Append(append(space[:0], prefix...))
		if back, ok := bytes.CutPrefix(space, prefix); !ok || !bytes.Equal(back, datagram) {
			t.Fatalf("%x parsed and appended to %q is %q", datagram, prefix, space)
		}
	})
}

// differ says how core's reading of a datagram differs from the naive one.
func differ(n naive, m wire.Message, err error) error {
	switch {
	case n.Kind == "" && err == nil:
		return errors.New("core takes what the protocol does not allow")
	case n.Kind == "":
		if !errors.Is(err, core.ErrMalformed) {
			return errors.New("the error is not ErrMalformed")
		}
		return nil
	case err != nil:
		return errors.New("core refuses what the protocol allows")
	case n.Kind != m.Type.String():
		return errors.New("another type")
	case n.Kind == "birth" && m.Entry != (wire.Entry{Name: wire.Name(n.Name), Port: uint16(n.Port)}):
		return errors.New("another entry")
	case n.Kind == "keep-alive" && m.Entry != (wire.Entry{Name: wire.Name(n.Name)}):
		return errors.New("another name")
	case n.Kind == "vanilla" && !bytes.Equal(n.Text, m.Payload):
		return errors.New("another text")
	case n.Kind == "directory" && m.Entries.Len() != n.Len():
		return errors.New("another number of entries")
	}
	for i := range n.Len() {
		if name, port := n.At(i); m.Entries.At(i) != (wire.Entry{Name: wire.Name(name), Port: uint16(port)}) {
			return errors.New("another entry")
		}
	}
	return nil
}
