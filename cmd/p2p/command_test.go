package main

import "testing"

func TestParseCommand(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		line string
		want command
		err  string
	}{
		{line: "", want: command{}},
		{line: " \t\r\n", want: command{}},
		{line: "help\r\n", want: command{verb: "help"}},
		{line: " peers ", want: command{verb: "peers"}},
		{line: "stats", want: command{verb: "stats"}},
		{line: "connect", want: command{verb: "connect"}},
		{line: "disconnect", want: command{verb: "disconnect"}},
		{line: "quit", want: command{verb: "quit"}},
		{line: "quit now", err: `quit takes nothing more, got "now"`},
		{line: "broadcast  on", want: command{verb: "broadcast on"}},
		{line: "broadcast off", want: command{verb: "broadcast off"}},
		{line: "broadcast", err: `broadcast "", want on or off`},
		{line: "broadcast maybe", err: `broadcast "maybe", want on or off`},
		{line: "send hello", want: command{verb: "send", text: "hello"}},
		{line: "send x", want: command{verb: "send", text: "x"}},
		{line: "send hello A", want: command{verb: "send", text: "hello A"}},
		{line: "send A hello  there", want: command{verb: "send", to: "A", text: "hello  there"}},
		{line: `send "A hello"`, want: command{verb: "send", text: "A hello"}},
		{line: `send A "\x1b\xff "`, want: command{verb: "send", to: "A", text: "\x1b\xff "}},
		{line: `send " spaced "`, want: command{verb: "send", text: " spaced "}},
		{line: `send " hello`, want: command{verb: "send", to: `"`, text: "hello"}},
		{line: `send ""`, want: command{verb: "send"}},
		{line: "send A \xff", want: command{verb: "send", to: "A", text: "\xff"}},
		{line: "send", err: `send what? want a text, or a peer's name and a text`},
		{line: `send "open`, err: `text "\"open" begins with a quote but is no Go string`},
		{line: "Peers", err: `unknown command "Peers", "help" lists them`},
		{line: "\x1b[31m x", err: `unknown command "\x1b[31m", "help" lists them`},
	} {
		got, err := parseCommand(test.line)
		message := ""
		if err != nil {
			message = err.Error()
		}
		if got != test.want || message != test.err {
			t.Errorf("parseCommand(%q) = %+v, %q, want %+v, %q", test.line, got, message, test.want, test.err)
		}
	}
}
