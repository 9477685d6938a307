package udp

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"strings"
	"syscall"
)

// ListenError says in one line why an address cannot be listened on, without what package net puts
// around it, and what to do if the kernel has no port left to choose: its own words for that are
// "address already in use", though no address was given.
func ListenError(at netip.AddrPort, err error) error {
	var number syscall.Errno
	switch {
	case at.Port() == 0 && (errors.Is(err, syscall.EADDRINUSE) || errors.Is(err, syscall.EAGAIN)):
		return fmt.Errorf("cannot listen on %v: %w", at, noPort{err})
	case errors.As(err, &number):
		err = number
	}
	return fmt.Errorf("cannot listen on %v: %w", at, err)
}

// noPort: the kernel has none left to choose.
type noPort struct{ error }

func (n noPort) Unwrap() error { return n.error }

func (n noPort) Error() string {
	const file = "/proc/sys/net/ipv4/ip_local_port_range"
	text := "this machine has no free port left to choose"
	b, err := os.ReadFile(file)
	if err != nil {
		return text
	}
	return fmt.Sprintf("%s from %s: end what holds them, or widen %s", text, strings.Join(strings.Fields(string(b)), " to "), file)
}
