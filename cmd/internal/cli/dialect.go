package cli

import (
	"flag"
	"fmt"
	"os"

	"p2plocal/core/wide"
)

// Dialect is what the flags -wide and -key say.
type Dialect struct {
	Wide    bool
	Keys    wide.Keys
	KeyFile string
}

// Register adds the flags.
func (d *Dialect) Register(fs *flag.FlagSet, usage string) {
	fs.BoolVar(&d.Wide, "wide", false, usage)
	fs.StringVar(&d.KeyFile, "key", "", "`file` of the mesh's key, with -wide: whoever has none is no part of it (p2p keygen makes one)")
}

// Open reads the keys.
func (d *Dialect) Open() error {
	if d.KeyFile == "" {
		return nil
	}
	if !d.Wide {
		return Usagef("flag -key is for the wide dialect: want -wide too, or not the flag")
	}
	text, err := os.ReadFile(d.KeyFile)
	if err != nil {
		return fmt.Errorf("cannot read the key: %w", err)
	}
	if d.Keys, err = wide.ParseKeys(string(text)); err != nil {
		return Usagef("%s: %v", d.KeyFile, err)
	}
	return nil
}
