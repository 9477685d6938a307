// Package live shows a mesh in the browser while it runs, and takes orders from there: one
// page, which is in the program, and what a sample.Feed has, as server-sent events.
//
// Whoever has the address has nothing without the token, which is in the URL that is
// printed. A page of somebody else's in the same browser has neither: what comes under a
// name that a resolver gave (DNS rebinding), or from another origin, is refused.
package live

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"embed"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"mime"
	"net"
	"net/http"
	"net/netip"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"p2plocal/bench/sample"
	"p2plocal/core/udp"
)

//go:embed page
var page embed.FS

// Config is what a Server shows.
type Config struct {
	Feed   *sample.Feed
	Obey   func(context.Context, sample.Order) (script string, err error) // nil: it only shows
	Report func(io.Writer) error                                          // called once the feed is over and has one

	Stalled time.Duration // how long a page may take for a piece of what it gets before it is given up; 0: 10 s
}

const (
	mostPages  = 64
	mostUnread = 64 << 10         // bytes that the kernel takes for a page that does not read
	alive      = 15 * time.Second // between signs of life, where there is nothing to say
	back       = 5 * time.Second
	again      = time.Second // after which a page that lost its connection comes back
)

// A Server is one address under which there is a page.
type Server struct {
	Config
	listener net.Listener
	http     *http.Server
	token    string
	pages    atomic.Int64 // connections
	left     atomic.Int64 // when the last one ended, in Unix ns
	ended    chan struct{}
}

// Listen serves from now on, until Close.
func Listen(at netip.AddrPort, c Config) (*Server, error) {
	if c.Stalled == 0 {
		c.Stalled = 10 * time.Second
	}
	l, err := net.Listen("tcp", at.String())
	if err != nil {
		return nil, udp.ListenError(at, err)
	}
	s := &Server{Config: c, listener: l, token: rand.Text(), ended: make(chan struct{})}
	files, err := fs.Sub(page, "page")
	if err != nil {
		return nil, err
	}
	html, style := inlined(files)
	mux := http.NewServeMux()
	mux.Handle("GET /", http.FileServerFS(files))
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Security-Policy", strings.Replace(policy, "style-src 'self'", "style-src"+style, 1))
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		w.Write(html)
	})
	mux.HandleFunc("GET /events", s.secret(s.events))
	mux.HandleFunc("GET /report", s.secret(s.report))
	mux.HandleFunc("POST /hand", s.secret(s.hand))
	s.http = &http.Server{Handler: s.guarded(mux), ReadHeaderTimeout: 5 * time.Second, MaxHeaderBytes: 16 << 10, IdleTimeout: time.Minute,
		ReadTimeout: 10 * time.Second,
		ConnContext: func(ctx context.Context, c net.Conn) context.Context {
			c.(*net.TCPConn).SetWriteBuffer(mostUnread)
			return ctx
		}}
	go s.http.Serve(l)
	return s, nil
}

// sheet is a style sheet of the page's.
var sheet = regexp.MustCompile(`<link rel="stylesheet" href="(.+)">`)

// inlined is the page with its style sheets in it, as sources that a policy allows, so that it
// is painted before anything else has come.
func inlined(files fs.FS) (html []byte, style string) {
	html, _ = fs.ReadFile(files, "index.html") // what is in the program is there
	html = sheet.ReplaceAllFunc(html, func(link []byte) []byte {
		css, _ := fs.ReadFile(files, string(sheet.FindSubmatch(link)[1]))
		hash := sha256.Sum256(css)
		style += " 'sha256-" + base64.StdEncoding.EncodeToString(hash[:]) + "'"
		return slices.Concat([]byte("<style>"), css, []byte("</style>"))
	})
	return html, style
}

// URL is where the page is, with the token.
func (s *Server) URL() string {
	at := s.listener.Addr().(*net.TCPAddr).AddrPort()
	if at.Addr().IsUnspecified() {
		at = netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), at.Port())
	}
	return "http://" + at.String() + "/?token=" + s.token
}

// Pages is how many look on at present.
func (s *Server) Pages() int { return int(s.pages.Load()) }

// Watched reports that a page looks on, or has been away only for so long that it may come back.
func (s *Server) Watched() bool {
	return s.pages.Load() > 0 || time.Since(time.Unix(0, s.left.Load())) < back
}

// Close ends everything, once pages have had what there is, or half a second for it.
func (s *Server) Close() error {
	close(s.ended)
	ctx, cancel := context.WithTimeout(context.Background(), time.Second/2)
	defer cancel()
	s.http.Shutdown(ctx)
	return s.http.Close()
}

const policy = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; " +
	"font-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

// guarded refuses what a page of somebody else's could have sent, and has browsers load
// nothing from elsewhere.
func (s *Server) guarded(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		for name, value := range map[string]string{
			"Content-Security-Policy":      policy,
			"X-Content-Type-Options":       "nosniff",
			"X-Frame-Options":              "DENY",
			"Referrer-Policy":              "no-referrer",
			"Cross-Origin-Opener-Policy":   "same-origin",
			"Cross-Origin-Resource-Policy": "same-origin",
			"Cache-Control":                "no-store",
		} {
			w.Header().Set(name, value)
		}
		origin, site := r.Header.Get("Origin"), r.Header.Get("Sec-Fetch-Site")
		switch {
		case !s.isOurs(r.Host):
			refuse(w, http.StatusForbidden, "this is no page of host %q, want the address that was printed", r.Host)
		case origin != "" && origin != "http://"+r.Host, r.Method == http.MethodPost && site != "" && site != "same-origin":
			refuse(w, http.StatusForbidden, "a page of %q has no business here", origin)
		default:
			h.ServeHTTP(w, r)
		}
	})
}

// isOurs reports that a host is one that nobody's resolver can have made up: an address,
// or localhost. The port may be another, as through ssh -L. What listens on loopback is
// asked for at loopback.
func (s *Server) isOurs(host string) bool {
	name := host
	if h, _, err := net.SplitHostPort(host); err == nil {
		name = h
	}
	if name == "localhost" {
		return true
	}
	at, err := netip.ParseAddr(strings.Trim(name, "[]"))
	return err == nil && (at.IsLoopback() || !s.listener.Addr().(*net.TCPAddr).IP.IsLoopback())
}

// secret refuses whoever has no token. A page's own requests bring it in a header; EventSource
// and links, which change nothing, in the URL.
func (s *Server) secret(h http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		token, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
		if !ok && r.Method == http.MethodGet {
			token = r.URL.Query().Get("token")
		}
		if subtle.ConstantTimeCompare([]byte(token), []byte(s.token)) != 1 {
			refuse(w, http.StatusUnauthorized, "the token is missing or not the one that was printed: open the printed URL")
			return
		}
		h(w, r)
	}
}

// refuse answers with one line.
func refuse(w http.ResponseWriter, status int, format string, args ...any) {
	answer(w, status, map[string]string{"error": fmt.Sprintf(format, args...)})
}

func answer(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	json.NewEncoder(w).Encode(v)
}

// events streams the feed to one page, from where it left off. A page that does not read
// is given up; nobody waits for it but this function.
func (s *Server) events(w http.ResponseWriter, r *http.Request) {
	if s.pages.Add(1) > mostPages {
		s.pages.Add(-1)
		refuse(w, http.StatusServiceUnavailable, "%d pages look on already", mostPages)
		return
	}
	defer func() {
		s.left.Store(time.Now().UnixNano())
		s.pages.Add(-1)
	}()
	last := r.Header.Get("Last-Event-ID") // of a browser that reconnects by itself
	if last == "" {
		last = r.URL.Query().Get("after")
	}
	seq, err := strconv.ParseUint(last, 10, 64)
	if err != nil && last != "" {
		refuse(w, http.StatusBadRequest, "event %q, want a number", last)
		return
	}
	w.Header().Set("Content-Type", "text/event-stream")
	out := http.NewResponseController(w)
	out.SetReadDeadline(time.Time{})
	text := fmt.Sprintf("retry: %d\n\n", again.Milliseconds())
	quiet := time.NewTimer(alive)
	defer quiet.Stop()
	for last := false; ; {
		events, changed := s.Feed.After(seq)
		out.SetWriteDeadline(time.Now().Add(s.Stalled))
		io.WriteString(w, text)
		for _, e := range events {
			fmt.Fprintf(w, "id: %d\nevent: %s\ndata: ", e.Seq, e.Name)
			for _, part := range e.Data {
				out.SetWriteDeadline(time.Now().Add(s.Stalled))
				if _, err := w.Write(part); err != nil {
					return
				}
			}
			io.WriteString(w, "\n\n")
			seq = e.Seq
		}
		if out.Flush() != nil || last {
			return
		}
		text = ""
		quiet.Reset(alive)
		select {
		case <-changed:
		case <-quiet.C:
			text = ":\n\n"
		case <-r.Context().Done():
			return
		case <-s.ended:
			last = true
		}
	}
}

// report is the ordinary one. Its script and style stand in it, so that it is shown as of
// an origin of its own, which has nothing of this one's.
func (s *Server) report(w http.ResponseWriter, r *http.Request) {
	var b bytes.Buffer
	if s.Report == nil {
		refuse(w, http.StatusNotFound, "there is no report")
		return
	}
	if err := s.Report(&b); err != nil {
		refuse(w, http.StatusNotFound, "there is no report: %v", err)
		return
	}
	s.left.Store(time.Now().UnixNano()) // who reloads it looks on, too
	w.Header().Set("Content-Security-Policy", "sandbox allow-scripts allow-downloads; default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data:")
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Write(b.Bytes())
}

// hand has an order obeyed.
func (s *Server) hand(w http.ResponseWriter, r *http.Request) {
	const most = 4 << 10
	if kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || kind != "application/json" {
		refuse(w, http.StatusUnsupportedMediaType, "content of type %q, want application/json", r.Header.Get("Content-Type"))
		return
	}
	var o sample.Order
	d := json.NewDecoder(http.MaxBytesReader(w, r.Body, most))
	d.DisallowUnknownFields()
	err := d.Decode(&o)
	if err == nil && d.Decode(new(any)) != io.EOF {
		err = errors.New("more than one object")
	}
	if err != nil {
		refuse(w, http.StatusBadRequest, "that is no order: %v", err)
		return
	}
	if s.Obey == nil {
		refuse(w, http.StatusForbidden, "it only shows: orders want -live-control")
		return
	}
	script, err := s.Obey(r.Context(), o)
	if err != nil {
		refuse(w, http.StatusConflict, "%v", err)
		return
	}
	answer(w, http.StatusOK, map[string]string{"script": script})
}
