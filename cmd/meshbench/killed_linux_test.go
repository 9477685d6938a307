package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// Nothing that a killed meshbench has started outlives it: neither what flags
// name, nor peer processes of its own, though one of them is stopped.
func TestKilled(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name, args string
		children   int
		stopped    bool // one of them
	}{
		{"external", "-scenario|steady|-peers|5|-external|2|-peer-exec|sh -c 'exec sleep 600' {name} {server}|-isolation|process|-timeout|600s", 5, false},
		{"stopped", "-scenario|pause|-peers|4|-isolation|process|-deadline|600s", 4, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			cmd := exec.Command(os.Args[0], append(strings.Split(test.args, "|"), "-quiet")...)
			cmd.Env = append(os.Environ(), selfEnv+"=1")
			var said bytes.Buffer
			cmd.Stdout, cmd.Stderr = &said, &said
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			var ids []string
			deadline := time.Now().Add(5 * time.Minute)
			for len(ids) < test.children || test.stopped && !hasState(ids, "T") {
				if state, _ := stateOf(strconv.Itoa(cmd.Process.Pid)); state == "Z" || time.Now().After(deadline) {
					cmd.Process.Kill()
					cmd.Wait()
					t.Fatalf("children %v, want %d, one stopped: %v\n%v: %s", ids, test.children, test.stopped, cmd.ProcessState, said.String())
				}
				time.Sleep(time.Millisecond)
				ids = childrenOf(cmd.Process.Pid)
			}
			cmd.Process.Kill()
			cmd.Wait()
			for _, id := range ids {
				for state, _ := stateOf(id); state != "" && state != "Z" && state != "X"; state, _ = stateOf(id) {
					if time.Now().After(deadline) {
						t.Fatalf("process %s of %v is in state %s after its parent's end", id, ids, state)
					}
					time.Sleep(time.Millisecond)
				}
			}
		})
	}
}

// childrenOf are the ids of a process's children.
func childrenOf(parent int) (ids []string) {
	all, _ := filepath.Glob("/proc/[0-9]*")
	for _, dir := range all {
		id := filepath.Base(dir)
		if _, of := stateOf(id); of == strconv.Itoa(parent) {
			ids = append(ids, id)
		}
	}
	return ids
}

// stateOf is a process's state and its parent, as in proc(5); empty: it is no more.
func stateOf(id string) (state, parent string) {
	stat, _ := os.ReadFile(fmt.Sprintf("/proc/%s/stat", id))
	fields := strings.Fields(string(stat[strings.LastIndexByte(string(stat), ')')+1:]))
	if len(fields) < 2 {
		return "", ""
	}
	return fields[0], fields[1]
}

func hasState(ids []string, want string) bool {
	for _, id := range ids {
		if state, _ := stateOf(id); state == want {
			return true
		}
	}
	return false
}
