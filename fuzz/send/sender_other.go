//go:build !linux

package send

import (
	"errors"
	"syscall"
)

// batcher sends with one system call a datagram.
type batcher struct{}

func (*batcher) open(*Sender) error { return nil }

// Supported says whether the kernel cuts trains apart for this socket.
func (s *Sender) Supported() bool { return false }

func (*batcher) send(s *Sender, messages []message) {
	for i := range messages {
		m := &messages[i]
		for at := 0; ; at += m.size {
			_, err := s.udp.Write(m.data[at : at+m.size])
			switch {
			case err == nil:
				s.sent.Add(1)
				s.bytes.Add(uint64(m.size))
			case errors.Is(err, syscall.ECONNREFUSED):
				s.refused.Add(1)
			default:
				s.failed.Add(1)
			}
			if m.size == 0 || at+m.size >= len(m.data) {
				break
			}
		}
	}
}
