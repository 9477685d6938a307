package reports

import (
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"strings"
)

// The elements of JUnit's XML, as continuous integration servers read it.
type (
	suites struct {
		XMLName xml.Name `xml:"testsuites"`
		Name    string   `xml:"name,attr"`
		Suites  []suite  `xml:"testsuite"`
	}
	suite struct {
		Name       string     `xml:"name,attr"`
		Tests      int        `xml:"tests,attr"`
		Failures   int        `xml:"failures,attr"`
		Errors     int        `xml:"errors,attr"`
		Skipped    int        `xml:"skipped,attr"`
		Time       string     `xml:"time,attr"`                // seconds
		Timestamp  string     `xml:"timestamp,attr,omitempty"` // ISO 8601
		Properties []property `xml:"properties>property,omitempty"`
		Cases      []testCase `xml:"testcase"`
	}
	property struct {
		Name  string `xml:"name,attr"`
		Value string `xml:"value,attr"`
	}
	testCase struct {
		Name    string `xml:"name,attr"`
		Class   string `xml:"classname,attr"`
		Time    string `xml:"time,attr"`
		Failure *fault `xml:"failure"`
		Error   *fault `xml:"error"`
		Skipped *fault `xml:"skipped"`
		Output  string `xml:"system-out,omitempty"`
	}
	fault struct {
		Message string   `xml:"message,attr"`
		Type    string   `xml:"type,attr,omitempty"`
		Lines   []string `xml:"-"`
		Text    string   `xml:",cdata"` // the lines
	}
)

// writeJUnit writes a test suite for each target, or one of the assertions.
func writeJUnit(w io.Writer, d *Document) error {
	doc := suites{Name: d.Tool, Suites: d.Suites}
	for _, h := range d.Heads {
		if d.Suites != nil {
			break
		}
		s := suite{Name: "assertions", Time: "0"}
		if h.Name != "" {
			s.Name = h.Name
		}
		for _, v := range h.Verdicts {
			k := testCase{Name: v.Text, Class: d.Tool + ".assertions", Time: "0"}
			if !v.OK {
				k.Failure = &fault{Message: fmt.Sprintf("%s: %s", v.Text, v.Checked()), Type: "assertion"}
			}
			s.Cases = append(s.Cases, k)
		}
		if len(s.Cases) > 0 {
			doc.Suites = append(doc.Suites, s)
		}
	}
	if len(doc.Suites) == 0 {
		return errors.New("nothing for JUnit: it takes -assert, or meshcheck's cases")
	}
	for i := range doc.Suites {
		s := &doc.Suites[i]
		s.Tests, s.Failures, s.Errors, s.Skipped = len(s.Cases), 0, 0, 0
		for _, k := range s.Cases {
			for _, f := range []*fault{k.Failure, k.Error, k.Skipped} {
				if f != nil && f.Lines != nil {
					f.Text = strings.Join(f.Lines, "\n") + "\n"
				}
			}
			switch {
			case k.Failure != nil:
				s.Failures++
			case k.Error != nil:
				s.Errors++
			case k.Skipped != nil:
				s.Skipped++
			}
		}
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
