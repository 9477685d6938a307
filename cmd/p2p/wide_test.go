package main

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

func TestWideUsage(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	bad := filepath.Join(dir, "bad")
	os.WriteFile(bad, []byte("not a key\n"), 0o600)
	for _, test := range []struct {
		args []string
		line string
	}{
		{[]string{"-wide", "a", "1", "2"}, `got ["a" "1" "2"], want nothing for the server, or a peer's NAME, and its PORT if it is to have a certain one`},
		{[]string{"-wide", " a"}, `name " a", want 1 to 32 bytes of printable UTF-8 without a blank at its ends`},
		{[]string{"-wide", "a\u202e"}, `name "a\u202e", want 1 to 32 bytes of printable UTF-8 without a blank at its ends`},
		{[]string{"-wide", strings.Repeat("x", 33)}, `name "` + strings.Repeat("x", 33) + `", want 1 to 32 bytes of printable UTF-8 without a blank at its ends`},
		{[]string{"-wide", "ana", "0"}, `port "0", want 1 to 65535`},
		{[]string{"-wide", "-source-check"}, `flag -source-check is for the exact dialect: with -wide every address is checked`},
		{[]string{"-wide", "-server", "[::]:3000", "ana"}, `flag -server is [::]:3000, want one address, such as 127.0.0.1:3000`},
		{[]string{"-wide", "-listen", "x"}, `invalid value "x" for flag -listen: want an IPv4 or IPv6 address, or a host's name, and a port, such as 127.0.0.1:3000`},
		{[]string{"-wide", "-listen", "[fe80::1%lo]:3000"}, `invalid value "[fe80::1%lo]:3000" for flag -listen: want an IPv4 or IPv6 address that means the same on every host, not one of a link alone`},
		{[]string{"-wide", "-server", "255.255.255.255:3000", "ana"}, `server address 255.255.255.255:3000, want the IPv4 or IPv6 address of one host and a port`},
		{[]string{"-wide", "-server", "127.0.0.1:3000"}, `flag -server is for a peer: want its NAME too, or not the flag`},
		{[]string{"-key", "x"}, `flag -key is for the wide dialect: want -wide too, or not the flag`},
		{[]string{"-wide", "-key", bad}, bad + `: line 1 of the key file is not a key, want 64 hexadecimal digits`},
		{[]string{"keygen"}, `keygen got [], want one FILE`},
	} {
		if code, _, err := once(test.args...); code != 2 || err != "p2p: "+test.line+" (p2p -h says how)\n" {
			t.Errorf("%q: %d, %swant %s", test.args, code, err, test.line)
		}
	}
}

// A key that others can read or change is no secret, nor is one of zeros.
func TestKeyIsSecret(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(file, []byte(strings.Repeat("0", 64)+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if code, _, err := once("-wide", "-key", file); code != 2 || !strings.Contains(err, "line 1 of the key file is all zeros") || strings.Count(err, "\n") != 1 {
		t.Errorf("all zeros: %d, %s", code, err)
	}
	if runtime.GOOS == "windows" {
		return
	}
	for _, mode := range []os.FileMode{0o640, 0o604, 0o620} {
		if err := os.Chmod(file, mode); err != nil {
			t.Fatal(err)
		}
		want := fmt.Sprintf("p2p: cannot read the key: %q has mode %04o, so that others can read or change it: want chmod 600 %[1]q\n", file, mode)
		if code, _, err := once("-wide", "-key", file); code != 1 || err != want {
			t.Errorf("%d, %swant %s", code, err, want)
		}
	}
}

func TestKeygen(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "key")
	if code, _, err := once("keygen", file); code != 0 {
		t.Fatal(err)
	}
	info, err := os.Stat(file)
	if err != nil || runtime.GOOS != "windows" && info.Mode().Perm() != 0o600 {
		t.Errorf("the key is %v, %v; want it readable by its owner alone", info, err)
	}
	first, _ := os.ReadFile(file)
	if code, _, err := once("keygen", file); code != 1 {
		t.Errorf("a key is overwritten: %d, %s", code, err)
	}
	if again, _ := os.ReadFile(file); string(again) != string(first) || len(first) != 65 {
		t.Errorf("the key is %d bytes", len(first))
	}
}

// A server on all addresses is on those of one family, and says so where that might surprise.
func TestWideOfOneFamily(t *testing.T) {
	t.Parallel()
	server := launch(t, append([]string{"-wide"}, serverWith("-listen", "0.0.0.0:0")...)...)
	port := server.out.expect(t, `server listens on 0\.0\.0\.0:(\d+)`)[1]
	peer := launch(t, append([]string{"-wide"}, peerWith("-server", "127.0.0.1:"+port, "ana")...)...)
	peer.out.expect(t, `peer ana received directory of 1 peer: ana \(added ana\)`)
	l, err := net.ListenPacket("udp6", "[::1]:0")
	if err != nil {
		return // no IPv6 here
	}
	l.Close()
	server = launch(t, append([]string{"-wide"}, serverWith("-listen", "[::]:0")...)...)
	port = server.out.expect(t, `server listens on \[::\]:(\d+)`)[1]
	server.err.expect(t, `p2p: \[::\]:`+port+` hears IPv6 alone; for a mesh on IPv4 say -listen 0\.0\.0\.0:`+port)
	peer = launch(t, append([]string{"-wide"}, peerWith("-server", "127.0.0.1:"+port, "ana")...)...)
	peer.out.expect(t, `peer ana is in no directory after .*`)
	peer = launch(t, append([]string{"-wide"}, peerWith("-server", "[::1]:"+port, "ana")...)...)
	peer.out.expect(t, `peer ana received directory of 1 peer: ana \(added ana\)`)
}

// A mesh in the wide dialect, by each family that there is, without a key and with one.
func TestWideMesh(t *testing.T) {
	t.Parallel()
	key, other := filepath.Join(t.TempDir(), "key"), filepath.Join(t.TempDir(), "other")
	for _, f := range []string{key, other} {
		if code, _, err := once("keygen", f); code != 0 {
			t.Fatal(err)
		}
	}
	hosts := []string{"127.0.0.1"}
	if l, err := net.ListenPacket("udp6", "[::1]:0"); err == nil {
		l.Close()
		hosts = append(hosts, "[::1]")
	}
	for _, host := range hosts {
		for _, keyed := range [][]string{{"-wide"}, {"-wide", "-key", key}} {
			t.Run(host+" "+keyed[len(keyed)/2], func(t *testing.T) {
				t.Parallel()
				server := launch(t, append(keyed, serverWith("-listen", host+":0")...)...)
				addr := server.out.expect(t, `server listens on (\S+:\d+)`)[1]
				join := func(name string, more ...string) *instance {
					return launch(t, append(keyed, append(peerWith("-server", addr, name), more...)...)...)
				}
				ana := join("ana")
				server.out.expect(t, `server received birth of peer ana at \S+:\d+`)
				ana.out.expect(t, `peer ana received directory of 1 peer: ana \(added ana\)`)
				bo := join("bö 2")
				server.out.expect(t, `server sent directory of 2 peers: ana "bö 2" \(added "bö 2"\)`)
				ana.out.expect(t, `peer ana received directory of 2 peers: ana "bö 2" \(added "bö 2"\)`)
				ana.out.expect(t, `peer ana received vanilla message: "peerbö 2_broadcast_[0-9a-f]+"`)
				bo.out.expect(t, `peer "bö 2" received vanilla message: "peerana_broadcast_[0-9a-f]+"`)
				if len(keyed) > 1 {
					stranger := launch(t, append([]string{"-wide", "-key", other}, peerWith("-server", addr, "stranger")...)...)
					stranger.out.expect(t, `peer stranger is in no directory after .*`)
					server.out.expect(t, `server refused 109 bytes c557.* from \S+: stranger: not sealed with this mesh's key.*`)
				}
				bo.signal(os.Kill)
				bo.wait()
				server.out.expect(t, `server removed peer "bö 2" at \S+: silent for \d.*s`)
				ana.out.expect(t, `peer ana received directory of 1 peer: ana \(removed "bö 2"\)`)
				ana.signal(os.Interrupt)
				server.signal(os.Interrupt)
			})
		}
	}
}
