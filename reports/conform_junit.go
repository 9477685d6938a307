package reports

import (
	"encoding/xml"
	"fmt"
	"io"
	"strings"

	"p2plocal/fuzz/conform"
)

// The elements of JUnit's XML, as continuous integration servers read it.
type (
	junitSuites struct {
		XMLName xml.Name     `xml:"testsuites"`
		Name    string       `xml:"name,attr"`
		Suites  []junitSuite `xml:"testsuite"`
	}
	junitSuite struct {
		Name       string          `xml:"name,attr"`
		Tests      int             `xml:"tests,attr"`
		Failures   int             `xml:"failures,attr"`
		Errors     int             `xml:"errors,attr"`
		Skipped    int             `xml:"skipped,attr"`
		Time       string          `xml:"time,attr"`      // seconds
		Timestamp  string          `xml:"timestamp,attr"` // ISO 8601
		Properties []junitProperty `xml:"properties>property"`
		Cases      []junitCase     `xml:"testcase"`
	}
	junitProperty struct {
		Name  string `xml:"name,attr"`
		Value string `xml:"value,attr"`
	}
	junitCase struct {
		Name    string      `xml:"name,attr"`
		Class   string      `xml:"classname,attr"`
		Time    string      `xml:"time,attr"`
		Failure *junitFault `xml:"failure"`
		Error   *junitFault `xml:"error"`
		Skipped *junitFault `xml:"skipped"`
		Output  string      `xml:"system-out,omitempty"`
	}
	junitFault struct {
		Message string `xml:"message,attr"`
		Type    string `xml:"type,attr,omitempty"`
		Text    string `xml:",cdata"`
	}
)

// JUnit writes a test suite for each target: what failed is a failure, what
// broke the target an error, what is void or was not run
// skipped.
func (c *Conformance) JUnit(w io.Writer) error {
	doc := junitSuites{Name: c.Tool.Name}
	for _, r := range c.Targets {
		s := junitSuite{
			Name: clean(r.Name), Tests: len(r.Results), Failures: r.Count(conform.Fail), Errors: r.Count(conform.Broken),
			Skipped: r.Count(conform.NotRun) + r.Count(conform.Void), Time: fmt.Sprintf("%.3f", r.Took.Seconds()), Timestamp: r.Started.UTC().Format("2006-01-02T15:04:05"),
			Properties: []junitProperty{{"target", clean(r.Target)}, {"mode", clean(r.Mode)}},
		}
		for _, x := range r.Results {
			k := junitCase{Name: x.ID + " " + clean(x.Title), Class: clean(r.Name) + "." + strings.ReplaceAll(x.Group(), "/", "."), Time: fmt.Sprintf("%.3f", x.Took.Seconds())}
			var text strings.Builder
			for _, l := range account(x) {
				fmt.Fprintf(&text, "%-9s %s\n", l.Label, l.Text)
			}
			switch x.Outcome {
			case conform.Fail:
				k.Failure = &junitFault{clean(x.Failure.Got), string(x.Level), text.String()}
			case conform.Broken:
				k.Error = &junitFault{clean(x.Detail), string(x.Level), text.String()}
			case conform.NotRun:
				k.Skipped = &junitFault{Message: strings.TrimSpace("not run " + clean(x.Detail))}
			case conform.Void:
				k.Skipped = &junitFault{Message: "void: " + clean(x.Detail), Text: text.String()}
			case conform.Seen:
				k.Output = clean(x.Detail)
			}
			s.Cases = append(s.Cases, k)
		}
		doc.Suites = append(doc.Suites, s)
	}
	if _, err := io.WriteString(w, xml.Header); err != nil {
		return err
	}
	e := xml.NewEncoder(w)
	e.Indent("", "  ")
	if err := e.Encode(doc); err != nil {
		return err
	}
	_, err := io.WriteString(w, "\n")
	return err
}
