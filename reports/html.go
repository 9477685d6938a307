package reports

import (
	_ "embed"
	"encoding/json"
	"html/template"
	"io"
	"regexp"
	"slices"
	"strings"
)

// The page's parts, two of which it shares with the live page. plot.min.js is
// Observable Plot, built by page/build.sh.
var (
	//go:embed page/page.html
	pageTemplate string
	//go:embed live/page/colors.css
	pageColors string
	//go:embed page/page.css
	pageStyle string
	//go:embed live/page/figures.js
	figuresScript string
	//go:embed page/chart.js
	chartScript string
	//go:embed page/page.js
	pageScript string
	//go:embed page/plot.min.js
	plotScript string
	//go:embed page/LICENSE.plot
	plotLicense string
)

var pageHTML = template.Must(template.New("page").Funcs(template.FuncMap{
	"anchor": anchor,
	"id":     func(s section) string { return "s-" + s.Name },
	"joined": phrase.joined,
	"pieces": func(name string) []string { return pieces.FindAllString(name, -1) },
	"class":  classOf,
	"long":   func(p phrase) bool { return p.length() > longHeadline },
	"draws":  func(s section) bool { return s.drawn || len(s.Charts) > 0 },
}).Parse(pageTemplate))

// longHeadline is from how many characters on a headline is written smaller.
const longHeadline = 200

// length is how many bytes a phrase has.
func (p phrase) length() (n int) {
	for _, part := range p {
		n += len(part.Text)
	}
	return n
}

// classOf are a column's classes.
func classOf(c column) string {
	var all []string
	for name, is := range map[string]bool{"left": c.Left, "words": c.Words, "aside": c.Aside} {
		if is {
			all = append(all, name)
		}
	}
	slices.Sort(all)
	return strings.Join(all, " ")
}

// pieces are the parts of a name between which a line may break.
var pieces = regexp.MustCompile(`[^._/]*[._/]+|[^._/]+`)

// manyChapters is from how many on a page has a list of contents.
const manyChapters = 4

// writeHTML writes one page that needs nothing else, and without charts not even
// a script.
func writeHTML(w io.Writer, d *Document) error {
	page := struct {
		*Document
		Chapters [][]section
		Contents bool
		Style    template.CSS
		Scripts  []template.JS
		Data     template.JS
		License  string
		Words    []fact
	}{Document: d, Chapters: d.chapters(), Style: template.CSS(pageColors + pageStyle), License: plotLicense, Words: glossary}
	page.Contents = len(page.Chapters) >= manyChapters
	data := struct {
		Charts []chart `json:"charts,omitempty"`
		*drawn
	}{}
	for _, s := range d.Sections {
		for _, c := range s.Charts {
			c.In = "s-" + s.Name
			data.Charts = append(data.Charts, c)
		}
	}
	page.Scripts = []template.JS{template.JS(plotScript), template.JS(figuresScript + chartScript)}
	switch {
	case d.drawn != nil:
		data.drawn = d.drawn()
		page.Scripts = append(page.Scripts, template.JS(pageScript))
	case data.Charts == nil:
		page.Scripts = nil
	}
	if page.Scripts != nil {
		page.Scripts = append(page.Scripts, `(data.charts ?? []).forEach(curves); document.documentElement.dataset.drawn = "yes";`)
	}
	b, err := json.Marshal(data)
	if err != nil {
		return err
	}
	page.Data = template.JS(b) // with <, > and & as escapes
	return pageHTML.Execute(w, page)
}
