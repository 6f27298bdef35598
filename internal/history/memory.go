package history

import (
	"cmp"
	"maps"
	"math"
	"slices"
	"strings"
	"sync"
	"time"

	"bcast/identity"
	"bcast/internal/record"
)

// What a Memory keeps of a scope at most, whatever its retention says: memory is dearer than disk.
const (
	maxRecords = 20_000
	maxBytes   = 10 << 20
)

// Memory is a Store that forgets at the end of the process.
type Memory struct {
	mu     sync.RWMutex
	scopes map[uint64]*scope
	born   int
}

// scope is one room's records on one set of networks.
type scope struct {
	record.Scope
	own     *record.Feed // written last
	born    int
	stored  []item // in the order in which they were appended
	ordered []item // in the room's order
	chains  map[record.Chain]*run
	byID    map[record.ID]item
	bytes   int64
	rosters map[record.Feed][]record.Roster
	levels  map[record.Chain]map[identity.DeviceID]record.Level
	heads   map[record.Feed][]*record.Record // that prove forks
}

type item struct {
	record.Entry
	digest
}

// run is a chain's records, without gaps from number low.
type run struct {
	low   uint64
	items []item
	older []item // from before the chain began anew

	first  uint64 // of a branch: see record.ChainState
	before record.ID
}

func (r *run) high() uint64 { return r.low + uint64(len(r.items)) - 1 }

// NewMemory makes an empty store.
func NewMemory() *Memory { return &Memory{scopes: map[uint64]*scope{}} }

// KeepScope makes or changes a scope.
func (m *Memory) KeepScope(s record.Scope) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	known := m.scopes[s.ID]
	if known == nil {
		m.born++
		known = &scope{
			born: m.born, chains: map[record.Chain]*run{}, byID: map[record.ID]item{},
			rosters: map[record.Feed][]record.Roster{}, heads: map[record.Feed][]*record.Record{},
			levels: map[record.Chain]map[identity.DeviceID]record.Level{},
		}
		m.scopes[s.ID] = known
	}
	known.Scope = s
	return nil
}

// Forget drops a scope.
func (m *Memory) Forget(id uint64) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.scopes, id)
	return nil
}

// Append keeps batches.
func (m *Memory) Append(now time.Time, batches []record.Batch) ([][]record.Floor, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	plans, err := m.plan(now, batches)
	if err != nil {
		return nil, err
	}
	for _, p := range plans {
		p.carryOut()
	}
	for _, b := range batches {
		m.scopes[b.Scope].learn(b)
	}
	floors := make([][]record.Floor, len(batches))
	for i, b := range batches { // all that a scope gave up is told with the first of its batches
		p := plans.of(m.scopes[b.Scope])
		floors[i] = merge(p.given, p.shrink(math.MinInt64))
		p.given = nil
	}
	return floors, nil
}

// admits tells whether Append would keep batches.
func (m *Memory) admits(now time.Time, batches []record.Batch) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	_, err := m.plan(now, batches)
	return err
}

// plan is what Append will do. Nothing is done if any of it is refused.
func (m *Memory) plan(now time.Time, batches []record.Batch) (plans, error) {
	var made plans
	for _, b := range batches {
		s := m.scopes[b.Scope]
		if s == nil {
			return nil, ErrScope
		}
		p := made.of(s)
		for _, split := range b.Splits {
			if err := p.split(split); err != nil {
				return nil, err
			}
		}
		for _, e := range b.Records {
			e.Kept = now.UnixNano()
			if err := p.add(e); err != nil {
				return nil, err
			}
		}
	}
	return made, nil
}

// learn keeps what a batch says beside its records.
func (s *scope) learn(b record.Batch) {
	if b.Own != nil {
		own := *b.Own
		s.own = &own
	}
	for _, r := range b.Rosters {
		known := s.rosters[r.Feed]
		at, found := slices.BinarySearchFunc(known, r, compareRosters)
		if found {
			known[at] = r
		} else {
			s.rosters[r.Feed] = slices.Insert(known, at, r)
		}
	}
	s.keepHeads(b.Splits)
	for _, l := range b.Levels {
		if s.levels[l.Chain] == nil {
			s.levels[l.Chain] = map[identity.DeviceID]record.Level{}
		}
		s.levels[l.Chain][l.Device] = l
	}
}

// order puts an item into the room's order; most go behind the last.
func (s *scope) order(it item) {
	if n := len(s.ordered); n == 0 || compareItems(s.ordered[n-1], it) < 0 {
		s.ordered = append(s.ordered, it)
		return
	}
	at, _ := slices.BinarySearchFunc(s.ordered, it, compareItems)
	s.ordered = slices.Insert(s.ordered, at, it)
}

func compareItems(a, b item) int { return placeOf(a.Record).compare(placeOf(b.Record)) }

func (r *run) state(c record.Chain) record.ChainState {
	state := record.ChainState{Chain: c, Low: r.low, High: r.high(), First: r.first, Before: r.before}
	if n := len(r.items); n > 0 {
		state.Head, state.Heard = r.items[n-1].Record, r.items[n-1].Kept
	}
	return state
}

// Load returns those of the records asked for that are kept.
func (m *Memory) Load(id uint64, spans []record.Span, ids []record.ID) ([]record.Entry, error) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	s := m.scopes[id]
	if s == nil {
		return nil, nil
	}
	var found []record.Entry
	bytes := 0
	take := func(e record.Entry) bool {
		if bytes > 0 && bytes+len(e.Bytes()) > LoadLimit {
			return false
		}
		found, bytes = append(found, e), bytes+len(e.Bytes())
		return true
	}
	for _, span := range spans {
		r := s.chains[span.Chain]
		if r == nil || span.To < r.low {
			continue
		}
		from := min(max(span.From, r.low)-r.low, uint64(len(r.items)))
		for _, it := range r.items[from:max(from, min(span.To+1-r.low, uint64(len(r.items))))] {
			if !take(it.Entry) {
				return found, nil
			}
		}
	}
	for _, id := range ids {
		if it, known := s.byID[id]; known && !take(it.Entry) {
			break
		}
	}
	return found, nil
}

// Scopes are those of a room.
func (m *Memory) Scopes(room record.RoomID) ([]record.Scope, error) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	var found []*scope
	for _, s := range m.scopes {
		if s.Room == room {
			found = append(found, s)
		}
	}
	slices.SortFunc(found, func(a, b *scope) int { return cmp.Compare(a.born, b.born) })
	scopes := make([]record.Scope, len(found))
	for i, s := range found {
		scopes[i] = s.Scope
	}
	return scopes, nil
}

// Kept is what a conversation needs to go on.
func (m *Memory) Kept(id uint64, _ record.RoomID) (record.Kept, error) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	var kept record.Kept
	s := m.scopes[id]
	if s == nil {
		return kept, nil
	}
	kept.Own, kept.Gone = s.own, s.gone()
	for _, c := range slices.SortedFunc(maps.Keys(s.chains), record.Chain.Compare) {
		if r := s.chains[c]; len(r.items) > 0 {
			kept.Chains = append(kept.Chains, r.state(c))
		}
	}
	for _, c := range slices.SortedFunc(maps.Keys(s.levels), record.Chain.Compare) {
		kept.Levels = append(kept.Levels, s.levelsOf(c)...)
	}
	for _, it := range s.ordered {
		if it.marks&stands != 0 {
			kept.Standing = append(kept.Standing, it.Entry)
		}
		kept.Order = record.Follow(kept.Order, it.Header.Order)
	}
	for _, rosters := range s.rosters {
		kept.Rosters = append(kept.Rosters, rosters...)
	}
	slices.SortFunc(kept.Rosters, compareRosters)
	kept.Heads = slices.SortedFunc(slices.Values(slices.Concat(slices.Collect(maps.Values(s.heads))...)), compareHeads)
	return kept, nil
}

func compareRosters(a, b record.Roster) int {
	return cmp.Or(record.Chain{Feed: a.Feed}.Compare(record.Chain{Feed: b.Feed}), cmp.Compare(a.From, b.From))
}

func (s *scope) levelsOf(c record.Chain) []record.Level {
	var levels []record.Level
	for _, id := range slices.SortedFunc(maps.Keys(s.levels[c]), identity.DeviceID.Compare) {
		levels = append(levels, s.levels[c][id])
	}
	return levels
}

// Page returns what a query selects.
func (m *Memory) Page(q Query) ([]record.Entry, error) {
	words := wordsOf(q.Search)
	return q.cut(slices.DeleteFunc(m.selected(q), func(e record.Entry) bool {
		return q.Search != "" && !holds(textOf(e.Body), words)
	})), nil
}

// selected is what a query is for, whatever the words: those are looked for without the lock that an append waits for.
func (m *Memory) selected(q Query) []record.Entry {
	m.mu.RLock()
	defer m.mu.RUnlock()
	var found []record.Entry
	for _, id := range q.Scopes {
		if s := m.scopes[id]; s != nil {
			for _, it := range s.ordered {
				if q.selects(it.Record) && (!q.Kinds || it.marks&shows != 0) && (!q.Topics || it.marks&topics == topics) {
					found = append(found, it.Entry)
				}
			}
		}
	}
	return found
}

// selects tells whether a record is within the bounds of q.
func (q *Query) selects(r *record.Record) bool {
	at := placeOf(r)
	return (q.After == nil || at.compare(*q.After) > 0) && (q.Before == nil || at.compare(*q.Before) < 0) &&
		(q.Since == 0 || r.Header.Wall >= q.Since)
}

// cut puts what several scopes hold in order, each record once, and keeps what the limit allows.
func (q *Query) cut(found []record.Entry) []record.Entry {
	slices.SortStableFunc(found, func(a, b record.Entry) int { return placeOf(a.Record).compare(placeOf(b.Record)) })
	found = slices.CompactFunc(found, func(a, b record.Entry) bool { return a.ID == b.ID })
	switch {
	case q.Limit <= 0 || len(found) <= q.Limit:
	case q.Newest:
		found = found[len(found)-q.Limit:]
	default:
		found = found[:q.Limit]
	}
	return found
}

// Find returns records by the beginning of their ids.
func (m *Memory) Find(scopes []uint64, prefix string) ([]record.Entry, error) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	var found []record.Entry
	for _, id := range scopes {
		s := m.scopes[id]
		if s == nil {
			continue
		}
		for rid, it := range s.byID {
			if strings.HasPrefix(rid.String(), prefix) {
				found = append(found, it.Entry)
			}
		}
	}
	q := Query{Limit: 2}
	return q.cut(found), nil
}

// Targets returns the records that target others.
func (m *Memory) Targets(scopes []uint64, targets []record.ID) ([]record.Entry, error) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	var found []record.Entry
	for _, id := range scopes {
		if s := m.scopes[id]; s != nil {
			for _, it := range s.ordered {
				if slices.ContainsFunc(it.targets, func(t record.ID) bool { return slices.Contains(targets, t) }) {
					found = append(found, it.Entry)
				}
			}
		}
	}
	q := Query{}
	return q.cut(found), nil
}

// Roster is the one in force for a record.
func (m *Memory) Roster(id uint64, feed record.Feed, seq uint64) (record.Roster, bool, error) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	var found record.Roster
	known := false
	if s := m.scopes[id]; s != nil {
		for _, r := range s.rosters[feed] {
			if r.From <= seq && (!known || r.From >= found.From) {
				found, known = r, true
			}
		}
	}
	return found, known, nil
}

// Levels are how far devices told to have a chain.
func (m *Memory) Levels(id uint64, chain record.Chain) ([]record.Level, error) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	if s := m.scopes[id]; s != nil {
		return s.levelsOf(chain), nil
	}
	return nil, nil
}

// Counts is how much of a scope is kept.
func (m *Memory) Counts(id uint64) (int, int64, error) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	if s := m.scopes[id]; s != nil {
		return len(s.stored), s.bytes, nil
	}
	return 0, 0, nil
}

// Close forgets nothing and ends nothing.
func (m *Memory) Close() error { return nil }

// InMemory tells whether a scope is kept here, so that appending to it takes no time.
func (m *Memory) InMemory(scope uint64) bool {
	m.mu.RLock()
	defer m.mu.RUnlock()
	return m.scopes[scope] != nil
}
