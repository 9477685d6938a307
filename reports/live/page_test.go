package live

import (
	"io/fs"
	"strings"
	"testing"

	"p2plocal/fuzz/hostile"
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

// TestPageFloods holds the page's choice of floods to what there are.
func TestPageFloods(t *testing.T) {
	b, err := page.ReadFile("page/index.html")
	if want := "<option>" + strings.Join(hostile.FloodKinds, "</option><option>") + "</option>"; err != nil || !strings.Contains(string(b), want) {
		t.Errorf("the page has not %q, %v", want, err)
	}
}
