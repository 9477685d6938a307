// Package reports turns results into what people read: text for a terminal,
// Markdown, CSV, a page for the browser. It is pure: a result in, bytes out,
// without clock or file.
package reports

import (
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"

	"p2plocal/bench"
	"p2plocal/bench/result"
)

// Named is a result and what to call it beside others, such as its file.
type Named struct {
	Name string
	*result.Result
}

// Formats are the names of the forms that Write knows; a file's ending is one.
var Formats = []string{"txt", "md", "csv", "json", "html"}

// ErrFormat is what Write and FormatOf say of a form that there is not.
var ErrFormat = errors.New("no such format")

// FormatOf is the form that a file's ending asks for.
func FormatOf(file string) (string, error) {
	format := strings.ToLower(strings.TrimPrefix(filepath.Ext(file), "."))
	if !slices.Contains(Formats, format) {
		return "", fmt.Errorf("%w: file %q, want one that ends in .%s", ErrFormat, file, strings.Join(Formats, ", ."))
	}
	return format, nil
}

// Write writes results in one of Formats. CSV and HTML put several into one;
// text and Markdown write them one after the other; JSON merges them into one
// document.
func Write(w io.Writer, format string, results []Named, o TextOptions) error {
	if len(results) == 0 {
		return errors.New("no result to report")
	}
	switch format {
	case "csv":
		return CSV(w, results)
	case "html":
		return HTML(w, results)
	case "json":
		return merged(w, results)
	case "txt", "md":
		for i, r := range results {
			if i > 0 {
				if _, err := io.WriteString(w, "\n"); err != nil {
					return err
				}
			}
			write := Markdown
			if format == "txt" {
				write = func(w io.Writer, r *result.Result) error { return Text(w, r, o) }
			}
			if err := write(w, r.Result); err != nil {
				return err
			}
		}
		return nil
	}
	return fmt.Errorf("%w: %q, want one of %s", ErrFormat, format, strings.Join(Formats, ", "))
}

// merged writes the document of one result, or of all their runs.
func merged(w io.Writer, results []Named) error {
	if len(results) == 1 {
		return results[0].Write(w)
	}
	args := []string{"report", "json"}
	var all []*result.Result
	for _, r := range results {
		args, all = append(args, r.Name), append(all, r.Result)
	}
	r, err := bench.Metrics.Merge(all, args)
	if err != nil {
		return err
	}
	return r.Write(w)
}
