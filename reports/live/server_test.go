package live

import (
	"bufio"
	"cmp"
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"os"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"p2plocal/bench/sample"
)

// ask sends a request to the server and gives the answer's status and first line.
func ask(t *testing.T, s *Server, method, path, body string, header map[string]string) (int, string) {
	t.Helper()
	u, _ := url.Parse(s.URL())
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, method, "http://"+u.Host+strings.ReplaceAll(path, "TOKEN", s.token), strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for name, value := range header {
		r.Header.Set(name, strings.ReplaceAll(strings.ReplaceAll(value, "TOKEN", s.token), "HOST", u.Host))
		if name == "Host" {
			r.Host = value
		}
	}
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	if answer.Header.Get("Content-Security-Policy") == "" {
		t.Errorf("%s %s: no Content-Security-Policy", method, path)
	}
	line, _ := bufio.NewReader(answer.Body).ReadString('\n')
	return answer.StatusCode, strings.TrimSpace(line)
}

// TestRefused asks as somebody else's page would, and as nobody may.
func TestRefused(t *testing.T) {
	s := NewFake(3).serve(t, 0)
	const kill = `{"verb":"kill","peer":"!"}`
	good := map[string]string{"Authorization": "Bearer TOKEN", "Content-Type": "application/json"}
	with := func(more ...string) map[string]string {
		m := make(map[string]string)
		for name, value := range good {
			m[name] = value
		}
		for i := 0; i < len(more); i += 2 {
			m[more[i]] = more[i+1]
		}
		return m
	}
	for _, c := range []struct {
		what, method, path, body string
		header                   map[string]string
		status                   int
		says                     string
	}{
		{"an order", "POST", "/hand", kill, with(), 200, `{"script":"0s kill !"}`},
		{"with our origin", "POST", "/hand", kill, with("Origin", "http://HOST", "Sec-Fetch-Site", "same-origin"), 200, "kill"},
		{"through ssh -L", "POST", "/hand", kill, with("Host", "localhost:9000", "Origin", "http://localhost:9000"), 200, "kill"},
		{"forged origin", "POST", "/hand", kill, with("Origin", "http://evil.example"), 403, "evil.example"},
		{"null origin", "POST", "/hand", kill, with("Origin", "null"), 403, "business"},
		{"origin of another port", "POST", "/hand", kill, with("Origin", "http://127.0.0.1:1"), 403, "business"},
		{"another site", "POST", "/hand", kill, with("Sec-Fetch-Site", "cross-site"), 403, "business"},
		{"foreign host", "POST", "/hand", kill, with("Host", "rebound.example", "Origin", "http://rebound.example"), 403, "rebound.example"},
		{"foreign host, page", "GET", "/", "", with("Host", "rebound.example:80"), 403, "rebound.example"},
		{"an address beyond loopback", "GET", "/", "", with("Host", "192.0.2.1:80"), 403, "192.0.2.1"},
		{"no token", "POST", "/hand", kill, with("Authorization", ""), 401, "token"},
		{"token in the URL of an order", "POST", "/hand?token=TOKEN", kill, with("Authorization", ""), 401, "token"},
		{"wrong token", "GET", "/events?token=X", "", nil, 401, "token"},
		{"no token, events", "GET", "/events", "", nil, 401, "token"},
		{"no token, report", "GET", "/report", "", nil, 401, "token"},
		{"report", "GET", "/report?token=TOKEN", "", nil, 200, "The report"},
		{"forged origin, events", "GET", "/events?token=TOKEN", "", with("Origin", "http://evil.example"), 403, "evil.example"},
		{"bad event", "GET", "/events?token=TOKEN&after=x", "", nil, 400, `event \"x\"`},
		{"a form", "POST", "/hand", kill, with("Content-Type", "text/plain"), 415, "application/json"},
		{"no JSON", "POST", "/hand", "kill", with(), 400, "no order"},
		{"unknown field", "POST", "/hand", `{"verb":"kill","who":"!"}`, with(), 400, "who"},
		{"two orders", "POST", "/hand", kill + kill, with(), 400, "more than one"},
		{"too large", "POST", "/hand", `{"verb":"` + strings.Repeat("k", 1<<20) + `"}`, with(), 400, "too large"},
		{"nobody", "POST", "/hand", `{"verb":"kill","peer":"zz"}`, with(), 409, "zz"},
		{"order by GET", "GET", "/hand?token=TOKEN", "", nil, 404, ""},
		{"outside", "GET", "/../server.go", "", nil, 404, ""},
	} {
		if status, line := ask(t, s, c.method, c.path, c.body, c.header); status != c.status || !strings.Contains(line, c.says) {
			t.Errorf("%s: %d %s, want %d and %q", c.what, status, line, c.status, c.says)
		}
	}
}

// reader reads the events of one page.
type reader struct {
	t   *testing.T
	in  *bufio.Reader
	end context.CancelFunc
}

func open(t *testing.T, s *Server, after string) *reader {
	t.Helper()
	ctx, end := context.WithCancel(t.Context()) // however late the machine is
	t.Cleanup(end)
	r, _ := http.NewRequestWithContext(ctx, "GET", strings.Replace(s.URL(), "/?", "/events?after="+after+"&", 1), nil)
	answer, err := http.DefaultClient.Do(r)
	if err != nil || answer.StatusCode != 200 {
		t.Fatal(answer, err)
	}
	return &reader{t, bufio.NewReader(answer.Body), end}
}

// next is the next event and its number.
func (r *reader) next() (id, name, data string) {
	r.t.Helper()
	for {
		line, err := r.in.ReadString('\n')
		if err != nil {
			r.t.Fatal(err)
		}
		line = strings.TrimSuffix(line, "\n")
		switch field, value, _ := strings.Cut(line, ": "); {
		case field == "id":
			id = value
		case field == "event":
			name = value
		case field == "data":
			data = value
		case line == "" && name != "":
			return id, name, data
		}
	}
}

// TestReconnect loses the connection and goes on without a gap.
func TestReconnect(t *testing.T) {
	f := NewFake(5)
	s := f.serve(t, 0)
	f.Step(time.Second)
	first := open(t, s, "")
	id, name, data := first.next()
	var all sample.Snapshot
	if err := json.Unmarshal([]byte(data), &all); err != nil || name != "snapshot" {
		t.Fatal(name, err)
	}
	states, last := "", []byte(nil)
	for _, s := range all.Samples {
		states = cmp.Or(s.States, states)
		if v, ok := s.Views[4]; ok {
			last = v
		}
	}
	if len(all.Samples) != 10 || states != "aaaaa" || string(last) != "\x1f" || len(all.Marks) != 6 {
		t.Errorf("snapshot %+v: %d samples, want 10, in the end all alive and known", all, len(all.Samples))
	}
	first.end()
	f.Step(time.Second)
	second := open(t, s, id)
	for seq := all.Seq; seq < all.Seq+10; {
		_, name, data := second.next()
		var s struct{ Seq uint64 }
		if json.Unmarshal([]byte(data), &s); name == "snapshot" || s.Seq != seq+1 {
			t.Fatalf("%s %d after %d, want the next", name, s.Seq, seq)
		}
		seq = s.Seq
	}
	f.Step(time.Minute) // more than is kept one by one
	if _, name, _ := open(t, s, id).next(); name != "snapshot" {
		t.Errorf("%s for a page that was away for long, want a snapshot", name)
	}
	if _, name, _ := open(t, s, "999999").next(); name != "snapshot" {
		t.Errorf("%s for a page of another run, want a snapshot", name)
	}
}

// TestPages has twenty pages look on, one of which never reads: the others get everything,
// and that one is given up.
func TestPages(t *testing.T) {
	f := NewFake(5)
	s := f.serve(t, 2*time.Second) // in which those who read do so, on any machine
	u, _ := url.Parse(s.URL())
	deaf, err := net.Dial("tcp", u.Host)
	if err != nil {
		t.Fatal(err)
	}
	defer deaf.Close()
	deaf.(*net.TCPConn).SetReadBuffer(1 << 10)
	deaf.Write([]byte("GET /events?token=" + s.token + " HTTP/1.1\r\nHost: " + u.Host + "\r\n\r\n"))
	var all []*reader
	for range 19 {
		all = append(all, open(t, s, ""))
	}
	for s.Pages() < 20 {
		runtime.Gosched()
	}
	done := make(chan string) // each step is read by all before the next, so that it is never a reader's fault
	for _, r := range all {
		go func() {
			for {
				_, name, data := r.next()
				if name == "over" || strings.Contains(data, `"doing":"step"`) {
					done <- name
				}
				if name == "over" {
					return
				}
			}
		}()
	}
	for s.Pages() == 20 { // until the kernel's buffers are full, and the deadline has passed
		f.Feed.Add(sample.Sample{Headline: strings.Repeat("-", 32<<10), Doing: "step"})
		for range all {
			<-done
		}
	}
	f.Feed.End(true)
	for range all {
		<-done
	}
}

// slowWriter is a page's connection, which takes so long for each piece.
type slowWriter struct {
	http.ResponseWriter
	each     time.Duration
	deadline time.Time
	took     int
	end      func() // called once all is there
}

func (w *slowWriter) Header() http.Header { return make(http.Header) }

func (w *slowWriter) SetReadDeadline(time.Time) error    { return nil }
func (w *slowWriter) SetWriteDeadline(t time.Time) error { w.deadline = t; return nil }
func (w *slowWriter) FlushError() error                  { w.end(); return nil }

func (w *slowWriter) Write(b []byte) (int, error) {
	if len(b) > 100 {
		time.Sleep(w.each)
	}
	if time.Now().After(w.deadline) {
		return 0, os.ErrDeadlineExceeded
	}
	w.took += len(b)
	return len(b), nil
}

// TestSlowPage has pages far away take long for all of a run: one that takes a piece in less than it may gets it,
// however many there are, and one that does not is given up at once.
func TestSlowPage(t *testing.T) {
	f := NewFake(40)
	f.Step(100 * time.Second)
	events, _ := f.Feed.After(0)
	whole := len(slices.Concat(events[0].Data...))
	for each, all := range map[time.Duration]bool{9 * time.Second: true, 11 * time.Second: false} {
		synctest.Test(t, func(t *testing.T) {
			ctx, end := context.WithCancel(t.Context())
			w := &slowWriter{each: each, end: end}
			s := &Server{Config: Config{Feed: f.Feed, Stalled: 10 * time.Second}}
			began := time.Now()
			s.events(w, httptest.NewRequestWithContext(ctx, "GET", "/events", nil))
			if got, took := w.took >= whole, time.Since(began); got != all || all != (took > 20*time.Second) {
				t.Errorf("%v a piece: %d bytes of %d, after %v", each, w.took, whole, took)
			}
		})
	}
}

// BenchmarkReconnect is what a page costs that does not read, whenever it comes back: of all of a run it takes the
// beginning.
func BenchmarkReconnect(b *testing.B) {
	f := NewFake(40)
	f.Step(250 * time.Second)
	s := f.serve(b, 0)
	u, _ := url.Parse(s.URL())
	b.ReportAllocs()
	for b.Loop() {
		deaf, err := net.Dial("tcp", u.Host)
		if err != nil {
			b.Fatal(err)
		}
		deaf.(*net.TCPConn).SetReadBuffer(1 << 10)
		deaf.Write([]byte("GET /events?token=" + s.token + " HTTP/1.1\r\nHost: " + u.Host + "\r\n\r\n"))
		io.ReadFull(deaf, make([]byte, 1<<10))
		deaf.Close()
		for s.Pages() > 0 {
			runtime.Gosched()
		}
	}
}

// TestClose ends a run and its server at once: who looks on hears that it is over.
func TestClose(t *testing.T) {
	f := NewFake(5)
	f.Step(time.Second)
	s, err := Listen(netip.MustParseAddrPort("127.0.0.1:0"), Config{Feed: f.Feed})
	if err != nil {
		t.Fatal(err)
	}
	var all []*reader
	for range 5 {
		all = append(all, open(t, s, ""))
	}
	for _, r := range all {
		r.next()
	}
	f.Step(time.Second)
	f.Feed.End(false)
	s.Close()
	for _, r := range all {
		for name := ""; name != "over"; {
			_, name, _ = r.next()
		}
	}
}

// TestReportIsApart: the report's inline script runs as of another origin.
func TestReportIsApart(t *testing.T) {
	s := NewFake(1).serve(t, 0)
	answer, err := http.Get(strings.Replace(s.URL(), "/?", "/report?", 1))
	if err != nil {
		t.Fatal(err)
	}
	answer.Body.Close()
	if policy := answer.Header.Get("Content-Security-Policy"); !strings.HasPrefix(policy, "sandbox allow-scripts") {
		t.Errorf("policy %q, want a sandbox", policy)
	}
}

func TestBusyPort(t *testing.T) {
	s := NewFake(1).serve(t, 0)
	u, _ := url.Parse(s.URL())
	if _, err := Listen(netip.MustParseAddrPort(u.Host), Config{Feed: s.Feed}); err == nil || err.Error() != "cannot listen on "+u.Host+": address already in use" {
		t.Errorf("%v, want that the address is in use, in one way of saying it", err)
	}
}
