package history

import (
	"bytes"
	"database/sql"
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"bcast/internal/fuzztest"
	"bcast/internal/record"
)

// run does what no caller can.
func (d *Disk) run(text string, args ...any) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	_, err := d.write.exec(text, args...)
	return err
}

// copyFiles copies a home's history over that of another directory: the files stay the files they are.
func copyFiles(t *testing.T, from, to string) {
	t.Helper()
	for _, name := range []string{fileName, fileName + "-wal", markFile} {
		b, err := os.ReadFile(filepath.Join(from, name))
		if errors.Is(err, fs.ErrNotExist) {
			os.Remove(filepath.Join(to, name))
			continue
		}
		if err == nil {
			err = os.WriteFile(filepath.Join(to, name), b, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

// memberlist 8ea3fe8: a counter that begins again gives two things one name. Own feeds go on only in their own file.
//
// A backup that is copied over the very files it was made of has their names, their generation and their mark.
func TestADV_20_A_backup_copied_over_does_not_resume(t *testing.T) {
	if stampOf(t.TempDir()) == (stamp{}) {
		t.Skip("this system does not tell files apart")
	}
	for _, running := range []bool{true, false} {
		dir, backup, opt := t.TempDir(), t.TempDir(), Options{BootID: "a"}
		d := open(t, dir, opt)
		if running {
			copyFiles(t, dir, backup)
		}
		if err := d.Close(); err != nil {
			t.Fatal(err)
		}
		if !running {
			copyFiles(t, dir, backup)
		}
		if d = open(t, dir, opt); !d.Resumes() {
			t.Error("it does not resume where nothing was restored")
		}
		d.Close()
		copyFiles(t, backup, dir)
		if d = open(t, dir, opt); d.Resumes() {
			t.Errorf("a backup resumes; made while running: %v", running)
		}
		d.Close()
	}
}

// A reader sees what is in the log, also of who was killed; and one that is still there when the writer closes keeps the
// log from being written back, and all is well all the same.
func TestReadersAndTheLog(t *testing.T) {
	dir, opt := t.TempDir(), Options{BootID: "a"}
	d := open(t, dir, opt)
	if err := d.KeepScope(record.Scope{ID: 7, Room: room}); err != nil {
		t.Fatal(err)
	}
	a := newAuthor(t, 1)
	e := a.says(t, 1, text("x"))
	keep(t, d, e)
	killed := t.TempDir()
	copyFiles(t, dir, killed)
	if r, err := OpenReadOnly(killed); err != nil {
		t.Error(err)
	} else {
		wantPageOf(t, r, e)
		r.Close()
	}
	r, err := OpenReadOnly(dir)
	if err != nil {
		t.Fatal(err)
	}
	wantPageOf(t, r, e)
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	if d = open(t, dir, Options{BootID: "b"}); !d.Resumes() {
		t.Error("a closed database does not resume")
	}
	wantPage(t, d, Query{}, e)
}

func wantPageOf(t *testing.T, r Reader, want record.Entry) {
	t.Helper()
	if got, err := r.Page(Query{Scopes: []uint64{7}}); err != nil || len(got) != 1 || got[0].ID != want.ID {
		t.Errorf("%d records, %v", len(got), err)
	}
}

// Damage in the full text alone costs the full text, which is made anew; and a new feed.
func TestDamagedFullTextIsMadeAnew(t *testing.T) {
	dir := t.TempDir()
	d := open(t, dir, Options{BootID: "a"})
	if err := d.KeepScope(record.Scope{ID: 7, Room: room}); err != nil {
		t.Fatal(err)
	}
	a := newAuthor(t, 1)
	var all []record.Entry
	for i := range uint64(150) {
		all = append(all, a.says(t, i, text("needle "+strings.Repeat("straw ", int(i)))))
	}
	keep(t, d, all...)
	if _, err := d.indexSome(); err != nil {
		t.Fatal(err)
	}
	var page int64
	if err := d.read.QueryRow("SELECT rootpage FROM sqlite_schema WHERE name = 'words_data'").Scan(&page); err != nil {
		t.Fatal(err)
	}
	d.Close()
	if err := overwrite(filepath.Join(dir, fileName), 4096*(page-1)); err != nil {
		t.Fatal(err)
	}
	var log bytes.Buffer
	d = open(t, dir, Options{BootID: "a", Log: slog.New(slog.NewTextHandler(&log, nil))})
	if d.Resumes() || !strings.Contains(log.String(), "full text") {
		t.Errorf("resumes: %v; logged %q", d.Resumes(), log.String())
	}
	wantPage(t, d, Query{Search: "need"}, all...)
	for more := true; more; {
		var err error
		if more, err = d.indexSome(); err != nil {
			t.Fatal(err)
		}
	}
	wantPage(t, d, Query{Search: "need"}, all...)
	if trouble, err := quickCheck(d.read, ""); err != nil || trouble != "" {
		t.Errorf("%q, %v", trouble, err)
	}
}

// A row may get the number of one that was deleted; it gets into the full text like any other.
func TestSearchFindsRecordsWithTheRowsOfOthers(t *testing.T) {
	d := open(t, t.TempDir(), Options{})
	scope := record.Scope{ID: 7, Room: room}
	for range 2 {
		if err := d.KeepScope(scope); err != nil {
			t.Fatal(err)
		}
		a := newAuthor(t, 1)
		e := a.says(t, 1, text("needle"))
		keep(t, d, e, a.says(t, 2, text("hay")))
		if _, err := d.indexSome(); err != nil {
			t.Fatal(err)
		}
		wantPage(t, d, Query{Search: "needle"}, e)
		if err := d.Forget(7); err != nil {
			t.Fatal(err)
		}
	}
}

// A call is for what is kept and what is not at once; what the one refuses the other does not keep.
func TestEphemeralScopes(t *testing.T) {
	dir := t.TempDir()
	d := open(t, dir, Options{})
	err := errors.Join(d.KeepScope(record.Scope{ID: 7, Room: room}),
		d.KeepScope(record.Scope{ID: 8, Room: room, Ephemeral: true, Retention: record.Retention{Count: 1}}))
	if err != nil {
		t.Fatal(err)
	}
	a := newAuthor(t, 1)
	e1, e2, e3 := a.says(t, 1, text("needle 1")), a.says(t, 2, text("needle 2")), a.says(t, 3, text("needle 3"))
	if _, err := d.Append(start, []record.Batch{
		{Scope: 7, Records: []record.Entry{e1}}, {Scope: 8, Records: []record.Entry{e1, e3}},
	}); !errors.Is(err, ErrGap) {
		t.Errorf("a gap in memory: %v", err)
	}
	wantPage(t, d, Query{Scopes: []uint64{8}})
	floors, err := d.Append(start, []record.Batch{
		{Scope: 8, Records: []record.Entry{e1, e2}}, {Scope: 7, Records: []record.Entry{e1}},
	})
	if err != nil || len(floors) != 2 || len(floors[0]) != 1 || floors[0][0].Low != 2 || len(floors[1]) != 0 {
		t.Errorf("floors %v, %v", floors, err)
	}
	wantPage(t, d, Query{Scopes: []uint64{8}, Search: "needle"}, e1, e2)
	// It stays where it began.
	if err := d.KeepScope(record.Scope{ID: 7, Room: room, Ephemeral: true}); err != nil {
		t.Fatal(err)
	}
	if records, _, err := d.Counts(7); records != 1 || err != nil {
		t.Errorf("%d records, %v", records, err)
	}
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	d = open(t, dir, Options{})
	wantPage(t, d, Query{Scopes: []uint64{8}}, e1)
}

// What goes to memory waits for nothing that is done on the disk: who has the node's turn appends it.
func TestMemoryDoesNotWaitForTheDisk(t *testing.T) {
	d := open(t, t.TempDir(), Options{})
	if err := d.KeepScope(record.Scope{ID: 8, Room: room, Ephemeral: true}); err != nil {
		t.Fatal(err)
	}
	batch := record.Batch{Scope: 8, Records: []record.Entry{newAuthor(t, 1).says(t, 1, text("at once"))}}
	done := make(chan error, 1)
	d.mu.Lock() // as the full text is filled, or old records are given up
	go func() {
		_, err := d.Append(start, []record.Batch{batch})
		done <- err
	}()
	select {
	case err := <-done:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(10 * time.Second): // passes only if it waits
		t.Error("it waits")
	}
	d.mu.Unlock()
}

func TestFailuresOfTheDiskAreToldFromOurs(t *testing.T) {
	d := open(t, t.TempDir(), Options{})
	var failure *FailedError
	if err := failed("try", d.run("SELECT no_such_column FROM record")); err == nil || errors.As(err, &failure) {
		t.Errorf("a mistake of ours: %v", err)
	}
	if _, err := d.read.Exec("DELETE FROM record"); !errors.As(failed("try", err), &failure) {
		t.Errorf("a file that is not to be written: %v", err)
	}
	a := newAuthor(t, 1)
	if _, err := d.Append(start, []record.Batch{{Scope: 7, Records: []record.Entry{a.says(t, 1, text("x"))}}}); !errors.Is(err, ErrScope) {
		t.Errorf("an unknown scope: %v", err)
	}
}

// FuzzRow puts anything where a record was: it is passed over, and the others are read.
func FuzzRow(f *testing.F) {
	author := newAuthor(f, 1)
	first, second, third := author.says(f, 1, text("needle one")), author.says(f, 2, text("needle two")),
		author.says(f, 3, text("needle three"))
	f.Add([]byte{}, first.ID[:], []byte{}, int64(3))
	f.Add([]byte("x"), []byte("short"), []byte{9}, int64(-1))
	f.Add(second.Bytes(), second.ID[:], first.ID[:], int64(1)<<62)
	f.Add(second.Bytes()[:60], second.ID[:], second.ID[:], int64(0))
	f.Add(second.Bytes(), bytes.Repeat([]byte{9}, 16), []byte{}, int64(2))
	f.Add(third.Bytes(), second.ID[:], second.ID[:], int64(0))
	d, err := Open(f.TempDir(), Options{})
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { d.Close() })
	f.Fuzz(func(t *testing.T, b, rid, branch []byte, order int64) {
		if err := errors.Join(d.Forget(7), d.KeepScope(record.Scope{ID: 7, Room: room})); err != nil {
			t.Fatal(err)
		}
		keep(t, d, first, second, third)
		row := "UPDATE record SET bytes = ?, rid = ?, ord = ?, marks = 3 WHERE scope = 7 AND seq = 2"
		if err := d.run(row, bytesOrNone(b), bytesOrNone(rid), order); err != nil {
			t.Skip() // it is another one's id
		}
		if err := d.run("UPDATE chain SET branch = ? WHERE scope = 7", bytesOrNone(branch)); err != nil {
			t.Fatal(err)
		}
		rec, err := record.Parse(room, b) // the store checks no signature, nor what it is over
		whole := err == nil && rec.ID == second.ID && bytes.Equal(rid, second.ID[:])
		for _, q := range []Query{{}, {Kinds: true}, {Search: "needle"}, {Newest: true, Limit: 3}} {
			q.Scopes = []uint64{7}
			var got []record.Entry
			var err error
			fuzztest.Within(t, len(b)+len(rid)+len(branch), 64, 256<<10, func() { got, err = d.Page(q) })
			if err != nil || len(got) < 2 || len(got) == 3 && !whole {
				t.Errorf("%+v: %d records, %v", q, len(got), err)
			}
		}
		if _, err := d.Kept(7, room); err != nil {
			t.Error(err)
		}
		ids := []record.ID{first.ID, second.ID, third.ID}
		if got, err := d.Load(7, []record.Span{{Chain: first.Chain(), From: 1, To: 3}}, ids); err != nil || len(got) < 2 {
			t.Errorf("loaded %d, %v", len(got), err)
		}
		if _, err := d.indexSome(); err != nil {
			t.Error(err)
		}
		if _, err := d.Prune(start.Add(time.Hour)); err != nil {
			t.Error(err)
		}
	})
}

func bytesOrNone(b []byte) any {
	if b == nil {
		return []byte{}
	}
	return b
}

var argument = regexp.MustCompile(`\?\d?`)

// What a reading costs goes with what it brings, and not with what is kept: each finds its rows by an index.
func TestReadingsUseAnIndex(t *testing.T) {
	d := open(t, t.TempDir(), Options{})
	if err := d.KeepScope(record.Scope{ID: 7, Room: room, Retention: record.Retention{Count: 1}}); err != nil {
		t.Fatal(err)
	}
	a := newAuthor(t, 1)
	e := a.says(t, 1, text("x"))
	keep(t, d, e, a.says(t, 2, text("y")))
	_, e1 := d.Load(7, []record.Span{{Chain: e.Chain(), From: 1, To: 2}}, []record.ID{e.ID})
	_, e2 := d.Kept(7, room)
	_, e3 := d.Page(Query{Scopes: []uint64{7}, After: &Place{}, Newest: true, Limit: 1})
	_, e4 := d.Page(Query{Scopes: []uint64{7}, Search: "x"})
	_, e5 := d.Find([]uint64{7}, "abcd")
	_, e6 := d.Targets([]uint64{7}, []record.ID{e.ID})
	if err := errors.Join(e1, e2, e3, e4, e5, e6); err != nil {
		t.Fatal(err)
	}
	var texts []string
	for text := range d.of {
		texts = append(texts, text)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	for text := range d.write.prepared {
		texts = append(texts, text)
	}
	for _, text := range texts {
		if strings.HasPrefix(text, "BEGIN") || strings.HasPrefix(text, "COMMIT") || strings.HasPrefix(text, "PRAGMA") {
			continue
		}
		rows, err := d.read.Query("EXPLAIN QUERY PLAN " + argument.ReplaceAllString(text, "1"))
		err = eachRow(rows, err, func(rows *sql.Rows) error {
			var a, b, c int
			var step string
			err := rows.Scan(&a, &b, &c, &step)
			if strings.HasPrefix(step, "SCAN record") || strings.HasPrefix(step, "SCAN target") ||
				strings.HasPrefix(step, "SEARCH record USING INDEX record_order (scope=?)") && !strings.Contains(text, "ORDER BY ord") {
				t.Errorf("%s\n%s", step, text)
			}
			return err
		})
		if err != nil {
			t.Errorf("%v\n%s", err, text)
		}
	}
}
