package mesh

import (
	"net/netip"
	"runtime"
	"runtime/debug"
	"time"

	"p2plocal/bench/result"
	"p2plocal/core/udp"
)

// Survey says what machine this is, at the time given.
func Survey(now time.Time, readBuffer int) result.Env {
	e := result.Env{Time: now.UTC().Truncate(time.Second), Go: runtime.Version(), OS: runtime.GOOS, Arch: runtime.GOARCH, Cores: runtime.NumCPU()}
	describe(&e)
	if s, err := udp.Listen(netip.AddrPortFrom(Loopback, 0), readBuffer); err == nil {
		e.BufferHave = s.Stats().ReceiveBuffer
		s.Close()
	}
	return e
}

// Version says what this program was built from.
func Version(args []string) result.Tool {
	t := result.Tool{Name: result.ToolName, Version: "devel", Args: args}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return t
	}
	if v := info.Main.Version; v != "" && v != "(devel)" {
		t.Version = v
	}
	for _, s := range info.Settings {
		switch s.Key {
		case "vcs.revision":
			t.Commit = s.Value
		case "vcs.modified":
			t.Dirty = s.Value == "true"
		}
	}
	return t
}
