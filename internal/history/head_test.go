package history

import (
	"path/filepath"
	"slices"
	"testing"
	"time"

	"bcast/internal/record"
)

// Of the heads that prove forks of a feed those with the lowest numbers stay, as long as a chain of it is remembered.
func TestHeadsOfForks(t *testing.T) {
	onBoth(t, func(t *testing.T, s Store) {
		a := newAuthor(t, 1)
		one := a.says(t, 1, text("one"))
		keep(t, s, one)
		var want []record.ID
		for i := range uint64(record.MaxHeads + 2) {
			seq := record.MaxHeads + 3 - i
			head := headOf(t, a.at(t, seq, seq, text("never comes")).Record)
			if seq <= record.MaxHeads+1 {
				want = append([]record.ID{head.ID}, want...)
			}
			keepHeads(t, s, head)
		}
		if got := headsIn(t, s); !slices.Equal(got, want) {
			t.Errorf("kept %v, want %v", got, want)
		}
		if err := s.KeepScope(record.Scope{ID: 7, Room: room, Retention: record.Retention{Age: time.Hour}}); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Prune(start.Add(2 * time.Hour)); err != nil {
			t.Fatal(err)
		}
		if got := headsIn(t, s); !slices.Equal(got, want) {
			t.Errorf("kept %v of a chain that is remembered, want %v", got, want)
		}
		if err := s.Forget(7); err != nil {
			t.Fatal(err)
		}
		if got := headsIn(t, s); len(got) != 0 {
			t.Errorf("kept %v of a scope that is forgotten", got)
		}
	})
}

// keepHeads tells a store of forks that are known by heads alone.
func keepHeads(t *testing.T, s Store, heads ...*record.Record) {
	t.Helper()
	split := record.Split{Chain: record.Chain{Feed: heads[0].Header.Feed}, At: heads[0].Header.Seq, Heads: heads}
	if _, err := s.Append(start, []record.Batch{{Scope: 7, Splits: []record.Split{split}}}); err != nil {
		t.Fatal(err)
	}
}

func headsIn(t *testing.T, s Store) (ids []record.ID) {
	t.Helper()
	kept, err := s.Kept(7, room)
	if err != nil {
		t.Fatal(err)
	}
	for _, h := range kept.Heads {
		ids = append(ids, h.ID)
	}
	return ids
}

// A database of before heads were kept keeps them, and has them when it is opened again.
func TestHeadsInADatabaseOfBefore(t *testing.T) {
	dir := t.TempDir()
	reopen := func() *Disk {
		d, err := Open(dir, Options{})
		if err != nil {
			t.Fatal(err)
		}
		return d
	}
	a := newAuthor(t, 1)
	one := a.says(t, 1, text("one"))
	d := reopen()
	if err := d.KeepScope(record.Scope{ID: 7, Room: room}); err != nil {
		t.Fatal(err)
	}
	keep(t, d, one)
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	if err := execute(filepath.Join(dir, fileName), "DROP TABLE head; PRAGMA user_version = 2"); err != nil {
		t.Fatal(err)
	}
	d = reopen()
	head := headOf(t, a.at(t, 2, 2, text("never comes")).Record)
	keepHeads(t, d, head)
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	d = reopen()
	defer d.Close()
	if got := headsIn(t, d); !slices.Equal(got, []record.ID{head.ID}) {
		t.Errorf("kept %v", got)
	}
	wantPage(t, d, Query{}, one)
}
