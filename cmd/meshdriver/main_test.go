package main

import (
	"fmt"
	"os"
	"regexp"
	"testing"

	"p2plocal/bench/driver"
	"p2plocal/cmd/internal/cli"
	"p2plocal/fuzz/conform"
)

// The test's own binary is meshdriver where the environment says so.
const driverEnv = "MESHDRIVER_TEST"

func TestMain(m *testing.M) {
	if os.Getenv(driverEnv) != "" {
		cli.Main("meshdriver", run)
	}
	os.Exit(m.Run())
}

// Each driver keeps to the protocol, all of it.
func TestDrivers(t *testing.T) {
	t.Setenv(driverEnv, "1")
	cases := driver.Cases()
	if !everything {
		cases = conform.Select(cases, nil, nil, regexp.MustCompile("eighty"))
	}
	for _, k := range kinds {
		t.Run(k.name, func(t *testing.T) {
			r, err := driver.Check(t.Context(), conform.Config{Exec: os.Args[0] + " " + k.name, Cases: cases}, nil)
			if err != nil {
				t.Fatal(err)
			}
			for _, x := range r.Results {
				if x.Outcome == conform.Pass || x.Outcome == conform.Seen {
					t.Logf("%-27s %-5s %6.1f s  %s", x.ID, x.Outcome, x.Took.Seconds(), x.Detail)
					continue
				}
				t.Errorf("%s: %s %s%s", x.ID, x.Outcome, x.Detail, shown(x.Failure))
			}
		})
	}
}

func shown(f *conform.Failure) string {
	if f == nil {
		return ""
	}
	return fmt.Sprintf("\nwant %s, got %s\n%s", f.Expected, f.Got, f.Output)
}
