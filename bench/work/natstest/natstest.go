// Package natstest runs NATS servers for tests.
package natstest

import (
	"net"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
)

// Server is one with JetStream on disk.
type Server struct {
	*server.Server
	t       testing.TB
	options server.Options
}

// Start starts one that ends with the test, on loopback, unless a change of its options says otherwise.
func Start(t testing.TB, changes ...func(*server.Options)) *Server {
	t.Helper()
	s := &Server{t: t, options: server.Options{Host: "127.0.0.1", Port: server.RANDOM_PORT, JetStream: true, StoreDir: t.TempDir(), NoLog: true, NoSigs: true}}
	for _, change := range changes {
		change(&s.options)
	}
	s.start()
	s.options.Port = s.Addr().(*net.TCPAddr).Port
	t.Cleanup(s.stop)
	return s
}

func (s *Server) start() {
	s.t.Helper()
	options := s.options
	var err error
	if s.Server, err = server.NewServer(&options); err != nil {
		s.t.Fatal(err)
	}
	s.Server.Start()
	if !s.ReadyForConnections(time.Minute) {
		s.t.Fatal("no NATS server")
	}
}

func (s *Server) stop() {
	s.Shutdown()
	s.WaitForShutdown()
}

// Restart stops it and starts it again where it was.
func (s *Server) Restart() {
	s.stop()
	s.start()
}
