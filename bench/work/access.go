package work

import (
	"errors"
	"fmt"
	"net"
	"regexp"
	"time"

	"github.com/nats-io/nats.go"
)

// Access is how a NATS server is reached.
type Access struct {
	URL, Creds, CA, Cert, Key string // the rest: files, "" for none
}

// answer is how long a server may take to answer: one on a busy machine takes more than the
// library's two seconds.
const answer = 30 * time.Second

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
		return nil, fmt.Errorf("NATS server %q: %w", Redact(a.URL), err)
	}
	return c, nil
}

var password = regexp.MustCompile(`//[^@/]*@`)

// Redact takes users and passwords out of a text with URLs.
func Redact(text string) string { return password.ReplaceAllString(text, "//") }
