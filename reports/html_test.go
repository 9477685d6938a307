package reports

import (
	"bytes"
	"io"
	"testing"

	"p2plocal/bench/result"
)

func pages() map[string]*result.Result {
	c := cases()
	losing := sample(9, 20, 1, "steady")
	s := &losing.Runs[0].Scenarios[0].Charts
	for i := range s.Pairs.Lost {
		s.Pairs.Lost[i] = uint32(i % 7 / 6)
	}
	s.Latency[3].Lost = 5
	s.Latency[4].N = 1000
	return map[string]*result.Result{
		"default": c["default"],
		"all":     c["all"],
		"bad":     c["bad"],
		"losing":  losing,
		"repeat":  c["repeat"],
		"short":   sample(6, 1, 1),
	}
}

func render(t *testing.T, r *result.Result) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := Results(r).Write(&b, "html", Options{}); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// The golden page stands without the libraries, which have their own files.
func TestHTML(t *testing.T) {
	for name, r := range pages() {
		b := render(t, r)
		if len(b) > 1_500_000 {
			t.Errorf("%s: %d bytes, want less than 1.5 MB", name, len(b))
		}
		if bytes.Contains(b, []byte("<script>alert")) {
			t.Errorf("%s: hostile text is markup", name)
		}
		if name != "bad" && name != "repeat" && name != "all" {
			continue // the browser looks at the others
		}
		for _, part := range []string{plotScript, plotLicense, figuresScript + chartScript, pageScript, pageColors + pageStyle} {
			b = bytes.ReplaceAll(b, []byte(part), nil)
		}
		golden(t, name+".html", b)
	}
}

// However large the result, a page stays small.
func TestHTMLSize(t *testing.T) {
	if n := len(render(t, sample(7, 95, 1, "join", "steady", "crash", "churn", "loss", "garbage"))); n > 1_500_000 {
		t.Errorf("%d bytes, want less than 1.5 MB", n)
	}
}

func TestHTMLError(t *testing.T) {
	if err := Results(pages()["default"]).Write(failing{}, "html", Options{}); err == nil {
		t.Error("a full disk is no error")
	}
}

type failing struct{}

func (failing) Write([]byte) (int, error) { return 0, io.ErrShortWrite }
