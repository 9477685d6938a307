package mesh

import (
	"errors"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"
)

// Where the loopback interface is down, as in a new network namespace, that is said.
func TestLoopbackDown(t *testing.T) {
	t.Parallel()
	const down = "P2PLOCAL_LOOPBACK_DOWN"
	if os.Getenv(down) == "" {
		cmd := exec.Command(os.Args[0], "-test.run=^TestLoopbackDown$")
		cmd.Env = append(os.Environ(), down+"=1")
		cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET}
		out, err := cmd.CombinedOutput()
		if errors.Is(err, syscall.EPERM) {
			t.Skipf("no network namespace: %v", err)
		}
		if err != nil {
			t.Errorf("%v\n%s", err, out)
		}
		return
	}
	if _, err := MeasureBaseline(t.Context(), time.Millisecond); err == nil || !strings.Contains(err.Error(), "the loopback interface must be up") {
		t.Errorf("%v, want what is wrong", err)
	}
}
