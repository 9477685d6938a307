package mesh

import (
	"io"
	"os"
	"os/exec"
	"time"

	"p2plocal/fuzz/target"
)

// childEnv marks a peer process; its value is the slot's number, or senderChild.
const childEnv = "P2PLOCAL_MESH_CHILD"

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
	cmd *exec.Cmd
	in  io.WriteCloser
	out io.ReadCloser
}

// startChild starts one with a value for childEnv, and files from 3 on.
func startChild(what string, files ...*os.File) (*childProcess, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	x := &childProcess{cmd: exec.Command(self)}
	x.cmd.Env = append(os.Environ(), childEnv+"="+what)
	x.cmd.ExtraFiles = files
	x.cmd.Stderr = os.Stderr
	if x.in, err = x.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	if x.out, err = x.cmd.StdoutPipe(); err != nil {
		return nil, err
	}
	return x, target.StartTied(x.cmd)
}
