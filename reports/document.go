package reports

import (
	"fmt"
	"io"
	"reflect"
	"slices"
	"strings"

	"github.com/jstemmer/go-junit-report/v2/junit"

	"p2plocal/bench/result"
)

// A Document is what there is to say of something that was measured or tested, without a word on
// how it looks. Each kind of thing has one function that makes its document, and each format one
// file that renders any document.
type Document struct {
	Tool     string    // whose it is
	Title    string    // over several heads
	Heads    []head    // one for each thing that it is about
	About    phrase    // how the figures came about
	Sections []section //
	Terms    []fact    // what the figures mean

	suites func(add func(junit.Testsuite)) // for JUnit; nil: the verdicts
	source func(io.Writer) error           // what it was made from, as JSON
	drawn  func() *drawn                   // what page.js draws
}

// A head is what to know first of one subject of the document.
type head struct {
	Name     string // beside others
	Color    int    // of its name, and of what charts show of it
	Text     phrase
	Verdicts []verdict
	Origin   []fact // where it comes from, and what it takes to do it again
}

// A section is one scenario, study, comparison or group of cases. Sections of
// one name stand together on a page.
type section struct {
	Name, About string
	Head        int    // whose it is, where there are several heads
	Table       *table // may be nil, as all below may be empty
	Charts      []chart
	Facts       []fact
	Accounts    []account
	Full        bool // left out where a format wants it short
	Folded      bool // the charts say it, too: a page shows the table on demand
	drawn       bool // page.js has charts for it
}

// A table has one row name and as many cells as columns in each row.
type table struct {
	Corner  string // over the rows' names
	Columns []column
	Rows    []row
}

type column struct {
	Name  string
	Rank  int  // which to leave out first where there is no room: the highest; 0: none
	Left  bool // words, not figures
	Words bool // that may be cut short
	Aside bool // a telephone has no room for it
}

type row struct {
	Name   string
	Cells  []quantity
	Marked bool // stands out
}

// columns have the given names, none of which can be left out.
func columns(names ...string) []column {
	out := make([]column, len(names))
	for i, name := range names {
		out[i].Name = name
	}
	return out
}

// A phrase is text in parts, so that bad news can stand out.
type phrase []part

type part struct {
	Text string
	Bad  bool
}

func (p phrase) add(format string, args ...any) phrase {
	return p.addIf(false, format, args...)
}

// addIf adds a part that may be bad news, unless there is nothing in it.
func (p phrase) addIf(bad bool, format string, args ...any) phrase {
	if text := fmt.Sprintf(format, args...); text != "" {
		p = append(p, part{text, bad})
	}
	return p
}

// joined is a phrase with commas between its parts.
func (p phrase) joined() (q phrase) {
	for i, x := range p {
		if i > 0 {
			q = q.add(", ")
		}
		q = append(q, x)
	}
	return q
}

func words(s string) phrase { return phrase{{Text: s}} }

// A fact is a labelled line; its parts have commas between them.
type fact struct {
	Label string
	Text  phrase
}

// note is what a reader should know.
func note(text string, bad bool) fact { return fact{"note", phrase{{text, bad}}} }

// A verdict is an assertion and what came of it.
type verdict struct {
	Text   string
	Actual quantity
	OK     bool
}

// Checked is what a verdict's figure is called.
func (v verdict) Checked() string {
	if v.Actual.Text == missing {
		return "not measured"
	}
	return v.Actual.String()
}

// sections are those to show; the last one has the verdicts of all heads.
func (d *Document) sections(all bool) (out []section) {
	for _, s := range d.Sections {
		if all || !s.Full {
			s.About = d.about(s)
			out = append(out, s)
		}
	}
	t := &table{Corner: "assertion", Columns: columns("actual", "")}
	for _, h := range d.Heads {
		for _, v := range h.Verdicts {
			x := row{Name: v.Text, Cells: []quantity{word(v.Checked(), bad), word("✗", bad)}}
			if v.OK {
				x.Cells = []quantity{word(v.Checked(), ""), word("✓", good)}
			}
			t.Rows = append(t.Rows, x)
		}
	}
	if len(t.Rows) > 0 {
		out = append(out, section{Name: "assertions", Table: t})
	}
	return out
}

// An account says in full what is wrong with one case.
type account struct {
	ID, Level, Title, Rule string
	Outcome                quantity
	Lines                  []labelled
}

type labelled struct {
	Label, Text string
	Full        bool // left out where a format wants it short
}

// A chart is a picture of curves or dots over two axes.
type chart struct {
	ID     string   `json:"id"`
	In     string   `json:"in"` // the id of its section on the page
	Title  string   `json:"title"`
	Says   string   `json:"says"`
	X      axis     `json:"x"`
	Y      axis     `json:"y"`
	Series []series `json:"series"`
	Wide   bool     `json:"wide,omitempty"`
}

// An axis is linear unless it says otherwise. Its unit is one of measure's.
type axis struct {
	Label string `json:"label"`
	Unit  string `json:"unit"`
	Log   bool   `json:"log,omitempty"`
	Zero  bool   `json:"zero,omitempty"` // begins at 0
}

// Series of one color belong together.
type series struct {
	Name   string  `json:"name"`
	Kind   kind    `json:"kind"`
	Color  int     `json:"color"`
	Dashed bool    `json:"dashed,omitempty"`
	Points []point `json:"points"`
}

type kind string

const (
	curves kind = "curve" // a line through points
	dots   kind = "dots"
	theory kind = "theory" // a line behind the others
)

// A point may have an interval, a name, and a mark that makes it stand out.
type point struct {
	X      float64  `json:"x"`
	Y      float64  `json:"y"`
	Low    *float64 `json:"low,omitempty"`
	High   *float64 `json:"high,omitempty"`
	Name   string   `json:"name,omitempty"`
	Marked bool     `json:"marked,omitempty"`
}

// chapters are the sections grouped by name, in order of first appearance.
func (d *Document) chapters() (out [][]section) {
	for _, s := range d.Sections {
		i := slices.IndexFunc(out, func(c []section) bool { return c[0].Name == s.Name })
		if i < 0 {
			i, out = len(out), append(out, nil)
		}
		out[i] = append(out[i], s)
	}
	return out
}

// heading is the text of a head, behind its name where there are several.
func (d *Document) heading(h head) phrase {
	if len(d.Heads) < 2 || h.Name == "" {
		return h.Text
	}
	return append(words(h.Name+": "), h.Text...)
}

// about is what a section is about, behind its head's name where there are several.
func (d *Document) about(s section) string {
	if len(d.Heads) < 2 || s.Head < 0 {
		return s.About
	}
	return strings.TrimSuffix(d.Heads[s.Head].Name+": "+s.About, ": ")
}

// mapped is a deep copy of a document, or of a part of it, with f applied to all its text, so that
// no format has to do that.
func mapped[T any](x T, f func(string) string) T {
	mapAll(reflect.ValueOf(&x).Elem(), f)
	return x
}

func mapAll(v reflect.Value, f func(string) string) {
	switch v.Kind() {
	case reflect.Pointer:
		if !v.IsNil() {
			to := reflect.New(v.Type().Elem())
			to.Elem().Set(v.Elem())
			mapAll(to.Elem(), f)
			v.Set(to)
		}
	case reflect.Slice:
		if v.IsNil() {
			return
		}
		v.Set(reflect.AppendSlice(reflect.MakeSlice(v.Type(), 0, v.Len()), v)) // an empty one stays one
		for i := range v.Len() {
			mapAll(v.Index(i), f)
		}
	case reflect.Struct:
		for i := range v.NumField() {
			if v.Type().Field(i).IsExported() {
				mapAll(v.Field(i), f)
			}
		}
	case reflect.String:
		v.SetString(f(v.String()))
	}
}

// filled drops the columns that no row fills.
func (t *table) filled() *table {
	for c := len(t.Columns) - 1; c >= 0; c-- {
		if !slices.ContainsFunc(t.Rows, func(r row) bool { return r.Cells[c].Text != missing }) {
			t.Columns = slices.Delete(t.Columns, c, c+1)
			for i := range t.Rows {
				t.Rows[i].Cells = slices.Delete(t.Rows[i].Cells, c, c+1)
			}
		}
	}
	return t
}

// asJSON writes a value.
func asJSON(v any) func(io.Writer) error {
	return func(w io.Writer) error { return result.WriteDocument(w, v) }
}

// glossary are the words that reports and manuals use, each defined once.
var glossary = []fact{
	{"peer", words("a program of the mesh that sends keep-alives and messages to all others that it knows")},
	{"birth", words("the datagram by which a peer tells the server its name and port")},
	{"join", words("from a peer's first birth until a directory has told it of the others, and them of it")},
	{"directory", words("the datagram by which the server tells a peer who is a member")},
	{"directory view", words("whom a peer takes for members, by the last directory that it was sent")},
	{"keep-alive", words("the datagram by which a peer shows that it is alive; without any for longer than the deadline the server removes it")},
	{"removal", words("the server takes a silent peer out of its directory and tells the others")},
	{"false positive", words("a live peer removed")},
	{"broadcast", words("a message that a peer sends to each other peer in its directory view")},
	{"refresh", words("births that a member repeats, so that a server that does not know it (any more) takes it in again")},
	{"accounted", words("of each datagram sent it is known whether it was taken, refused, lost, and where; what is not is called unexplained and is a fault of the measurement")},
}
