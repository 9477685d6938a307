//go:build long

package work

import (
	"fmt"
	"net"
	"net/url"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
)

// A cluster of three keeps everything three times: one of its servers goes in the midst of a job, and
// nothing is lost or counted twice.
func TestLongCluster(t *testing.T) {
	t.Parallel()
	var all []*server.Server
	var routes []*url.URL
	var urls []string
	for range 3 {
		l, err := net.Listen("tcp", "127.0.0.1:0") // for its port, which each must know of the others
		if err != nil {
			t.Fatal(err)
		}
		l.Close()
		routes = append(routes, &url.URL{Scheme: "nats", Host: l.Addr().String()})
	}
	for i, r := range routes {
		port, _ := strconv.Atoi(r.Port())
		s, err := server.NewServer(&server.Options{ServerName: fmt.Sprint("s", i), Host: "127.0.0.1", Port: server.RANDOM_PORT, JetStream: true, StoreDir: t.TempDir(), NoLog: true, NoSigs: true,
			Routes: routes, Cluster: server.ClusterOpts{Name: "c", Host: "127.0.0.1", Port: port}})
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, s)
	}
	for _, s := range all {
		go s.Start()
		t.Cleanup(func() { s.Shutdown(); s.WaitForShutdown() })
	}
	for _, s := range all {
		if !s.ReadyForConnections(time.Minute) {
			t.Fatal("no NATS server")
		}
		urls = append(urls, s.ClientURL())
	}
	s := &natsServer{t: t, urls: strings.Join(urls, ",")}
	c := s.connect("coordinator")
	for deadline := time.Now().Add(2 * time.Minute); ; time.Sleep(50 * time.Millisecond) { // until its servers know each other
		if q, err := open(t.Context(), c); err == nil && q.done.CachedInfo().Config.Replicas == 3 {
			break
		} else if time.Now().After(deadline) {
			t.Fatalf("%v, %+v", err, q.done)
		}
	}
	var computed atomic.Int64
	s.worker("a", "1", 2, 5*time.Millisecond, &computed)
	s.worker("b", "1", 2, 5*time.Millisecond, &computed)
	j, x := sums("cluster", 5_000), newTally(t)
	if err := Remote(t.Context(), c, j, t.Logf, func(d Done) error {
		if x.add(d); len(x.leases) == 20 {
			go all[1].Shutdown()
		}
		return nil
	}); err != nil || x.sum != want(5_000) {
		t.Errorf("%d, want %d; %v", x.sum, want(5_000), err)
	}
}
