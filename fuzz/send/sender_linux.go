package send

import (
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// mmsghdr is the kernel's struct mmsghdr.
type mmsghdr struct {
	hdr unix.Msghdr
	n   uint32
}

// segmentSize is the control message that has the kernel cut a train apart
// (UDP_SEGMENT, udp(7)), padded as CMSG_SPACE wants it.
type segmentSize struct {
	hdr  unix.Cmsghdr
	size uint16
	_    [6]byte
}

// batcher sends with sendmmsg.
type batcher struct {
	conn    syscall.RawConn
	write   func(fd uintptr) bool // a method as a value, made once
	hdrs    [BatchSize]mmsghdr
	iovs    [BatchSize]unix.Iovec
	cmsgs   [BatchSize]segmentSize
	s       *Sender
	pending []message // while send runs
	first   int       // what of it has not gone yet
}

func (b *batcher) open(s *Sender) (err error) {
	b.s, b.write = s, b.flush
	for i := range b.hdrs {
		b.hdrs[i].hdr.Iov, b.hdrs[i].hdr.Iovlen = &b.iovs[i], 1
		c := &b.cmsgs[i].hdr
		c.Level, c.Type = unix.SOL_UDP, unix.UDP_SEGMENT
		c.SetLen(unix.CmsgLen(2))
	}
	b.conn, err = s.udp.SyscallConn()
	return err
}

// Supported says whether the kernel cuts trains apart for this socket.
func (s *Sender) Supported() (ok bool) {
	s.raw.conn.Control(func(fd uintptr) {
		_, err := unix.GetsockoptInt(int(fd), unix.SOL_UDP, unix.UDP_SEGMENT)
		ok = err == nil
	})
	return ok
}

// send sends up to BatchSize messages.
func (b *batcher) send(s *Sender, messages []message) {
	for i := range messages {
		m := &messages[i]
		b.iovs[i].Base = unsafe.SliceData(m.data)
		b.iovs[i].SetLen(len(m.data))
		h := &b.hdrs[i].hdr
		h.Control, h.Controllen = nil, 0
		if m.count > 1 {
			b.cmsgs[i].size = uint16(m.size)
			h.Control = (*byte)(unsafe.Pointer(&b.cmsgs[i]))
			h.SetControllen(int(unsafe.Sizeof(b.cmsgs[i])))
		}
	}
	b.pending, b.first = messages, 0
	if err := b.conn.Write(b.write); err != nil { // the socket was closed
		for i := range b.pending[b.first:] {
			s.failed.Add(uint64(b.pending[b.first+i].count))
		}
	}
	b.pending = nil
}

// flush sends what is pending; false: the send buffer is full.
func (b *batcher) flush(fd uintptr) bool {
	for b.first < len(b.pending) {
		r, _, e := unix.Syscall6(unix.SYS_SENDMMSG, fd, uintptr(unsafe.Pointer(&b.hdrs[b.first])), uintptr(len(b.pending)-b.first), unix.MSG_DONTWAIT, 0, 0)
		switch e {
		case 0:
			for i := range int(r) {
				b.s.count(&b.pending[b.first+i])
			}
			b.first += int(r)
		case unix.EINTR:
		case unix.EAGAIN:
			return false
		case unix.ECONNREFUSED: // of an earlier datagram; this one has not gone
			b.s.refused.Add(1)
		default: // of the first one; the others have their chance
			b.s.failed.Add(uint64(b.pending[b.first].count))
			b.first++
		}
	}
	return true
}
