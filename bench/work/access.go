package work

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"

	"p2plocal/bench/machine"
)

// Access is how a NATS server is reached.
type Access struct {
	URL, Creds, CA, Cert, Key string // the rest: files, "" for none
}

// answer is how long a server may take to answer: one on a busy machine takes more than the
// library's two seconds.
const answer = 30 * time.Second

// Check says what is wrong with the URLs. It shows no password.
func (a Access) Check() error {
	for _, one := range strings.Split(a.URL, ",") {
		one = strings.TrimSpace(one)
		if !strings.Contains(one, "://") {
			one = "nats://" + one
		}
		u, err := url.Parse(one)
		if err != nil || u.Hostname() == "" {
			return fmt.Errorf("-nats %q, want a URL such as nats://127.0.0.1:4222, in whose user and password /, @ and : stand as %%2F, %%40 and %%3A", machine.Redact(a.URL))
		}
		if n, err := strconv.ParseUint(u.Port(), 10, 16); u.Port() != "" && (err != nil || n == 0) {
			return fmt.Errorf("-nats %q: port %s, want 1 to 65535", machine.Redact(a.URL), u.Port())
		}
		if !slices.Contains(schemes, u.Scheme) {
			return fmt.Errorf("-nats %q: scheme %s, want one of %s", machine.Redact(a.URL), u.Scheme, strings.Join(schemes, ", "))
		}
	}
	return nil
}

var schemes = []string{"nats", "tls", "ws", "wss"}

// Connect connects, and again whenever the connection is lost, for as long as it takes.
func (a Access) Connect(name string, log func(format string, args ...any)) (*nats.Conn, error) {
	options := []nats.Option{nats.Name("meshbench " + name), nats.MaxReconnects(-1), nats.ReconnectWait(retry), nats.Timeout(answer),
		nats.DisconnectErrHandler(func(_ *nats.Conn, err error) {
			if err != nil {
				log("NATS server lost: %v", err)
			}
		}),
		nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) {
			if e := new(net.OpError); !errors.As(err, &e) { // that one comes with the loss of the server
				log("NATS: %v", err)
			}
		}),
		nats.ReconnectHandler(func(*nats.Conn) { log("NATS server found again") })}
	if a.Creds != "" {
		options = append(options, nats.UserCredentials(a.Creds))
	}
	if a.CA != "" {
		options = append(options, nats.RootCAs(a.CA))
	}
	if a.Cert != "" || a.Key != "" {
		options = append(options, nats.ClientCert(a.Cert, a.Key))
	}
	c, err := nats.Connect(a.URL, options...)
	if err != nil {
		return nil, fmt.Errorf("NATS server %q: %w", machine.Redact(a.URL), err)
	}
	return c, nil
}
