// Package reports turns what was measured or tested into what people and other
// programs read. It is pure: results in, bytes out, without clock or file.
//
// Results, Compare, Study and Conformance make a neutral
// [Document] each; [Document.Write] renders any document as text for a
// terminal, Markdown, a page for the browser, JSON or JUnit's XML. So a new
// kind of report needs one function, and a new format one file.
package reports

import (
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"
)

// Options say how to render a document.
type Options struct {
	Width int  // columns of text; 0: 100
	Color bool // ANSI colours in text, for a terminal that wants them
	ASCII bool // no byte above 0x7E in text
	All   bool // text and Markdown show every metric, case and detail, not only what matters most
}

// Formats are the endings of the files that reports go to. Write renders two more,
// for programs: json and xml, which is JUnit's.
var Formats = []string{"txt", "md", "html"}

// errFormat is what Write and FormatOf say of a format that there is not.
var errFormat = errors.New("no such format")

// FormatOf is the format that a file's ending asks for.
func FormatOf(file string) (string, error) {
	format := strings.ToLower(strings.TrimPrefix(filepath.Ext(file), "."))
	if !slices.Contains(Formats, format) {
		return "", fmt.Errorf("%w: file %q, want one that ends in .%s", errFormat, file, strings.Join(Formats, ", ."))
	}
	return format, nil
}

// Write renders the document.
func (d *Document) Write(w io.Writer, format string, o Options) (err error) {
	d = mapped(d, clean)
	var s string
	switch format {
	case "txt":
		s, err = text(d, o)
	case "md":
		s, err = markdown(d, o.All)
	case "html":
		return writeHTML(w, d)
	case "xml":
		return writeJUnit(w, d)
	case "json":
		return d.source(w)
	default:
		return fmt.Errorf("%w: %q, want one of %s", errFormat, format, strings.Join(Formats, ", "))
	}
	if err == nil {
		_, err = io.WriteString(w, strings.ReplaceAll(s, glue, " "))
	}
	return err
}
