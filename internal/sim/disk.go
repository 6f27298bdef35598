package sim

import (
	"errors"
	"maps"
	"math"
	"slices"
	"time"

	"bcast/identity"
	"bcast/internal/engine"
	"bcast/internal/record"
)

// disk is what lasts of a device over its processes: a database as engines see it, of which a loss of power may take
// what was written last.
type disk struct {
	image
	full   bool                   // every write is synced before it is confirmed; else only now and then
	since  []*past                // of each write since the last sync, in order: what a loss of power brings back
	broken bool                   // writes fail
	left   *write                 // one that failed, and that the next process finds all the same
	given  map[record.Chain]given // what was given up last
}

// given says that what is below low was given up, and when.
type given struct {
	low uint64
	at  time.Duration
}

// syncEach is after how many writes a disk that is not full is synced.
const syncEach = 40

var errDisk = errors.New("disk is broken")

// write is one transaction: one of these.
type write struct {
	scope  *record.Scope
	batch  *record.Batch
	forget engine.ScopeID
	own    record.Chain // the own feed that the batch continues
	at     int64        // when, by the device's clock
	now    time.Duration
}

func newDisk(full bool) *disk {
	return &disk{full: full, given: map[record.Chain]given{}}
}

// do carries out a write that its writer is told the end of. One that fails may be left, as when the sync of a log
// fails: as in SQLite its process does not see it and writes the next in its place; if there is no next one, who opens
// the disk then finds it.
func (d *disk) do(w write, leave bool) ([]record.Floor, error) {
	if d.broken {
		if leave {
			d.left = &w
		}
		return nil, errDisk
	}
	d.left = nil
	return d.apply(w)
}

// reopen has the next process find what was left, and tells which batch that was.
func (d *disk) reopen() (*record.Batch, error) {
	w := d.left
	if w == nil {
		return nil, nil
	}
	d.left = nil
	_, err := d.apply(*w)
	return w.batch, err
}

// gaveUp tells whether a record was given up since a moment: what was said of it before may still be on its way out.
func (d *disk) gaveUp(c record.Chain, seq uint64, since time.Duration) bool {
	g := d.given[c]
	return seq < g.low && g.at >= since
}

func (d *disk) apply(w write) ([]record.Floor, error) {
	var before *past
	if !d.full {
		before = new(past)
	}
	floors, err := d.image.apply(w, before)
	for _, f := range floors {
		d.given[f.Chain] = given{f.Low, w.now}
	}
	if w.batch != nil {
		for _, e := range w.batch.Records {
			if e.Anew {
				d.given[e.Chain()] = given{e.Header.Seq, w.now}
			}
		}
	}
	if err != nil || d.full {
		return floors, err
	}
	if d.since = append(d.since, before); len(d.since) >= syncEach {
		d.sync()
	}
	return floors, nil
}

func (d *disk) sync() { d.since = nil }

// losePower takes some of what was written last, and tells how many writes it took.
func (d *disk) losePower(keep int) (lost int) {
	for _, p := range slices.Backward(d.since[keep:]) {
		d.image.revert(p)
	}
	if lost = len(d.since) - keep; lost > 0 {
		d.left = nil
	}
	d.sync()
	return lost
}

// replace puts another image in, as who restores a backup does.
func (d *disk) replace(i image) { d.image, d.since, d.left = i, nil, nil }

// seal notes that of the feeds that are there nobody can tell whether they are whole.
func (d *disk) seal() {
	for _, s := range d.scopes {
		s.own = record.Chain{}
	}
}

// image is what a disk holds.
type image struct {
	scopes []*keptScope // in the order in which they began
}

type keptScope struct {
	record.Scope
	chains   map[record.Chain]*run
	order    []*run // in which they began
	arrived  []*run // of each record, for retention: the oldest first
	standing []record.Entry
	rosters  []record.Roster
	levels   map[record.Chain]*levels
	heads    []*record.Record // that prove forks
	maxOrder uint64
	own      record.Chain // our feed that was written last; zero: it may not be continued
	bytes    int64
}

// levels are how far devices told to have a chain, sorted by device.
type levels struct{ of []level }

type level struct {
	device identity.DeviceID
	high   uint64 // or untold
}

// untold is the level of a device whose word a loss of power took.
const untold = math.MaxUint64

func compareLevel(l level, device identity.DeviceID) int { return l.device.Compare(device) }

// run is a chain's records, without gaps from number low.
type run struct {
	chain   record.Chain
	low     uint64
	entries []record.Entry
	older   []record.Entry // from before the chain began anew

	first  uint64 // of a branch: see record.ChainState
	before record.ID
}

func (r *run) high() uint64 { return r.low + uint64(len(r.entries)) - 1 }

// has tells whether the run holds a number.
func (r *run) has(seq uint64) bool { return r != nil && seq >= r.low && seq <= r.high() }

// copied shares the records, which never change.
func (r run) copied() run {
	r.entries, r.older = slices.Clip(r.entries), slices.Clip(r.older)
	return r
}

// copied shares what only grows, and the maps.
func (s keptScope) copied() keptScope {
	s.order, s.arrived, s.heads = slices.Clip(s.order), slices.Clip(s.arrived), slices.Clip(s.heads)
	s.standing, s.rosters = slices.Clip(s.standing), slices.Clip(s.rosters)
	return s
}

// clone shares the records.
func (i *image) clone() image {
	c := image{scopes: make([]*keptScope, len(i.scopes))}
	for at, s := range i.scopes {
		k := s.copied()
		k.chains = maps.Clone(s.chains)
		of := map[*run]*run{}
		for id, r := range k.chains {
			copied := r.copied()
			k.chains[id], of[r] = &copied, &copied
		}
		k.order, k.arrived = slices.Clone(s.order), slices.Clone(s.arrived)
		for _, runs := range [][]*run{k.order, k.arrived} {
			for i, r := range runs {
				runs[i] = of[r]
			}
		}
		k.levels = maps.Clone(s.levels)
		for id, ls := range k.levels {
			k.levels[id] = &levels{slices.Clone(ls.of)}
		}
		c.scopes[at] = &k
	}
	return c
}

func (i *image) scope(id engine.ScopeID) *keptScope {
	for _, s := range i.scopes {
		if s.ID == uint64(id) {
			return s
		}
	}
	return nil
}

// apply carries out a write and notes what it changes; before is nil if nobody wants to know.
func (i *image) apply(w write, before *past) ([]record.Floor, error) {
	before.list(i)
	switch {
	case w.scope != nil:
		s := i.begin(w.scope.ID)
		before.scope(s)
		s.Scope = *w.scope
	case w.batch != nil:
		s := i.begin(w.batch.Scope)
		before.scope(s)
		if w.own != (record.Chain{}) {
			s.own = w.own
		}
		return s.append(w.batch, w.at, before)
	default:
		i.scopes = slices.DeleteFunc(slices.Clone(i.scopes), func(s *keptScope) bool { return s.ID == uint64(w.forget) })
	}
	return nil, nil
}

// begin is the scope of that id; what it is may be told later, and if that is lost nobody asks for it.
func (i *image) begin(id uint64) *keptScope {
	s := i.scope(engine.ScopeID(id))
	if s == nil {
		s = &keptScope{
			Scope: record.Scope{ID: id}, chains: map[record.Chain]*run{}, levels: map[record.Chain]*levels{},
		}
		i.scopes = append(i.scopes, s)
	}
	return s
}

// append keeps a batch and gives up what is too much for it.
func (s *keptScope) append(b *record.Batch, now int64, before *past) ([]record.Floor, error) {
	for _, split := range b.Splits {
		s.heads = append(s.heads, split.Heads...)
		if err := s.split(split, before); err != nil {
			return nil, err
		}
	}
	var floors []record.Floor
	for _, e := range b.Records {
		e.Kept = now
		if err := s.add(e, before); err != nil {
			return nil, err
		}
		if low := s.chains[e.Chain()].low; e.Header.Seq < low { // it was given up since: who brings it does not know
			floors = append(floors, record.Floor{Chain: e.Chain(), Low: low})
		}
	}
	s.rosters = append(s.rosters, b.Rosters...)
	for _, l := range b.Levels {
		s.setLevel(l, before)
	}
	for s.tooMuch() {
		floors = append(floors, s.giveUp(before))
	}
	return floors, nil
}

func (s *keptScope) setLevel(l record.Level, before *past) {
	ls := s.levels[l.Chain]
	if ls == nil {
		ls = new(levels)
		s.levels[l.Chain] = ls
	}
	at, known := slices.BinarySearchFunc(ls.of, l.Device, compareLevel)
	if !known {
		ls.of = slices.Insert(ls.of, at, level{l.Device, untold})
	}
	before.level(ls, ls.of[at])
	ls.of[at].high = l.High
}

func (s *keptScope) add(e record.Entry, before *past) error {
	c, seq := e.Chain(), e.Header.Seq
	r := s.chains[c]
	before.run(s, c)
	switch {
	case r == nil:
		r = &run{chain: c, low: seq}
		if !c.Branch.IsZero() {
			r.first, r.before = seq, e.Header.Prev
		}
		s.chains[c] = r
		s.order = append(s.order, r)
	case seq < r.low:
		return nil // it was given up
	case r.has(seq) && r.entries[seq-r.low].ID == e.ID:
		return nil
	case r.has(seq):
		return errors.New("another record has that number")
	case seq > r.high()+1 && !e.Anew:
		return errors.New("a gap")
	case seq > r.high()+1:
		r.older = slices.Concat(r.older, r.entries)
		r.low, r.entries = seq, nil
	}
	r.entries = append(r.entries, e)
	s.arrived = append(s.arrived, r)
	s.bytes += int64(len(e.Bytes()))
	s.maxOrder = record.Follow(s.maxOrder, e.Header.Order)
	if isStanding(e.Record) {
		s.standing = append(s.standing, e)
	}
	return nil
}

// standing are the kinds of which a store tells who begins: who is a member under which nick, the topic and the keys.
const standing = 1<<record.KindJoin | 1<<record.KindLeave | 1<<record.KindNick | 1<<record.KindTopic |
	1<<record.KindRekey

// isStanding tells whether a record holds a post of these kinds.
func isStanding(rec *record.Record) bool {
	if kinds, plain := rec.PlainKinds(); plain {
		return kinds&standing != 0
	}
	posts, err := rec.Posts()
	return err == nil && slices.ContainsFunc(posts, func(p record.Post) bool { return 1<<p.Kind&standing != 0 })
}

// split makes the end of a chain a branch of its own.
func (s *keptScope) split(sp record.Split, before *past) error {
	r := s.chains[sp.Chain]
	if sp.Branch.IsZero() || r == nil || sp.At > r.high() {
		return nil
	}
	to := record.Chain{Feed: sp.Chain.Feed, Branch: sp.Branch}
	if s.chains[to] != nil {
		return errors.New("the branch is there")
	}
	before.run(s, sp.Chain)
	before.run(s, to)
	at := max(sp.At, r.low) - r.low
	branch := &run{chain: to, low: r.low + at, entries: slices.Clone(r.entries[at:]), first: sp.At, before: sp.Before}
	older := slices.IndexFunc(r.older, func(e record.Entry) bool { return e.Header.Seq >= sp.At })
	if older >= 0 {
		branch.older, r.older = slices.Clone(r.older[older:]), slices.Clip(r.older[:older])
	}
	for _, moved := range [][]record.Entry{branch.older, branch.entries} {
		for i := range moved {
			moved[i].Branch = sp.Branch
		}
	}
	s.standing = slices.Clone(s.standing)
	for i, m := range s.standing {
		if m.Chain() == sp.Chain && m.Header.Seq >= sp.At {
			s.standing[i].Branch = sp.Branch
		}
	}
	r.entries = r.entries[:at:at]
	moved, left := len(branch.older)+len(branch.entries), slices.Clone(s.arrived)
	for i := len(left) - 1; i >= 0 && moved > 0; i-- {
		if left[i] == r {
			left[i], moved = branch, moved-1
		}
	}
	s.arrived = left
	s.chains[to] = branch
	s.order = append(s.order, branch)
	r.low = min(r.low, sp.At)
	if len(r.entries)+len(r.older) == 0 {
		delete(s.chains, sp.Chain)
		s.order = slices.DeleteFunc(slices.Clone(s.order), func(o *run) bool { return o == r })
	}
	return nil
}

func (s *keptScope) tooMuch() bool {
	keep := s.Retention
	return keep.Count > 0 && len(s.arrived) > keep.Count || keep.Bytes > 0 && s.bytes > keep.Bytes
}

// giveUp forgets the record that came first. It is the first that is left of its chain, since chains have no gaps.
func (s *keptScope) giveUp(before *past) record.Floor {
	r := s.arrived[0]
	s.arrived = s.arrived[1:]
	before.run(s, r.chain)
	var e record.Entry
	if len(r.older) > 0 {
		e, r.older = r.older[0], r.older[1:]
	} else {
		e = r.entries[0]
		r.low, r.entries = r.low+1, r.entries[1:]
	}
	s.bytes -= int64(len(e.Bytes()))
	if at := slices.IndexFunc(s.standing, func(m record.Entry) bool { return m.ID == e.ID }); at >= 0 {
		s.standing = slices.Delete(slices.Clone(s.standing), at, at+1)
	}
	return record.Floor{Chain: r.chain, Low: r.low}
}

// kept is what a conversation goes on from.
func (s *keptScope) kept() engine.KeptScope {
	k := engine.KeptScope{Scope: s.Scope}
	k.Standing, k.Rosters, k.Heads = slices.Clone(s.standing), slices.Clone(s.rosters), slices.Clone(s.heads)
	slices.SortStableFunc(k.Standing, func(a, b record.Entry) int { return record.Compare(a.Record, b.Record) })
	if s.own != (record.Chain{}) {
		k.Own = &s.own.Feed
	}
	k.Order = s.maxOrder
	for _, c := range slices.SortedFunc(maps.Keys(s.levels), record.Chain.Compare) {
		for _, l := range s.levels[c].of {
			if l.high != untold {
				k.Levels = append(k.Levels, record.Level{Chain: c, Device: l.device, High: l.high})
			}
		}
	}
	for _, r := range s.order {
		state := record.ChainState{Chain: r.chain, Low: r.low, High: r.high(), First: r.first, Before: r.before}
		if len(r.entries) > 0 {
			last := r.entries[len(r.entries)-1]
			state.Head, state.Heard = last.Record, last.Kept
			k.Chains = append(k.Chains, state)
		} else {
			k.Gone = append(k.Gone, state)
		}
	}
	return k
}

// holds tells whether a disk has a number of a chain, in any scope.
func (i *image) holds(c record.Chain, seq uint64) bool {
	return slices.ContainsFunc(i.scopes, func(s *keptScope) bool { return s.chains[c].has(seq) })
}

// loadLimit is how many bytes of records a store brings at once.
const loadLimit = 4 << 20

// load brings what is asked for. By id it finds what is known to the checker, which spares an index.
func (i *image) load(l engine.Load, known map[record.ID]*record.Record) []record.Entry {
	s := i.scope(l.Scope)
	if s == nil {
		return nil
	}
	var found []record.Entry
	bytes := 0
	take := func(e record.Entry) {
		if bytes < loadLimit {
			found = append(found, e)
			bytes += len(e.Bytes())
		}
	}
	for _, span := range l.Ranges {
		if r := s.chains[span.Chain]; r != nil && len(r.entries) > 0 {
			for seq := max(span.From, r.low); seq <= min(span.To, r.high()); seq++ {
				take(r.entries[seq-r.low])
			}
		}
	}
	for _, id := range l.IDs {
		if rec := known[id]; rec != nil {
			for _, r := range s.order {
				if r.chain.Feed == rec.Header.Feed && r.has(rec.Header.Seq) && r.entries[rec.Header.Seq-r.low].ID == id {
					take(r.entries[rec.Header.Seq-r.low])
				}
			}
		}
	}
	return found
}
