package main

import (
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"
)

// A page of a stranger's name that leads here gets nothing, and nobody changes anything.
func TestMetricsGuarded(t *testing.T) {
	inner := http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})
	for _, test := range []struct {
		method, host, named string
		code                int
	}{
		{"GET", "127.0.0.1:6060", "", 200},
		{"GET", "127.5.5.5", "", 200},
		{"GET", "[::1]:6060", "", 200},
		{"GET", "localhost:6060", "", 200},
		{"GET", "10.1.1.1:6060", "0.0.0.0", 200}, // as the request came to it
		{"GET", "my.host:6060", "my.host", 200},
		{"GET", "10.1.1.2:6060", "0.0.0.0", 421},
		{"GET", "evil.example:6060", "", 421},
		{"GET", "localhost.evil.example", "127.0.0.1", 421},
		{"GET", "", "", 421},
		{"POST", "127.0.0.1:6060", "", 405},
		{"HEAD", "127.0.0.1:6060", "", 405},
	} {
		r := httptest.NewRequest(test.method, "/debug/vars", nil)
		r.Host = test.host
		r = r.WithContext(context.WithValue(r.Context(), http.LocalAddrContextKey, &net.TCPAddr{IP: net.IPv4(10, 1, 1, 1), Port: 6060}))
		w := httptest.NewRecorder()
		guarded(inner, test.named).ServeHTTP(w, r)
		if w.Code != test.code {
			t.Errorf("%s for host %q, with -metrics %q: %d %s, want %d", test.method, test.host, test.named, w.Code, w.Body, test.code)
		}
	}
}
