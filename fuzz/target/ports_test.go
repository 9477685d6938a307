package target

import (
	"net"
	"net/netip"
	"testing"
)

// Where other processes have all blocks of ports, there still are some for one more, on its own address.
func TestPortsOfManyProcesses(t *testing.T) {
	ports.Lock()
	guards, mine, next := ports.guards, ports.mine, ports.next
	ports.guards, ports.mine = nil, nil
	var others []*net.UDPConn
	for i := range blocks {
		if u, err := Listen(netip.AddrPortFrom(loopback, uint16(firstPort+i*blockSize))); err == nil { // else somebody has it
			others = append(others, u)
		}
	}
	ports.Unlock()
	defer func() {
		ports.Lock()
		ports.guards, ports.mine, ports.next, ports.all = guards, mine, next, false
		ports.Unlock()
		for _, u := range others {
			u.Close()
		}
	}()
	host, got := OwnHost(), map[uint16]bool{}
	for range 3 {
		port, release, err := FreePort(host)
		if err != nil {
			t.Fatal(err)
		}
		defer release()
		if got[port] || port <= firstPort || port >= firstPort+blocks*blockSize || port%blockSize == 0 {
			t.Errorf("port %d, want another of %d to %d that guards no block", port, firstPort, firstPort+blocks*blockSize-1)
		}
		got[port] = true
	}
}
