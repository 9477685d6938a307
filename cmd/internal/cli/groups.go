package cli

import (
	"bytes"
	"flag"
	"fmt"
	"io"
)

// Groups have -h show the flags of a set in groups.
type Groups struct {
	fs   *flag.FlagSet
	all  []group
	seen map[string]bool
}

type group struct {
	name, text string
	flags      []string
}

// NewGroups groups what is registered from now on.
func NewGroups(fs *flag.FlagSet) *Groups {
	return &Groups{fs: fs, seen: make(map[string]bool)}
}

// Begin has the flags that are registered next be a group of this name, with a
// sentence about it. The same name again continues the group.
func (g *Groups) Begin(name, text string) {
	g.gather()
	g.all = append(g.all, group{name: name, text: text})
}

// gather puts the flags that are new into the present group.
func (g *Groups) gather() {
	g.fs.VisitAll(func(f *flag.Flag) {
		if !g.seen[f.Name] && len(g.all) > 0 {
			last := &g.all[len(g.all)-1]
			last.flags = append(last.flags, f.Name)
		}
		g.seen[f.Name] = true
	})
}

// Print prints the flags group by group.
func (g *Groups) Print(w io.Writer) {
	g.gather()
	for _, x := range g.all {
		fmt.Fprintf(w, "\n%s", x.name)
		if x.text != "" {
			fmt.Fprintf(w, ": %s", x.text)
		}
		fmt.Fprintln(w)
		one := flag.NewFlagSet("", flag.ContinueOnError)
		for _, name := range x.flags {
			f := g.fs.Lookup(name)
			one.Var(f.Value, name, f.Usage)
			one.Lookup(name).DefValue = f.DefValue
		}
		var b bytes.Buffer
		one.SetOutput(&b)
		one.PrintDefaults()
		w.Write(b.Bytes())
	}
}
