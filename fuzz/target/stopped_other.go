//go:build !linux

package target

// watchStops does nothing: nobody tells here who is stopped.
func watchStops(*Process) {}
