//go:build long

package swarm

import "testing"

func TestLongScenariosUnderFaults(t *testing.T) { scenariosUnderFaults(t, 120) }
