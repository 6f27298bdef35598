package files

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// Directories and empty files take place on the disk, and so of the quota.
func TestADV_files_What_is_empty_fills_no_disk(t *testing.T) {
	d := newDesk(t)
	d.lib.Set([]Share{{Name: "docs", Dir: d.docs, Public: true, Write: true, Quota: 10 * leastWeight}})
	writeAt(t, filepath.Join(d.at, "empty"), nil)
	made := 0
	for i := range 20 {
		d.server.quotas = quotas{} // as after a while: what is there is counted anew
		at := "d" + strconv.Itoa(i)
		if d.mkdir(t.Context(), "docs", at+"/sub") == nil {
			made++
		}
		d.Send(t.Context(), d.out, "empty", "docs", "f"+strconv.Itoa(i), Options{})
		wantCode(t, "a deep one", d.mkdir(t.Context(), "docs", "deep"+strings.Repeat("/d", 20)), CodeSpace)
	}
	dirs, err := os.ReadDir(d.docs)
	if err != nil || made != 3 || len(dirs) != 7 {
		t.Errorf("%d times 2 directories were made, %d things are there, %v", made, len(dirs), err)
	}
}
