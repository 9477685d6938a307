//go:build !long

package main

const everything = false // eighty members of a mesh take their time on a busy machine
