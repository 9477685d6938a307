package fuzz_test

import (
	"fmt"
	"math"
	"strings"
	"testing"
	"unicode"

	"p2plocal/bench/result"
	"p2plocal/bench/scenario"
	"p2plocal/fuzz/corpus"
)

// FuzzFlags reads any text as each of the flags' little languages. What is taken
// makes sense, and an error is one line that steers no terminal and names the text.
func FuzzFlags(f *testing.F) {
	example := someResult(f)
	f.Fuzz(func(t *testing.T, b []byte) {
		text := string(b)
		refused := func(err error) bool {
			if err != nil && strings.ContainsFunc(err.Error(), func(r rune) bool { return !unicode.IsPrint(r) }) {
				t.Errorf("error %q", err)
			}
			return err != nil
		}
		if a, err := scenario.Definitions.ParseAssertion(text); !refused(err) {
			if _, _, known := scenario.Definitions.Define(a.Metric); !known || math.IsNaN(a.Bound) || math.IsInf(a.Bound, 0) {
				t.Errorf("assertion %q is %+v", text, a)
			}
			refused(a.Check(scenario.Known))
			result.Evaluate([]result.Assert{a}, example)
		}
		if im, err := result.ParseImpairment(text); !refused(err) {
			if again, err := result.ParseImpairment(im.String()); err != nil || !near(again, im) {
				t.Errorf("impairment %q is %v, which reads back as %v, %v", text, im, again, err)
			}
		}
		if v, err := result.ParseRate(text); !refused(err) && !(v >= 0) {
			t.Errorf("rate %q is %v", text, v)
		}
		if v, err := result.ParseRatio(text); !refused(err) && math.IsNaN(v) != strings.Contains(strings.ToLower(text), "nan") {
			t.Errorf("ratio %q is %v", text, v)
		}
	})
}

// near allows for what percent rounds.
func near(a, b result.Impairment) bool {
	close := func(x, y float64) bool { return math.Abs(x-y) <= 1e-12*math.Abs(y)+math.SmallestNonzeroFloat64 }
	return a.Delay == b.Delay && a.Jitter == b.Jitter && close(a.Loss, b.Loss) && close(a.Duplicate, b.Duplicate) && close(a.Reorder, b.Reorder)
}

// TestFlagsCorpus holds FuzzFlags' seeds to what they are made from.
func TestFlagsCorpus(t *testing.T) {
	seeds := map[string][]byte{}
	for i, text := range []string{
		"", "loss=1%,delay=2ms,jitter=1ms,dup=0.1%,reorder=0.5%", "loss=0.01", "loss=101%", "loss=NaN", "delay=-1ms", "loss", "fog=1", ",",
		"500k", "1.2M", "max", "-1k", "1e308M", "0x1p-1074", "1_000",
		"steady.latency.p99<5ms", "steady.loss==0.1%", "steady.loss<5", "join.bytes<=64MiB", "steady.rate>63.2k", "steady.latency<5ms",
		"steady.latency.p99!5ms", "steady.nonsense<1", "join.datagrams>=1e999", "steady.sent!=12\n", "\x1b[31m<5", "steady.latency.n<NaN",
		"cores=1,wake=8us,take=600ns,send=2.2us", "none", "cores=0", "wake=\x7f",
		"cores=2,wake=5us,take=600ns,send=2.2us", "none", "cores=0", "cores=1025", "wake=1001ms", "send=-1ns", "cores=1,disk=2",
	} {
		seeds[fmt.Sprintf("seed-%02d", i)] = []byte(text)
	}
	corpus.Hold(t, *update, ".", "FuzzFlags", seeds)
}
