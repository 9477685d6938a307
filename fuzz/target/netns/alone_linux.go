package netns

import (
	"errors"
	"os"
	"os/exec"
	"syscall"
	"testing"
)

// Alone runs the test once more, in a process of its own that has a new network namespace, and reports false.
// There, where the variable has the value, it reports true: the loopback interface is down. It takes a process: a
// thread's namespace would be the whole process's in /proc, if it were the first one. A test that may not have one is skipped.
func Alone(t testing.TB, variable, value string) bool {
	t.Helper()
	if os.Getenv(variable) != "" {
		return true
	}
	cmd := exec.Command(os.Args[0], "-test.run=^"+t.Name()+"$")
	cmd.Env = append(os.Environ(), variable+"="+value)
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET}
	out, err := cmd.CombinedOutput()
	if errors.Is(err, syscall.EPERM) {
		t.Skipf("no network namespace: %v", err)
	}
	if err != nil {
		t.Errorf("%v\n%s", err, out)
	}
	return false
}
