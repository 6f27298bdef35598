package history

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"bcast/identity"
	"bcast/internal/record"
)

// author makes records of one feed.
type author struct {
	key  *identity.Key
	feed record.Feed
	seq  uint64
}

func newAuthor(t *testing.T, n byte) *author {
	t.Helper()
	key, err := identity.NewKey(rand.NewChaCha8([32]byte{n}))
	if err != nil {
		t.Fatal(err)
	}
	return &author{key: key, feed: record.Feed{Author: key.Public(), Epoch: uint64(n)}}
}

func (a *author) record(order uint64, size int) *record.Record {
	a.seq++
	h := record.Header{Feed: a.feed, Seq: a.seq, Order: order}
	body := []byte(fmt.Sprintf("%0*d", max(size, 1), a.seq))
	return record.Sign(a.key, record.RoomID{1}, []record.Draft{{Header: h, Body: body}})[0]
}

func TestLoadReturnsWhatIsKept(t *testing.T) {
	m, a, b := NewMemory(), newAuthor(t, 1), newAuthor(t, 2)
	var as []*record.Record
	for i := range 5 {
		as = append(as, a.record(uint64(i), 10))
	}
	one := b.record(2, 10)
	if _, err := m.Append(7, append(slices.Clone(as), one)); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		name  string
		scope uint64
		spans []record.Span
		ids   []record.ID
		want  []*record.Record
	}{
		{"a part", 7, []record.Span{{Feed: a.feed, From: 2, To: 3}}, nil, as[1:3]},
		{"beyond both ends", 7, []record.Span{{Feed: a.feed, From: 0, To: 99}}, nil, as},
		{"nothing there", 7, []record.Span{{Feed: a.feed, From: 6, To: 9}}, nil, nil},
		{"by id", 7, nil, []record.ID{one.ID, {9}}, []*record.Record{one}},
		{"another scope", 8, []record.Span{{Feed: a.feed, From: 1, To: 5}}, []record.ID{one.ID}, nil},
		{"an unknown feed", 7, []record.Span{{From: 1, To: 5}}, nil, nil},
	} {
		got, err := m.Load(test.scope, test.spans, test.ids)
		if err != nil || !slices.Equal(got, test.want) {
			t.Errorf("%s: got %d records, want %d (%v)", test.name, len(got), len(test.want), err)
		}
	}
}

func TestAllIsInTheRoomsOrder(t *testing.T) {
	m, a, b := NewMemory(), newAuthor(t, 1), newAuthor(t, 2)
	m.Append(1, []*record.Record{a.record(5, 1), a.record(9, 1)})
	m.Append(2, []*record.Record{b.record(7, 1), b.record(10, 1)})
	m.Append(1, []*record.Record{b.record(6, 1)})
	all, err := m.All(1, 2, 3)
	if err != nil || len(all) != 5 || !slices.IsSortedFunc(all, record.Compare) {
		t.Errorf("%d records, sorted: %v (%v)", len(all), slices.IsSortedFunc(all, record.Compare), err)
	}
}

func TestFullStoreForgetsTheFirstStored(t *testing.T) {
	m, a, b := NewMemory(), newAuthor(t, 1), newAuthor(t, 2)
	first := a.record(1000, 16<<10) // first stored, though last in order
	m.Append(1, []*record.Record{first, a.record(1001, 16<<10)})
	var floors []record.Floor
	for i := 0; len(floors) == 0; i++ {
		if i > 2000 {
			t.Fatal("nothing was forgotten")
		}
		floors, _ = m.Append(1, []*record.Record{b.record(uint64(i), 16<<10)})
	}
	if floors[0] != (record.Floor{Feed: a.feed, Low: 2}) {
		t.Errorf("floor %v, want feed a from 2", floors[0])
	}
	if got, _ := m.Load(1, []record.Span{{Feed: a.feed, From: 1, To: 9}}, []record.ID{first.ID}); len(got) != 1 {
		t.Errorf("%d records of a feed that begins at 2", len(got))
	}
	if all, _ := m.All(1); slices.Contains(all, first) {
		t.Error("a forgotten record is still listed")
	}
}

func TestForgetDropsAScope(t *testing.T) {
	m, a := NewMemory(), newAuthor(t, 1)
	m.Append(1, []*record.Record{a.record(1, 1)})
	m.Forget(1)
	if all, _ := m.All(1); len(all) != 0 {
		t.Errorf("%d records of a forgotten scope", len(all))
	}
}
