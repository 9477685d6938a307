package driver

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"p2plocal/fuzz/conform"
)

// python is the interpreter itself: a wrapper around it may take longer to start than the case.
func python(t *testing.T) string {
	out, err := exec.Command("python3", "-c", "import sys; print(sys.executable)").Output()
	if err != nil {
		t.Fatalf("python3: %v", err)
	}
	return strings.TrimSpace(string(out))
}

var eighty = regexp.MustCompile("eighty") // for which Python takes all of a busy machine

// The example keeps to the protocol, all of it (the rest is TestLongExample).
func TestExample(t *testing.T) { checkExample(t, conform.Select(Cases(), nil, nil, eighty)) }

func checkExample(t *testing.T, cases []conform.Case) {
	t.Parallel()
	c := ForDrivers(conform.Config{Exec: python(t) + " testdata/heartbeat.py", Cases: cases, Parallel: 12}, nil)
	c.Others.Try = func(ctx context.Context, x conform.Case) conform.Result {
		of := check(x.ID)
		one := newTrial(ctx, c.Exec, nil, of, defaultPatience)
		res := one.outcome(x, one.run(of))
		if res.Outcome == conform.Pass && one.left != 0 { // what a run is said to take at most comes of it
			t.Errorf("%s waits for %v less than it says", x.ID, one.left)
		}
		return res
	}
	r, err := conform.Run(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	for _, x := range r.Results {
		if x.Outcome != conform.Pass && x.Outcome != conform.Seen {
			t.Errorf("%s: %s %s %+v", x.ID, x.Outcome, x.Detail, x.Failure)
		}
	}
}

// wrongs are what a driver may do against the protocol, as a change to the example, and the
// cases that must find it.
var wrongs = []struct{ name, old, with, finds string }{
	{"not ready", `report("ready", name="heartbeat", version="1", `, `report("log", text="ready", `, "init/ready"},
	{"no version", `version="1", `, ``, "init/ready"},
	{"unsupported that is none", `"leave", "pause"`, `"echo", "pause"`, "init/unsupported"},
	{"any option will do", `if do == "init" and c.get("options"):`, `if False:`, "init/unknown-option"},
	{"dies of what it does not know", `elif do not in ("join", "broadcast", "kill"):`, `elif do == "dance":
        sys.exit(3)
    elif do not in ("join", "broadcast", "kill"):`, "line/unknown-command"},
	{"dies of no JSON", `except (ValueError, KeyError) as e:`, `except KeyError as e:`, "line/no-json"},
	{"anybody may join", `elif me not in addr or`, `elif me not in addr:
        report("joined", member=next(iter(addr)))
    elif`, "line/who"},
	{"echo without its id", `report("echo", id=c.get("id", 0))`, `report("echo")`, "echo/answered"},
	{"joins in silence", `report("joined", member=me, at=time.monotonic_ns())`, `pass`, "join/joined"},
	{"no views", `report("view", member=me, at=at, up=[who])`, `pass`, "join/views"},
	{"bound where it is reached", `.bind(bound[me])`, `.bind(addr[me])`, "init/bind"},
	{"sends to where others are bound", `me.encode() + b"\0\0", addr[other])`, `me.encode() + b"\0\0", bound[other])`, "init/bind"},
	{"everybody at once", `report("joined", member=me, at=time.monotonic_ns())`, `report("joined", member=me, at=time.monotonic_ns())
        report("view", member=me, at=time.monotonic_ns(), members=list(addr))`, "join/only-the-joined"},
	{"another clock", `time.monotonic_ns()
    who`, `time.time_ns()
    who`, "time/monotonic"},
	{"messages twice", `report("message", **{"member": me, "from": who, "id": int(id), "at": at})`, `[report("message", **{"member": me, "from": who, "id": int(id), "at": at}) for _ in "12"]`, "broadcast/to-all"},
	{"no message", `if id:`, `if False:`, "broadcast/to-all"},
	{"small messages only", `send(me, b"%s`, `c["size"] < 500 and send(me, b"%s`, "broadcast/sizes"},
	{"ids of 32 bits", `"id": int(id), `, `"id": int(id) % 2**32, `, "broadcast/large-id"},
	{"kills nobody", `sel.unregister(socks[me])
        socks.pop(me).close()`, `pass`, "kill/noticed"},
	{"kill is not answered", `report("done", do=do, member=me, at=time.monotonic_ns())`, `pass`, "kill/done"},
	{"nobody is missed", `now - at > 10 * beat`, `False`, "kill/noticed"},
	{"goes on for ever", `sys.exit() if c["type"] == "stop" else obey`, `None if c["type"] == "stop" else obey`, "stop/exits"},
	{"fails in the end", `sys.exit() if`, `sys.exit(1) if`, "stop/exits"},
	{"goes on without input", `if not chunk:
                sys.exit()`, `if not chunk:
                sel.unregister(0)`, "stop/end-of-input"},
}

// Each wrong is found by the cases that are about it. They wait more than they compute: all at once.
func TestWrongs(t *testing.T) {
	t.Parallel()
	sound, err := os.ReadFile("testdata/heartbeat.py")
	if err != nil {
		t.Fatal(err)
	}
	interpreter, dir := python(t), t.TempDir()
	var all sync.WaitGroup
	for i, w := range wrongs {
		if strings.Count(string(sound), w.old) == 0 {
			t.Errorf("%s: the example has no %q", w.name, w.old)
			continue
		}
		all.Go(func() {
			file := filepath.Join(dir, fmt.Sprintf("wrong%d.py", i))
			err := os.WriteFile(file, []byte(strings.Replace(string(sound), w.old, w.with, 1)), 0o600)
			if err != nil {
				t.Error(err)
				return
			}
			cases := conform.Select(Cases(), nil, regexp.MustCompile("^driver/"+w.finds+"$"), nil)
			var r conform.Report
			for range 10 { // on a busy machine the bound of a run may come before its verdict
				r, err = conform.Run(t.Context(), forDrivers(conform.Config{Exec: interpreter + " " + file, Cases: cases}, nil, patience{ready: 3 * time.Second, answer: time.Second, view: 3 * time.Second}))
				if err != nil || r.Count(conform.NotRun) == 0 {
					break
				}
			}
			if err != nil || len(r.Results) != 1 {
				t.Errorf("%s: %v %v", w.name, err, r.Results)
			} else if x := r.Results[0]; x.Outcome != conform.Fail && x.Outcome != conform.Broken {
				t.Errorf("%s: %s: %s %s", w.name, x.ID, x.Outcome, x.Detail)
			}
		})
	}
	all.Wait()
}

// What is no report ends the reading, and is quoted.
func TestReader(t *testing.T) {
	members := nameMembers(2)
	for _, test := range []struct{ line, want string }{
		{`{"type":"message","member":"m1","from":"m2","id":7,"at":12}`, ""},
		{`{"type":"message","member":"m1","from":"m2","id":18446744073709551615,"at":12}`, ""},
		{`{"at":12,"id":7,"from":"m2","member":"m1","type":"message","later":[{}]}`, ""},
		{`{"type":"view","member":"m1","members":[]}`, ""},
		{`{"type":"failed","text":"m9 is no member","member":"m9"}`, ""},
		{`{"type":"message","member":"m1","from":"m2","id":07,"at":12}`, "is no report"},
		{`{"type":"message","member":"m1","from":"m2","id":7,"at":12}}`, "is no report"},
		{`{"type":"message","member":"m1","from":"m2","id":-7,"at":12}`, "is no report"},
		{`{"type":"message","member":"m3","from":"m2","id":7,"at":12}`, `names "m3", who is no member`},
		{`{"type":"view","member":"m1","up":["m2",""]}`, `names "", who is no member`},
		{`{"type":"view","member":"m1","down":[""]}`, `names "", who is no member`},
		{`{"type":"massage","member":"m1"}`, `has the type "massage"`},
		{`{"type":"view","member":"m1"}`, "has no up, down or members"},
		{`{"type":"view","member":"m1","up":["m2"],"down":["m2"]}`, "has no up, down or members"},
		{`{"type":"joined"}`, "has no member"},
		{`hello`, "is no report"},
		{``, "is no report"},
		{strings.Repeat("x", MaxLine), "is longer than 65536 bytes"},
	} {
		err := NewReader(strings.NewReader(test.line+"\n"), members).Next(new(Report))
		if (test.want == "") != (err == nil) || err != nil && (!errors.Is(err, ErrLine) || !strings.Contains(err.Error(), test.want)) {
			t.Errorf("%.80s: %v, want %q", test.line, err, test.want)
		}
	}
	r := NewReader(strings.NewReader(`{"type":"echo"`), members)
	if err := r.Next(new(Report)); err == nil || !strings.Contains(err.Error(), "cut off") {
		t.Errorf("an end within a line: %v", err)
	}
}

// What Serve writes, Reader reads, and messages of plain names without allocating.
func TestMessageLines(t *testing.T) {
	members := []Member{{Name: `a "b\c`}, {Name: "ünï"}, {Name: "m3"}}
	var out bytes.Buffer
	report := newReporter(&out)
	for i, m := range members {
		report.Message(m.Name, members[(i+1)%3].Name, uint64(i), int64(1000+i))
	}
	if err := report.close(); err != nil {
		t.Fatal(err)
	}
	r := NewReader(&out, members)
	for i, m := range members {
		var got Report
		if err := r.Next(&got); err != nil || got.Member != m.Name || got.From != members[(i+1)%3].Name || got.ID != uint64(i) || got.At != int64(1000+i) {
			t.Errorf("%+v %v", got, err)
		}
	}
	line := []byte(`{"type":"message","member":"m1","from":"m2","id":7,"at":12}` + "\n")
	many := NewReader(repeat{line}, nameMembers(2))
	var got Report
	if n := testing.AllocsPerRun(1000, func() { many.Next(&got) }); n > 0 {
		t.Errorf("reading a message allocates %v times", n)
	}
}

// repeat is a line again and again.
type repeat struct{ line []byte }

func (r repeat) Read(b []byte) (n int, err error) {
	for n+len(r.line) <= len(b) {
		n += copy(b[n:], r.line)
	}
	return n, nil
}

// A pipe full of messages is read at this rate: 200,000 a second are wanted.
func BenchmarkReader(b *testing.B) {
	in, out, err := os.Pipe()
	if err != nil {
		b.Fatal(err)
	}
	defer in.Close()
	go func() {
		defer out.Close()
		report := newReporter(out)
		for i := range b.N {
			report.Message("m1", "m2", uint64(i), int64(i))
		}
		report.close()
	}()
	r := NewReader(in, nameMembers(2))
	b.ReportAllocs()
	var got Report
	var before runtime.MemStats
	runtime.ReadMemStats(&before)
	start := time.Now()
	for i := range b.N {
		if err := r.Next(&got); err != nil || got.ID != uint64(i) {
			b.Fatal(got, err)
		}
	}
	if err := r.Next(&got); err != io.EOF {
		b.Fatal(err)
	}
	b.ReportMetric(float64(b.N)/time.Since(start).Seconds(), "lines/s")
	var after runtime.MemStats
	runtime.ReadMemStats(&after)
	b.ReportMetric(float64(int64(after.Sys)-int64(before.Sys))/1e6, "MB-more")
}
