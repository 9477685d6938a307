//go:build long

package conform

func init() { entire = true }
