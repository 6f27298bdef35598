package history

import (
	"bufio"
	"database/sql"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"bcast/internal/record"
)

func open(t *testing.T, dir string, opt Options) *Disk {
	t.Helper()
	d, err := Open(dir, opt)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Close() })
	return d
}

func TestResumes(t *testing.T) {
	last := mark{Generation: 3, File: stamp{5, 50}, Boot: "a"}
	killed := seen{generation: 3, file: stamp{5, 60}, mark: stamp{6, 55}, expected: "6 55", boot: "a", sound: true}
	stopped := killed
	stopped.file, stopped.mark = last.File, stamp{7, 61}
	for _, c := range []struct {
		what   string
		closed bool
		change func(*mark, *seen)
		want   bool
	}{
		{"closed", true, func(*mark, *seen) {}, true},
		{"closed, then power went", true, func(_ *mark, s *seen) { s.boot = "b" }, true},
		{"killed, the system goes on", false, func(*mark, *seen) {}, true},
		{"power went", false, func(_ *mark, s *seen) { s.boot = "b" }, false},
		{"power went, all was safe", false, func(m *mark, s *seen) { m.Full, s.boot = true, "b" }, true},
		{"nobody knows whether power went", false, func(m *mark, s *seen) { m.Boot, s.boot = "", "" }, false},
		{"a new database", true, func(m *mark, s *seen) { m.Generation, s.generation = 0, 0 }, false},
		{"an older database", true, func(_ *mark, s *seen) { s.generation = 2 }, false},
		{"a newer one than the mark", false, func(_ *mark, s *seen) { s.generation = 4 }, false},
		{"damaged", true, func(_ *mark, s *seen) { s.sound = false }, false},
		{"closed, a copy", true, func(_ *mark, s *seen) { s.file = stamp{8, 70} }, false},
		{"closed, copied over", true, func(_ *mark, s *seen) { s.file.Changed = 70 }, false},
		{"killed, a copy", false, func(_ *mark, s *seen) { s.file.File = 8 }, false},
		{"killed, copied over with its mark", false, func(_ *mark, s *seen) { s.mark.Changed = 70 }, false},
		{"the system tells no stamps", true, func(m *mark, s *seen) { m.File, s.file, s.mark = stamp{}, stamp{}, stamp{} }, true},
	} {
		before, now := last, killed
		if before.Clean = c.closed; c.closed {
			now = stopped
		}
		if c.change(&before, &now); resumes(&before, now) != c.want {
			t.Errorf("%s: %v", c.what, !c.want)
		}
	}
	if resumes(nil, stopped) {
		t.Error("it resumes without a mark")
	}
}

// What the table above says, with files.
func TestResumesFromFiles(t *testing.T) {
	copyHome := func(from string) string {
		to := t.TempDir()
		for _, name := range []string{fileName, fileName + "-wal", markFile} {
			if b, err := os.ReadFile(filepath.Join(from, name)); err == nil {
				if err := os.WriteFile(filepath.Join(to, name), b, 0o600); err != nil {
					t.Fatal(err)
				}
			}
		}
		return to
	}
	dir, opt := t.TempDir(), Options{BootID: "a"}
	first := open(t, dir, opt)
	if first.Resumes() {
		t.Error("a new database resumes")
	}
	running := copyHome(dir)
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	stopped := copyHome(dir)
	old, err := os.ReadFile(filepath.Join(dir, fileName))
	if err != nil {
		t.Fatal(err)
	}
	second := open(t, dir, opt)
	if !second.Resumes() {
		t.Error("a database that was closed does not resume")
	}
	second.Close()
	for what, home := range map[string]string{"a copy of a running home": running, "a copy of a stopped home": stopped} {
		if open(t, home, opt).Resumes() {
			t.Errorf("%s resumes", what)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, fileName), old, 0o600); err != nil { // the same file, with what it was
		t.Fatal(err)
	}
	if third := open(t, dir, opt); third.Resumes() {
		t.Error("an older database resumes")
	} else {
		third.Close()
	}
	os.Remove(filepath.Join(dir, markFile))
	if open(t, dir, opt).Resumes() {
		t.Error("without the mark it resumes")
	}
}

func TestDamagedOrForeignFilesAreRefused(t *testing.T) {
	foreign := func(path string) error {
		db, err := sql.Open("sqlite", path)
		if err != nil {
			return err
		}
		_, err = db.Exec("CREATE TABLE other (x)")
		return errors.Join(err, db.Close())
	}
	for what, spoil := range map[string]func(path string) error{
		"no database":           func(path string) error { return os.WriteFile(path, []byte(strings.Repeat("x", 8192)), 0o600) },
		"of another program":    foreign,
		"of a version to come":  func(path string) error { return execute(path, "PRAGMA user_version = 99") },
		"a page is overwritten": func(path string) error { return overwrite(path, 4096*3) },
	} {
		dir := t.TempDir()
		if what != "of another program" {
			d := open(t, dir, Options{})
			d.Close()
			os.Remove(filepath.Join(dir, markFile)) // so that it is looked at closely
		}
		path := filepath.Join(dir, fileName)
		if err := spoil(path); err != nil {
			t.Fatal(err)
		}
		before, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := Open(dir, Options{}); err == nil {
			t.Errorf("%s: opened", what)
		} else if !strings.Contains(err.Error(), path) {
			t.Errorf("%s: %v", what, err)
		}
		if after, err := os.ReadFile(path); err != nil || string(after) != string(before) {
			t.Errorf("%s: changed, %v", what, err)
		}
	}
}

func execute(path, statement string) error {
	db, err := sql.Open("sqlite", path)
	if err != nil {
		return err
	}
	_, err = db.Exec(statement)
	return errors.Join(err, db.Close())
}

func overwrite(path string, at int64) error {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	_, err = f.WriteAt([]byte(strings.Repeat("\xff", 4096)), at)
	return errors.Join(err, f.Close())
}

// A full disk: nothing of the call is kept, what was kept is read, and with space again it goes on.
func TestFullDisk(t *testing.T) {
	d := open(t, t.TempDir(), Options{})
	if err := d.KeepScope(record.Scope{ID: 7, Room: room}); err != nil {
		t.Fatal(err)
	}
	a := newAuthor(t, 1)
	first := a.says(t, 1, text("fits"))
	keep(t, d, first)
	var pages int
	if err := d.read.QueryRow("PRAGMA page_count").Scan(&pages); err != nil {
		t.Fatal(err)
	}
	limit := func(n int) {
		if err := d.run(fmt.Sprintf("PRAGMA max_page_count = %d", n)); err != nil {
			t.Fatal(err)
		}
	}
	limit(pages)
	var more []record.Entry
	for i := range uint64(50) {
		more = append(more, a.says(t, 2+i, text(strings.Repeat("x", 5000))))
	}
	var failure *FailedError
	if _, err := d.Append(start, []record.Batch{{Scope: 7, Records: more}}); !errors.As(err, &failure) {
		t.Errorf("on a full disk: %v", err)
	}
	wantPage(t, d, Query{}, first)
	limit(1 << 20)
	// Of what failed nobody can tell whether it was kept, and with it what it gave up: that is told with the next.
	floors, err := d.Append(start, []record.Batch{{Scope: 7, Records: more}})
	if want := []record.Floor{{Chain: first.Chain(), Low: 1}}; err != nil || !slices.Equal(floors[0], want) {
		t.Errorf("after a failure: told %v, %v; want %v", floors, err, want)
	}
	if floors, err = d.Append(start, []record.Batch{{Scope: 7}}); err != nil || len(floors[0]) > 0 {
		t.Errorf("told again: %v, %v", floors, err)
	}
	wantPage(t, d, Query{Limit: 1, Newest: true}, more[49])
}

// The full text follows behind, in steps; a search finds all at every moment, and what was given up no more.
func TestSearchWhileTheFullTextIsFilled(t *testing.T) {
	d := open(t, t.TempDir(), Options{})
	if err := d.KeepScope(record.Scope{ID: 7, Room: room, Retention: record.Retention{Count: 900}}); err != nil {
		t.Fatal(err)
	}
	a := newAuthor(t, 1)
	var all []record.Entry
	for i := range uint64(800) {
		all = append(all, a.says(t, i, text(fmt.Sprintf("needle number%d", i))))
	}
	keep(t, d, all...)
	for range 6 {
		if got, err := d.Page(Query{Scopes: []uint64{7}, Search: "needle"}); err != nil || len(got) != 800 {
			t.Fatalf("found %d, %v", len(got), err)
		}
		if _, err := d.indexSome(); err != nil {
			t.Fatal(err)
		}
	}
	wantPage(t, d, Query{Search: "needle number799"}, all[799])
	all = nil
	for i := range uint64(300) {
		all = append(all, a.says(t, 1000+i, text("hay")))
	}
	keep(t, d, all...)
	if got, err := d.Page(Query{Scopes: []uint64{7}, Search: "needle"}); err != nil || len(got) != 600 {
		t.Errorf("found %d, %v", len(got), err)
	}
}

func TestReadOnlyBesideAWriter(t *testing.T) {
	dir := t.TempDir()
	if _, err := OpenReadOnly(dir); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("nothing there: %v", err)
	}
	d := open(t, dir, Options{})
	if err := d.KeepScope(record.Scope{ID: 7, Room: room}); err != nil {
		t.Fatal(err)
	}
	r, err := OpenReadOnly(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	a := newAuthor(t, 1)
	e := a.says(t, 1, text("x"))
	keep(t, d, e)
	if got, err := r.Page(Query{Scopes: []uint64{7}}); err != nil || len(got) != 1 {
		t.Errorf("%d records, %v", len(got), err)
	}
	if _, err := r.read.Exec("DELETE FROM record"); err == nil {
		t.Error("it writes")
	}
}

var kills = flag.Int("history.kills", 4, "how often TestKilled kills")

const childVariable = "BCAST_HISTORY_CHILD"

// What Append confirmed before the process was killed is kept, whenever that was.
func TestKilled(t *testing.T) {
	if dir := os.Getenv(childVariable); dir != "" {
		appendForEver(t, dir)
		return
	}
	dir := t.TempDir()
	dice := rand.New(rand.NewPCG(1, 2))
	confirmed := 0
	for range *kills {
		child := exec.Command(os.Args[0], "-test.run", "^TestKilled$")
		child.Env = append(os.Environ(), childVariable+"="+dir)
		out, err := child.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := child.Start(); err != nil {
			t.Fatal(err)
		}
		after, lines := confirmed+1+dice.IntN(60), bufio.NewScanner(out)
		for lines.Scan() {
			if n, err := strconv.Atoi(lines.Text()); err == nil {
				if confirmed = n; n >= after {
					break
				}
			}
		}
		child.Process.Kill()
		child.Wait()
		d := open(t, dir, Options{BootID: "a"})
		records, _, err := d.Counts(7)
		if err != nil || records < confirmed || !d.Resumes() {
			t.Fatalf("%d confirmed, %d kept, resumes %v, %v", confirmed, records, d.Resumes(), err)
		}
		if got, err := d.Page(Query{Scopes: []uint64{7}}); err != nil || len(got) != records {
			t.Fatalf("%d read of %d, %v", len(got), records, err)
		}
		d.Close()
	}
}

// appendForEver is the child: it goes on where the last one was killed.
func appendForEver(t *testing.T, dir string) {
	d, err := Open(dir, Options{BootID: "a"})
	if err != nil {
		t.Fatal(err)
	}
	if err := d.KeepScope(record.Scope{ID: 7, Room: room}); err != nil {
		t.Fatal(err)
	}
	kept, err := d.Kept(7, room)
	if err != nil {
		t.Fatal(err)
	}
	a := newAuthor(t, 1)
	for _, c := range kept.Chains {
		a.seq, a.prev = c.High, c.Head.ID
	}
	for end := time.Now().Add(time.Minute); time.Now().Before(end); {
		e := a.says(t, a.seq+1, text("again and again"))
		if _, err := d.Append(start, []record.Batch{{Scope: 7, Records: []record.Entry{e}}}); err != nil {
			t.Fatal(err)
		}
		fmt.Println(a.seq)
	}
}

// A start that may not continue own feeds takes that from the next one, too: it may be killed before it wrote another.
func TestDoubtOutlivesTheProcess(t *testing.T) {
	dir, opt := t.TempDir(), Options{BootID: "a"}
	own := func(d *Disk) *record.Feed {
		t.Helper()
		kept, err := d.Kept(7, room)
		if err != nil {
			t.Fatal(err)
		}
		return kept.Own
	}
	a := newAuthor(t, 1)
	write := func(d *Disk) {
		t.Helper()
		batch := record.Batch{Scope: 7, Records: []record.Entry{a.says(t, a.seq+1, text("mine"))}, Own: &a.feed}
		if _, err := d.Append(start, []record.Batch{batch}); err != nil {
			t.Fatal(err)
		}
	}
	first := open(t, dir, opt)
	if err := first.KeepScope(record.Scope{ID: 7, Room: room}); err != nil {
		t.Fatal(err)
	}
	write(first)
	first.Close()
	second := open(t, dir, opt)
	if got := own(second); got == nil || *got != a.feed || !second.Resumes() {
		t.Errorf("own feed %v, resumes %v", got, second.Resumes())
	}
	second.Close()
	os.Remove(filepath.Join(dir, markFile)) // nobody can tell whether it is all there
	third := open(t, dir, opt)
	if third.Resumes() || own(third) != nil {
		t.Errorf("resumes %v, own feed %v", third.Resumes(), own(third))
	}
	third.Close()
	fourth := open(t, dir, opt)
	if own(fourth) != nil {
		t.Error("the next process goes on with a feed of which nobody is sure")
	}
	write(fourth)
	fourth.Close()
	if own(open(t, dir, opt)) == nil {
		t.Error("what was written since is not gone on with")
	}
}
