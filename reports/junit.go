package reports

import (
	"cmp"
	"encoding/xml"
	"errors"
	"fmt"
	"io"

	"github.com/jstemmer/go-junit-report/v2/junit"
)

// writeJUnit writes a test suite for each target, or one of the assertions.
func writeJUnit(w io.Writer, d *Document) error {
	doc := junit.Testsuites{Name: d.Tool}
	if d.suites != nil {
		d.suites(doc.AddSuite)
	} else {
		for _, h := range d.Heads {
			s := junit.Testsuite{Name: cmp.Or(h.Name, "assertions"), Time: "0"}
			for _, v := range h.Verdicts {
				k := junit.Testcase{Name: v.Text, Classname: d.Tool + ".assertions", Time: "0"}
				if !v.OK {
					k.Failure = &junit.Result{Message: fmt.Sprintf("%s: %s", v.Text, v.Checked()), Type: "assertion"}
				}
				s.AddTestcase(k)
			}
			if s.Tests > 0 {
				doc.AddSuite(s)
			}
		}
	}
	if len(doc.Suites) == 0 {
		return errors.New("nothing for JUnit: it takes -assert, or meshcheck's cases")
	}
	for i := range doc.Suites {
		doc.Suites[i].ID = i
	}
	if _, err := io.WriteString(w, xml.Header); err != nil {
		return err
	}
	return doc.WriteXML(w)
}
