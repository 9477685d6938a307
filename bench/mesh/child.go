package mesh

import (
	"bufio"
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"strings"
	"time"

	"p2plocal/fuzz/target"
)

// childEnv marks a peer process; its value is a childSlot, or senderChild.
const (
	childEnv  = "P2PLOCAL_MESH_CHILD"
	childSlot = "%d of %d" // peers
)

// IsChild reports that this process was started to be a peer of a mesh, or the
// sender beside it. Its program must call Child then, and exit with what that
// returns.
func IsChild() bool { return os.Getenv(childEnv) != "" }

// commandTimeout is how long a process may take to obey: far longer than a busy
// machine keeps one waiting, but one that somebody has stopped would take for ever.
const commandTimeout = 10 * time.Second

// childProcess is a process of this program's, a peer's or a sender's, as the mesh
// has it.
type childProcess struct {
	Cmd     *exec.Cmd // nil: it has ended
	in      io.WriteCloser
	out     *bufio.Reader
	answers *os.File // what out reads
}

// startChild starts one with a value for childEnv, and files from 3 on.
func startChild(what string, files ...*os.File) (x childProcess, err error) {
	self, err := os.Executable()
	if err != nil {
		return x, err
	}
	x.Cmd = exec.Command(self)
	x.Cmd.Env = append(os.Environ(), childEnv+"="+what)
	x.Cmd.ExtraFiles = files
	x.Cmd.Stderr = os.Stderr
	if x.in, err = x.Cmd.StdinPipe(); err != nil {
		return x, err
	}
	out, err := x.Cmd.StdoutPipe()
	if err != nil {
		return x, err
	}
	x.answers, x.out = out.(*os.File), bufio.NewReader(out)
	return x, target.StartTied(x.Cmd)
}

// ask gives an order, if there is one, and reads the line that answers.
func (x *childProcess) ask(order any) (answer string, err error) {
	x.answers.SetReadDeadline(time.Now().Add(commandTimeout))
	if order != nil {
		err = json.NewEncoder(x.in).Encode(order)
	}
	if err == nil {
		answer, err = x.out.ReadString('\n')
	}
	return strings.TrimSpace(answer), err
}
