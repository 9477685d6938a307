package main

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"p2plocal/cmd/internal/cli"
	"p2plocal/fuzz/campaign"
	"p2plocal/fuzz/hostile"
	"p2plocal/fuzz/target/virtual"
)

// sound starts a server that has no fault.
var sound = fmt.Sprintf(aServer, "none")

// packet is one of a capture.
type packet struct {
	from, to uint16
	payload  []byte
}

// readCapture reads a pcap file by its specification alone: a header of 24 bytes, 16
// before each packet, of which bytes 8 to 11 are the size; raw IPv4 of 20 bytes, UDP of 8.
func readCapture(t *testing.T, path string) (packets []packet) {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if len(b) < 24 || binary.LittleEndian.Uint32(b) != 0xA1B2C3D4 || binary.LittleEndian.Uint32(b[20:]) != 228 {
		t.Fatalf("%d bytes that begin %x, want a header with LINKTYPE_IPV4", len(b), b[:min(24, len(b))])
	}
	for b = b[24:]; len(b) > 0; {
		size := int(binary.LittleEndian.Uint32(b[8:]))
		ip := b[16 : 16+size]
		sum := uint32(0)
		for i := 0; i < 20; i += 2 {
			sum += uint32(binary.BigEndian.Uint16(ip[i:]))
		}
		if ip[0] != 0x45 || ip[9] != 17 || int(binary.BigEndian.Uint16(ip[2:])) != size || sum&0xFFFF+sum>>16 != 0xFFFF {
			t.Fatalf("packet %d: IP header %x of %d bytes", len(packets), ip[:20], size)
		}
		udp := ip[20:]
		if int(binary.BigEndian.Uint16(udp[4:])) != len(udp) {
			t.Fatalf("packet %d: UDP header %x of %d bytes", len(packets), udp[:8], len(udp))
		}
		packets = append(packets, packet{binary.BigEndian.Uint16(udp), binary.BigEndian.Uint16(udp[2:]), udp[8:]})
		b = b[16+size:]
	}
	return packets
}

func payloads(packets []packet) (all [][]byte) {
	for _, p := range packets {
		all = append(all, p.payload)
	}
	return all
}

func TestSeedRepeatsACampaign(t *testing.T) {
	t.Parallel()
	inVirtualTime(t, func(t *testing.T, on *virtual.Host) {
		file := filepath.Join(t.TempDir(), "capture")
		capture := func(args ...string) (outcome, [][]byte) {
			o := attack(t.Context(), t, on, append([]string{"-exec", sound, "-mode", "mutate,generate,random", "-count", "3000", "-pcap", file}, args...)...)
			if o.err != nil {
				t.Fatal(o.err)
			}
			return o, payloads(readCapture(t, file))
		}
		o, whole := capture("-seed", "7")
		if len(whole) != 3000 {
			t.Fatalf("%d datagrams in the capture, want 3000", len(whole))
		}
		_, again := capture("-seed", "7", "-ports", fmt.Sprint(o.Ports))
		if !slices.EqualFunc(whole, again, bytes.Equal) {
			t.Errorf("%d datagrams the second time, not the same %d", len(again), len(whole))
		}
		if _, other := capture("-seed", "8", "-ports", fmt.Sprint(o.Ports)); slices.EqualFunc(whole, other, bytes.Equal) {
			t.Error("another seed sends the same")
		}
	})
}

func TestInterruptedWritesWhatItHas(t *testing.T) {
	t.Parallel()
	inVirtualTime(t, func(t *testing.T, on *virtual.Host) {
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
		defer cancel()
		file := filepath.Join(t.TempDir(), "capture")
		o := attack(ctx, t, on, "-exec", sound, "-mode", "random", "-duration", "10h", "-pcap", file)
		var stderr bytes.Buffer
		if code := cli.Exit(&stderr, "udpgarbage", o.err); code != 130 || o.Sent == 0 {
			t.Errorf("exit code %d (%v), %d datagrams sent, want 130 and some", code, o.err, o.Sent)
		}
		if n := len(readCapture(t, file)); uint64(n) != o.Sent {
			t.Errorf("%d datagrams captured of %d", n, o.Sent)
		}
	})
}

func TestTargetThatCannotBeAttacked(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		want, runs string // runs: a server with a fault, or nothing
		args       []string
	}{
		{"127.0.0.1:3000", "mute", nil},
		{"nobody listens on", "", nil},
		{"ended at once", "", []string{"-exec", "no-server {addr}"}},
		{"is in use", "none", []string{"-exec", sound}},
	} {
		inVirtualTime(t, func(t *testing.T, on *virtual.Host) {
			if c.runs != "" {
				running(t, on, c.runs)
			}
			cannot(t, attack(t.Context(), t, on, c.args...), c.want)
		})
	}
	cannot(t, attack(t.Context(), t, nil, "-exec", "no-such-command", "-target", free(t)), "no-such-command")
}

// cannot wants a failure that says why, on one line, and no result.
func cannot(t *testing.T, o outcome, want string) {
	t.Helper()
	if o.err == nil || !strings.Contains(o.err.Error(), want) || strings.Contains(o.err.Error(), "\n") {
		t.Errorf("%v, want one line that names %q", o.err, want)
	}
	var stderr bytes.Buffer
	if code := cli.Exit(&stderr, "udpgarbage", o.err); code != cli.ExitFailure || o.stdout != "" {
		t.Errorf("exit code %d, stdout %q, want %d and nothing", code, o.stdout, cli.ExitFailure)
	}
}

func TestDeathOfARunningTargetIsAFinding(t *testing.T) {
	t.Parallel()
	for fault, kind := range map[string]campaign.Kind{"hang-on-empty": campaign.Hung, "die-on-byte": campaign.Died} {
		inVirtualTime(t, func(t *testing.T, on *virtual.Host) {
			running(t, on, fault)
			o := attack(t.Context(), t, on, "-mode", "catalogue")
			if !errors.Is(o.err, cli.Failed) || len(o.Findings) != 1 || o.Findings[0].Kind != kind {
				t.Errorf("%v, findings %+v, want one: %s", o.err, o.Findings, kind)
			}
		})
	}
}

// What was found counts, also where the target cannot be started again.
func TestFindingThatEndsTheTarget(t *testing.T) {
	t.Parallel()
	inVirtualTime(t, func(t *testing.T, _ *virtual.Host) {
		var started atomic.Bool
		on := virtual.New(func(p *virtual.Program) string {
			if started.Swap(true) {
				return "exit status 1"
			}
			return program(p)
		})
		o := attack(t.Context(), t, on, "-exec", fmt.Sprintf(aServer, "die-on-byte"), "-mode", "catalogue")
		if !errors.Is(o.err, cli.Failed) || len(o.Findings) != 1 || !strings.HasSuffix(o.stderr, "ended at once: exit status 1\n") {
			t.Errorf("%v, %d findings, %s, want one, and why no more was sent", o.err, len(o.Findings), o.stderr)
		}
	})
}

func TestFindingsDoNotOverwriteEachOther(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "new")
	f := &campaign.Finding{Kind: campaign.Died, Case: "srv/any/empty", Shots: []hostile.Shot{{Datagram: []byte{}}}}
	seen := map[string]bool{}
	for range 3 {
		path, err := write(dir, hostile.Setup{}, f)
		if err != nil || seen[path] {
			t.Fatalf("%v, %s written before: %v", err, path, seen[path])
		}
		seen[path] = true
	}
}

// The names of a campaign's canaries are taken for two seconds after it. A target that runs is not restarted.
func TestOneCampaignAfterAnother(t *testing.T) {
	t.Parallel()
	inVirtualTime(t, func(t *testing.T, on *virtual.Host) {
		running(t, on, "none")
		for _, seed := range []string{"1", "2", "3"} {
			if o := attack(t.Context(), t, on, "-seed", seed, "-mode", "random", "-count", "100"); o.err != nil || o.Sent != 100 || o.Restarts != 0 {
				t.Errorf("seed %s: %v, sent %d, %d restarts, want 100 and none", seed, o.err, o.Sent, o.Restarts)
			}
		}
	})
}

func TestNothingToSendIsNoSurvival(t *testing.T) {
	t.Parallel()
	inVirtualTime(t, func(t *testing.T, on *virtual.Host) {
		file := filepath.Join(t.TempDir(), "file")
		if err := os.WriteFile(file, []byte(`{"offset_us":0,"hex":"c300","from":"server"}`), 0o666); err != nil {
			t.Fatal(err)
		}
		running(t, on, "none")
		if o := attack(t.Context(), t, on, "-mode", "replay", file); o.err == nil || !strings.Contains(o.err.Error(), "no socket to send 1 datagram from") {
			t.Errorf("%v, want the reason", o.err)
		}
	})
}

func TestEarlyEndIsTold(t *testing.T) {
	t.Parallel()
	inVirtualTime(t, func(t *testing.T, on *virtual.Host) {
		running(t, on, "none")
		if o := attack(t.Context(), t, on, "-mode", "catalogue", "-count", "10"); o.err != nil || len(o.Missing) == 0 {
			t.Errorf("%v, missing %q, want some", o.err, o.Missing)
		}
		if o := attack(t.Context(), t, on, "-mode", "random", "-count", "10"); o.err != nil || len(o.Missing) != 0 {
			t.Errorf("%v, missing %q, want none", o.err, o.Missing)
		}
	})
}
