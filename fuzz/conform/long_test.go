//go:build long

package conform

import "testing"

func TestLongWrongs(t *testing.T)     { wrongs(t, true) }
func TestLongWideWrongs(t *testing.T) { wideWrongs(t, true) }
func TestLongModesAgree(t *testing.T) { modesAgree(t, "none", "announces-conflicts", "low-bytes") }
