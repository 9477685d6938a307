package fuzz_test

import (
	"bytes"
	"p2plocal/fuzz/hostile"
	"reflect"
	"strings"
	"testing"
	"unicode"
)

// FuzzFinding reads any bytes as a findings file. What reads is written back the
// same, and an error is one line that steers no terminal.
func FuzzFinding(f *testing.F) {
	f.Fuzz(func(t *testing.T, b []byte) {
		setup, shots, err := hostile.ReadShots(bytes.NewReader(b))
		if err != nil {
			if strings.ContainsFunc(err.Error(), func(r rune) bool { return !unicode.IsPrint(r) }) {
				t.Errorf("error %q", err)
			}
			return
		}
		var file bytes.Buffer
		if err := hostile.WriteShots(&file, setup, shots); err != nil {
			t.Fatal(err)
		}
		same, again, err := hostile.ReadShots(&file)
		if err != nil || same != setup || !reflect.DeepEqual(again, shots) {
			t.Errorf("%+v is written and read back as %+v, %v", shots, again, err)
		}
	})
}

// findingSeeds are the catalogue's cases as findings files, by file name.
func findingSeeds(t testing.TB, add func(name string, b []byte)) {
	for i, c := range catalogue() {
		var shots []hostile.Shot
		for _, s := range c.Steps {
			shots = append(shots, hostile.Shot{At: s.At, Datagram: s.Datagram, From: s.From, Case: c.Name, Comment: c.Why})
		}
		var file bytes.Buffer
		if err := hostile.WriteShots(&file, hostile.Setup{}, shots); err != nil {
			t.Fatal(err)
		}
		if i%8 == 7 || c.Role == hostile.Peer && c.Steps[0].From > hostile.FromServer {
			add(c.Name, file.Bytes())
		}
	}
	for name, text := range map[string]string{
		"none": "", "setup": "{\"setup\":{\"as\":\"server\",\"target\":\"127.0.0.1:3000\",\"exec\":\"p2p\",\"ports\":22000}}\n{\"offset_us\":0,\"hex\":\"\"}\n", "cut": `{"offset_us":0,"hex":"c0`, "odd": `{"offset_us":0,"hex":"c"}`, "backwards": "{\"offset_us\":5,\"hex\":\"\"}\n{\"offset_us\":4,\"hex\":\"\"}\n",
		"from-nowhere": `{"offset_us":0,"hex":"00","from":"\u001b[31m"}`, "another-field": `{"offset_us":0,"hex":"00","evil":1}`,
		"largest-offset": `{"offset_us":9223372036854775807,"hex":""}`, "two-to-a-line": `{"offset_us":0,"hex":"00"}{"offset_us":0,"hex":"01"}`,
	} {
		add(name, []byte(text))
	}
}
