package result

import (
	"errors"
	"fmt"
	"slices"
	"strings"
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

// property is one KEY=VALUE of an impairment: a part, or a time.
type property struct {
	key   string
	ratio *float64
	time  *time.Duration
}

func (im *Impairment) properties() []property {
	return []property{{"loss", &im.Loss, nil}, {"delay", nil, &im.Delay}, {"jitter", nil, &im.Jitter}, {"dup", &im.Duplicate, nil}, {"reorder", &im.Reorder, nil}}
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
		i := slices.IndexFunc(all, func(p property) bool { return p.key == key })
		switch {
		case key == "":
			err = errors.New("empty part")
		case i < 0:
			err = errors.New("no such impairment")
		case all[i].ratio != nil:
			*all[i].ratio, err = ParseRatio(value)
		default:
			if *all[i].time, err = time.ParseDuration(value); err != nil {
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
		if p.ratio != nil {
			parts = append(parts, p.key+"="+formatRatio(*p.ratio))
		} else {
			parts = append(parts, fmt.Sprintf("%s=%v", p.key, *p.time))
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
		case p.ratio != nil && !(*p.ratio >= 0 && *p.ratio <= 1):
			return fmt.Errorf("impairment %s of %v, want 0 to 1 (or 0%% to 100%%)", p.key, *p.ratio)
		case p.time != nil && *p.time < 0:
			return fmt.Errorf("impairment %s of %v, want 0 or more", p.key, *p.time)
		}
	}
	return nil
}
