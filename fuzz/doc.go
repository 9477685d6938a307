// Package fuzz holds every native fuzz target of the project, whatever it tests:
//
//	go test -fuzz=FuzzDirectory ./fuzz
//
// Its tests hold core to slow, obvious models, and every reader of files, flags
// and datagrams to its promises. The seeds in testdata/fuzz are made from what they
// are derived from by go test ./fuzz -update; a test compares them.
package fuzz
