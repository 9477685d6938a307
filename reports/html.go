package reports

import "io"

func HTML(w io.Writer, results []Named) error { return nil }
