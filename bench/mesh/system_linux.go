package mesh

import (
	"fmt"
	"os"
	"runtime/debug"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"p2plocal/bench/result"
)

// CPUOf is the CPU time of a process, all of its threads, by its own clock
// (clock_getcpuclockid(3)), which counts in ns where /proc/PID/stat has ticks
// of 10 ms; 0: it is gone.
func CPUOf(pid int) time.Duration {
	const sched = 2 // CPUCLOCK_SCHED
	var t unix.Timespec
	if unix.ClockGettime(int32(^pid<<3|sched), &t) != nil {
		return 0
	}
	return time.Duration(t.Nano())
}

// PeakOf is the most resident memory of a process, in bytes: since its start,
// or since resetPeak.
func PeakOf(pid int) int64 { return statusOf(pid, "VmHWM:") }

// ResidentOf is the resident memory of a process, in bytes.
func ResidentOf(pid int) int64 { return statusOf(pid, "VmRSS:") }

func statusOf(pid int, name string) int64 {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0
	}
	return 1024 * field(string(status), name)
}

// ResetPeak has this process's most resident memory be what is resident now,
// once what is not needed has been given back.
func ResetPeak() {
	debug.FreeOSMemory()
	os.WriteFile("/proc/self/clear_refs", []byte("5"), 0) // proc(5)
}

// ShareOf is the proportional share of a process in the resident memory, in
// bytes: a page that three processes have in common counts a third in each.
func ShareOf(pid int) int64 {
	rollup, err := os.ReadFile(fmt.Sprintf("/proc/%d/smaps_rollup", pid))
	if err != nil {
		return 0
	}
	return 1024 * field(string(rollup), "Pss:")
}

// groupOf are the processes of a process group.
func groupOf(leader int) (pids []int) {
	entries, _ := os.ReadDir("/proc")
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		if group, err := unix.Getpgid(pid); err == nil && group == leader {
			pids = append(pids, pid)
		}
	}
	return pids
}

// field is the number after a label at a line's start.
func field(text, label string) int64 {
	for line := range strings.Lines(text) {
		if rest, ok := strings.CutPrefix(line, label); ok {
			if f := strings.Fields(rest); len(f) > 0 {
				n, _ := strconv.ParseInt(f[0], 10, 64)
				return n
			}
		}
	}
	return 0
}

// describe fills in what the system says of itself.
func describe(e *result.Env) {
	var u unix.Utsname
	if unix.Uname(&u) == nil {
		e.Kernel = unix.ByteSliceToString(u.Release[:])
	}
	if b, err := os.ReadFile("/proc/cpuinfo"); err == nil {
		for line := range strings.Lines(string(b)) {
			if name, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(name) == "model name" {
				e.CPU = strings.TrimSpace(value)
				break
			}
		}
	}
	e.Load = loads()
	if b, err := os.ReadFile("/proc/sys/net/core/rmem_max"); err == nil {
		e.BufferMax, _ = strconv.Atoi(strings.TrimSpace(string(b)))
	}
}

// loads are the load averages over 1, 5 and 15 minutes.
func loads() (of [3]float64) {
	if b, err := os.ReadFile("/proc/loadavg"); err == nil {
		fmt.Sscan(string(b), &of[0], &of[1], &of[2])
	}
	return of
}

// Stolen is the CPU time that the hypervisor has given to others, and all
// CPU time, since boot, in clock ticks.
func Stolen() (steal, all float64) {
	b, err := os.ReadFile("/proc/stat")
	if err != nil {
		return 0, 0
	}
	line, _, _ := strings.Cut(string(b), "\n")
	for i, f := range strings.Fields(line) {
		if v, err := strconv.ParseFloat(f, 64); err == nil && i <= 8 { // guest time is in user time
			all += v
			if i == 8 {
				steal = v
			}
		}
	}
	return steal, all
}

const Processes = true // -isolation process works here

// networkLosses are what the kernel counts of the network of this host: datagrams and frames that it has
// thrown away.
func networkLosses() map[string]uint64 {
	losses := map[string]uint64{}
	text, _ := os.ReadFile("/proc/net/snmp")
	var names []string
	for line := range strings.Lines(string(text)) {
		fields := strings.Fields(line)
		if fields[0] != "Udp:" {
			continue
		}
		if names == nil {
			names = fields
			continue
		}
		for i, name := range names {
			if n, err := strconv.ParseUint(fields[i], 10, 64); err == nil && (strings.HasSuffix(name, "Errors") || name == "NoPorts") {
				losses["udp "+name] = n
			}
		}
	}
	text, _ = os.ReadFile("/proc/net/dev")
	for line := range strings.Lines(string(text)) {
		name, rest, ok := strings.Cut(line, ":")
		fields := strings.Fields(rest)
		if !ok || len(fields) < 12 {
			continue
		}
		for what, i := range map[string]int{"rx errors": 2, "rx dropped": 3, "tx errors": 10, "tx dropped": 11} {
			losses[strings.TrimSpace(name)+" "+what], _ = strconv.ParseUint(fields[i], 10, 64)
		}
	}
	return losses
}
