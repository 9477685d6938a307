package live

import (
	"io/fs"
	"testing"
)

// TestPageSize holds the whole page under 300 KB.
func TestPageSize(t *testing.T) {
	total := int64(0)
	err := fs.WalkDir(page, "page", func(_ string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		info, err := d.Info()
		if err == nil {
			total += info.Size()
		}
		return err
	})
	if err != nil || total > 300_000 {
		t.Errorf("the page has %d bytes, %v; want no more than 300,000", total, err)
	}
}
