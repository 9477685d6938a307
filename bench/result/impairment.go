package result

import (
	"fmt"
	"time"
)

// Impairment is what is done to every datagram between a machine and its socket.
type Impairment struct {
	Loss      float64       `json:"loss"`      // part that is lost
	Delay     time.Duration `json:"delay"`     // of every datagram
	Jitter    time.Duration `json:"jitter"`    // further delay, uniform from 0 to this
	Duplicate float64       `json:"duplicate"` // part that is sent twice
	Reorder   float64       `json:"reorder"`   // part that is held back for another Delay+Jitter, so that later ones overtake it
}

func (im *Impairment) properties() []property {
	return []property{{key: "loss", ratio: &im.Loss}, {key: "delay", time: &im.Delay}, {key: "jitter", time: &im.Jitter},
		{key: "dup", ratio: &im.Duplicate}, {key: "reorder", ratio: &im.Reorder}}
}

// ParseImpairment reads a list such as loss=1%,delay=2ms,jitter=1ms,dup=0.1%,reorder=0.5%;
// an empty one is none.
func ParseImpairment(s string) (im Impairment, err error) {
	if s == "" {
		return im, nil
	}
	err = parseList(s, "impairment", "impairment", "loss=1%,delay=2ms,jitter=1ms,dup=0.1%,reorder=0.5%", im.properties())
	if err != nil {
		return im, err
	}
	return im, im.Validate()
}

func (im Impairment) String() string { return formatList(im.properties()) }

// Set makes it a flag.
func (im *Impairment) Set(s string) (err error) {
	*im, err = ParseImpairment(s)
	return err
}

// Validate names the first part that makes no sense.
func (im Impairment) Validate() error {
	for _, p := range im.properties() {
		switch {
		case p.ratio != nil && !(*p.ratio >= 0 && *p.ratio <= 1):
			return fmt.Errorf("impairment %s of %v, want 0 to 1 (or 0%% to 100%%)", p.key, *p.ratio)
		case p.time != nil && *p.time < 0:
			return fmt.Errorf("impairment %s of %v, want 0 or more", p.key, *p.time)
		}
	}
	return nil
}
