//go:build long

package campaign

import (
	"testing"
	"time"
)

func TestLongWrongs(t *testing.T) { tryWrongs(t, 1) }

func TestLongReorderingAccusesNobody(t *testing.T) { reorderingAccusesNobody(t, 20*time.Second) }

func TestLongLateMachine(t *testing.T) { lateMachine(t, 20*time.Second) }
