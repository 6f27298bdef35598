package history

import (
	"maps"
	"math"
	"slices"
	"time"

	"bcast/internal/record"
)

// shrink gives up the oldest: while they are too many or too large, and those kept before oldest.
func (s *scope) shrink(oldest int64) []record.Floor {
	count, bytes := int64(maxRecords), int64(maxBytes)
	if s.Retention.Count > 0 {
		count = min(count, int64(s.Retention.Count))
	}
	if s.Retention.Bytes > 0 {
		bytes = min(bytes, s.Retention.Bytes)
	}
	tooMany, tooLarge := passes(int64(len(s.stored)), count), passes(s.bytes, bytes)
	return s.giveUp(func() bool {
		return tooMany && int64(len(s.stored)) > count || tooLarge && s.bytes > bytes || s.stored[0].Kept < oldest
	})
}

// giveUp forgets the records that were stored first while there are too many. Each is the first that is left of its
// chain, since chains have no gaps.
func (s *scope) giveUp(tooMany func() bool) []record.Floor {
	low := map[record.Chain]uint64{}
	for len(s.stored) > 0 && tooMany() {
		it := s.stored[0]
		s.stored = s.stored[1:]
		r := s.chains[it.Chain()]
		if len(r.older) > 0 {
			r.older = r.older[1:]
		} else {
			r.low, r.items = r.low+1, r.items[1:]
		}
		low[it.Chain()] = r.low
		if s.ordered[0].ID == it.ID { // as good as always: what came first was said first
			s.ordered = s.ordered[1:]
		} else {
			at, _ := slices.BinarySearchFunc(s.ordered, it, compareItems)
			s.ordered = slices.Delete(s.ordered, at, at+1)
		}
		delete(s.byID, it.ID)
		s.bytes -= int64(len(it.Bytes()))
	}
	return floorsOf(low)
}

func floorsOf(low map[record.Chain]uint64) []record.Floor {
	var floors []record.Floor
	for _, c := range slices.SortedFunc(maps.Keys(low), record.Chain.Compare) {
		floors = append(floors, record.Floor{Chain: c, Low: low[c]})
	}
	return floors
}

// Prune gives up what is too old, and what is too much where nothing is appended any more.
func (m *Memory) Prune(now time.Time) (map[uint64][]record.Floor, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	given := map[uint64][]record.Floor{}
	for id, s := range m.scopes {
		oldest := int64(math.MinInt64)
		if s.Retention.Age > 0 {
			oldest = now.Add(-s.Retention.Age).UnixNano()
		}
		if floors := s.shrink(oldest); len(floors) > 0 {
			given[id] = floors
		}
		s.forgetGone()
	}
	return given, nil
}

// forgetGone forgets chains of which nothing is kept where there are more than maxGone, and heads of feeds that have no
// chain any more.
func (s *scope) forgetGone() {
	gone := s.gone()
	for _, f := range gone[min(maxGone, len(gone)):] {
		if len(s.chains[f.Chain].older) == 0 { // else there is something to give up yet
			delete(s.chains, f.Chain)
		}
	}
	s.forgetHeads()
}

// gone are the chains of which nothing is kept any more.
func (s *scope) gone() []record.ChainState {
	var gone []record.ChainState
	for _, c := range slices.SortedFunc(maps.Keys(s.chains), record.Chain.Compare) {
		if r := s.chains[c]; len(r.items) == 0 {
			gone = append(gone, r.state(c))
		}
	}
	return gone
}
