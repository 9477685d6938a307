// Package manual tests the project's Markdown: that its links lead somewhere,
// that what it names exists, and that the commands which it shows work.
//
// A command that is shown is a line "$ …" of a code block. Each block is a
// session with a directory of its own; what its fence says after the language
// decides how it is tested:
//
//	console            run by the normal tests
//	console exact      and its output is the one shown, line by line ("…" stands for any lines)
//	console long       run with -tags long
//	console dry WHY    only its flags are parsed, because of WHY
//
// A command's exit code is 0, or what "# exit code N" behind it says. Of a table
// in the output that is shown, each line's label must come again.
//
// A command in the second column of a table is a long session of its own, in which a
// server of ours is on the default address. One in the running text, between
// backticks, has its flags parsed.
package manual

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"unicode"
)

// A document is one Markdown file.
type document struct {
	path     string // from the root
	text     string
	links    []string
	anchors  map[string]bool
	sessions []session
	spans    []string // code between backticks
}

// A session is a code block that shows commands.
type session struct {
	line int
	how  string // what the fence says after the language
	why  string
	rows []string
}

var (
	linkPattern    = regexp.MustCompile(`\]\(([^)\s]+)\)`)
	wantPattern    = regexp.MustCompile(`^\| [^|]+ \| ` + "`((?:meshbench|meshcheck|udpgarbage|p2p|go) [^`]+)`")
	spanPattern    = regexp.MustCompile("`([^`]+)`")
	headingPattern = regexp.MustCompile(`^#{1,6} +(.*)`)
)

// documents reads every Markdown file of the project that people wrote.
func documents(t *testing.T, root string) []document {
	t.Helper()
	var docs []document
	err := filepath.WalkDir(root, func(path string, d os.DirEntry, err error) error {
		switch name := d.Name(); {
		case err != nil:
			return err
		case d.IsDir() && (name == "testdata" || name == ".git" || path == filepath.Join(root, "bin")):
			return filepath.SkipDir
		case !d.IsDir() && filepath.Ext(name) == ".md":
			text, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			rel, _ := filepath.Rel(root, path)
			docs = append(docs, parse(filepath.ToSlash(rel), string(text)))
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return docs
}

func parse(path, text string) document {
	d := document{path: path, text: text, anchors: map[string]bool{}}
	var block *session
	fenced := false
	end := func() {
		if block != nil && shows(block.rows) {
			d.sessions = append(d.sessions, *block)
		}
		block = nil
	}
	for i, line := range strings.Split(text, "\n") {
		info, isFence := strings.CutPrefix(line, "```")
		switch {
		case isFence && fenced:
			fenced = false
			end()
		case isFence:
			fenced = true
			_, how, _ := strings.Cut(info, " ")
			how, why, _ := strings.Cut(how, " ")
			block = &session{line: i + 1, how: how, why: why}
		case fenced:
			block.rows = append(block.rows, line)
		case strings.HasPrefix(line, "    "):
			if block == nil {
				block = &session{line: i + 1}
			}
			block.rows = append(block.rows, line[4:])
		default:
			end()
			if m := wantPattern.FindStringSubmatch(line); m != nil {
				d.sessions = append(d.sessions, session{line: i + 1, how: "long", rows: []string{"$ p2p -quiet", "$ " + m[1]}})
			}
			for _, m := range spanPattern.FindAllStringSubmatch(line, -1) {
				d.spans = append(d.spans, strings.ReplaceAll(m[1], `\|`, "|"))
			}
			bare := spanPattern.ReplaceAllString(line, "")
			for _, m := range linkPattern.FindAllStringSubmatch(bare, -1) {
				d.links = append(d.links, m[1])
			}
			if m := headingPattern.FindStringSubmatch(line); m != nil {
				d.anchors[slug(m[1])] = true
			}
		}
	}
	end()
	return d
}

func shows(rows []string) bool {
	for _, row := range rows {
		if strings.HasPrefix(row, "$ ") {
			return true
		}
	}
	return false
}

// slug is the anchor that a heading gets on GitHub.
func slug(heading string) string {
	var b strings.Builder
	for _, r := range strings.ToLower(heading) {
		switch {
		case unicode.IsLetter(r), unicode.IsDigit(r), r == '-', r == '_':
			b.WriteRune(r)
		case r == ' ':
			b.WriteByte('-')
		}
	}
	return b.String()
}
