package conform

import (
	"fmt"
	"os"
	"testing"
	"time"

	"p2plocal/fuzz"
)

func TestTry(t *testing.T) {
	c := Config{Exec: "/tmp/p2p -listen {addr}", Shared: os.Getenv("SHARED") != ""}
	if os.Getenv("ROLE") == "peer" {
		c = Config{Role: fuzz.Peer, Exec: "/tmp/p2p -server {server} {name} {port}"}
	}
	c.Cases = Cases(c.Role)
	fmt.Println(len(c.Cases), "cases")
	c.Log = func(f string, a ...any) { fmt.Printf(time.Now().Format("05.000 ")+f+"\n", a...) }
	begun := time.Now()
	r, err := Run(t.Context(), c)
	fmt.Println(err, r.Gone, r.Took, r.Late)
	for _, x := range r.Results {
		if x.Outcome != Pass || x.Attempts > 1 {
			fmt.Println(x.ID, x.Title, x.Outcome, x.Detail, x.Attempts, x.Took, x.Late)
			if f := x.Failure; f != nil {
				fmt.Println("   want", f.Expected, "\n   got ", f.Got)
				for _, e := range f.Came {
					fmt.Println("     ", e.At, e.From, e.To, Summary(e.Datagram))
				}
			}
		}
	}
	for _, o := range Outcomes {
		fmt.Print(o, " ", r.Count(o), "  ")
	}
	fmt.Println(time.Since(begun))
}
