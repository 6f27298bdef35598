package history

import (
	"errors"
	"testing"
	"time"

	"bcast/internal/record"
)

// A chain may begin anew behind what nobody has any more: what was kept is read, but is of the chain no more, and goes
// first.
func TestAChainBeginsAnew(t *testing.T) {
	onBoth(t, func(t *testing.T, s Store) {
		a := newAuthor(t, 1)
		one, two := a.says(t, 10, text("one")), a.says(t, 20, text("two"))
		keep(t, s, one, two)
		a.seq = 8
		nine, ten := a.says(t, 90, text("nine")), a.says(t, 100, text("ten"))
		gap := []record.Batch{{Scope: 7, Records: []record.Entry{nine}}}
		if _, err := s.Append(start, gap); !errors.Is(err, ErrGap) {
			t.Errorf("a gap: %v", err)
		}
		nine.Anew = true
		keep(t, s, nine, ten)
		keep(t, s, nine, a.at(t, 5, 50, text("too late")))
		wantPage(t, s, Query{}, one, two, nine, ten)
		wantChain := func(low, high uint64) {
			t.Helper()
			kept, err := s.Kept(7, room)
			states, others := kept.Chains, kept.Gone
			if low > high {
				states, others = others, states
			}
			if err != nil || len(states) != 1 || len(others) != 0 || states[0].Low != low || states[0].High != high {
				t.Errorf("kept %+v, %v", kept, err)
			}
		}
		wantChain(9, 10)
		got, err := s.Load(7, []record.Span{{Chain: one.Chain(), From: 1, To: 20}}, nil)
		if err != nil || len(got) != 2 || got[0].ID != nine.ID {
			t.Errorf("%d records of the chain, %v", len(got), err)
		}
		prune := func(count int) {
			t.Helper()
			err := s.KeepScope(record.Scope{ID: 7, Room: room, Retention: record.Retention{Count: count, Age: time.Hour}})
			if err != nil {
				t.Fatal(err)
			}
			if _, err := s.Prune(start); err != nil {
				t.Fatal(err)
			}
		}
		prune(3)
		wantPage(t, s, Query{}, two, nine, ten)
		wantChain(9, 10)
		prune(1)
		wantPage(t, s, Query{}, ten)
		wantChain(10, 10)
		if _, err := s.Prune(start.Add(2 * time.Hour)); err != nil {
			t.Fatal(err)
		}
		wantChain(11, 10)
	})
}

// What is from before a chain began anew is of the branch, if its number is.
func TestASplitOfAChainThatBeganAnew(t *testing.T) {
	onBoth(t, func(t *testing.T, s Store) {
		a := newAuthor(t, 1)
		one, two := a.says(t, 10, text("one")), a.says(t, 20, text("two"))
		nine := a.at(t, 9, 90, text("nine"))
		nine.Anew = true
		keep(t, s, one, two, nine)
		split := record.Split{Chain: one.Chain(), At: 2, Branch: two.ID, Before: one.ID}
		if _, err := s.Append(start, []record.Batch{{Scope: 7, Splits: []record.Split{split}}}); err != nil {
			t.Fatal(err)
		}
		kept, err := s.Kept(7, room)
		if err != nil || len(kept.Chains) != 1 || kept.Chains[0].Chain.Branch != two.ID || kept.Chains[0].Low != 9 ||
			kept.Chains[0].First != 2 || kept.Chains[0].Before != one.ID {
			t.Errorf("kept %+v, %v", kept, err)
		}
		entries, err := s.Page(Query{Scopes: []uint64{7}})
		if err != nil || len(entries) != 3 || entries[0].Branch != (record.ID{}) || entries[1].Branch != two.ID {
			t.Errorf("%d records, %v", len(entries), err)
		}
		if _, err := s.Prune(start); err != nil {
			t.Fatal(err)
		}
	})
}

// Of chains that are gone so many are remembered; one stays as long as there is something to give up of it.
func TestGoneChainsAreForgottenOldestFirst(t *testing.T) {
	d := open(t, t.TempDir(), Options{})
	if err := d.KeepScope(record.Scope{ID: 7, Room: room}); err != nil {
		t.Fatal(err)
	}
	err := d.run(`WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 4100)
		INSERT INTO chain (scope, author, epoch, branch, low, high) SELECT 7, zeroblob(32), i, x'', 2, 1 FROM n`)
	if err == nil {
		err = d.run(`INSERT INTO record (chain, seq, scope, ord, rid, kept, wall, marks, bytes)
			SELECT min(id), 1, 7, 1, zeroblob(32), 1, 1, 0, x'00' FROM chain`)
	}
	if err == nil {
		err = d.forgetGone(7)
	}
	count, first := 0, 0
	if err == nil {
		d.mu.Lock() // the words are still being taken
		defer d.mu.Unlock()
		err = d.write.row("SELECT count(*), min(epoch) FROM chain", nil, &count, &first)
	}
	if err != nil || count != maxGone+1 || first != 1 {
		t.Errorf("%d chains, the first is %d, %v", count, first, err)
	}
}
