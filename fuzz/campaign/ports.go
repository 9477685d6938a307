package campaign

import (
	"fmt"
	"net/netip"

	"p2plocal/fuzz/target"
)

// What a campaign uses its ports for, counted from the first. They stay the
// same when the target is restarted, so that a datagram that names one means
// the same again.
const (
	bystanderPort = canaries + iota // the bystander's
	peerPort                        // of a peer that the campaign starts
	serverPort                      // of that peer's server
	guardPort                       // held as long as the campaign lasts
	portsUsed
)

// The ports that are chosen from: no system's for sockets that ask for any,
// and none of the catalogue's.
const (
	firstPort = 22000
	places    = 1200
)

// claimPorts chooses the ports, by the seed and then the next, if none are given. A
// campaign holds the last of them: another one then looks elsewhere.
func (c *campaign) claimPorts() (release func(), err error) {
	u, err := target.Listen(netip.AddrPortFrom(c.Target.Addr(), 0))
	if err != nil {
		return nil, fmt.Errorf("cannot watch %v: peers live on their server's host, and that is another one (%w)", c.Target, err)
	}
	u.Close()
	if c.Ports != 0 {
		guard, err := target.Listen(netip.AddrPortFrom(c.Target.Addr(), c.Ports+guardPort))
		if err != nil {
			return nil, fmt.Errorf("the ports from %d on are busy: %w", c.Ports, err)
		}
		return func() { guard.Close() }, nil
	}
	for i := range uint64(places) {
		base := uint16(firstPort + portsUsed*((c.Seed+i)%places))
		guard, err := target.Listen(netip.AddrPortFrom(c.Target.Addr(), base+guardPort))
		if err != nil {
			continue
		}
		if c.portsFree(base) {
			c.Ports = base
			return func() { guard.Close() }, nil
		}
		guard.Close()
	}
	return nil, fmt.Errorf("no %d ports in a row are free from %d on", portsUsed, firstPort)
}

func (c *campaign) portsFree(base uint16) bool {
	for port := base; port < base+guardPort; port++ {
		u, err := target.Listen(netip.AddrPortFrom(c.Target.Addr(), port))
		if err != nil {
			return false
		}
		u.Close()
	}
	return true
}
