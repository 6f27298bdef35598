package files

import (
	"bytes"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"lukechampine.com/blake3"
)

var sizes = []int{0, 1, 1023, 1024, 1025, 16 << 10, unit - 1, unit, unit + 1, 3 * unit, 5*unit + 7}

// A file's hash is BLAKE3's, whatever its blocks are, so that other programs can tell whether they have the same.
func TestHashIsBLAKE3(t *testing.T) {
	for _, size := range sizes {
		content := dice(size)
		want := Hash(blake3.Sum256(content))
		for _, block := range []int64{unit, 2 * unit, 8 * unit} {
			hasher := newBlockHasher(int64(size), 0)
			hasher.block = block
			var blocks []Hash
			for rest, more := content, true; more; more = hasher.next() > 0 {
				p := rest[:hasher.next()]
				rest = rest[len(p):]
				if h, whole := hasher.add(p); whole {
					blocks = append(blocks, h)
				}
			}
			if got := hashRoot(blocks); got != want {
				t.Errorf("%d bytes in blocks of %d: %s, want %s", size, block, got, want)
			}
		}
	}
}

func TestBlockSize(t *testing.T) {
	for size, want := range map[int64]int64{0: unit, unit: unit, 16 << 30: unit, 16<<30 + 1: 2 * unit, MaxSize: 256 << 20} {
		if got := BlockSize(size); got != want || blockCount(size) > maxBlocks {
			t.Errorf("%d bytes: %d blocks of %d, want %d", size, blockCount(size), got, want)
		}
	}
}

func TestFetchAndSend(t *testing.T) {
	d := newDesk(t)
	for _, size := range sizes {
		name, content := fmt.Sprintf("f%d", size), dice(size)
		d.write(name, content)
		var told int64
		if err := d.fetch(name, Options{Progress: func(n int64, _ bool) { told += n }}); err != nil {
			t.Errorf("get %s: %v", name, err)
		}
		has(t, d.at, name, content)
		if told != int64(size) {
			t.Errorf("get %s: told of %d bytes", name, told)
		}
		told = 0
		err := d.Send(t.Context(), d.out, name, "docs", "sub/"+name, Options{Progress: func(n int64, _ bool) { told += n }})
		if err != nil {
			t.Errorf("put %s: %v", name, err)
		}
		has(t, d.docs, "sub/"+name, content)
		if told != int64(size) {
			t.Errorf("put %s: told of %d bytes", name, told)
		}
		there, _ := os.Stat(filepath.Join(d.docs, name))
		for _, copied := range []string{filepath.Join(d.at, name), filepath.Join(d.docs, "sub", name)} {
			if here, err := os.Stat(copied); err != nil || !here.ModTime().Equal(there.ModTime()) {
				t.Errorf("%s has the time %v, want %v", copied, here.ModTime(), there.ModTime())
			}
		}
	}
	for _, dir := range []string{d.at, d.docs} {
		for _, name := range names(t, dir) {
			if isPart(name[strings.LastIndexByte(name, '/')+1:]) {
				t.Errorf("%s is left", name)
			}
		}
	}
}

func TestTrees(t *testing.T) {
	d := newDesk(t)
	want := []string{"top/a", "top/b/c", "top/b/d/e", "top/Ünï/ö"}
	for _, name := range want {
		d.write(name, []byte(name))
	}
	os.MkdirAll(filepath.Join(d.docs, "top", "empty"), 0o755)
	var done []string
	files, bytes := 0, int64(0)
	o := Options{Each: func(name string, err error) { done = append(done, fmt.Sprint(name, err)) },
		Total: func(n int, size int64) { files, bytes = n, size }}
	if err := d.fetch("top", o); err != nil || len(done) != 4 || files != 4 || bytes == 0 {
		t.Errorf("%v, done %v, %d files, %d bytes", err, done, files, bytes)
	}
	if err := d.Send(t.Context(), d.out, "top", "docs", "back", Options{}); err != nil {
		t.Error(err)
	}
	for _, name := range want {
		has(t, d.at, name, []byte(name))
		has(t, d.docs, "back"+strings.TrimPrefix(name, "top"), []byte(name))
	}
	for _, dir := range []string{filepath.Join(d.at, "top"), filepath.Join(d.docs, "back")} {
		if info, err := os.Stat(filepath.Join(dir, "empty")); err != nil || !info.IsDir() {
			t.Errorf("no empty directory in %s", dir)
		}
	}
	if err := d.fetch("top", o); err != nil { // all of it is here
		t.Error(err)
	}
	d.write("top/a", []byte("other"))
	done = nil
	if err := d.fetch("top", o); err != errSome || !slices.ContainsFunc(done, func(s string) bool {
		return strings.Contains(s, "is there already")
	}) {
		t.Errorf("%v, %v", err, done)
	}
	has(t, d.at, "top/a", []byte("top/a"))
}

// What a broken link, or a process that was killed, left is gone on with: little is carried twice.
func TestResume(t *testing.T) {
	content := dice(16 * unit)
	for name, carry := range map[string]func(*desk, Options) error{
		"get": func(d *desk, o Options) error { return d.fetch("big", o) },
		"put": func(d *desk, o Options) error { return d.Send(t.Context(), d.out, "big", "docs", "sent", o) },
	} {
		d := newDesk(t)
		d.write("big", content)
		if name == "put" {
			writeAt(t, filepath.Join(d.at, "big"), content)
		}
		d.wire.breakAfter(8*unit + 1000)
		carried := int64(0)
		count := func(n int64, before bool) {
			if !before {
				carried += n
			}
		}
		wantCode(t, name, carry(d, Options{Progress: count}), CodeBroken)
		if carried < 4*unit {
			t.Errorf("%s broke after %d bytes", name, carried)
		}
		for _, dir := range []string{d.at, d.docs} {
			for _, n := range names(t, dir) {
				if n == "sent" || name == "get" && dir == d.at && n == "big" {
					t.Errorf("%s: %s is there, though it is not whole", name, n)
				}
			}
		}
		d.serve(d.server.Handler()) // another process, and another connection
		if err := carry(d, Options{Progress: count}); err != nil {
			t.Errorf("%s again: %v", name, err)
		}
		if over := carried - int64(len(content)); over < 0 || over > 2*unit {
			t.Errorf("%s: %d bytes more than the file has were carried", name, over)
		}
		has(t, d.at, "big", content)
		if name == "put" {
			has(t, d.docs, "sent", content)
		}
	}
}

// With patience a broken connection is made again by itself, and what came is counted once.
func TestPatience(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { // so that its patience takes no time
		d := newDesk(t)
		content := dice(12 * unit)
		d.write("big", content)
		d.wire.breakAfter(4 * unit)
		told, breaks := int64(0), 0
		carry := d.Remote.Do
		d.Remote.Do = func(r *http.Request) (*http.Response, error) {
			if d.wire.isBroken() {
				if breaks++; breaks < 3 {
					d.wire.breakAfter(4 * unit)
				} else {
					d.wire.breakAfter(0)
				}
			}
			return carry(r)
		}
		err := d.fetch("big", Options{Patience: 1 << 40, Progress: func(n int64, _ bool) { told += n }})
		if err != nil || told != int64(len(content)) || breaks != 3 {
			t.Errorf("%v, told of %d bytes, broken %d times", err, told, breaks)
		}
		has(t, d.at, "big", content)
	})
}

// What was left from before counts only as far as it is right.
func TestWhatIsLeftIsChecked(t *testing.T) {
	d := newDesk(t)
	content := dice(8 * unit)
	d.write("big", content)
	e, err := d.Stat(t.Context(), "docs", "big")
	if err != nil {
		t.Fatal(err)
	}
	left := bytes.Clone(content[:6*unit+5])
	left[3*unit+9] ^= 1
	part := filepath.Join(d.at, partOf("big", e.Version))
	writeAt(t, part, left)
	before, came := int64(0), int64(0)
	err = d.fetch("big", Options{Progress: func(n int64, was bool) {
		if was {
			before += n
		} else {
			came += n
		}
	}})
	if err != nil || before != 3*unit || came != 5*unit {
		t.Errorf("%v: %d bytes were kept, %d came", err, before, came)
	}
	has(t, d.at, "big", content)
	secret := filepath.Join(t.TempDir(), "secret")
	writeAt(t, secret, []byte("secret"))
	d.write("other", content)
	e, _ = d.Stat(t.Context(), "docs", "other")
	if err := os.Symlink(secret, filepath.Join(d.at, partOf("other", e.Version))); err != nil {
		t.Skip(err)
	}
	if err := d.fetch("other", Options{}); err != nil {
		t.Error(err)
	}
	has(t, filepath.Dir(secret), "secret", []byte("secret"))
	has(t, d.at, "other", content)
}

// A file that came whole and has no name yet, because the process was killed between the two, gets it by the next put.
func TestPutOfWhatIsWholeAlready(t *testing.T) {
	for _, size := range []int{11, 3 * unit} {
		d := newDesk(t)
		content := dice(size)
		writeAt(t, filepath.Join(d.at, "f"), content)
		hashes, err := hashBlocks(bytes.NewReader(content), int64(size), func(Hash) error { return nil })
		if err != nil {
			t.Fatal(err)
		}
		d.write(partOf("sent", hashRoot(hashes).String()), content)
		if err := d.Send(t.Context(), d.out, "f", "docs", "sent", Options{}); err != nil {
			t.Errorf("%d bytes: %v", size, err)
		}
		has(t, d.docs, "sent", content)
	}
}

// Twenty at once are answered.
func TestManyClients(t *testing.T) {
	d := newDesk(t)
	content := dice(6 * unit)
	d.write("big", content)
	errs := make(chan error)
	for i := range 20 {
		go func() {
			errs <- d.Fetch(t.Context(), "docs", "big", d.out, fmt.Sprintf("copy%d", i), Options{})
		}()
	}
	for range 20 {
		if err := <-errs; err != nil {
			t.Error(err)
		}
	}
	for i := range 20 {
		has(t, d.at, fmt.Sprintf("copy%d", i), content)
	}
	if c := d.server.Counts(); c.Sent != 20 || c.SentBytes != uint64(20*len(content)) {
		t.Errorf("%+v", c)
	}
}

func TestTreesKeepNoMoreThanTheyMay(t *testing.T) {
	var kept trees
	for i := range 10 {
		kept.keep(treeKey{fmt.Sprint(i), ""}, make([]Hash, maxKept/4))
	}
	if kept.kept > maxKept || kept.find(treeKey{"9", ""}) == nil || kept.find(treeKey{"0", ""}) != nil {
		t.Errorf("%d hashes of %d files", kept.kept, len(kept.known))
	}
}

// Unfinished files that nobody has gone on with for a week go when something is next brought to their directory; what is
// younger, being written, or not ours stays.
func TestOldPartsGo(t *testing.T) {
	d := newDesk(t)
	d.write("top/f", []byte("text"))
	old := time.Now().Add(-partLife - time.Hour)
	put := func(dir, name string, at time.Time) string {
		full := filepath.Join(dir, name)
		writeAt(t, full, []byte("part"))
		if err := os.Chtimes(full, at, at); err != nil {
			t.Fatal(err)
		}
		return full
	}
	for _, dir := range []string{d.at, filepath.Join(d.at, "top"), d.docs} {
		gone := put(dir, partOf("one", "v"), old)
		kept := []string{put(dir, partOf("two", "v"), time.Now()), put(dir, ".bcast-mine.part", old), put(dir, "x.part", old)}
		busy, err := os.Open(put(dir, partOf("three", "v"), old))
		if err != nil || !lockFile(busy) {
			t.Fatal(err)
		}
		defer busy.Close()
		if _, can := freeSpace(d.out, "."); can { // where files can be locked
			kept = append(kept, busy.Name())
		}
		if dir == d.docs {
			err = d.Send(t.Context(), d.out, "top", "docs", "new", Options{})
		} else {
			os.Remove(filepath.Join(d.at, "top", "f"))
			err = d.fetch("top", Options{})
		}
		if err != nil {
			t.Error(err)
		}
		if _, err := os.Stat(gone); err == nil {
			t.Errorf("%s is still there", gone)
		}
		for _, name := range kept {
			if _, err := os.Stat(name); err != nil {
				t.Error(err)
			}
		}
	}
}
