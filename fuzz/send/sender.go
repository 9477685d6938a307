// Package send gets datagrams to a target: as fast as the kernel lets it be, or at a
// rate; and into a pcap file.
package send

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"sync/atomic"
	"time"
)

// A Sender sends datagrams to one address, many to a system call where the
// kernel allows. It belongs to one goroutine; Counts may be read from any.
type Sender struct {
	udp *net.UDPConn // connected: what comes back from the target's port is known
	raw batcher

	sent, bytes, failed, refused atomic.Uint64
}

// Counts is what a Sender has done.
type Counts struct {
	Sent    uint64 `json:"sent"`    // datagrams that the kernel took
	Bytes   uint64 `json:"bytes"`   // of UDP payload in them
	Failed  uint64 `json:"failed"`  // datagrams that the kernel refused
	Refused uint64 `json:"refused"` // times that the target's host said: nobody listens on that port
}

// Dial makes a Sender that sends from the address from to the address to; with
// from's port 0 the kernel chooses one.
func Dial(from, to netip.AddrPort) (*Sender, error) {
	u, err := net.DialUDP("udp4", net.UDPAddrFromAddrPort(from), net.UDPAddrFromAddrPort(to))
	if err != nil {
		return nil, fmt.Errorf("cannot send to %v: %w", to, err)
	}
	u.SetWriteBuffer(1 << 20) // the kernel may grant less
	s := &Sender{udp: u}
	if err := s.raw.open(s); err != nil {
		u.Close()
		return nil, err
	}
	return s, nil
}

// Close frees the port.
func (s *Sender) Close() error { return s.udp.Close() }

// Counts is what has been done so far.
func (s *Sender) Counts() Counts {
	return Counts{s.sent.Load(), s.bytes.Load(), s.failed.Load(), s.refused.Load()}
}

// A Load is a set of datagrams made ready to be sent over and over.
type Load struct{ messages []message }

// message is what one entry of a batch sends: one datagram, or with GSO
// several of one size behind each other.
type message struct {
	data  []byte
	size  int // of one datagram
	count int // of datagrams
}

// GSO's bounds: UDP_MAX_SEGMENTS of linux/udp.h as it was at first, and what one IP
// packet holds, since that is what the segments are cut from.
const (
	maxSegments = 64
	maxTrain    = 65535 - 20 - 8
)

// Pack makes datagrams ready for sending, in their order. With gso each of them that
// is not empty becomes a train: as many copies of it behind each other as the
// kernel cuts apart in one go. Supported says whether it does.
func Pack(datagrams [][]byte, gso bool) *Load {
	l := new(Load)
	for _, d := range datagrams {
		m := message{d, len(d), 1}
		if gso && len(d) > 0 {
			m.count = min(maxSegments, maxTrain/len(d))
			m.data = make([]byte, 0, m.count*len(d))
			for range m.count {
				m.data = append(m.data, d...)
			}
		}
		l.messages = append(l.messages, m)
	}
	return l
}

const (
	BatchSize = 64
	nap       = time.Millisecond // the shortest sleep: a shorter one is no better kept
)

// Run sends l over and over until ctx is done, at rate datagrams a second, or with
// rate 0 as fast as it can. What it falls behind by more than a tenth of a second
// it gives up, so that a rate beyond the machine's does not grow into a debt.
func (s *Sender) Run(ctx context.Context, l *Load, rate float64) {
	if len(l.messages) == 0 {
		<-ctx.Done()
		return
	}
	done := ctx.Done()
	start := time.Now()
	var paced float64 // datagrams since start
	for next := 0; ; {
		select {
		case <-done:
			return
		default:
		}
		n := min(BatchSize, len(l.messages)-next)
		if rate > 0 {
			allowed := time.Since(start).Seconds()*rate - paced
			if allowed < 1 {
				wait(done, max(nap, time.Duration((1-allowed)/rate*float64(time.Second))))
				continue
			}
			if allowed > rate/10 && allowed > BatchSize {
				paced += allowed - BatchSize
			}
			n = fit(l.messages[next:next+n], allowed)
		}
		batch := l.messages[next : next+n]
		for i := range batch {
			paced += float64(batch[i].count)
		}
		s.raw.send(s, batch)
		if next += n; next == len(l.messages) {
			next = 0
		}
	}
}

// fit is how many messages hold no more datagrams than allowed, at least one.
func fit(messages []message, allowed float64) int {
	for i := range messages {
		if allowed -= float64(messages[i].count); allowed < 0 {
			return max(i, 1)
		}
	}
	return len(messages)
}

func wait(done <-chan struct{}, d time.Duration) {
	select {
	case <-done:
	case <-time.After(d):
	}
}

// count counts n datagrams of m.
func (s *Sender) count(m *message) {
	s.sent.Add(uint64(m.count))
	s.bytes.Add(uint64(len(m.data)))
}
