// Package history keeps records: what was received and made is appended, and loaded again by number, by id or in the
// room's order.
//
// Its invariant: a record is kept as the bytes that came, and within a feed what is kept has no gaps. It checks no
// signature and decides nothing about the conversation.
package history

import (
	"slices"

	"bcast/internal/record"
)

// Limits of one scope in memory. Reached, the records that were stored first are given up; a feed then begins later.
const (
	maxRecords = 20_000
	maxBytes   = 16 << 20
)

// Memory is a store that forgets at the end of the process. It belongs to one goroutine.
type Memory struct {
	scopes map[uint64]*scope
}

// scope is one room's records on one set of networks.
type scope struct {
	stored  []*record.Record // in the order in which they were appended
	ordered []*record.Record // in the room's order
	feeds   map[record.Feed]*run
	byID    map[record.ID]*record.Record
	bytes   int
}

// run is a feed's records, without gaps from number low.
type run struct {
	low     uint64
	records []*record.Record
}

// NewMemory makes an empty store.
func NewMemory() *Memory { return &Memory{scopes: map[uint64]*scope{}} }

// Append keeps records, each of which continues its feed, and tells which feeds begin later because of it.
func (m *Memory) Append(id uint64, records []*record.Record) ([]record.Floor, error) {
	s := m.scopes[id]
	if s == nil {
		s = &scope{feeds: map[record.Feed]*run{}, byID: map[record.ID]*record.Record{}}
		m.scopes[id] = s
	}
	for _, rec := range records {
		s.add(rec)
	}
	var floors []record.Floor
	for len(s.stored) > maxRecords || s.bytes > maxBytes {
		floors = append(floors, s.forgetFirst())
	}
	return floors, nil
}

func (s *scope) add(rec *record.Record) {
	r := s.feeds[rec.Header.Feed]
	if r == nil {
		r = &run{low: rec.Header.Seq}
		s.feeds[rec.Header.Feed] = r
	}
	r.records = append(r.records, rec)
	s.stored = append(s.stored, rec)
	at, _ := slices.BinarySearchFunc(s.ordered, rec, record.Compare)
	s.ordered = slices.Insert(s.ordered, at, rec)
	s.byID[rec.ID] = rec
	s.bytes += len(rec.Bytes())
}

// forgetFirst gives up the record that was stored first. It is the first of its feed, since feeds have no gaps.
func (s *scope) forgetFirst() record.Floor {
	rec := s.stored[0]
	s.stored = s.stored[1:]
	r := s.feeds[rec.Header.Feed]
	r.low, r.records = r.low+1, r.records[1:]
	at, _ := slices.BinarySearchFunc(s.ordered, rec, record.Compare)
	s.ordered = slices.Delete(s.ordered, at, at+1)
	delete(s.byID, rec.ID)
	s.bytes -= len(rec.Bytes())
	return record.Floor{Feed: rec.Header.Feed, Low: r.low}
}

// Load returns those of the records asked for that are kept: the spans' in order, then those by id.
func (m *Memory) Load(id uint64, spans []record.Span, ids []record.ID) ([]*record.Record, error) {
	s := m.scopes[id]
	if s == nil {
		return nil, nil
	}
	var found []*record.Record
	for _, span := range spans {
		r := s.feeds[span.Feed]
		if r == nil || span.To < r.low {
			continue
		}
		from := max(span.From, r.low) - r.low
		to := min(span.To+1-r.low, uint64(len(r.records)))
		if from < to {
			found = append(found, r.records[from:to]...)
		}
	}
	for _, id := range ids {
		if rec := s.byID[id]; rec != nil {
			found = append(found, rec)
		}
	}
	return found, nil
}

// All returns what is kept of the scopes in the room's order.
func (m *Memory) All(ids ...uint64) ([]*record.Record, error) {
	var all []*record.Record
	for _, id := range ids {
		if s := m.scopes[id]; s != nil {
			all = append(all, s.ordered...)
		}
	}
	if len(ids) > 1 {
		slices.SortFunc(all, record.Compare)
	}
	return all, nil
}

// Forget drops a scope.
func (m *Memory) Forget(id uint64) { delete(m.scopes, id) }
