package main

import (
	"bytes"
	"context"
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

	"p2plocal/core"
	"p2plocal/fuzz"
)

// The test binary is also the targets: with this in its environment's place,
// its first argument, it is a server with one fault.
const asTarget = "target"

func TestMain(m *testing.M) {
	if len(os.Args) == 4 && os.Args[1] == asTarget {
		if err := target(os.Args[2], os.Args[3]); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

var leak [1 << 14][]byte // what the leaking target never lets go

// target is core's server, sound but for one fault, each as an implementation that
// trusts its input would have it.
func target(addr, fault string) error {
	u, err := net.ListenUDP("udp4", net.UDPAddrFromAddrPort(netip.MustParseAddrPort(addr)))
	if err != nil {
		return err
	}
	d, err := core.NewDirectory(core.DirectoryConfig{Port: u.LocalAddr().(*net.UDPAddr).AddrPort().Port(), Timing: core.DefaultTiming()}, time.Now())
	if err != nil {
		return err
	}
	var conflicts uint64
	leaked := 0
	poison := []byte(nil)
	send := func(b []byte, port uint16) {
		u.WriteToUDPAddrPort(b, netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), port))
	}
	buffer := make([]byte, 1<<16)
	for {
		n, from, err := u.ReadFromUDPAddrPort(buffer)
		if err == nil {
			b := buffer[:n]
			switch {
			case fault == "hang-on-empty" && n == 0:
				select {}
			case fault == "die-on-byte" && n == 1, fault == "die-on-header" && n == 2,
				fault == "die-on-port-0" && n == 6 && b[0] == 0xC0 && b[4] == 0 && b[5] == 0:
				os.Exit(134)
			case fault == "ghost" && n == 2 && b[0] == 0xC3:
				b = buffer[:4] // what an earlier datagram has left there
			case fault == "leak" && n > 0 && b[0] != 0xC3:
				leak[leaked%len(leak)] = bytes.Repeat([]byte{1}, 1<<16)
				leaked++
			case fault == "cull":
				time.Sleep(10 * time.Millisecond)
			case fault == "poison" && n == 6 && b[0] == 0xC0 && b[3] != 0:
				poison = append([]byte{0xC1, 0, 1, 0}, b[2:]...)
			}
			d.Step(time.Now(), from, b)
		}
		for {
			out, next := d.Poll(time.Now())
			if out.Empty() {
				u.SetReadDeadline(next)
				break
			}
			for _, p := range out.Ports {
				send(out.Datagram, p)
			}
		}
		all := core.Message{Type: core.TypeDirectory, Entries: d.Entries()}.Append(nil)
		if c := d.Counters().Conflicts; fault == "amplify" && c > conflicts {
			conflicts = c
			for i := range d.Entries().Len() {
				send(all, d.Entries().At(i).Port)
			}
		}
		if poison != nil {
			for i := range d.Entries().Len() {
				send(poison, d.Entries().At(i).Port)
			}
			poison = nil
		}
	}
}

// free is a port that nobody is on.
func free(t *testing.T) string {
	t.Helper()
	u, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	defer u.Close()
	return u.LocalAddr().String()
}

// attack runs the command against a target with one fault.
func attack(t *testing.T, fault string, args ...string) (fuzz.Result, string, error) {
	t.Helper()
	addr, dir := free(t), t.TempDir()
	var stdout, stderr bytes.Buffer
	err := run(t.Context(), append([]string{"-target", addr, "-exec", strings.Join([]string{os.Args[0], asTarget, addr, fault}, " "), "-json", "-findings", dir}, args...), nil, &stdout, &stderr)
	var r fuzz.Result
	if e := json.Unmarshal(stdout.Bytes(), &r); e != nil {
		t.Fatalf("%v: %v: %s%s", e, err, stdout.Bytes(), stderr.Bytes())
	}
	t.Logf("%s%+v", stderr.Bytes(), r.Findings)
	return r, dir, err
}

func TestSingleDatagramFaultsAreFoundAndNarrowed(t *testing.T) {
	for _, c := range []struct {
		fault string
		kind  fuzz.Kind
	}{
		{"hang-on-empty", fuzz.Hung},
		{"die-on-byte", fuzz.Died},
		{"die-on-header", fuzz.Died},
		{"die-on-port-0", fuzz.Died},
		{"poison", fuzz.Poisoned},
		{"amplify", fuzz.Amplified},
	} {
		t.Run(c.fault, func(t *testing.T) {
			t.Parallel()
			r, dir, err := attack(t, c.fault, "-mode", "catalogue", "-findings-max", "1")
			if !errors.Is(err, exitFindings) || len(r.Findings) != 1 {
				t.Fatalf("%v, %d findings, want one", err, len(r.Findings))
			}
			f := r.Findings[0]
			if f.Kind != c.kind || f.Count != 1 {
				t.Errorf("%s by %d datagrams, want %s by one", f.Kind, f.Count, c.kind)
			}
			files, _ := filepath.Glob(filepath.Join(dir, "*.jsonl"))
			if len(files) != 1 {
				t.Fatalf("files %q, want one", files)
			}
			file := files[0]
			r, _, err = attack(t, c.fault, "-mode", "replay", file)
			if !errors.Is(err, exitFindings) || len(r.Findings) == 0 || r.Findings[0].Kind != c.kind {
				t.Errorf("replayed: %v, %+v, want the same finding", err, r.Findings)
			}
		})
	}
}

func TestLastingFaultsAreFound(t *testing.T) {
	for _, c := range []struct {
		fault, mode string
		kinds       []fuzz.Kind
	}{
		{"ghost", "catalogue", []fuzz.Kind{fuzz.Ghost}},
		{"leak", "generate", []fuzz.Kind{fuzz.Leaked}},
		{"cull", "random", []fuzz.Kind{fuzz.Culled}},
	} {
		t.Run(c.fault, func(t *testing.T) {
			t.Parallel()
			r, _, _ := attack(t, c.fault, "-mode", c.mode, "-findings-max", "1", "-narrow", "1s")
			if len(r.Findings) == 0 || !strings.Contains(fmt.Sprint(c.kinds), string(r.Findings[0].Kind)) {
				t.Errorf("findings %+v, want one of %v", r.Findings, c.kinds)
			}
		})
	}
}

func TestSoundServerSurvives(t *testing.T) {
	t.Parallel()
	r, _, err := attack(t, "none", "-probe-timeout", "5s", "-mode", "catalogue,mutate,generate,random", "-count", "20000")
	if err != nil || len(r.Findings) > 0 {
		t.Errorf("%v, findings %+v, want none", err, r.Findings)
	}
}

func TestBadArguments(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{
		{"-target", "localhost"}, {"-target", "10.0.0.1:3000"}, {"-mode", "x"}, {"-mode", "replay"}, {"file"},
		{"-rate", "-1"}, {"-rate", "NaN"}, {"-duration", "-1s"}, {"-probe-timeout", "0s"}, {"-amplification", "-1"},
	} {
		var out bytes.Buffer
		if err := run(context.Background(), args, nil, &out, &out); err == nil || !strings.Contains(err.Error(), strings.Trim(args[len(args)-1], "-")[:1]) {
			t.Errorf("%q: %v, want an error that names the value", args, err)
		}
	}
}
