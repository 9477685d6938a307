package core

import (
	"bytes"
	"strconv"
)

const (
	broadcastInfix = "_broadcast_"
	dots           = "................................................................"
)

// AppendBroadcast appends the text that a peer broadcasts, such as
// peerA_broadcast_1f (PROTOCOL.md, "Peer"), filled up with dots to at least
// size bytes. The dots are for benchmarks; the protocol's own size is 0.
func AppendBroadcast(b []byte, from Name, counter uint16, size int) []byte {
	start := len(b)
	b = append(b, "peer"...)
	b = append(b, from...)
	b = append(b, broadcastInfix...)
	b = strconv.AppendUint(b, uint64(counter), 16)
	for missing := size - (len(b) - start); missing > 0; missing -= len(dots) {
		b = append(b, dots[:min(missing, len(dots))]...)
	}
	return b
}

// ParseBroadcast reads a text of AppendBroadcast's back. The name aliases it.
func ParseBroadcast(text []byte) (from []byte, counter uint16, ok bool) {
	if len(text) < 4 || string(text[:4]) != "peer" {
		return nil, 0, false
	}
	rest := text[4:]
	end := 1 // as a rule, for which there is no need to search
	if len(rest) < 1+len(broadcastInfix) || string(rest[1:1+len(broadcastInfix)]) != broadcastInfix {
		if end = bytes.Index(rest, []byte(broadcastInfix)); end < 1 {
			return nil, 0, false
		}
	}
	name, digits := rest[:end], rest[end+len(broadcastInfix):]
	n, i := 0, 0
	for ; i < len(digits) && digits[i] != '.'; i++ {
		c := digits[i]
		switch {
		case '0' <= c && c <= '9':
			c -= '0'
		case 'a' <= c && c <= 'f':
			c -= 'a' - 10
		default:
			return nil, 0, false
		}
		if n = n<<4 | int(c); n > 0xFFFF {
			return nil, 0, false
		}
	}
	return name, uint16(n), i > 0
}
