package cli

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"p2plocal/core"
)

// A text stands beside its name, in lines as wide as is wanted.
func TestWrapped(t *testing.T) {
	for _, c := range []struct {
		width int
		name  string
		want  string
	}{
		{0, "name", "name  one two three\n"},
		{12, "name", "name  one\n      two\n      three\n"},
		{13, "name", "name  one two\n      three\n"},
		{0, "longer name", "longer name one two three\n"},
		{13, "a name", "a name\n      one two\n      three\n"},
	} {
		var b strings.Builder
		if err := Wrapped(&b, c.width, 6, c.name, "one  two\nthree"); err != nil || b.String() != c.want {
			t.Errorf("%d columns, %q: %q, want %q", c.width, c.name, b.String(), c.want)
		}
	}
}

func TestParse(t *testing.T) {
	for _, test := range []struct {
		args   string
		others string // space-separated
		loud   bool
		err    string
	}{
		{args: ""},
		{args: "A 3001", others: "A 3001"},
		{args: "-loud A 3001", others: "A 3001", loud: true},
		{args: "A -loud 3001", others: "A 3001", loud: true},
		{args: "A 3001 -loud", others: "A 3001", loud: true},
		{args: "- 3001", others: "- 3001"},
		{args: "A -- 3001 -loud", others: "A 3001 -loud"},
		{args: "-loud -- -- x", others: "-- x", loud: true},
		{args: "A 3001 -nosuch", err: "flag provided but not defined: -nosuch"},
		{args: "-loud=perhaps", err: `invalid boolean value "perhaps" for -loud: want true or false`},
		{args: "-wait 5", err: `invalid value "5" for flag -wait: want a duration such as 500ms or 2s`},
		{args: "-wait -x", err: `invalid value "-x" for flag -wait: want a duration such as 500ms or 2s`},
		{args: "-n ten", err: `invalid value "ten" for flag -n: want a whole number`},
		{args: "-n 99999999999999999999", err: `invalid value "99999999999999999999" for flag -n: value out of range`},
		{args: "-seed -1", err: `invalid value "-1" for flag -seed: want a whole number from 0 on`},
		{args: "-load Inf", err: `invalid value "+Inf" for flag -load: want 0, or 1e-06 to 1e+12`},
		{args: "-load NaN", err: `invalid value "NaN" for flag -load: want 0, or 1e-06 to 1e+12`},
		{args: "-load 1e-12", err: `invalid value "1e-12" for flag -load: want 0, or 1e-06 to 1e+12`},
		{args: "-load -1", err: `invalid value "-1" for flag -load: want 0, or 1e-06 to 1e+12`},
		{args: "-wait -1s", err: `invalid value "-1s" for flag -wait: want 0 to 10000h`},
		{args: "-wait 10001h", err: `invalid value "10001h0m0s" for flag -wait: want 0 to 10000h`},
		{args: "-name=", err: `invalid value "" for flag -name: want a value, or not the flag`},
		{args: "-server localhost", err: `invalid value "localhost" for flag -server: want an IPv4 address, or a host's name, and a port, such as 127.0.0.1:3000`},
		{args: "-server localhost:65536", err: `invalid value "localhost:65536" for flag -server: want an IPv4 address, or a host's name, and a port, such as 127.0.0.1:3000`},
		{args: "-server [::1]:3000", err: `invalid value "[::1]:3000" for flag -server: want an IPv4 address, or a host's name, and a port, such as 127.0.0.1:3000`},
		{args: "-server nowhere.invalid:3000", err: `invalid value "nowhere.invalid:3000" for flag -server: want a host of which an IPv4 address is known, as of "nowhere.invalid" none is`},
		{args: "-server localhost:3000 x", others: "x"},
		{args: "-load ?", err: `invalid value "?" for flag -load: want a number`},
	} {
		fs := flag.NewFlagSet("test", flag.ExitOnError)
		loud := fs.Bool("loud", false, "")
		fs.Duration("wait", 0, "")
		fs.Int("n", 0, "")
		fs.Uint64("seed", 0, "")
		fs.Float64("load", 0, "")
		fs.String("name", "x", "")
		var server netip.AddrPort
		AddressVar(fs, &server, "server", netip.AddrPort{}, "")
		others, err := Parse(fs, strings.Fields(test.args), "", io.Discard)
		if test.err != "" {
			var usage UsageError
			if !errors.As(err, &usage) || err.Error() != test.err {
				t.Errorf("Parse(%q): error %v, want the usage error %s", test.args, err, test.err)
			}
			continue
		}
		if err != nil || !slices.Equal(others, strings.Fields(test.others)) || *loud != test.loud {
			t.Errorf("Parse(%q) = %q, %v with -loud=%v, want %q with %v", test.args, others, err, *loud, test.others, test.loud)
		}
	}
}

func TestParseHelp(t *testing.T) {
	fs := flag.NewFlagSet("test", flag.ExitOnError)
	timing := Timing(fs)
	var out bytes.Buffer
	if _, err := Parse(fs, []string{"A", "-h"}, "Usage: test\n", &out); !errors.Is(err, flag.ErrHelp) {
		t.Fatalf("Parse(-h): error %v, want flag.ErrHelp", err)
	}
	for _, want := range []string{"Usage: test\n\nFlags:\n", "  -heartbeat interval ", "(default 500ms)", "  -refresh interval ", "0:\n                      no more\n"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("the help has no %q:\n%s", want, out.String())
		}
	}
	if *timing != core.DefaultTiming() {
		t.Errorf("without flags the timing is %+v", *timing)
	}
}

func TestTiming(t *testing.T) {
	fs := flag.NewFlagSet("test", flag.ExitOnError)
	timing := Timing(fs)
	args := strings.Fields("-heartbeat 1ms -reap 2ms -deadline 3ms -broadcast 4ms -retry 5ms -refresh 6ms")
	if _, err := Parse(fs, args, "", io.Discard); err != nil {
		t.Fatal(err)
	}
	want := core.Timing{Heartbeat: time.Millisecond, Reap: 2 * time.Millisecond, Deadline: 3 * time.Millisecond,
		Broadcast: 4 * time.Millisecond, Retry: 5 * time.Millisecond, Refresh: 6 * time.Millisecond}
	if *timing != want {
		t.Errorf("timing is %+v, want %+v", *timing, want)
	}
}

func TestExit(t *testing.T) {
	for _, test := range []struct {
		err  error
		code int
		line string
	}{
		{nil, 0, ""},
		{flag.ErrHelp, 0, ""},
		{errors.New("no room"), 1, "it: no room\n"},
		{fmt.Errorf("in vain: %w", Usagef("bad port %q", "x")), 2, "it: in vain: bad port \"x\" (it -h says how)\n"},
		{Interrupted, 130, "it: interrupted\n"},
		{fmt.Errorf("%s of 5", strings.Repeat("9", 200_000)), 1, "it: " + strings.Repeat("9", 40) + "..." + strings.Repeat("9", 10) + " of 5\n"},
		{errors.New(strings.Repeat("\x00 ", 500)), 1, "it: " + strings.Repeat(`\x00 `, 80) + "..." + strings.Repeat(`\x00 `, 20) + "\n"},
		{errors.New("red \x1b[31m\nline"), 1, `it: red \x1b[31m\nline` + "\n"},
	} {
		var stderr bytes.Buffer
		if code := Exit(&stderr, "it", test.err); code != test.code || stderr.String() != test.line {
			t.Errorf("Exit(%v) = %d with %q, want %d with %q", test.err, code, stderr.String(), test.code, test.line)
		}
	}
}

func TestPrintable(t *testing.T) {
	for in, want := range map[string]string{
		`plain "quoted" \ text`: `plain "quoted" \ text`,
		"größe 世界 \ufffd":       "größe 世界 \ufffd",
		"\x1b]0;x\a\r\n":        `\x1b]0;x\a\r\n`,
		"\xff\xc0 \u202e\u200b": `\xff\xc0 \u202e\u200b`,
	} {
		if got := Printable(in); got != want {
			t.Errorf("Printable(%q) = %s, want %s", in, got, want)
		}
	}
}
