package history

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"bcast/identity"
	"bcast/identity/identitytest"
	"bcast/internal/record"
)

var (
	room  = record.RoomID{1}
	start = time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)
)

// author makes records of one feed.
type author struct {
	key  identity.Signer
	feed record.Feed
	seq  uint64
	prev record.ID
}

func newAuthor(tb testing.TB, n byte) *author {
	tb.Helper()
	seed := [32]byte{n}
	key, err := identity.KeyFromSeed(seed[:])
	if err != nil {
		tb.Fatal(err)
	}
	return &author{key: identitytest.Quick{Key: key}, feed: record.Feed{Author: key.Public(), Epoch: 1<<63 + uint64(n)}}
}

func (a *author) says(tb testing.TB, order uint64, posts ...record.Post) record.Entry {
	tb.Helper()
	a.seq++
	e := a.at(tb, a.seq, order, posts...)
	a.prev = e.ID
	return e
}

func (a *author) at(tb testing.TB, seq, order uint64, posts ...record.Post) record.Entry {
	tb.Helper()
	body, err := record.EncodePosts(posts)
	if err != nil {
		tb.Fatal(err)
	}
	h := record.Header{Feed: a.feed, Seq: seq, Prev: a.prev, Order: order, Wall: start.UnixNano() + int64(order)}
	return record.Entry{Record: record.Sign(a.key, room, []record.Draft{{Header: h, Body: body}})[0]}
}

func text(s string) record.Post { return record.Post{Kind: record.KindText, Text: s} }

// stores are the two implementations; what one does the other has to do.
var stores = map[string]func(testing.TB) Store{
	"memory": func(testing.TB) Store { return NewMemory() },
	"disk": func(tb testing.TB) Store {
		d, err := Open(tb.TempDir(), Options{BootID: "a"})
		if err != nil {
			tb.Fatal(err)
		}
		tb.Cleanup(func() { d.Close() })
		return d
	},
}

func onBoth(t *testing.T, test func(*testing.T, Store)) {
	for name, open := range stores {
		t.Run(name, func(t *testing.T) {
			s := open(t)
			if err := s.KeepScope(record.Scope{ID: 7, Room: room}); err != nil {
				t.Fatal(err)
			}
			test(t, s)
		})
	}
}

func keep(t *testing.T, s Store, entries ...record.Entry) []record.Floor {
	t.Helper()
	floors, err := s.Append(start, []record.Batch{{Scope: 7, Records: entries}})
	if err != nil {
		t.Fatal(err)
	}
	return floors[0]
}

func wantPage(t *testing.T, s Store, q Query, want ...record.Entry) {
	t.Helper()
	q.Scopes = append(q.Scopes, 7)
	got, err := s.Page(q)
	same := func(a, b record.Entry) bool { return a.ID == b.ID && slices.Equal(a.Bytes(), b.Bytes()) }
	if err != nil || !slices.EqualFunc(got, want, same) {
		t.Errorf("%+v: %d records, %v; want %d", q, len(got), err, len(want))
	}
}

func TestWhatIsKeptIsRead(t *testing.T) {
	onBoth(t, func(t *testing.T, s Store) {
		a, b := newAuthor(t, 1), newAuthor(t, 2)
		a1 := a.says(t, 10, record.Post{Kind: record.KindJoin, Nick: "alice"})
		a2 := a.says(t, 30, text("Hello, world"))
		b1 := b.says(t, 20, text("hello there"))
		b2 := b.says(t, 40, record.Post{Kind: record.KindEdit, Text: "hello you", Target: record.Ref{Record: b1.ID}})
		keep(t, s, a1, a2, b1)
		keep(t, s, b2, a2) // a2 once more: passed over
		wantPage(t, s, Query{}, a1, b1, a2, b2)
		wantPage(t, s, Query{Kinds: true}, b1, a2)
		wantPage(t, s, Query{Limit: 2}, a1, b1)
		wantPage(t, s, Query{Limit: 2, Newest: true}, a2, b2)
		wantPage(t, s, Query{After: &Place{20, b1.ID}}, a2, b2)
		wantPage(t, s, Query{Before: &Place{20, b1.ID}}, a1)
		wantPage(t, s, Query{Since: start.UnixNano() + 30}, a2, b2)
		wantPage(t, s, Query{Search: "hello wor", Kinds: true}, a2)
		wantPage(t, s, Query{Search: "HELLO"}, b1, a2, b2)
		wantPage(t, s, Query{Search: `"hello" OR x*`})
		wantPage(t, s, Query{Scopes: []uint64{7, 8}}, a1, b1, a2, b2)
		chain := a1.Chain()
		got, err := s.Load(7, []record.Span{{Chain: chain, From: 1, To: 9}}, []record.ID{b2.ID, {9}})
		if err != nil || len(got) != 3 || got[1].ID != a2.ID || got[2].ID != b2.ID || got[0].Kept != start.UnixNano() {
			t.Errorf("loaded %d, %v", len(got), err)
		}
		kept, err := s.Kept(7, room)
		if err != nil || len(kept.Chains) != 2 || len(kept.Standing) != 1 || kept.Order != 40 {
			t.Errorf("kept %+v, %v", kept, err)
		}
		for _, c := range kept.Chains {
			if c.Low != 1 || c.High != 2 || c.Heard != start.UnixNano() || c.Head.ID != a2.ID && c.Head.ID != b2.ID {
				t.Errorf("chain %+v", c)
			}
		}
		if found, err := s.Targets([]uint64{7}, []record.ID{b1.ID, a1.ID}); err != nil || len(found) != 1 || found[0].ID != b2.ID {
			t.Errorf("targets: %d, %v", len(found), err)
		}
		for _, n := range []int{4, 9, 26} {
			found, err := s.Find([]uint64{7}, a2.ID.String()[:n])
			if err != nil || len(found) != 1 || found[0].ID != a2.ID {
				t.Errorf("the first %d characters of an id find %d, %v", n, len(found), err)
			}
		}
		for _, nothing := range []string{"zzzzzzzz", "!", a2.ID.String() + "a", "AAAA"} {
			if found, err := s.Find([]uint64{7}, nothing); err != nil || len(found) != 0 {
				t.Errorf("%q finds %d, %v", nothing, len(found), err)
			}
		}
		if found, err := s.Find([]uint64{7}, ""); err != nil || len(found) != 2 {
			t.Errorf("nothing finds %d, %v", len(found), err)
		}
	})
}

func TestAllOrNothing(t *testing.T) {
	onBoth(t, func(t *testing.T, s Store) {
		a, b := newAuthor(t, 1), newAuthor(t, 2)
		a1, a2, a3 := a.says(t, 1, text("1")), a.says(t, 2, text("2")), a.says(t, 3, text("3"))
		other := a.at(t, 1, 9, text("another 1"))
		b1 := b.says(t, 1, text("b"))
		keep(t, s, a1)
		for _, c := range []struct {
			batches []record.Batch
			want    error
		}{
			{[]record.Batch{{Scope: 7, Records: []record.Entry{b1, a3}}}, ErrGap},
			{[]record.Batch{{Scope: 7, Records: []record.Entry{b1, other}}}, ErrTaken},
			{[]record.Batch{{Scope: 7, Records: []record.Entry{b1}}, {Scope: 8, Records: []record.Entry{b1}}}, ErrScope},
		} {
			if _, err := s.Append(start, c.batches); !errors.Is(err, c.want) {
				t.Errorf("got %v, want %v", err, c.want)
			}
			wantPage(t, s, Query{}, a1)
		}
		keep(t, s, a2, a3, b1)
		wantPage(t, s, Query{Limit: 9}, slices.SortedFunc(slices.Values([]record.Entry{a1, a2, a3, b1}), func(x, y record.Entry) int {
			return record.Compare(x.Record, y.Record)
		})...)
	})
}

func TestBranches(t *testing.T) {
	onBoth(t, func(t *testing.T, s Store) {
		a := newAuthor(t, 1)
		a1, a2, a3 := a.says(t, 1, text("1")), a.says(t, 2, text("2")), a.says(t, 3, text("3"))
		keep(t, s, a1, a2, a3)
		a.prev = a1.ID
		other := a.at(t, 2, 5, text("another 2"))
		other.Branch = other.ID
		split := record.Split{Chain: a1.Chain(), At: 2, Branch: a2.ID}
		if _, err := s.Append(start, []record.Batch{{Scope: 7, Splits: []record.Split{split}, Records: []record.Entry{other}}}); err != nil {
			t.Fatal(err)
		}
		wantPage(t, s, Query{}, a1, a2, a3, other)
		kept, err := s.Kept(7, room)
		if err != nil || len(kept.Chains) != 3 {
			t.Fatalf("%d chains, %v", len(kept.Chains), err)
		}
		for _, c := range kept.Chains {
			want := map[record.ID][2]uint64{{}: {1, 1}, a2.ID: {2, 3}, other.ID: {2, 2}}[c.Chain.Branch]
			if [2]uint64{c.Low, c.High} != want {
				t.Errorf("branch %v: %d to %d, want %v", c.Chain.Branch, c.Low, c.High, want)
			}
		}
		found, err := s.Load(7, []record.Span{{Chain: record.Chain{Feed: a.feed, Branch: a2.ID}, From: 1, To: 9}}, nil)
		if err != nil || len(found) != 2 || found[0].Branch != a2.ID {
			t.Errorf("the branch has %d, %v", len(found), err)
		}
		more := a.at(t, 4, 6, text("4"))
		more.Branch = a2.ID
		keep(t, s, more)
	})
}

// What own records follow is what it was before the restart: orders that are far off are passed over, one above the other
// is not.
func TestOrdersThatAreFollowed(t *testing.T) {
	onBoth(t, func(t *testing.T, s Store) {
		a, b := newAuthor(t, 1), newAuthor(t, 2)
		const plain = record.PlainOrder
		want := func(order uint64) {
			t.Helper()
			if kept, err := s.Kept(7, room); err != nil || kept.Order != order {
				t.Errorf("follows %d, %v, want %d", kept.Order, err, order)
			}
		}
		keep(t, s, b.says(t, record.MaxOrder, text("the year 6429")))
		want(0)
		keep(t, s, a.says(t, 10, text("now")), b.says(t, plain+1<<30, text("later")))
		want(10)
		keep(t, s, b.says(t, plain-1, text("the last that is plain")), a.says(t, plain, text("and on")), a.says(t, plain+7, text("and on")))
		want(plain + 7)
	})
}

func TestRetention(t *testing.T) {
	onBoth(t, func(t *testing.T, s Store) {
		a, b := newAuthor(t, 1), newAuthor(t, 2)
		if err := s.KeepScope(record.Scope{ID: 7, Room: room, Retention: record.Retention{Count: 4, Age: time.Hour}}); err != nil {
			t.Fatal(err)
		}
		var all []record.Entry
		for i := range uint64(5) {
			all = append(all, a.says(t, 2*i, text("a")))
		}
		floors := keep(t, s, all...)
		if len(floors) != 1 || floors[0].Low != 2 || floors[0].Chain != all[0].Chain() {
			t.Errorf("floors %+v", floors)
		}
		wantPage(t, s, Query{}, all[1:]...)
		b1 := b.says(t, 3, text("b"))
		if _, err := s.Append(start.Add(50*time.Minute), []record.Batch{{Scope: 7, Records: []record.Entry{b1}}}); err != nil {
			t.Fatal(err)
		}
		given, err := s.Prune(start.Add(70 * time.Minute))
		if err != nil || len(given[7]) != 1 || given[7][0].Low != 6 {
			t.Errorf("given %+v, %v", given, err)
		}
		wantPage(t, s, Query{}, b1)
		kept, err := s.Kept(7, room)
		if err != nil || len(kept.Chains) != 1 {
			t.Errorf("kept %+v, %v", kept.Chains, err)
		}
		again := []record.Batch{{Scope: 7, Records: []record.Entry{b1}}, {Scope: 7, Records: []record.Entry{a.at(t, 3, 99, text("again"))}}}
		told, err := s.Append(start, again)
		if err != nil || len(told[0]) != 1 || told[0][0] != (record.Floor{Chain: all[0].Chain(), Low: 6}) || len(told[1]) > 0 {
			t.Errorf("a number that was given up: %+v, %v", told, err)
		}
		keep(t, s, a.says(t, 100, text("goes on")))
		if records, bytes, err := s.Counts(7); records != 2 || bytes == 0 || err != nil {
			t.Errorf("%d records, %d bytes, %v", records, bytes, err)
		}
	})
}

func TestRostersAndLevels(t *testing.T) {
	onBoth(t, func(t *testing.T, s Store) {
		a := newAuthor(t, 1)
		alice, bob := identity.DeviceID{1}, identity.DeviceID{2}
		e := a.says(t, 1, text("x"))
		batch := record.Batch{
			Scope: 7, Records: []record.Entry{e},
			Rosters: []record.Roster{{Feed: a.feed, From: 1, Members: []identity.DeviceID{alice}},
				{Feed: a.feed, From: 5, Members: []identity.DeviceID{alice, bob}}},
			Levels: []record.Level{{Chain: e.Chain(), Device: bob, High: 9}, {Chain: e.Chain(), Device: alice, High: 3},
				{Chain: e.Chain(), Device: bob, High: 2}},
		}
		if _, err := s.Append(start, []record.Batch{batch}); err != nil {
			t.Fatal(err)
		}
		for seq, want := range map[uint64]int{1: 1, 4: 1, 5: 2, 99: 2} {
			if r, ok, err := s.Roster(7, a.feed, seq); err != nil || !ok || len(r.Members) != want {
				t.Errorf("roster of %d: %v %v %v", seq, r, ok, err)
			}
		}
		if _, ok, err := s.Roster(7, record.Feed{}, 1); ok || err != nil {
			t.Errorf("a roster of nobody: %v", err)
		}
		levels, err := s.Levels(7, e.Chain())
		want := []record.Level{{Chain: e.Chain(), Device: alice, High: 3}, {Chain: e.Chain(), Device: bob, High: 2}}
		if err != nil || !slices.Equal(levels, want) {
			t.Errorf("levels %v, %v", levels, err)
		}
		kept, err := s.Kept(7, room)
		if err != nil || len(kept.Rosters) != 2 || len(kept.Levels) != 2 {
			t.Errorf("kept %+v, %v", kept, err)
		}
	})
}

func TestScopes(t *testing.T) {
	onBoth(t, func(t *testing.T, s Store) {
		second := record.Scope{
			ID: 8, Room: room, Networks: [][16]byte{{1}, {2}}, Members: []identity.DeviceID{{3}},
			Retention: record.Retention{Age: time.Hour, Count: 5, Bytes: 6},
		}
		if err := errors.Join(s.KeepScope(second), s.KeepScope(record.Scope{ID: 9, Room: record.RoomID{2}})); err != nil {
			t.Fatal(err)
		}
		scopes, err := s.Scopes(room)
		if err != nil || len(scopes) != 2 || scopes[0].ID != 7 || !scopes[1].Equal(&second) {
			t.Errorf("scopes %+v, %v", scopes, err)
		}
		a := newAuthor(t, 1)
		e := a.says(t, 1, text("x"))
		keep(t, s, e)
		if err := s.Forget(7); err != nil {
			t.Fatal(err)
		}
		wantPage(t, s, Query{})
		if scopes, err := s.Scopes(room); err != nil || len(scopes) != 1 {
			t.Errorf("scopes %+v, %v", scopes, err)
		}
		if err := s.KeepScope(record.Scope{ID: 7, Room: room}); err != nil {
			t.Fatal(err)
		}
		keep(t, s, e) // from the beginning again
	})
}

// A Load brings so much and no more: who wants the rest asks again.
func TestLoadIsBounded(t *testing.T) {
	onBoth(t, func(t *testing.T, s Store) {
		a := newAuthor(t, 1)
		big := make([]byte, 16000)
		for i := range big {
			big[i] = 'x'
		}
		var all []record.Entry
		for i := range uint64(300) {
			all = append(all, a.says(t, i, text(string(big))))
		}
		keep(t, s, all...)
		got, err := s.Load(7, []record.Span{{Chain: all[0].Chain(), From: 1, To: 300}}, []record.ID{all[299].ID})
		size := 0
		for i, e := range got {
			size += len(e.Bytes())
			if e.ID != all[i].ID {
				t.Fatalf("record %d is out of place", i)
			}
		}
		if err != nil || size > LoadLimit || size < LoadLimit-20000 {
			t.Errorf("%d records, %d bytes, %v", len(got), size, err)
		}
	})
}

func BenchmarkAppend(b *testing.B) {
	for name, open := range stores {
		b.Run(name, func(b *testing.B) {
			s := open(b)
			if err := s.KeepScope(record.Scope{ID: 7, Room: room}); err != nil {
				b.Fatal(err)
			}
			a := newAuthor(b, 1)
			var batches []record.Batch
			for i := range b.N {
				if i%100 == 0 {
					batches = append(batches, record.Batch{Scope: 7})
				}
				last := &batches[len(batches)-1]
				last.Records = append(last.Records, a.says(b, uint64(i), text(fmt.Sprint("post number ", i))))
			}
			b.ResetTimer()
			for _, batch := range batches {
				if _, err := s.Append(start, []record.Batch{batch}); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "records/s")
		})
	}
}
