package clock

import (
	"bufio"
	"context"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"p2plocal/fuzz/target/netns"
)

// What the tests start themselves again as: in namespaces, which are a matter of processes.
const roleEnv = "P2PLOCAL_CLOCK_TEST"

func TestMain(m *testing.M) {
	switch role, at, _ := strings.Cut(os.Getenv(roleEnv), " "); role {
	case "":
		os.Exit(m.Run())
	case "serve":
		s, err := Serve(netip.MustParseAddr(at))
		if err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		fmt.Println(s.Addr())
		bufio.NewReader(os.Stdin).ReadByte() // until the test is over
	case "follow": // 100 estimates, a line each
		to := netip.MustParseAddrPort(at)
		for range 100 {
			var all []Exchange
			ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
			Follow(ctx, netip.AddrFrom4([4]byte{}), to, func() time.Duration { return 0 }, func(x Exchange) {
				if all = append(all, x); len(all) == 50 {
					cancel()
				}
			})
			cancel()
			e, err := Fit(all, 0)
			fmt.Println(e.Ahead(e.At), e.Bound, err)
		}
	}
}

// Against the truth, which a time namespace gives: the monotonic clock of one host is 1,000 s
// ahead, and what is estimated from the other is within its bound of that, which is small.
func TestTimeNamespace(t *testing.T) {
	t.Parallel()
	const ahead = 1000
	names, _ := netns.Hosts(t, 78, 2, false)
	start := func(role string, args ...string) *bufio.Scanner {
		cmd := exec.Command("ip", append(append([]string{"netns", "exec"}, args...), os.Args[0])...)
		cmd.Env = append(os.Environ(), roleEnv+"="+role)
		in, err := cmd.StdinPipe() // its end is the end of a server
		if err != nil {
			t.Fatal(err)
		}
		out, err := cmd.StdoutPipe()
		if err == nil {
			err = cmd.Start()
		}
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { in.Close(); cmd.Wait() })
		return bufio.NewScanner(out)
	}
	server := start("serve 10.78.0.1", names[0], "unshare", "-T", "--monotonic", fmt.Sprint(ahead))
	if !server.Scan() {
		t.Fatal("no server")
	}
	estimates := start("follow "+server.Text(), names[1])
	var bounds []int64
	for estimates.Scan() {
		var offset, bound int64
		if n, _ := fmt.Sscan(estimates.Text(), &offset, &bound); n != 2 {
			t.Fatal(estimates.Text())
		}
		if off := offset - ahead*1e9; max(off, -off) > bound {
			t.Errorf("off by %d ns, of a bound of %d", off, bound)
		}
		bounds = append(bounds, bound)
	}
	if len(bounds) != 100 {
		t.Fatalf("%d estimates, want 100", len(bounds))
	}
	slices.Sort(bounds)
	if bounds[50] >= 50_000 { // 5 us and less on a machine that has 80 processes waiting, too
		t.Errorf("the median of the bounds is %v, want less than 50 us", time.Duration(bounds[50]))
	}
	t.Logf("bounds from %v to %v, median %v", time.Duration(bounds[0]), time.Duration(bounds[99]), time.Duration(bounds[50]))
}
