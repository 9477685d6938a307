package result

import (
	"fmt"
	"strconv"
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

// ParseImpairment reads a list such as loss=1%,delay=2ms,jitter=1ms,dup=0.1%,reorder=0.5%.
func ParseImpairment(s string) (Impairment, error) {
	var im Impairment
	for part := range strings.SplitSeq(s, ",") {
		name, value, _ := strings.Cut(strings.TrimSpace(part), "=")
		var err error
		switch name {
		case "loss":
			im.Loss, err = ParseRatio(value)
		case "dup":
			im.Duplicate, err = ParseRatio(value)
		case "reorder":
			im.Reorder, err = ParseRatio(value)
		case "delay":
			im.Delay, err = parseDuration(value)
		case "jitter":
			im.Jitter, err = parseDuration(value)
		case "":
			if part != "" || s != "" {
				err = fmt.Errorf("empty part")
			}
		default:
			err = fmt.Errorf("no such impairment")
		}
		if err != nil {
			return im, fmt.Errorf("impairment %q: %v, want a list such as loss=1%%,delay=2ms,jitter=1ms,dup=0.1%%,reorder=0.5%%", part, err)
		}
	}
	return im, im.Validate()
}

// parseDuration is time.ParseDuration with an error that may go to a terminal.
func parseDuration(s string) (time.Duration, error) {
	d, err := time.ParseDuration(s)
	if err != nil {
		return 0, fmt.Errorf("%q is no duration", s)
	}
	return d, nil
}

// ParseRatio reads 1% or 0.01.
func ParseRatio(s string) (float64, error) {
	number, percent := strings.CutSuffix(s, "%")
	v, err := strconv.ParseFloat(number, 64)
	if err != nil {
		return 0, fmt.Errorf("%q is neither a percentage nor a ratio", s)
	}
	if percent {
		v /= 100
	}
	return v, nil
}

func (im Impairment) String() string {
	percent := func(v float64) string { return strconv.FormatFloat(v*100, 'g', -1, 64) + "%" }
	return fmt.Sprintf("loss=%s,delay=%v,jitter=%v,dup=%s,reorder=%s",
		percent(im.Loss), im.Delay, im.Jitter, percent(im.Duplicate), percent(im.Reorder))
}

// Set makes it a flag.
func (im *Impairment) Set(s string) (err error) {
	*im, err = ParseImpairment(s)
	return err
}

// Validate names the first part that makes no sense.
func (im Impairment) Validate() error {
	for _, r := range []struct {
		name string
		v    float64
	}{{"loss", im.Loss}, {"dup", im.Duplicate}, {"reorder", im.Reorder}} {
		if !(r.v >= 0 && r.v <= 1) {
			return fmt.Errorf("impairment %s of %v, want 0 to 1 (or 0%% to 100%%)", r.name, r.v)
		}
	}
	if im.Delay < 0 || im.Jitter < 0 {
		return fmt.Errorf("impairment delay %v, jitter %v, want 0 or more", im.Delay, im.Jitter)
	}
	return nil
}
