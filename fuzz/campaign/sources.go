package campaign

import (
	"p2plocal/fuzz/hostile"
	"p2plocal/fuzz/send"
)

// source sends to the target as one of the origins.
type source interface {
	Send(*send.Load)
	Counts() send.Counts
	Close() error
}

// sources are all that the campaign sends from, by origin; nil: it cannot.
type sources [hostile.FromDouble + 1]source

func (s *sources) counts() (sum send.Counts) {
	for _, one := range s {
		if one != nil {
			sum = sum.Plus(one.Counts())
		}
	}
	return sum
}

func (s *sources) close() {
	for _, one := range s {
		if one != nil {
			one.Close()
		}
	}
}
