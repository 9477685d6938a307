package fuzz

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/netip"
	"time"

	"p2plocal/core"
)

// books are what a target of ours says of itself under p2p's -metrics.
type books struct {
	P2P struct {
		Counters    core.Counters `json:"counters"`
		KernelDrops *uint64       `json:"kernel_drops"` // nil: it does not know
		Goroutines  int           `json:"goroutines"`
	} `json:"p2p"`
	Memstats struct{ Sys int64 } `json:"memstats"` // bytes that it has from the system
}

// audit compares a target's books with the campaign's.
type audit struct {
	url    string
	target netip.AddrPort
	client http.Client
	first  books
	least  uint64 // datagrams that the campaign had sent before first was read
	most   uint64 // and after
}

func newAudit(url string, target netip.AddrPort, sent func() uint64) (*audit, error) {
	a := &audit{url: url, target: target, least: sent(), client: http.Client{Timeout: 10 * time.Second}}
	var err error
	a.first, err = a.read()
	a.most = sent()
	return a, err
}

func (a *audit) close() { a.client.CloseIdleConnections() }

func (a *audit) read() (b books, err error) {
	r, err := a.client.Get(a.url)
	if err != nil {
		return b, fmt.Errorf("cannot read -metrics: %w", err)
	}
	defer r.Body.Close()
	if err := json.NewDecoder(r.Body).Decode(&b); err != nil {
		return b, fmt.Errorf("-metrics %s is not p2p's /debug/vars: %v", a.url, err)
	}
	if b.P2P.KernelDrops == nil {
		if n, told := kernelDrops(a.target); told {
			b.P2P.KernelDrops = &n
		}
	}
	return b, nil
}

// taken is how many datagrams have come to the target's socket since the first
// reading; false where nobody knows what the kernel dropped.
func (a *audit) taken(b *books) (uint64, bool) {
	now, then := b.P2P.KernelDrops, a.first.P2P.KernelDrops
	if now == nil || then == nil {
		return 0, false
	}
	return b.P2P.Counters.In.Total().Datagrams + *now - a.first.P2P.Counters.In.Total().Datagrams - *then, true
}

const goroutinesGrown = 8 // more than this are a leak

// grown says what the target holds more of than at first.
func (a *audit) grown(b *books) string {
	if n := b.P2P.Goroutines - a.first.P2P.Goroutines; n > goroutinesGrown {
		return fmt.Sprintf("its goroutines grew by %d", n)
	}
	if n := b.Memstats.Sys - a.first.Memstats.Sys; n > memoryGrown {
		return fmt.Sprintf("its memory grew by %d MB", n>>20)
	}
	return ""
}

// sums says where the counters contradict each other: what came in must have
// become something.
func sums(c core.Counters, role Role) string {
	d := c.Dropped
	became := d.Malformed + d.Rejected + d.Misdirected + d.Stranger + c.Directories + c.Messages
	if role == Server {
		became += c.Births + c.Repeats + c.Conflicts + c.KeepAlives + c.Unknown
	}
	if in := c.In.Total().Datagrams; in != became {
		return fmt.Sprintf("it counts %d datagrams in, and %d by what became of them", in, became)
	}
	return ""
}
