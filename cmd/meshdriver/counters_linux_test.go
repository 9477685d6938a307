package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"p2plocal/bench/driver"
)

// What a driver says that its mesh sent is what the kernel counted in a network namespace
// that has nobody else in it.
func TestCounters(t *testing.T) {
	t.Parallel()
	if err := exec.Command("unshare", "-rn", "ip", "link", "set", "lo", "up").Run(); err != nil {
		t.Skipf("a network namespace: %v", err)
	}
	const n, rounds, size = 6, 5, 700
	for _, k := range kinds {
		t.Run(k.name, func(t *testing.T) {
			t.Parallel()
			members := make([]driver.Member, n)
			for i := range members {
				members[i].Name = fmt.Sprint("m", i)
			}
			release, err := driver.Addresses(members)
			if err != nil {
				t.Fatal(err)
			}
			defer release()
			const want = rounds * (n - 1)
			first := &firstMember{name: members[0].Name, view: map[string]bool{}}
			d, err := driver.Start(t.Context(), driver.Config{Members: members, Report: first.hear, Exec: fmt.Sprintf(`unshare -rn sh -c "ip link set lo up && exec %s %s"`, os.Args[0], k.name)})
			if err != nil {
				t.Fatal(err)
			}
			defer d.Kill()
			for _, m := range members {
				if _, err := d.Ask(t.Context(), driver.Command{Type: "join", Member: m.Name}, time.Minute); err != nil {
					t.Fatal(err)
				}
			}
			first.await(t, "not all have joined", func() bool { return len(first.view) == n-1 })
			before := kernel(t, d)
			said := stats(t, d)
			sent := uint64(0)
			broadcast := func() {
				d.Tell(driver.Command{Type: "broadcast", Member: members[0].Name, ID: sent, Size: size})
				sent++
			}
			for range rounds {
				broadcast()
			}
			again := time.Now()
			first.await(t, "not all has come", func() bool {
				if time.Since(again) > 5*time.Second { // on a busy machine a mesh may have missed a member meanwhile, and sent it nothing
					again = time.Now()
					broadcast()
				}
				return first.messages >= want
			})
			var low, high counted // what is sent between two looks is in one of them alone
			var says driver.Stats
			agree := false
			for range 10 { // what is counted just before it is sent may wait for a processor in between
				low = kernel(t, d)
				says = stats(t, d)
				high = kernel(t, d)
				if agree = says.Datagrams == nil || *says.Datagrams >= low.datagrams && *says.Datagrams <= high.datagrams; agree {
					break
				}
			}
			if !agree {
				t.Errorf("it says %d datagrams, the kernel %d to %d", *says.Datagrams, low.datagrams, high.datagrams)
			}
			// Headers are in what the kernel counts: 28 bytes a datagram, 52 and more a segment of TCP.
			if *says.Bytes > high.bytes || *says.Bytes < low.bytes/4 {
				t.Errorf("it says %d bytes, the kernel with headers %d to %d", *says.Bytes, low.bytes, high.bytes)
			}
			if k.name == "p2plocal" { // which sends nothing but datagrams
				const headers = 20 + 8
				if got := *says.Bytes + headers**says.Datagrams; got < low.bytes || got > high.bytes {
					t.Errorf("it says %d datagrams of %d bytes, the kernel counted %d to %d bytes", *says.Datagrams, *says.Bytes, low.bytes, high.bytes)
				}
			}
			if extra := *says.Bytes - *said.Bytes; extra < size*want || high.bytes-before.bytes < size*want {
				t.Errorf("%d messages of %d bytes: it says %d bytes more, the kernel %d", want, size, extra, high.bytes-before.bytes)
			}
			if err := d.Stop(); err != nil {
				t.Error(err)
			}
			if most := int(sent) * (n - 1); first.messages < want || first.messages > most {
				t.Errorf("%d messages, want %d to %d", first.messages, want, most)
			}
		})
	}
}

// firstMember is what a driver says of all messages, and whom its first member sees.
type firstMember struct {
	name string

	mu       sync.Mutex
	messages int
	view     map[string]bool
}

func (f *firstMember) hear(r *driver.Report, _ time.Time) {
	f.mu.Lock()
	defer f.mu.Unlock()
	switch {
	case r.Type == "message":
		f.messages++
	case r.Type == "view" && r.Member == f.name:
		if r.Members != nil {
			clear(f.view)
		}
		for _, name := range append(r.Up, r.Members...) {
			f.view[name] = true
		}
		for _, name := range append(r.Down, r.Member) {
			delete(f.view, name)
		}
	}
}

func (f *firstMember) await(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(time.Minute); ; time.Sleep(time.Millisecond) {
		f.mu.Lock()
		good, messages, view := ok(), f.messages, len(f.view)
		f.mu.Unlock()
		if good {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("%s: %d messages, %d others are seen", what, messages, view)
		}
	}
}

func stats(t *testing.T, d *driver.Driver) driver.Stats {
	r, err := d.Ask(context.Background(), driver.Command{Type: "stats"}, time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	return r.Stats
}

// counted is what has been sent in a network namespace.
type counted struct{ datagrams, bytes int64 }

// kernel reads the counters of a driver's namespace.
func kernel(t *testing.T, d *driver.Driver) (c counted) {
	field := func(file, line string, which int) int64 {
		b, err := os.ReadFile(fmt.Sprintf("/proc/%d/net/%s", d.Process().Pid(), file))
		if err != nil {
			t.Fatal(err)
		}
		value := int64(-1)
		for l := range strings.Lines(string(b)) { // the last: names of columns stand before
			if f := strings.Fields(l); len(f) > which && f[0] == line {
				value, _ = strconv.ParseInt(f[which], 10, 64)
			}
		}
		return value
	}
	return counted{field("snmp", "Udp:", 4), field("dev", "lo:", 9)}
}
