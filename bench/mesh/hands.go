package mesh

import (
	"context"
	"errors"

	"p2plocal/bench/sample"
)

// hands are orders for a mesh, from somebody who looks on.
type hands struct{}

func (h *hands) obey(m *Mesh) {}

// Control has the watch take orders, by the function that it gives.
func (w *Watch) Control() func(context.Context, sample.Order) (script string, err error) {
	return func(context.Context, sample.Order) (string, error) { return "", errors.New("not yet") }
}
