package machine

import (
	"slices"
	"testing"
)

// No password gets into a result, however the URL is written that it stands in.
func TestRedact(t *testing.T) {
	for urls, want := range map[string]string{
		"nats://127.0.0.1:4222":                  "nats://127.0.0.1:4222",
		"host":                                   "host",
		"nats://ann:secret@host:4222":            "nats://host:4222",
		"ann:secret@host:4222":                   "host:4222",
		"secret@host":                            "host",
		"nats://ann:sec/ret@host":                "nats://host",
		"nats://ann:sec@ret@host":                "nats://host",
		"nats://ann:secret@a:1,bob:secret@b:2":   "nats://a:1,b:2",
		"tls://ann:secret@a:1, nats://x:secret@": "tls://a:1, nats://",
	} {
		if got := Redact(urls); got != want {
			t.Errorf("%q becomes %q, want %q", urls, got, want)
		}
	}
	args := []string{"-nats", "ann:secret@host", "-nats=ann:secret@host", "--nats=tls://x:secret@host",
		"-driver", "meshdriver nats url=nats://ann:sec/ret@host", "-at", "a@b"}
	want := []string{"-nats", "host", "-nats=host", "--nats=tls://host", "-driver", "meshdriver nats url=nats://host", "-at", "a@b"}
	if got := Version(args).Args; !slices.Equal(got, want) {
		t.Errorf("a command line is shown as %q, want %q", got, want)
	}
	if slices.Equal(args, want) {
		t.Error("the command line itself was changed")
	}
}
