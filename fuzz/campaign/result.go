package campaign

import (
	"fmt"
	"time"

	"p2plocal/fuzz/send"
	"p2plocal/fuzz/target"
)

// Tally is what one mode or one group of cases came to.
type Tally struct {
	What     string `json:"what"`
	Batches  int    `json:"batches"`
	Sent     uint64 `json:"sent"`    // datagrams that the kernel took
	Dropped  uint64 `json:"dropped"` // of all that were sent to the target meanwhile, those that the kernel threw away
	Bytes    uint64 `json:"bytes"`
	Answers  uint64 `json:"answers"` // datagrams from the server to canaries and probes
	Skipped  int    `json:"skipped"` // datagrams that there is no socket to send from
	Findings int    `json:"findings"`

	Firing time.Duration `json:"firing_ns"` // the time that sending took, pauses of the cases included
}

// Delivered is how many datagrams reached the target's socket, at least: among
// those that the kernel threw away may have been others'.
func (t *Tally) Delivered() uint64 { return t.Sent - min(t.Sent, t.Dropped) }

// Rate is datagrams sent per second of sending.
func (t *Tally) Rate() float64 { return float64(t.Sent) / max(t.Firing.Seconds(), 1e-9) }

func (t *Tally) add(before, after measures) {
	t.Batches++
	t.Sent += after.counts.Sent - before.counts.Sent
	t.Bytes += after.counts.Bytes - before.counts.Bytes
	t.Answers += after.answers - min(before.answers, after.answers)
	t.Firing += after.firing - before.firing
	t.Dropped += after.drops - min(before.drops, after.drops)
}

// Result is what a campaign came to.
type Result struct {
	Seed     uint64        `json:"seed"`
	Ports    uint16        `json:"ports"` // as used
	Next     int           `json:"next"`  // the batch to go on from
	Left     int           `json:"left"`  // batches of the replay and the catalogue that were not sent
	Elapsed  time.Duration `json:"elapsed_ns"`
	Total    send.Counts   `json:"total"` // all that was sent, trials included
	Tallies  []*Tally      `json:"tallies"`
	Findings []Finding     `json:"findings"`
	Restarts int           `json:"restarts"`
	Delivery bool          `json:"delivery"` // the kernel tells what it dropped
	Usage    target.Usage  `json:"usage"`    // the most of all processes that the campaign started
}

func (r *Result) tally(what string) *Tally {
	for _, t := range r.Tallies {
		if t.What == what {
			return t
		}
	}
	r.Tallies = append(r.Tallies, &Tally{What: what})
	return r.Tallies[len(r.Tallies)-1]
}

// grown says what a process has too much more of than at first.
func grown(u, first target.Usage) string {
	if n := u.Memory - first.Memory; first.Memory > 0 && n > memoryGrown {
		return fmt.Sprintf("its memory grew by %d MB", n>>20)
	}
	if n := u.Descriptors - first.Descriptors; first.Descriptors > 0 && n > descriptorsGrown {
		return fmt.Sprintf("its descriptors grew by %d", n)
	}
	return ""
}
