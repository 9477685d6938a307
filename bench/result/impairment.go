package result

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"p2plocal/core/simnet"
)

// Impairment is what is done to every datagram between a machine and its socket.
type Impairment struct {
	Loss      float64       `json:"loss"`      // part that is lost
	Delay     time.Duration `json:"delay"`     // of every datagram
	Jitter    time.Duration `json:"jitter"`    // further delay, uniform from 0 to this
	Duplicate float64       `json:"duplicate"` // part that is sent twice
	Reorder   float64       `json:"reorder"`   // part that is held back for another Delay+Jitter, so that later ones overtake it
}

// properties are parts, or times.
func (im *Impairment) properties() []simnet.Property {
	return []simnet.Property{{Key: "loss", P: &im.Loss}, {Key: "delay", D: &im.Delay}, {Key: "jitter", D: &im.Jitter}, {Key: "dup", P: &im.Duplicate}, {Key: "reorder", P: &im.Reorder}}
}

// ParseImpairment reads a list such as loss=1%,delay=2ms,jitter=1ms,dup=0.1%,reorder=0.5%;
// an empty one is none.
func ParseImpairment(s string) (im Impairment, err error) {
	if s == "" {
		return im, nil
	}
	all := im.properties()
	for part := range strings.SplitSeq(s, ",") {
		key, value, _ := strings.Cut(strings.TrimSpace(part), "=")
		i := slices.IndexFunc(all, func(p simnet.Property) bool { return p.Key == key })
		switch {
		case key == "":
			err = errors.New("empty part")
		case i < 0:
			err = errors.New("no such impairment")
		case all[i].P != nil:
			*all[i].P, err = ParseRatio(value)
		default:
			if *all[i].D, err = time.ParseDuration(value); err != nil {
				err = fmt.Errorf("%q is no duration", value) // as time's may not go to a terminal
			}
		}
		if err != nil {
			return im, fmt.Errorf("impairment %q: %v, want a list such as loss=1%%,delay=2ms,jitter=1ms,dup=0.1%%,reorder=0.5%%", part, err)
		}
	}
	return im, im.Validate()
}

func (im Impairment) String() string {
	var parts []string
	for _, p := range im.properties() {
		if p.P != nil {
			parts = append(parts, p.Key+"="+formatRatio(*p.P))
		} else {
			parts = append(parts, fmt.Sprintf("%s=%v", p.Key, *p.D))
		}
	}
	return strings.Join(parts, ",")
}

// Set makes it a flag. An empty value, as of a variable that is not set, is none.
func (im *Impairment) Set(s string) (err error) {
	if s == "" {
		return errors.New("want a list such as loss=1%,delay=2ms, or loss=0 for none at all")
	}
	*im, err = ParseImpairment(s)
	return err
}

// Validate names the first part that makes no sense.
func (im Impairment) Validate() error {
	for _, p := range im.properties() {
		switch {
		case p.P != nil && !(*p.P >= 0 && *p.P <= 1):
			return fmt.Errorf("impairment %s of %v, want 0 to 1 (or 0%% to 100%%)", p.Key, *p.P)
		case p.D != nil && *p.D < 0:
			return fmt.Errorf("impairment %s of %v, want 0 or more", p.Key, *p.D)
		}
	}
	return nil
}
