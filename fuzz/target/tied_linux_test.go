package target

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"syscall"
	"testing"
	"time"
)

// A command is tied to this process, not to the thread that asked for it.
func TestStartTied(t *testing.T) {
	t.Parallel()
	cmd := exec.Command("cat")
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	thread := make(chan int)
	var other func()
	other = func() {
		runtime.LockOSThread() // so that the thread ends with this goroutine
		if syscall.Gettid() == os.Getpid() {
			go other() // the main thread does not
			<-t.Context().Done()
			runtime.UnlockOSThread()
			return
		}
		err = StartTied(cmd)
		thread <- syscall.Gettid()
	}
	go other()
	dir := fmt.Sprintf("/proc/self/task/%d", <-thread)
	if err != nil {
		t.Fatal(err)
	}
	defer cmd.Wait()
	for {
		if _, err := os.Stat(dir); err != nil {
			break
		}
		time.Sleep(time.Millisecond)
	}
	fmt.Fprintln(in, "alive")
	if line, err := bufio.NewReader(out).ReadString('\n'); line != "alive\n" {
		t.Errorf("the command said %q, error %v", line, err)
	}
	in.Close()
}
