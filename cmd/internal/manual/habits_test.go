//go:build unix

package manual

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"

	"p2plocal/fuzz/target"
)

// commands are all commands, and what each takes for a run that is over at once.
var commands = []struct{ name, short string }{
	{"p2p", "-listen HOST:0"},
	{"meshbench", "-sim -peers 2 -scenario join"},
	{"meshbench compare", "nowhere.json nowhere.json"},
	{"meshbench versus", "-mesh exec:false·{addr} -mesh exact"},
	{"meshbench report", "txt nowhere.json"},
	{"meshbench metrics", ""},
	{"meshbench agree", "-peers 2 -scenario join -repeat 1"},
	{"meshbench scale", "-sim 5"},
	{"meshbench swarm", "-seeds 1..2"},
	{"meshbench worker", "-nats nats://HOST:1"},
	{"meshbench workers", "-nats nats://HOST:1"},
	{"meshbench study", "restart peers=2 refresh=1s -repeat 1"},
	{"meshbench sweep", "deadline=1s heartbeat=500ms refresh=0s peers=5 loss=0% -repeat 1"},
	{"meshcheck", "server -exec false·{addr}"},
	{"udpgarbage", "-target HOST:1 -exec false·{addr}"},
}

// invoke runs a command, in which HOST is a loopback address that nobody else has, and
// · a blank within a word.
func invoke(t *testing.T, name, args string) (code int, stdout, stderr string) {
	t.Helper()
	cmd := command(t, name, args)
	var out, err bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &err
	if e := cmd.Run(); e != nil && !errors.As(e, new(*exec.ExitError)) {
		t.Fatal(e)
	}
	return cmd.ProcessState.ExitCode(), out.String(), err.String()
}

func command(t *testing.T, name, args string) *exec.Cmd {
	t.Helper()
	words := strings.Fields(name)
	for _, a := range strings.Fields(strings.ReplaceAll(args, "HOST", habitsHost)) {
		words = append(words, strings.ReplaceAll(a, "·", " "))
	}
	cmd := exec.CommandContext(t.Context(), filepath.Join(filepath.Dir(build(t).path), "bin", words[0]), words[1:]...)
	cmd.Dir = t.TempDir()
	return cmd
}

var habitsHost = target.OwnHost().String()

// eachCommand runs a test for every command; tool is the first word of its name.
func eachCommand(t *testing.T, test func(t *testing.T, name, tool, short string)) {
	build(t)
	for _, c := range commands {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			tool, _, _ := strings.Cut(c.name, " ")
			test(t, c.name, tool, c.short)
		})
	}
}

// The help of every command begins alike and has the flags that all have; that of a
// tool says more.
func TestHelp(t *testing.T) {
	eachCommand(t, func(t *testing.T, name, tool, _ string) {
		code, help, stderr := invoke(t, name, "-h")
		if code != 0 || stderr != "" || !strings.HasPrefix(help, "usage: "+name) {
			t.Errorf("-h: exit code %d, stderr %q, want a usage: line first\n%.200s", code, stderr, help)
		}
		fits(t, help)
		wanted := []string{"\n  -json file ", "\n  -quiet ", "\n  -ascii ", "\n  -version "}
		if name == tool {
			if _, out, _ := invoke(t, tool, "help"); out != help {
				t.Error("help is not -h")
			}
			if strings.Count(help, "\n  "+tool+" ")+strings.Count(help, " "+tool+" ") < 2 {
				t.Error("-h has no examples")
			}
			wanted = append(wanted, "xit code")
			if tool != "p2p" {
				wanted = append(wanted, "{addr}", "{port}", "{name}", "{server}")
				if words := strings.Fields(target.Quoting); !strings.Contains(strings.Join(strings.Fields(help), " "), strings.Join(words, " ")) { // wherever its lines end
					t.Errorf("-h says nothing of %q", target.Quoting)
				}
			}
		}
		for _, want := range wanted {
			if !strings.Contains(help, want) {
				t.Errorf("-h says nothing of %q", want)
			}
		}
	})
}

// fits says that a text fits a terminal of 80 columns.
func fits(t *testing.T, text string) {
	t.Helper()
	for line := range strings.Lines(text) {
		if n := utf8.RuneCountInString(strings.TrimSuffix(line, "\n")); n > 80 {
			t.Errorf("%d columns: %s", n, line)
		}
	}
}

// The help of what has no results to write fits as well.
func TestHelpOfOthers(t *testing.T) {
	for _, name := range []string{"meshdriver", "meshbench play"} {
		_, help, _ := invoke(t, name, "-h")
		if fits(t, help); !strings.HasPrefix(help, "usage: "+name) {
			t.Errorf("%s -h begins with %.100q", name, help)
		}
	}
}

// What makes no sense is refused alike by every command, in one line on stderr.
func TestRefused(t *testing.T) {
	eachCommand(t, func(t *testing.T, name, tool, short string) {
		for _, x := range []struct {
			args string
			code int
			out  string // what stdout begins with
			err  string // what the one line of stderr holds
		}{
			{"-version", 0, tool + " ", ""},
			{"-nosuch", 2, "", "flag provided but not defined: -nosuch (" + name + " -h says how)"},
			{"-json=", 2, "", `invalid value "" for flag -json: want a value, or not the flag`},
			{"-json /nowhere/x.json " + short, 2, "", `cannot write "/nowhere/x.json": there is no directory "/nowhere"`},
			{"-json " + os.TempDir() + " " + short, 2, "", "is a directory"},
		} {
			code, stdout, stderr := invoke(t, name, x.args)
			if code != x.code || !strings.HasPrefix(stdout, x.out) || x.out == "" && stdout != "" || !strings.Contains(stderr, x.err) || strings.Count(stderr, "\n") > 1 {
				t.Errorf("%s %s: exit code %d, stdout %q, stderr %q, want %d and %q, %q", name, x.args, code, stdout, stderr, x.code, x.out, x.err)
			}
		}
	})
}

// With -json - there is nothing but JSON on stdout, whatever becomes of the run.
func TestJSONAlone(t *testing.T) {
	eachCommand(t, func(t *testing.T, name, tool, short string) {
		if tool == "p2p" { // it runs until it is told to end
			return
		}
		if _, stdout, _ := invoke(t, name, "-json - -quiet "+short); stdout != "" && !json.Valid([]byte(stdout)) {
			t.Errorf("-json -: %.200s", stdout)
		}
	})
}

// Results that nobody got are a failure, of every command and of its help; what was asked
// to go nowhere is none.
func TestStdoutFails(t *testing.T) {
	eachCommand(t, func(t *testing.T, name, tool, short string) {
		if tool == "p2p" {
			short = "C 70000" // which is refused; that its events are lost TestOutputFails sees
		}
		reader, broken, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		reader.Close()
		t.Cleanup(func() { broken.Close() })
		outputs := map[string]*os.File{"broken pipe": broken}
		if full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0); err == nil {
			t.Cleanup(func() { full.Close() })
			outputs["no space left on device"] = full
		}
		for i, args := range []string{"-h", "-version", short + " -quiet", short + " -quiet -json -"} {
			t.Run(args, func(t *testing.T) {
				t.Parallel()
				want, said, _ := invoke(t, name, args)
				for why, stdout := range outputs {
					if i > 1 && len(outputs) > 1 && (why == "broken pipe") != (i == 2) {
						continue // of a run one way each: what is written, and how, is the same
					}
					cmd := command(t, name, args)
					var stderr bytes.Buffer
					cmd.Stdout, cmd.Stderr = stdout, &stderr
					cmd.Run()
					code := cmd.ProcessState.ExitCode()
					if said == "" && code != want {
						t.Errorf("exit code %d where nothing was to be written, want %d", code, want)
					}
					if said != "" && (code != 1 || !strings.Contains(stderr.String(), "cannot write standard output: "+why)) {
						t.Errorf("exit code %d, stderr %q, want 1 and that nobody got what it said: %s", code, stderr.String(), why)
					}
				}
			})
		}
	})
}

// What is nearly right is answered with what would be, and exit codes mean the same.
func TestNearlyRight(t *testing.T) {
	for _, x := range []struct {
		command, args string
		code          int
		err           string
	}{
		{"meshbench", "steady", 2, "say -scenario steady"},
		{"meshbench", "HOST:3000", 2, "say -target " + habitsHost + ":3000"},
		{"udpgarbage", "HOST:3000", 2, "want -target " + habitsHost + ":3000"},
		{"udpgarbage", "server", 2, "want -as server"},
		{"p2p", "localhost", 2, "-server"},
		{"p2p", "HOST:3000", 2, "-listen"},
		{"p2p", "A", 2, "NAME PORT"},
		{"p2p", "keygen", 2, "want one FILE"},
		{"p2p", "keygen -x", 2, "flag provided but not defined: -x"},
		{"p2p", "A 3001 -server localhost", 2, `"localhost" for flag -server: want an IPv4 address, or a host's name, and a port`},
		{"meshcheck", "HOST:3000", 2, "meshcheck server " + habitsHost + ":3000"},
		{"meshcheck", "server", 2, "meshcheck server 127.0.0.1:3000"},
		{"meshcheck", "peer", 2, "-exec"},
		{"meshbench", "-target localhost", 2, `"localhost" for flag -target: want an IPv4 address, or a host's name, and a port`},
		{"meshcheck", "server -target localhost", 2, `"localhost": want an IPv4 address, or a host's name, and a port`},
		{"udpgarbage", "-target localhost", 2, `"localhost" for flag -target: want an IPv4 address, or a host's name, and a port`},
		{"meshbench", "-scenario join -exec false·{addr} -quiet", 1, "exit status 1"},
		{"meshcheck", "server -quiet -exec false·{addr}", 1, "exit status 1"},
		{"udpgarbage", "-target HOST:2 -exec false·{addr}", 1, "exit status 1"},
		{"udpgarbage", "-target HOST:2 -findings /proc/nowhere", 2, "/proc/nowhere"},
		{"udpgarbage", "-target HOST:2 -pcap /nowhere/x", 2, `there is no directory "/nowhere"`},
		{"meshbench study", "-report /nowhere/x.html", 2, `there is no directory "/nowhere"`},
		{"meshbench", "-max-load Inf", 2, `"+Inf" for flag -max-load`},
		{"udpgarbage", "-rate 1e-12", 2, `"1e-12" for flag -rate`},
		{"meshbench", "-target=", 2, `"" for flag -target`},
		{"meshbench", "-quiet -exec x·{addr}·{name}", 1, "nothing to put in place of {name}"},
		{"meshbench", "-sim -quiet -scenario join -assert join.converge<1ns", 3, "join.converge<1ns"},
	} {
		t.Run(x.command+" "+x.args, func(t *testing.T) {
			t.Parallel()
			if code, _, stderr := invoke(t, x.command, x.args); code != x.code || !strings.Contains(stderr, x.err) || strings.Count(stderr, "\n") != 1 {
				t.Errorf("exit code %d, stderr %q, want %d and one line with %q", code, stderr, x.code, x.err)
			}
		})
	}
}
