package mesh

import (
	"encoding/json"
	"net/netip"
	"strings"
	"testing"
	"time"

	"p2plocal/bench/record"
	"p2plocal/core"
)

// An agent does nothing but its part of a mesh: it refuses what it cannot do, and targets outside.
func TestAgentRefuses(t *testing.T) {
	t.Parallel()
	here, elsewhere := netip.MustParseAddr("127.0.0.1"), netip.MustParseAddrPort("192.0.2.1:53")
	a := &Agent{Addr: here, Log: t.Logf}
	defer a.Close()
	number := uint64(0)
	ask := func(q hostRequest, want string) (r hostReply) {
		t.Helper()
		if q.Mesh == "" {
			q.Mesh = "m"
		}
		if q.Open == nil && q.Mesh == "m" {
			number++
		}
		q.Number = number + 1
		request, _ := json.Marshal(q)
		if err := json.Unmarshal(a.Answer(request), &r); err != nil || want == "" && r.Error != "" || !strings.Contains(r.Error, want) {
			t.Errorf("%s: %v, %q, want %q", request, err, r.Error, want)
		}
		return r
	}
	part := func(change func(*hostPart)) *hostPart {
		p := &hostPart{Peers: 2, Hosts: 1, Timing: core.DefaultTiming()}
		change(p)
		return p
	}
	ask(hostRequest{Open: part(func(p *hostPart) { p.Peers = record.MostPeers + 1 })}, "want up to 4000 peers")
	ask(hostRequest{Open: part(func(p *hostPart) { p.Hosts = 0 })}, "host 0 of 0")
	ask(hostRequest{Open: part(func(p *hostPart) { p.Buffer = -1 })}, "read buffer of -1 bytes")
	ask(hostRequest{Open: part(func(p *hostPart) { p.Timing.Reap = 0 })}, "reap")
	ask(hostRequest{Open: part(func(p *hostPart) { p.Hosts, p.Host, p.Clock = 2, 1, elsewhere })}, "a clock at 192.0.2.1:53, where no worker is")
	if a.Busy() != "" {
		t.Errorf("it hosts %s", a.Busy())
	}
	all := ask(hostRequest{Open: part(func(*hostPart) {})}, "").Addresses
	if len(all) != 3 || a.Busy() != "2 peers of mesh m" {
		t.Fatalf("addresses %v, busy with %q", all, a.Busy())
	}
	ask(hostRequest{Mesh: "another", Open: part(func(*hostPart) {})}, `it is busy with mesh "m"`)
	order := func(o hostOrder) hostRequest { return hostRequest{Orders: []hostOrder{o}} }
	ask(order(hostOrder{Slot: 0, Command: Command{Do: "birth", Life: &Life{Server: elsewhere}}}), "before it is known who is where")
	ask(hostRequest{Know: all[:2]}, "2 addresses, want 3")
	ask(hostRequest{Know: []netip.AddrPort{all[0], elsewhere, all[2]}}, "a member at 192.0.2.1:53, where no worker is")
	ask(hostRequest{Know: all}, "")
	ask(order(hostOrder{Slot: 0, Command: Command{Do: "birth", Life: &Life{Server: elsewhere}}}), "a birth at a server outside the mesh")
	ask(order(hostOrder{Slot: 2, Command: Command{Do: "kill"}}), "slot 2, which is not on this host")
	ask(order(hostOrder{Slot: record.ServerSlot, Command: Command{Do: "birth"}}), `no such order to the server: "birth"`)
	ask(order(hostOrder{Slot: 0, Command: Command{Do: "broadcast"}}), "broadcasts of no kind")
	ask(order(hostOrder{Slot: 0, Command: Command{Do: "rm -rf"}}), "") // found out when it is its turn
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(time.Millisecond) {
		if r := ask(hostRequest{}, ""); strings.Contains(r.Fault, `no such command: "rm -rf"`) {
			break
		} else if time.Now().After(deadline) {
			t.Fatalf("%+v", r)
		}
	}
	if err := json.Unmarshal(a.Answer([]byte("{")), new(hostReply)); err != nil {
		t.Error(err)
	}
}

// A mesh that its coordinator has left is ended.
func TestAbandoned(t *testing.T) {
	t.Parallel()
	ended := make(chan bool, 1)
	a := &Agent{Addr: netip.MustParseAddr("127.0.0.1"), Until: 100 * time.Millisecond, Log: func(string, ...any) { ended <- true }}
	request, _ := json.Marshal(hostRequest{Mesh: "m", Number: 1, Open: &hostPart{Peers: 2, Hosts: 1, Timing: core.DefaultTiming()}})
	a.Answer(request)
	<-ended
	for a.Busy() != "" {
		time.Sleep(time.Millisecond)
	}
}

// While a peer is paused, its host answers, and has it go on.
func TestPausedOnHost(t *testing.T) {
	t.Parallel()
	a := &Agent{Addr: netip.MustParseAddr("127.0.0.1"), Log: t.Logf}
	defer func() {
		if !t.Failed() { // else it may hang
			a.Close()
		}
	}()
	number := uint64(0)
	ask := func(q hostRequest) (r hostReply) {
		number++
		q.Mesh, q.Number = "m", number
		b, _ := json.Marshal(q)
		answered := make(chan []byte, 1)
		go func() { answered <- a.Answer(b) }()
		select {
		case b := <-answered:
			json.Unmarshal(b, &r)
		case <-time.After(time.Minute):
			t.Fatal("no answer")
		}
		if r.Error != "" {
			t.Fatal(r.Error)
		}
		return r
	}
	opened := ask(hostRequest{Open: &hostPart{Peers: 2, Hosts: 1, Timing: core.DefaultTiming()}})
	ask(hostRequest{Know: opened.Addresses})
	done := uint64(0)
	for _, do := range []string{"pause", "resume", "pause", "kill"} {
		done++
		r := ask(hostRequest{Orders: []hostOrder{{Slot: 1, Command: Command{Do: do}}}})
		for r.Done < done {
			r = ask(hostRequest{})
		}
		if r.Fault != "" {
			t.Errorf("%s: %s", do, r.Fault)
		}
	}
}
