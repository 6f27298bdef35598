package chat

import (
	"math/rand/v2"
	"slices"
	"testing"

	"bcast/internal/record"
)

// TestWaiting holds what waits behind a gap against a map, and sees that the memory of many does not stay taken.
func TestWaiting(t *testing.T) {
	dice := rand.New(rand.NewPCG(1, 2))
	var h waiting
	want := map[uint64]*record.Record{}
	for range 20_000 {
		seq := dice.Uint64N(64)
		if want[seq] == nil {
			want[seq] = &record.Record{Header: record.Header{Seq: seq}}
			h.put(want[seq])
		} else if h.take(seq) != want[seq] {
			t.Fatalf("another record than number %d was taken", seq)
		} else {
			delete(want, seq)
		}
		if other := dice.Uint64N(64); h.at(other) != want[other] {
			t.Fatalf("number %d waits or not", other)
		}
	}
	if all := h.numbers(); len(all) != len(want) || !slices.IsSorted(all) {
		t.Errorf("%d wait in order, want %d", len(all), len(want))
	}
	for _, seq := range h.numbers() {
		h.take(seq)
	}
	if cap(h) != 0 {
		t.Errorf("there is still memory for %d", cap(h))
	}
}
