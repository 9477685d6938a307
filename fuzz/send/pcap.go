package send

import (
	"bufio"
	"encoding/binary"
	"io"
	"net/netip"
	"time"
)

// Capture writes datagrams as a pcap file of raw IPv4 packets
// (draft-ietf-opsawg-pcap, LINKTYPE_IPV4). The UDP checksum is 0: none.
type Capture struct {
	w   *bufio.Writer
	b   []byte
	err error
}

// NewCapture starts a capture.
func NewCapture(w io.Writer) *Capture {
	c := &Capture{w: bufio.NewWriter(w)}
	h := binary.LittleEndian.AppendUint32(nil, 0xA1B2C3D4) // microseconds
	h = binary.LittleEndian.AppendUint16(h, 2)
	h = binary.LittleEndian.AppendUint16(h, 4)
	h = append(h, make([]byte, 8)...)
	h = binary.LittleEndian.AppendUint32(h, 65535)
	h = binary.LittleEndian.AppendUint32(h, 228)
	_, c.err = c.w.Write(h)
	return c
}

// Add writes one datagram.
func (c *Capture) Add(now time.Time, from, to netip.AddrPort, datagram []byte) {
	size := 28 + len(datagram)
	b := binary.LittleEndian.AppendUint32(c.b[:0], uint32(now.Unix()))
	b = binary.LittleEndian.AppendUint32(b, uint32(now.Nanosecond()/1000))
	b = binary.LittleEndian.AppendUint32(b, uint32(size))
	b = binary.LittleEndian.AppendUint32(b, uint32(size))
	ip := len(b)
	b = append(b, 0x45, 0, byte(size>>8), byte(size), 0, 0, 0x40, 0, 64, 17, 0, 0)
	b = append(b, from.Addr().AsSlice()...)
	b = append(b, to.Addr().AsSlice()...)
	sum := uint32(0)
	for i := 0; i < 20; i += 2 {
		sum += uint32(binary.BigEndian.Uint16(b[ip+i:]))
	}
	sum = sum&0xFFFF + sum>>16
	binary.BigEndian.PutUint16(b[ip+10:], ^uint16(sum&0xFFFF+sum>>16))
	b = binary.BigEndian.AppendUint16(b, from.Port())
	b = binary.BigEndian.AppendUint16(b, to.Port())
	b = binary.BigEndian.AppendUint16(b, uint16(8+len(datagram)))
	b = append(b, 0, 0)
	c.b = append(b, datagram...)
	if c.err == nil {
		_, c.err = c.w.Write(c.b)
	}
}

// Close writes what is left and says whether all was written.
func (c *Capture) Close() error {
	if c.err == nil {
		c.err = c.w.Flush()
	}
	return c.err
}
