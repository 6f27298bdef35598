package chat

import (
	"cmp"
	"slices"

	"bcast/internal/record"
)

// waiting are records of one feed that wait behind a gap, sorted by number. A slice, because of nearly all feeds none
// waits, or one for a moment: of a thousand authors that said one record each nothing is left of it.
type waiting []*record.Record

// keptPlaces is of how many records the memory stays taken when none waits any more.
const keptPlaces = 16

func (h waiting) search(seq uint64) (int, bool) {
	return slices.BinarySearchFunc(h, seq, func(rec *record.Record, seq uint64) int {
		return cmp.Compare(rec.Header.Seq, seq)
	})
}

// at is the record with a number; nil: it does not wait.
func (h waiting) at(seq uint64) *record.Record {
	if i, known := h.search(seq); known {
		return h[i]
	}
	return nil
}

// put adds a record of which no other has the number.
func (h *waiting) put(rec *record.Record) {
	i, _ := h.search(rec.Header.Seq)
	*h = slices.Insert(*h, i, rec)
}

// take removes the record with a number, which waits.
func (h *waiting) take(seq uint64) *record.Record {
	i, _ := h.search(seq)
	rec := (*h)[i]
	if *h = slices.Delete(*h, i, i+1); len(*h) == 0 && cap(*h) > keptPlaces {
		*h = nil
	}
	return rec
}

// numbers are those of all that wait, in order.
func (h waiting) numbers() []uint64 {
	all := make([]uint64, len(h))
	for i, rec := range h {
		all[i] = rec.Header.Seq
	}
	return all
}
