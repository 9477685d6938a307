package main

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"sync/atomic"
	"testing"

	"p2plocal/cmd/internal/cli"
	"p2plocal/fuzz/campaign"
	"p2plocal/fuzz/target"
)

// What processes and sockets are needed for.

var nextPort atomic.Uint32

// host is an address of this process alone: the same tests may run beside it, and
// their targets must not get the ports of these while they restart.
var host = target.OwnHost()

// free is an address that nobody is on. The kernel gives its ports to none who
// ask for any: while the target restarts, nobody may get it.
func free(t *testing.T) string {
	t.Helper()
	const first, ports = 10000, 10000
	nextPort.CompareAndSwap(0, rand.Uint32N(ports))
	for range ports {
		addr := netip.AddrPortFrom(host, uint16(first+nextPort.Add(1)%ports))
		u, err := net.ListenUDP("udp4", net.UDPAddrFromAddrPort(addr))
		if err != nil {
			continue
		}
		u.Close()
		return addr.String()
	}
	t.Fatal("no port is free")
	return ""
}

// attackServer attacks a server of this machine with one fault.
func attackServer(t *testing.T, fault string, args ...string) outcome {
	t.Helper()
	return attack(t.Context(), t, nil, append([]string{"-target", free(t), "-exec", os.Args[0] + " " + fmt.Sprintf(aServer, fault)}, args...)...)
}

// attackPeer attacks a peer of this machine with one fault.
func attackPeer(t *testing.T, fault string, args ...string) outcome {
	t.Helper()
	return attack(t.Context(), t, nil, append([]string{"-as", "peer", "-target", host.String() + ":3000", "-peer-exec", os.Args[0] + " " + fmt.Sprintf(aPeer, fault)}, args...)...)
}

// verdict runs an attack until it can be carried out: on a machine that is too slow, nothing can be said of the target.
// Of a sound one, some batches need not have been judged.
func verdict(t *testing.T, attack func(*testing.T, string, ...string) outcome, fault string, args ...string) (o outcome) {
	t.Helper()
	for range 10 {
		if o = attack(t, fault, args...); o.err == nil || errors.Is(o.err, cli.Failed) || fault == "none" && errors.Is(o.err, campaign.ErrUnjudged) {
			break
		}
	}
	return o
}

// survives wants no finding in a sound target.
func survives(t *testing.T, attack func(*testing.T, string, ...string) outcome, args ...string) {
	t.Helper()
	if o := verdict(t, attack, "none", args...); o.err != nil && !errors.Is(o.err, campaign.ErrUnjudged) || len(o.Findings) > 0 {
		t.Errorf("%v, findings %+v, want none", o.err, o.Findings)
	}
}

// found wants a fault found.
func found(t *testing.T, attack func(*testing.T, string, ...string) outcome, fault string, kind campaign.Kind, args ...string) {
	t.Helper()
	o := verdict(t, attack, fault, append([]string{"-findings-max", "1", "-narrow", "1s"}, args...)...)
	if !errors.Is(o.err, cli.Failed) || len(o.Findings) != 1 || o.Findings[0].Kind != kind {
		t.Errorf("%v, findings %+v, want one: %s", o.err, o.Findings, kind)
	}
}

func TestFaultyProcessesAreAttacked(t *testing.T) {
	t.Parallel() // one after another: each alone is much for a busy machine
	found(t, attackServer, "die-on-byte", campaign.Died, "-mode", "catalogue")
	found(t, attackPeer, "spill", campaign.Spilled, "-mode", "catalogue")
}

func TestSoundProcessesAreAttacked(t *testing.T) {
	t.Parallel() // likewise
	survives(t, attackPeer, "-mode", "mutate,generate,random", "-count", "200")
	survives(t, attackServer, "-probe-timeout", "5s", "-mode", "mutate,generate,random", "-count", "1000")
	survives(t, attackServer, "-mode", "flood", "-rate", "20000", "-count", "1")
}
