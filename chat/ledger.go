package chat

import (
	"bytes"
	"cmp"
	"slices"
	"time"

	"bcast/identity"
	"bcast/internal/record"
	"bcast/internal/wire"
)

// ledger is who has what: how far each member told us to have each chain, and against whom our own posts count. Nothing
// is in it that a member's own signed frames did not say.
//
// The store follows: a roster goes with the record that it is made for, levels go many at once and later, for a receipt
// must not cost a transaction.
type ledger struct {
	levels  map[record.Chain]*levels
	devices devices
	own     int // how many of the levels are of own chains
	others  int
	unsaved int                             // how many of them the store does not know yet
	unkept  []*levels                       // of which chains those are
	saveAt  time.Duration                   // never: everything is saved
	agreed  map[identity.DeviceID]agreement // of members here
	rosters []record.Roster                 // of own feeds, the newest last
	watched []*watched
	tellAt  time.Duration // when it is told how many have the watched ones; never: it was
	inquiry inquiry
}

// agreement is when a member's sum was ours: at which count of the changes of our claims, and in which run of it.
type agreement struct {
	changes uint64
	run     identity.Instance
}

func (l *ledger) init() {
	l.levels, l.devices.number = map[record.Chain]*levels{}, map[identity.DeviceID]uint32{}
	l.agreed = map[identity.DeviceID]agreement{}
	l.saveAt, l.tellAt, l.inquiry.at = never, never, never
}

func (l *ledger) deadline() time.Duration { return min(l.saveAt, l.tellAt, l.inquiry.at) }

// get is how far a device has a chain, of its levels; nil: there are none.
func (l *ledger) get(ls *levels, id identity.DeviceID) (level, bool) {
	if ls == nil {
		return level{}, false
	}
	device, known := l.devices.find(id)
	if !known {
		return level{}, false
	}
	i, known := ls.find(device)
	if !known {
		return level{}, false
	}
	return l.level(ls, ls.of[i]), true
}

// level is what is known of a device.
func (l *ledger) level(ls *levels, n numbered) level {
	lv := level{stretch: ls.stretch(n)}
	if n.current {
		lv.run = l.devices.runs[n.device]
	}
	return lv
}

// full tells whether of what a device has of others' chains nothing is noted, nor can be: in a large crowd that is so
// of most, and what they tell is not looked into.
func (l *ledger) full(id identity.DeviceID) bool {
	device, known := l.devices.find(id)
	return l.others >= maxOtherLevels && (!known || l.devices.others[device] == 0)
}

// of are the levels of a chain, made if there are none.
func (l *ledger) of(chain record.Chain, own bool) *levels {
	ls := l.levels[chain]
	if ls == nil {
		ls = &levels{chain: chain, own: own}
		l.levels[chain] = ls
	}
	return ls
}

// put notes a level, if there is place for one more, and whether the store is still to be told.
func (l *ledger) put(ls *levels, id identity.DeviceID, lv level, unsaved bool) bool {
	device := l.devices.numberOf(id)
	i, known := ls.find(device)
	if !known {
		count, most := &l.others, maxOtherLevels
		if ls.own {
			count, most = &l.own, maxOwnLevels
		}
		if *count >= most {
			return false
		}
		*count++
		if ls.add(i, device); !ls.own {
			l.devices.others[device]++
		}
	}
	l.heard(device, lv.run)
	n := &ls.of[i]
	ls.move(n, lv.stretch)
	n.current = lv.run != identity.Instance{}
	if unsaved && !n.unsaved {
		if n.unsaved = true; ls.unsaved == 0 {
			l.unkept = append(l.unkept, ls)
		}
		ls.unsaved++
		l.unsaved++
	}
	return true
}

// heard notes in which run a device speaks: what an earlier one said is of an earlier one from now on.
func (l *ledger) heard(device uint32, run identity.Instance) {
	was := l.devices.runs[device]
	if run == was || run == (identity.Instance{}) {
		return
	}
	if l.devices.runs[device] = run; was == (identity.Instance{}) {
		return // nothing is of an earlier one
	}
	for _, ls := range l.levels {
		if i, known := ls.find(device); known {
			ls.of[i].current = false
		}
	}
}

// restoreLedger takes what the store has. If that is more than there is place for, the feed that goes on comes first.
func (r *Room) restoreLedger(kept *record.Kept) {
	l := &r.ledger
	current := func(f record.Feed) bool { return r.own != nil && f == r.own.id.Feed }
	for _, first := range []bool{true, false} {
		for _, lv := range kept.Levels {
			if f := r.feeds[lv.Chain]; f != nil && current(lv.Chain.Feed) == first {
				f.levels = l.of(lv.Chain, f.author == r.self)
				l.put(f.levels, lv.Device, level{stretch: stretch{lv.Low, lv.High}}, false)
			}
		}
		for _, roster := range kept.Rosters {
			if current(roster.Feed) != first {
				l.rosters = append(l.rosters, roster)
			}
		}
	}
	l.rosters = l.rosters[max(0, len(l.rosters)-maxRosters):]
	if r.own == nil || r.own.tip == nil || r.own.tip.Header.Flags&record.FlagAckWanted == 0 {
		return
	}
	if members, known := r.Roster(r.own.id.Feed, r.own.high); known {
		l.inquiry.rec, l.inquiry.chain, l.inquiry.members = r.own.tip, r.own.id, members
	}
}

// freeze says against whom an own record counts: all who are members when it is said, away or here.
func (r *Room) freeze(now Now, feed record.Feed, seq uint64) []identity.DeviceID {
	members := []identity.DeviceID{}
	for _, m := range r.Members(now) {
		if m.ID != r.self {
			members = append(members, m.ID)
		}
	}
	if last, known := r.Roster(feed, seq); known && slices.Equal(last, members) {
		return last
	}
	roster := record.Roster{Feed: feed, From: seq, Members: members}
	r.out.Store.Rosters = append(r.out.Store.Rosters, roster)
	r.ledger.rosters = append(r.ledger.rosters, roster)
	r.ledger.rosters = r.ledger.rosters[max(0, len(r.ledger.rosters)-maxRosters):]
	return members
}

// Roster is who a record of an own feed counts against, if that is still in memory.
func (r *Room) Roster(feed record.Feed, seq uint64) (members []identity.DeviceID, known bool) {
	for _, roster := range slices.Backward(r.ledger.rosters) {
		if roster.Feed == feed && roster.From <= seq {
			return roster.Members, true
		}
	}
	return nil, false
}

// Holders are the others that told us to have number seq of a chain, by id.
func (r *Room) Holders(chain record.Chain, seq uint64) []identity.DeviceID {
	var have []identity.DeviceID
	if ls := r.ledger.levels[chain]; ls != nil {
		for _, n := range ls.of {
			if ls.stretch(n).holds(seq) {
				have = append(have, r.ledger.devices.ids[n.device])
			}
		}
	}
	slices.SortFunc(have, identity.DeviceID.Compare)
	return have
}

// Tally is how many members a record of an own feed counts against, and how many of them have it.
func (r *Room) Tally(e record.Entry) (members, have int) {
	roster, _ := r.Roster(e.Header.Feed, e.Header.Seq)
	for _, id := range roster {
		if r.has(e.Chain(), e.Header.Seq, id) {
			have++
		}
	}
	return len(roster), have
}

func (r *Room) has(chain record.Chain, seq uint64, id identity.DeviceID) bool {
	lv, _ := r.ledger.get(r.ledger.levels[chain], id)
	return lv.holds(seq)
}

// told takes a member's claim of a chain that we have something of. Who claims of our own chain more than there is, or
// another record than ours at its end, has said nothing about ours.
func (r *Room) told(now time.Duration, from identity.DeviceID, f *feed, c wire.FeedClaim) {
	if f.high != 0 && r.isMember(from) {
		r.toldBy(now, from, f, c)
	}
}

// toldBy takes the claim of who is known to be a member, of a chain that we have something of.
func (r *Room) toldBy(now time.Duration, from identity.DeviceID, f *feed, c wire.FeedClaim) {
	own := f.author == r.self
	switch {
	case from == r.self, from == f.author:
	case c.High == f.high && c.Head != [4]byte(f.head[:4]):
	case own && c.High > f.high:
	default:
		r.setLevel(now, f, from, c.Low, min(c.High, max(f.proven, f.high)))
	}
}

// agreed takes it that a member has what we have: its sum is ours.
func (r *Room) agreed(now time.Duration, from identity.DeviceID) {
	if !r.isMember(from) {
		return
	}
	this := agreement{r.changes, r.present[from].Instance}
	before := r.ledger.agreed[from]
	if before.run != this.run {
		before.changes = 0
	}
	r.ledger.agreed[from] = this
	latest := r.recent[max(0, len(r.recent)-agreedFeeds):]
	if r.ledger.full(from) {
		latest = nil
	}
	for _, f := range slices.Backward(latest) {
		if f.changed <= before.changes {
			return // and so all that changed earlier: it was noted then
		}
		r.toldBy(now, from, f, f.wireClaim())
	}
	for _, f := range slices.Backward(r.mine) {
		if f.changed > before.changes && (len(latest) == 0 || f.changed < latest[0].changed) {
			r.toldBy(now, from, f, f.wireClaim())
		}
	}
}

// listed takes the whole list of what a member has within s: what it does not name it does not claim any more, and what
// an earlier run had of that is lost.
func (r *Room) listed(now time.Duration, from identity.DeviceID, s span, claims []wire.FeedClaim) {
	p, here := r.present[from]
	if !here {
		return
	}
	lacks := func(f *feed) bool {
		return s.contains(f.short) &&
			!slices.ContainsFunc(claims, func(c wire.FeedClaim) bool { return c.Feed == f.short })
	}
	for _, f := range r.short {
		if f.holders[from] != nil && lacks(f) {
			f.disclaim(from)
		}
	}
	for _, f := range r.claimed(s) {
		if lv, known := r.ledger.get(f.levels, from); known && lv.run != p.Instance && lacks(f) {
			r.setLevel(now, f, from, 0, 0)
		}
	}
}

func (s span) contains(name record.ShortFeed) bool {
	return bytes.Compare(name[:], s.from[:]) >= 0 && bytes.Compare(name[:], s.to[:]) <= 0
}

// setLevel notes from where and how far a member that speaks now has a chain.
func (r *Room) setLevel(now time.Duration, f *feed, id identity.DeviceID, low, high uint64) {
	l, own := &r.ledger, f.author == r.self
	if !own && l.full(id) {
		return
	}
	was, known := l.get(f.levels, id)
	if !known && (high == 0 || !own && l.others >= maxOtherLevels) {
		return
	}
	run := was.run
	if p, here := r.present[id]; here {
		run = p.Instance
	}
	next := was.then(low, high, run)
	if next == was && known {
		return
	}
	if own && !known && l.own >= maxOwnLevels {
		r.forgetLevels()
	}
	if f.levels == nil {
		f.levels = l.of(f.id, own)
	}
	changed := next.stretch != was.stretch
	if !l.put(f.levels, id, next, changed) || !changed {
		return
	}
	delay := saveOthersAfter
	if own {
		delay = saveAfter
	}
	l.saveAt = min(l.saveAt, now+delay)
	r.recountWatched(now, f.id, id, was, next)
}

// forgetLevels makes place: those of the own feed that is quiet longest are in the store as well.
func (r *Room) forgetLevels() {
	l := &r.ledger
	for _, f := range r.recent {
		ls := f.levels
		if f.author != r.self || f == r.own || ls == nil {
			continue
		}
		r.save(ls, ls.unsaved)
		l.unkept = slices.DeleteFunc(l.unkept, func(o *levels) bool { return o == ls })
		l.own -= len(ls.of)
		delete(l.levels, f.id)
		f.levels = nil
		return
	}
}

// saveLevels has the store keep what it does not know yet, so much at a time.
func (r *Room) saveLevels(now time.Duration) {
	l := &r.ledger
	if now < l.saveAt {
		return
	}
	l.saveAt = never
	if r.saveUnsaved(maxSaved); l.unsaved > 0 {
		l.saveAt = now + saveAfter
	}
}

// FlushLedger has the store keep all that it does not know yet: the process is about to end.
func (r *Room) FlushLedger() {
	r.ledger.saveAt = never
	r.saveUnsaved(r.ledger.unsaved)
}

// saveUnsaved hands at most so many levels to the store, those of own chains first: nobody else keeps them.
func (r *Room) saveUnsaved(most int) {
	l := &r.ledger
	r.out.Store.Levels = slices.Grow(r.out.Store.Levels, min(most, l.unsaved))
	slices.SortFunc(l.unkept, func(a, b *levels) int {
		return cmp.Or(b.rank()-a.rank(), a.chain.Compare(b.chain))
	})
	for _, ls := range l.unkept {
		most -= r.save(ls, most)
	}
	l.unkept = slices.DeleteFunc(l.unkept, func(ls *levels) bool { return ls.unsaved == 0 })
}

func (ls *levels) rank() int {
	if ls.own {
		return 1
	}
	return 0
}

// save hands at most so many levels of a chain to the store and tells how many there were.
func (r *Room) save(ls *levels, most int) (saved int) {
	most = min(most, ls.unsaved)
	for i := 0; saved < most; i++ {
		n := &ls.of[i]
		if !n.unsaved {
			continue
		}
		n.unsaved = false
		saved++
		is := ls.stretch(*n)
		r.out.Store.Levels = append(r.out.Store.Levels, record.Level{
			Chain: ls.chain, Device: r.ledger.devices.ids[n.device], Low: is.low, High: is.high,
		})
	}
	ls.unsaved -= saved
	r.ledger.unsaved -= saved
	return saved
}

// refusedLevels has levels that the store did not keep saved later.
func (r *Room) refusedLevels(now time.Duration, refused []record.Level) {
	l := &r.ledger
	for _, lv := range refused {
		ls := l.levels[lv.Chain]
		if is, known := l.get(ls, lv.Device); known {
			l.put(ls, lv.Device, is, true)
			l.saveAt = min(l.saveAt, now+saveOthersAfter)
		}
	}
}

// Inherit takes over the ledger of a conversation whose records come into this one.
func (r *Room) Inherit(now Now, from *Room) {
	r.out.Store.Rosters = append(r.out.Store.Rosters, from.ledger.rosters...)
	r.ledger.rosters = append(slices.Clone(from.ledger.rosters), r.ledger.rosters...)
	r.ledger.rosters = r.ledger.rosters[max(0, len(r.ledger.rosters)-maxRosters):]
	var chains []*levels
	for chain, ls := range from.ledger.levels {
		if r.feeds[chain] == nil && chain.Feed.Author == r.cfg.Key.Public() { // else what was told here counts
			chains = append(chains, ls)
		}
	}
	slices.SortFunc(chains, func(a, b *levels) int { return a.chain.Compare(b.chain) })
	for _, ls := range chains {
		for _, n := range ls.of {
			id, lv := from.ledger.devices.ids[n.device], from.ledger.level(ls, n)
			if r.ledger.put(r.ledger.of(ls.chain, true), id, lv, true) {
				r.ledger.saveAt = min(r.ledger.saveAt, now.Mono+saveAfter)
			}
		}
	}
}
