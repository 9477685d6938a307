package main

import (
	"net/http"
	"net/http/httptest"
	"testing"
)

// A page of a stranger's name that leads here gets nothing, and nobody changes anything.
func TestMetricsGuarded(t *testing.T) {
	inner := http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})
	for _, test := range []struct {
		method, host string
		code         int
	}{
		{"GET", "127.0.0.1:6060", 200},
		{"GET", "127.5.5.5", 200},
		{"GET", "[::1]:6060", 200},
		{"GET", "localhost:6060", 200},
		{"GET", "10.1.1.1:6060", 421},
		{"GET", "evil.example:6060", 421},
		{"GET", "localhost.evil.example", 421},
		{"GET", "", 421},
		{"POST", "127.0.0.1:6060", 405},
		{"HEAD", "127.0.0.1:6060", 405},
	} {
		r := httptest.NewRequest(test.method, "/debug/vars", nil)
		r.Host = test.host
		w := httptest.NewRecorder()
		guarded(inner).ServeHTTP(w, r)
		if w.Code != test.code {
			t.Errorf("%s for host %q: %d %s, want %d", test.method, test.host, w.Code, w.Body, test.code)
		}
	}
}
