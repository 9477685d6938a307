package machine

import (
	"fmt"
	"os"
	"runtime/debug"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"p2plocal/bench/result"
)

// ResetPeak has this process's most memory be what it has now,
// once what is not needed has been given back.
func ResetPeak() {
	debug.FreeOSMemory()
	os.WriteFile("/proc/self/clear_refs", []byte("5"), 0) // proc(5)
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
	e.Load = Loads()
	if b, err := os.ReadFile("/proc/sys/net/core/rmem_max"); err == nil {
		e.BufferMax, _ = strconv.Atoi(strings.TrimSpace(string(b)))
	}
}

// Loads are the load averages over 1, 5 and 15 minutes.
func Loads() (of [3]float64) {
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

// NetworkLosses are what the kernel counts of the network of this host: datagrams and frames that it has
// thrown away.
func NetworkLosses() map[string]uint64 {
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
