package core_test

import (
	"fmt"
	"time"

	"p2plocal/core"
	"p2plocal/core/simnet"
)

// Two peers join a mesh, and one hears the other's first broadcast, all in virtual time.
func Example() {
	n := simnet.New(simnet.Config{})
	n.AddServer(core.DirectoryConfig{Timing: core.DefaultTiming()}).Launch()
	for i, name := range []core.Name{"A", "B"} {
		peer := n.AddPeer(core.PeerConfig{
			Self:   core.Member{Name: name, Addr: simnet.Addr(3101 + uint16(i))},
			Timing: core.DefaultTiming(),
			Observe: func(e *core.Event) {
				switch e.Kind {
				case core.Listed:
					fmt.Printf("%v: %s sees %d in the directory\n", n.Now(), name, e.All.Len())
				case core.Heard:
					fmt.Printf("%v: %s hears %s: %s\n", n.Now(), name, e.Peer.Name, e.Data)
				}
			},
		})
		n.At(time.Duration(i)*time.Second, peer.Launch)
	}
	n.Run(4500 * time.Millisecond)
	// Output:
	// 0s: A sees 1 in the directory
	// 1s: A sees 2 in the directory
	// 1s: B sees 2 in the directory
	// 4s: B hears A: peerA_broadcast_0
}
