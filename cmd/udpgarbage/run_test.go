package main

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"p2plocal/cmd/internal/cli"
	"p2plocal/fuzz/campaign"
	"p2plocal/fuzz/hostile"
	"p2plocal/fuzz/target"
)

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
	dir := t.TempDir()
	addr := free(t)
	campaign := func(name string, args ...string) (campaign.Result, [][]byte) {
		file := filepath.Join(dir, name)
		r, err := result(t, append([]string{"-target", addr, "-exec", strings.Join([]string{os.Args[0], asServer, addr, "none"}, " "),
			"-mode", "mutate,generate,random", "-seed", "7", "-findings", dir, "-pcap", file}, args...)...)
		if err != nil {
			t.Fatal(err)
		}
		return r, payloads(readCapture(t, file))
	}
	same := func(got, want [][]byte) {
		t.Helper()
		if len(got) != len(want) {
			t.Fatalf("%d datagrams, want %d", len(got), len(want))
		}
		for i := range got {
			if !bytes.Equal(got[i], want[i]) {
				t.Fatalf("datagram %d is %x, want %x", i, got[i], want[i])
			}
		}
	}
	r, whole := campaign("whole", "-count", "3000")
	if len(whole) != 3000 {
		t.Fatalf("%d datagrams in the capture, want 3000", len(whole))
	}
	ports := fmt.Sprint(r.Ports)
	_, again := campaign("again", "-ports", ports, "-count", "3000")
	same(again, whole)
}

func TestInterruptedWritesWhatItHas(t *testing.T) {
	t.Parallel()
	addr, dir := free(t), t.TempDir()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	file := filepath.Join(dir, "capture")
	go func() { // once it is under way
		for {
			time.Sleep(10 * time.Millisecond)
			files, _ := filepath.Glob(filepath.Join(dir, ".capture*")) // it gets its name at the end
			for _, file := range files {
				if s, err := os.Stat(file); err == nil && s.Size() > 1<<16 {
					cancel()
				}
			}
			if ctx.Err() != nil {
				return
			}
		}
	}()
	var stdout, stderr bytes.Buffer
	err := run(ctx, []string{"-target", addr, "-exec", strings.Join([]string{os.Args[0], asServer, addr, "none"}, " "),
		"-mode", "random", "-duration", "10h", "-findings", dir, "-json", "-", "-pcap", file}, &stdout, &stderr)
	var r campaign.Result
	if e := json.Unmarshal(stdout.Bytes(), &r); e != nil || r.Sent == 0 {
		t.Errorf("%v: %s, want a result", e, stdout.Bytes())
	}
	if code := cli.Exit(&stderr, "udpgarbage", err); code != 130 {
		t.Errorf("exit code %d (%v), want 130", code, err)
	}
	if n := len(readCapture(t, file)); uint64(n) < r.Sent {
		t.Errorf("%d datagrams captured of %d", n, r.Sent)
	}
}

func TestTargetThatCannotBeAttacked(t *testing.T) {
	t.Parallel()
	mute, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	defer mute.Close()
	there := mute.LocalAddr().String()
	for _, c := range []struct {
		want string
		args []string
	}{
		{there, []string{"-target", there}},
		{"nobody listens on", []string{"-target", free(t)}},
		{"ended at once", []string{"-target", free(t), "-exec", os.Args[0] + " " + asServer + " nowhere none"}},
		{"is in use", []string{"-target", there, "-exec", "no-such-command"}},
		{"no-such-command", []string{"-exec", "no-such-command"}},
		{"nothing was sent to the server: -duration 1ns is over", []string{"-target", sound(t), "-mode", "random", "-duration", "1ns"}},
	} {
		var stdout, stderr bytes.Buffer
		err := run(t.Context(), append(c.args, "-probe-timeout", "300ms"), &stdout, &stderr)
		if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%q: %v, want one line that names %q", c.args, err, c.want)
		}
		if code := cli.Exit(&stderr, "udpgarbage", err); code != cli.ExitFailure || stdout.Len() > 0 {
			t.Errorf("%q: exit code %d, stdout %q, want %d and nothing", c.args, code, stdout.Bytes(), cli.ExitFailure)
		}
	}
}

// running is the address of a server with one fault that runs for the test's duration.
func running(t *testing.T, fault string) string {
	t.Helper()
	addr := free(t)
	p, err := target.Start(target.Command{Line: strings.Join([]string{os.Args[0], asServer, addr, fault}, " ")})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Kill)
	for !target.Bound(netip.MustParseAddrPort(addr)) {
		if how := p.Ended(); how != "" {
			t.Fatal(how)
		}
		time.Sleep(10 * time.Millisecond)
	}
	return addr
}

func sound(t *testing.T) string { return running(t, "none") }

func TestDeathOfARunningTargetIsAFinding(t *testing.T) {
	t.Parallel()
	for fault, kind := range map[string]campaign.Kind{"hang-on-empty": campaign.Hung, "die-on-byte": campaign.Died} {
		t.Run(fault, func(t *testing.T) {
			t.Parallel()
			r, err := result(t, "-target", running(t, fault), "-mode", "catalogue", "-findings", t.TempDir())
			if !errors.Is(err, cli.Failed) || len(r.Findings) != 1 || r.Findings[0].Kind != kind {
				t.Errorf("%v, findings %+v, want one: %s", err, r.Findings, kind)
			}
		})
	}
}

func TestRunningTargetIsNotRestarted(t *testing.T) {
	t.Parallel()
	r, err := result(t, "-target", sound(t), "-mode", "random", "-count", "1000", "-findings", t.TempDir())
	if err != nil || r.Restarts != 0 {
		t.Errorf("%v, %d restarts, want none", err, r.Restarts)
	}
}

func TestFloodedServerSurvives(t *testing.T) {
	t.Parallel()
	r, _, err := attack(t, "none", "-mode", "flood", "-rate", "20000", "-duration", "2s", "-findings-max", "1")
	if err != nil || len(r.Findings) > 0 {
		t.Errorf("%v, findings %+v, want none", err, r.Findings)
	}
	if r.Sent == 0 {
		t.Error("nothing was sent")
	}
}

// What was found counts, also where the target cannot be started again.
func TestFindingThatEndsTheTarget(t *testing.T) {
	t.Parallel()
	addr, dir := free(t), t.TempDir()
	once := filepath.Join(dir, "once")
	command := fmt.Sprintf("sh -c '[ ! -e %s ] || exit 1; : > %s; exec %s %s %s die-on-byte'", once, once, os.Args[0], asServer, addr)
	var stdout, stderr bytes.Buffer
	err := run(t.Context(), []string{"-target", addr, "-exec", command, "-mode", "catalogue", "-findings", dir, "-json", "-"}, &stdout, &stderr)
	var r campaign.Result
	if e := json.Unmarshal(stdout.Bytes(), &r); e != nil || len(r.Findings) != 1 {
		t.Fatalf("%v: %s, want a finding", e, stdout.Bytes())
	}
	if code := cli.Exit(&stderr, "udpgarbage", err); code != int(cli.Failed) || !strings.Contains(stderr.String(), "ended at once") {
		t.Errorf("exit code %d (%v), %s, want 3 and why no more was sent", code, err, stderr.Bytes())
	}
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

// The names of a campaign's canaries are taken for two seconds after it.
func TestOneCampaignAfterAnother(t *testing.T) {
	t.Parallel()
	addr := sound(t)
	for _, seed := range []string{"1", "2", "3"} {
		if r, err := result(t, "-target", addr, "-seed", seed, "-mode", "random", "-count", "100", "-findings", t.TempDir()); err != nil || r.Sent != 100 {
			t.Errorf("seed %s: %v, sent %d, want 100", seed, err, r.Sent)
		}
	}
}

func TestNothingToSendIsNoSurvival(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, []byte(`{"offset_us":0,"hex":"c300","from":"server"}`), 0o666); err != nil {
		t.Fatal(err)
	}
	_, err := result(t, "-target", sound(t), "-mode", "replay", "-findings", t.TempDir(), file)
	if err == nil || !strings.Contains(err.Error(), "no socket to send 1 datagram from") {
		t.Errorf("%v, want the reason", err)
	}
}

func TestEarlyEndIsTold(t *testing.T) {
	t.Parallel()
	addr := sound(t)
	r, err := result(t, "-target", addr, "-mode", "catalogue", "-count", "10", "-findings", t.TempDir())
	if err != nil && !errors.Is(err, campaign.ErrUnjudged) || len(r.Missing) == 0 { // a late machine has no time to repeat any
		t.Errorf("%v, missing %q, want some", err, r.Missing)
	}
	if r, err = result(t, "-target", addr, "-mode", "random", "-count", "10", "-findings", t.TempDir()); err != nil || len(r.Missing) != 0 {
		t.Errorf("%v, missing %q, want none", err, r.Missing)
	}
}
