//go:build long

package main

const everything = true
