// Package baseline runs the C programs that benchmarks are measured beside:
// nothing but the system calls, in turns with ours, so that what else the
// machine does hits both.
package baseline

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// A Program is a C program that takes one turn for each line that it reads, and
// then prints a number.
type Program struct {
	b   *testing.B
	in  io.Writer
	out *bufio.Reader
}

// Start compiles a source file with gcc -O2 and runs it until the benchmark ends.
func Start(b *testing.B, source string, args ...string) *Program {
	b.Helper()
	program := filepath.Join(b.TempDir(), "program")
	if out, err := exec.Command("gcc", "-O2", "-o", program, source, "-lpthread").CombinedOutput(); err != nil {
		b.Fatalf("gcc: %v\n%s", err, out)
	}
	cmd := exec.Command(program, args...)
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		b.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		b.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		in.Close()
		cmd.Wait()
	})
	return &Program{b, in, bufio.NewReader(out)}
}

// Turn has the program take a turn and returns its number.
func (p *Program) Turn() float64 {
	p.b.Helper()
	fmt.Fprintln(p.in)
	return p.Number()
}

// Number is the next line that the program prints.
func (p *Program) Number() float64 {
	p.b.Helper()
	line, err := p.out.ReadString('\n')
	if err != nil {
		p.b.Fatalf("the C program ended: %v", err)
	}
	n, err := strconv.ParseFloat(strings.TrimSpace(line), 64)
	if err != nil {
		p.b.Fatal(err)
	}
	return n
}

// Median sorts x and returns its middle, the upper one of two.
func Median(x []float64) float64 {
	slices.Sort(x)
	return x[len(x)/2]
}
