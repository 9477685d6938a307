// Package corpus holds the committed seeds of fuzz targets to what they are made
// from. It is for tests.
package corpus

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
)

// Hold demands that a target's seeds, by file name, stand in dir, a package's
// directory, as go test wants them (go.dev/security/fuzz, "Corpus file format").
// With update it writes them. Inputs that the fuzzer found stand beside them,
// under the names that it gave them.
func Hold(t *testing.T, update bool, dir, target string, seeds map[string][]byte) {
	t.Helper()
	dir = filepath.Join(dir, "testdata", "fuzz", target)
	for name, b := range seeds {
		want := fmt.Sprintf("go test fuzz v1\n[]byte(%q)\n", b)
		path := filepath.Join(dir, name)
		if update {
			if err := os.MkdirAll(dir, 0o777); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, []byte(want), 0o666); err != nil {
				t.Fatal(err)
			}
		}
		if got, err := os.ReadFile(path); err != nil || string(got) != want {
			t.Errorf("%s is not what it is made from (%v): go test -run %s -update writes it anew", path, err, t.Name())
		}
	}
}
