//go:build !long

package scenario

// overUDP are the scenarios that TestScenarios runs over real sockets, too.
var overUDP = []string{"steady"}
