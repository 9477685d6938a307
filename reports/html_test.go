package reports

import (
	"bytes"
	"fmt"
	"io"
	"testing"
)

func pages() map[string][]Named {
	c := cases()
	all := c["all"]
	losing := sample(9, 20, 1, "steady")
	s := &losing.Runs[0].Scenarios[0].Charts
	for i := range s.Pairs.Lost {
		s.Pairs.Lost[i] = uint32(i % 7 / 6)
	}
	s.Latency[3].Lost = 5
	s.Latency[4].N = 1000
	return map[string][]Named{
		"default": {{"default", c["default"]}},
		"all":     {{"all", all}},
		"bad":     {{"</script><script>alert(1)</script>", c["bad"]}},
		"losing":  {{"losing", losing}},
		"several": {{"before", c["repeat"]}, {"after", sample(5, 20, 7, defaults...)}, {"<b>&\"all\"", all}},
		"short":   {{"short", sample(6, 1, 1)}},
	}
}

func render(t *testing.T, results []Named) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := Results(results).Write(&b, "html", Options{}); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// The golden page stands without the libraries, which have their own files.
func TestHTML(t *testing.T) {
	for name, results := range pages() {
		b := render(t, results)
		if len(b) > 1_500_000 {
			t.Errorf("%s: %d bytes, want less than 1.5 MB", name, len(b))
		}
		if bytes.Contains(b, []byte("<script>alert")) {
			t.Errorf("%s: hostile text is markup", name)
		}
		if name != "bad" && name != "several" {
			continue // the browser looks at the others
		}
		for _, part := range []string{plotScript, plotLicense, chartScript, pageScript, pageStyle} {
			b = bytes.ReplaceAll(b, []byte(part), nil)
		}
		golden(t, name+".html", b)
	}
}

// However large the results, a page stays small.
func TestHTMLSize(t *testing.T) {
	r := sample(7, 95, 1, "join", "steady", "crash", "churn", "loss")
	var results []Named
	for i := range 8 {
		results = append(results, Named{fmt.Sprint("result ", i), r})
	}
	if n := len(render(t, results)); n > 1_500_000 {
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
