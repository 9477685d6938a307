//go:build !portable

package udp

import (
	"cmp"
	"net"
	"net/netip"
	"os"
	"runtime"
	"sync"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"

	"p2plocal/core"
)

// conn sends and receives in batches, one system call for many datagrams.
type conn struct {
	udp   *net.UDPConn
	raw   syscall.RawConn
	sock  *Socket
	clock *clock
	alarm alarm
	six   bool // an IPv6 socket, to which IPv4 addresses are mapped ones

	writable            func(fd uintptr) bool // methods as values, made once
	readNow, askMeminfo func(fd uintptr)

	meminfo     [16]uint32 // of the socket, as last asked
	meminfoSize uint32     // bytes of it; 0: the system does not tell

	sending *sendBatch // while write runs
	first   int        // the first of it that has not been sent
	last    int
	failed  int
}

// mmsghdr is the kernel's struct mmsghdr.
type mmsghdr struct {
	hdr unix.Msghdr
	n   uint32
}

// The system calls, non-blocking. Tests replace them.
var (
	recvmmsg = func(fd uintptr, h *mmsghdr, most int) (n int, e syscall.Errno) {
		r, _, e := unix.Syscall6(unix.SYS_RECVMMSG, fd, uintptr(unsafe.Pointer(h)), uintptr(most), unix.MSG_DONTWAIT, 0, 0)
		return int(r), e
	}
	sendmmsg = func(fd uintptr, h *mmsghdr, most int) (n int, e syscall.Errno) {
		r, _, e := unix.Syscall6(unix.SYS_SENDMMSG, fd, uintptr(unsafe.Pointer(h)), uintptr(most), unix.MSG_DONTWAIT, 0, 0)
		return int(r), e
	}
)

// A receiveBatch has room for datagrams of any size: first for firstBatch, then, if more are
// waiting, for batchSize. A socket holds one only while it reads, so that a mesh of 95 peers
// shares a few; of 1,000 peers many may hold one when the machine is busy. Slots are an odd
// number of cache lines apart: 64 KiB apart they would compete for the same cache sets. Their
// space is mapped, because allocating it would start a garbage collection just when births come
// together.
const (
	firstBatch = 2
	batchSize  = 32
	slotSize   = 1025 * 64
)

type receiveBatch struct {
	hdrs    []mmsghdr
	iovs    []unix.Iovec
	names   []unix.RawSockaddrInet6 // or what fits into one
	packets []packet
	space   []byte
}

type sendBatch struct {
	hdrs  [core.MaxPeers]mmsghdr
	names [core.MaxPeers]unix.RawSockaddrInet6 // likewise
	iov   unix.Iovec
}

var firstBatches, moreBatches = sync.Pool{New: newReceiveBatch(firstBatch)}, sync.Pool{New: newReceiveBatch(batchSize)}

// expectMany prepares a batch of batchSize, with the first page of each slot in memory.
func expectMany() {
	b := moreBatches.Get().(*receiveBatch)
	for i := range b.hdrs {
		*b.iovs[i].Base = 0
	}
	moreBatches.Put(b)
}

func newReceiveBatch(n int) func() any {
	return func() any {
		space, err := unix.Mmap(-1, 0, n*slotSize, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS)
		if err != nil {
			space = make([]byte, n*slotSize)
		}
		b := &receiveBatch{make([]mmsghdr, n), make([]unix.Iovec, n), make([]unix.RawSockaddrInet6, n), make([]packet, n), space}
		if err == nil {
			runtime.AddCleanup(b, func(space []byte) { unix.Munmap(space) }, space)
		}
		for i := range b.hdrs {
			b.iovs[i].Base = &b.space[i*slotSize]
			b.iovs[i].SetLen(slotSize)
			h := &b.hdrs[i].hdr
			h.Iov, h.Iovlen = &b.iovs[i], 1
			h.Name = (*byte)(unsafe.Pointer(&b.names[i]))
		}
		return b
	}
}

var sendBatches = sync.Pool{New: func() any {
	b := new(sendBatch)
	for i := range b.hdrs {
		h := &b.hdrs[i].hdr
		h.Iov, h.Iovlen = &b.iov, 1
		h.Name = (*byte)(unsafe.Pointer(&b.names[i]))
	}
	return b
}}

func (c *conn) open(u *net.UDPConn, s *Socket) (err error) {
	if c.clock, err = processClock(); err != nil {
		return err
	}
	if c.raw, err = u.SyscallConn(); err != nil {
		return err
	}
	c.udp, c.sock, c.alarm = u, s, alarm{ring: s.ring, tryRing: s.tryRing}
	c.six = u.LocalAddr().(*net.UDPAddr).IP.To4() == nil
	c.writable = c.send
	c.readNow = func(fd uintptr) { c.receive(fd) }
	c.askMeminfo = c.meminfoOf
	c.clock.add(&c.alarm)
	return nil
}

func (c *conn) close() error {
	c.clock.remove(&c.alarm)
	return c.udp.Close()
}

// setDeadline rings the socket at a time, or with the zero Time never.
func (c *conn) setDeadline(t time.Time) { c.clock.set(&c.alarm, t) }

func (c *conn) granted() (n int) {
	c.raw.Control(func(fd uintptr) {
		if n, _ = unix.GetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_RCVBUF); n > 0 {
			n /= 2 // Linux doubles it for its own bookkeeping (socket(7))
		}
	})
	return n
}

func (c *conn) drops() (n uint64, ok bool) {
	c.meminfoSize = 0
	c.raw.Control(c.askMeminfo)
	return c.lastAnswer()
}

// lastAnswer is what the system said when it was last asked.
func (c *conn) lastAnswer() (drops uint64, ok bool) {
	const meminfoDrops = 8 // SK_MEMINFO_DROPS, linux/sock_diag.h
	return uint64(c.meminfo[meminfoDrops]), c.meminfoSize > meminfoDrops*4
}

// waiting asks for the same into space of its own, so that it needs no lock.
func (c *conn) waiting() (bytes int64, drops uint64, ok bool) {
	look := conn{}
	c.raw.Control(look.meminfoOf)
	drops, ok = look.lastAnswer()
	return int64(look.meminfo[0]), drops, ok // SK_MEMINFO_RMEM_ALLOC
}

// meminfoOf asks for SO_MEMINFO. It is a method, and its answer has a place in
// conn, because under a flood it is called thousands of times a second.
func (c *conn) meminfoOf(fd uintptr) {
	c.meminfoSize = uint32(unsafe.Sizeof(c.meminfo))
	_, _, e := unix.Syscall6(unix.SYS_GETSOCKOPT, fd, unix.SOL_SOCKET, unix.SO_MEMINFO,
		uintptr(unsafe.Pointer(&c.meminfo)), uintptr(unsafe.Pointer(&c.meminfoSize)), 0)
	if e != 0 {
		c.meminfoSize = 0
	}
}

// filter makes the kernel drop, before it reaches the queue, what a program does not let pass, or
// with nil stops that, and reports whether a filter is in place. Filtering costs the sender's
// time, and is counted among the drops.
func (c *conn) filter(program []bpf.RawInstruction) (inPlace bool) {
	c.raw.Control(func(fd uintptr) {
		if len(program) == 0 {
			unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_DETACH_FILTER, 0)
			return
		}
		// A bpf.RawInstruction is laid out as the kernel's struct sock_filter.
		p := unix.SockFprog{Len: uint16(len(program)), Filter: (*unix.SockFilter)(unsafe.Pointer(&program[0]))}
		inPlace = unix.SetsockoptSockFprog(int(fd), unix.SOL_SOCKET, unix.SO_ATTACH_FILTER, &p) == nil
	})
	return inPlace
}

func (c *conn) discard() (n uint64) {
	c.raw.Control(func(fd uintptr) {
		for {
			switch _, _, err := unix.Recvfrom(int(fd), nil, unix.MSG_DONTWAIT); err {
			case nil:
				n++
			case unix.EINTR:
			default:
				return
			}
		}
	})
	return n
}

// serve runs a round whenever datagrams arrive, until a round fails. All rounds are one Read: the
// poller is edge-triggered, so that once the queue was seen empty it can wait without another look.
func (c *conn) serve() (err error) {
	closed := c.raw.Read(func(fd uintptr) (over bool) {
		c.sock.mu.Lock()
		defer c.sock.mu.Unlock()
		for err == nil {
			some, emptied, failure := c.receive(fd)
			if some || failure != nil {
				err = c.sock.round(failure)
			}
			if emptied && err == nil {
				return false
			}
		}
		return true
	})
	return cmp.Or(err, closed)
}

// drainWaits says that drain may wait.
const drainWaits = false

// drain reads what has arrived, without waiting. The caller holds the socket's mu.
func (c *conn) drain() { c.raw.Control(c.readNow) }

// receive empties the queue as far as the socket takes it. It reports that it read something, and
// that the queue was empty then.
func (c *conn) receive(fd uintptr) (some, emptied bool, err error) {
	some, emptied, more, err := c.receiveFrom(fd, &firstBatches)
	for more && err == nil {
		var again bool
		again, emptied, more, err = c.receiveFrom(fd, &moreBatches)
		some = some || again
	}
	return some, emptied, err
}

// receiveFrom reads one batch of a pool. It reports that it read something, that the queue was
// empty then, and that the socket would take more.
func (c *conn) receiveFrom(fd uintptr, pool *sync.Pool) (some, emptied, more bool, err error) {
	b := pool.Get().(*receiveBatch)
	defer pool.Put(b)
	for i := range b.hdrs {
		b.hdrs[i].hdr.Namelen = unix.SizeofSockaddrInet6
	}
	n, e := recvmmsg(fd, &b.hdrs[0], len(b.hdrs))
	switch e {
	case 0:
	case unix.EINTR:
		return false, false, true, nil
	case unix.EAGAIN:
		return false, true, false, nil
	default:
		return false, false, false, os.NewSyscallError("recvmmsg", e)
	}
	for i := range n {
		name := &b.names[i]
		port := (*[2]byte)(unsafe.Pointer(&name.Port))
		b.packets[i] = packet{
			from: netip.AddrPortFrom(addrOf(name), uint16(port[0])<<8|uint16(port[1])),
			data: b.space[i*slotSize:][:b.hdrs[i].n:b.hdrs[i].n],
		}
	}
	emptied = n < len(b.hdrs)
	return true, emptied, c.sock.take(b.packets[:n]) && !emptied, nil
}

// inet4 is a name as that of an IPv4 socket. The port stands at the same place in both.
func inet4(name *unix.RawSockaddrInet6) *unix.RawSockaddrInet4 {
	return (*unix.RawSockaddrInet4)(unsafe.Pointer(name))
}

func addrOf(name *unix.RawSockaddrInet6) netip.Addr {
	if name.Family == unix.AF_INET {
		return netip.AddrFrom4(inet4(name).Addr)
	}
	return netip.AddrFrom16(name.Addr).Unmap()
}

// A series of so many datagrams or timers takes longer than waking a thread.
const many = 8

// wakeAnother makes another thread look for work, if one sleeps and a processor is free. Go's
// scheduler wakes one when a goroutine becomes ready, but nobody asks the poller which ones have
// while the thread that last asked is busy with a series: receivers in this process would be run
// only after all of it. To other processes it is of no use, and each datagram sent would wake the
// thread that watches the socket. Tests replace it.
var wakeAnother = func() { go nothing() }

func nothing() {}

// write sends one datagram to each address and counts those that failed.
func (c *conn) write(datagram []byte, to []netip.AddrPort) (failed int) {
	b := sendBatches.Get().(*sendBatch)
	c.sending, c.failed = b, 0
	b.iov.Base = unsafe.SliceData(datagram)
	b.iov.SetLen(len(datagram))
	if len(to) >= many && serving.Load() >= many {
		wakeAnother()
	}
	for ; len(to) > 0; to = to[c.last:] {
		c.first, c.last = 0, min(len(to), core.MaxPeers)
		for i, a := range to[:c.last] {
			port, name := a.Port(), &b.names[i]
			switch {
			case c.six:
				name.Family, name.Addr = unix.AF_INET6, a.Addr().As16()
				b.hdrs[i].hdr.Namelen = unix.SizeofSockaddrInet6
			case a.Addr().Is4():
				name.Family, inet4(name).Addr = unix.AF_INET, a.Addr().As4()
				b.hdrs[i].hdr.Namelen = unix.SizeofSockaddrInet4
			default:
				port = 0 // the kernel refuses it
			}
			*(*[2]byte)(unsafe.Pointer(&name.Port)) = [2]byte{byte(port >> 8), byte(port)}
		}
		if c.raw.Write(c.writable) != nil { // the socket was closed
			c.failed += c.last - c.first
		}
	}
	c.sending, b.iov.Base = nil, nil
	sendBatches.Put(b)
	return c.failed
}

// send sends what write has prepared; false: the send buffer is full.
func (c *conn) send(fd uintptr) bool {
	for c.first < c.last {
		n, e := sendmmsg(fd, &c.sending.hdrs[c.first], c.last-c.first)
		switch e {
		case 0:
			c.first += n
		case unix.EINTR:
		case unix.EAGAIN:
			return false
		default: // of the first one only; go on with the others
			c.first++
			c.failed++
		}
	}
	return true
}
