package chat

import (
	"slices"
	"time"

	"bcast/identity"
	"bcast/internal/record"
)

// feed is one author's chain as far as it is known here.
//
//	1 ── low ═══ stored ═══ high ── accepted, being stored ── next … held beyond gaps … claimed
type feed struct {
	id     record.Chain
	short  record.ShortFeed
	author identity.DeviceID

	low, high uint64         // stored without gaps; zero: nothing
	head      record.ID      // of high
	tip       *record.Record // high itself, as a head; what HEAD sends
	changed   uint64         // when the claim of it last changed: which change of the room's

	next    uint64        // the number accepted next; zero: where the feed begins for us is not known yet
	prev    record.ID     // of next-1
	hasPrev bool          // false at the first one accepted, whose predecessor we never saw
	floor   uint64        // what is below was given up, or can be had of nobody any more: it is not taken
	gone    uint64        // if all that was stored was given up: where it goes on
	anew    bool          // next does not follow what is stored: nobody has what is between
	anewAt  time.Duration // when it begins anew unless somebody here says to have next; never: somebody does
	skipped *skipped      // what it begins anew behind, until a record from there on has come; nil: none of that
	held    waiting
	bytes   int    // of held
	proven  uint64 // the highest number that its author signed, as far as we saw
	claimed uint64 // the highest number proven, or claimed by a member that is here
	ragged  bool   // it is among those of the room

	trail  []record.ID // ids of the newest up to next-1
	first  uint64      // of a branch: the number of its first record
	before record.ID   // of a branch: what that one follows
	root   *fork       // of a branch: where it begins
	fork   *fork       // where the chain ends because its author forked it; nil: it goes on
	onward *feed       // the branch that what was here of it beyond became
	left   bool        // a branch that is followed no more

	levels *levels // who told to have how much of it; nil: nobody
	untold bool    // its author is still to be told what is stored of it

	holders map[identity.DeviceID]*holder // nil while there was none; members here that claim to have what we lack
	owner   asked                         // the author, whatever it claims
}

// holder is a member that claims to have a feed from low up to high, and how often it was asked for it in vain.
type holder struct {
	low, high uint64
	vain      int
	asked
}

// asked is how often a member was asked for a feed since that last went on, and until when it is left alone for that.
type asked struct {
	idle int
	rest time.Duration
}

// newFeed is a feed of which nothing but its short name is known.
func newFeed(short record.ShortFeed) *feed {
	return &feed{short: short, anewAt: never}
}

// feedOf is the room's state of a feed, made if its author may write here and there is room for it; else nil.
func (r *Room) feedOf(id record.Chain) *feed {
	if f := r.feeds[id]; f != nil {
		return f
	}
	short := id.Short()
	if !r.admits(id.Feed.Author) || !r.placeForFeed() {
		return nil
	}
	f := r.short[short]
	if f == nil || f.id != (record.Chain{}) {
		f = newFeed(short)
		if r.short[short] == nil { // of two feeds with one short name the first keeps it
			r.short[short] = f
		}
	}
	r.identify(f, id)
	return f
}

// identify enters a feed by its full name.
func (r *Room) identify(f *feed, id record.Chain) {
	f.id, f.author, f.levels = id, id.Feed.Author.ID(), r.ledger.levels[id]
	r.feeds[id] = f
	r.mayLack(f)
}

// feedNamed is the state of a feed of which only the short name is known, from a digest.
func (r *Room) feedNamed(short record.ShortFeed) *feed {
	f := r.short[short]
	if f == nil && r.placeForFeed() {
		f = newFeed(short)
		r.short[short] = f
	}
	return f
}

func (f *feed) count() int {
	if f.high == 0 {
		return 0
	}
	return int(f.high - f.low + 1)
}

func (f *feed) missing() int {
	first := max(f.next, 1)
	last := min(f.claimed, f.end())
	if last < first || f.left {
		return 0
	}
	return int(min(last-first+1, manyRecords)) - len(f.held)
}

// placeForFeed tells whether another feed can be taken. When the table is full, feeds of which nothing is stored make
// place: whoever needs one tells of it again.
func (r *Room) placeForFeed() bool {
	if max(len(r.feeds), len(r.short)) < maxFeeds {
		return true
	}
	if r.full {
		return false
	}
	for short, f := range r.short {
		if f.high == 0 && !f.hasPrev && f != r.own && !r.isForked(f) {
			r.forgetTree(f.id.Feed)
			r.drop(f)
			r.receipts.forget(f)
			delete(r.short, short)
			delete(r.feeds, f.id)
			delete(r.asks, f)
		}
	}
	r.ragged = slices.DeleteFunc(r.ragged, func(f *feed) bool { return r.short[f.short] != f })
	r.full = max(len(r.feeds), len(r.short)) >= maxFeeds
	return !r.full
}

// drop forgets what is held of a feed behind its gap.
func (r *Room) drop(f *feed) {
	for _, seq := range f.held.numbers() {
		r.parts.again(r.release(f, seq).ID)
	}
}

// hold keeps a record until all before it in its feed are accepted; release takes it out.
func (r *Room) hold(f *feed, rec *record.Record) {
	f.held.put(rec)
	r.heldBytes += len(rec.Bytes())
	f.bytes += len(rec.Bytes())
}

func (r *Room) release(f *feed, seq uint64) *record.Record {
	r.mayLack(f)
	rec := f.held.take(seq)
	r.heldBytes -= len(rec.Bytes())
	f.bytes -= len(rec.Bytes())
	return rec
}

// prove notes that the author signed number seq.
func (f *feed) prove(seq uint64) {
	f.proven = max(f.proven, seq)
	f.claimed = max(f.claimed, seq)
}

// certain tells whether its author signed something of what f lacks.
func (f *feed) certain() bool { return f.proven >= max(f.next, 1) }

// forgetHolder drops a member's claim; what only it claimed is not asked for any more (R10).
func (f *feed) forgetHolder(id identity.DeviceID) {
	if f.holders[id] == nil {
		return
	}
	if delete(f.holders, id); len(f.holders) == 0 {
		f.anewAt = never
	}
	f.recount()
}

// disclaim takes a member's word that it has nothing of f (any more). How often it was asked for it in vain is not
// forgotten, or it could claim it anew without end.
func (f *feed) disclaim(id identity.DeviceID) {
	h := f.holders[id]
	switch {
	case h == nil:
	case h.idle == 0:
		f.forgetHolder(id)
	default:
		h.low, h.high = 0, 0
		f.recount()
	}
}

// recount is how far the feed is known to go by those who are here.
func (f *feed) recount() {
	f.claimed = f.proven
	for _, h := range f.holders {
		f.claimed = max(f.claimed, h.high)
	}
}

// Record takes a record whose signature was checked (R1). It may come twice and in any order.
func (r *Room) Record(now Now, rec *record.Record) {
	f := r.feedOf(record.Chain{Feed: rec.Header.Feed})
	if f == nil || r.loadingTree(f.id.Feed) {
		return
	}
	seq := rec.Header.Seq
	if f == r.own && seq >= f.next {
		r.renew(now.Mono) // we said it, and do not know of it: a restored or copied home
	}
	if r.goBackFor(f, seq); seq < f.floor {
		r.parts.forget(rec)
		return
	}
	if r.isForked(f) || f.hasPrev && seq < f.next {
		r.sift(now, rec, nil)
		return
	}
	r.signed(f, seq)
	if seq != f.next {
		r.foretell(f, rec)
	}
	if old := f.held.at(seq); old != nil {
		if r.parts.forget(rec); old.ID != rec.ID {
			r.stray(rec)
		}
		return
	}
	if seq != f.next && !r.placeForRecord(f, rec) {
		return
	}
	r.parts.forget(rec)
	r.enter(now, f, rec)
}

// enter puts a record into f, and goes on with what that allows.
func (r *Room) enter(now Now, f *feed, rec *record.Record) {
	next := f.next
	if f.held.at(rec.Header.Seq) == nil {
		r.hold(f, rec)
	}
	r.accept(f)
	r.deserve(now.Mono, f, rec)
	if f.next != next {
		r.noticeGap(now.Mono, f, forward)
	} else {
		r.noticeGap(now.Mono, f, held)
	}
	r.retry(now, f)
}

// signed takes the author's word that number seq is there. Of a feed of which nothing was accepted yet it corrects who
// said that it begins later.
func (r *Room) signed(f *feed, seq uint64) {
	if !f.hasPrev && f.floor == 0 && seq < f.next && f.skipped == nil {
		f.next = 0
	}
	if f.next == 0 && seq == 1 {
		f.next = 1
	}
	f.prove(seq)
}

// placeForRecord tells whether a record that is not the next of its feed may wait behind the gap: one feed is refused
// what is too much and keeps what it has. When all feeds together hold too much, the one that holds most starts anew.
func (r *Room) placeForRecord(f *feed, rec *record.Record) bool {
	if len(f.held) >= maxAhead || f.next != 0 && rec.Header.Seq >= f.next+maxAhead ||
		f.bytes+len(rec.Bytes()) > maxFeedBytes {
		return false
	}
	if r.heldBytes+len(rec.Bytes()) > maxHeldBytes {
		most := f
		for _, other := range r.feeds {
			if n := len(other.held); n > len(most.held) || n == len(most.held) && byName(other, most) < 0 {
				most = other
			}
		}
		r.drop(most)
	}
	return true
}

// accept moves what is in order from held to the store.
func (r *Room) accept(f *feed) {
	for f.next != 0 && f.next <= f.end() && !f.waits() && f.held.at(f.next) != nil {
		rec := r.release(f, f.next)
		if f.hasPrev && rec.Header.Prev != f.prev {
			f.proven = f.next - 1 // what it signed beyond is of another branch
			f.recount()
			r.stray(rec)
			return
		}
		if f.skipped != nil {
			f.skipped, f.floor = nil, max(f.floor, f.next)
		}
		f.step(rec)
		f.owner = asked{}
		for _, h := range f.holders {
			h.asked = asked{}
		}
		r.rejoin(f)
		r.out.Store.Records = append(r.out.Store.Records, record.Entry{Record: rec, Branch: f.id.Branch, Anew: f.anew})
		f.anew = false
		if f == r.own && f.id.Branch.IsZero() {
			r.out.Store.Own = &record.Feed{Author: f.id.Feed.Author, Epoch: f.id.Feed.Epoch}
		}
	}
}

// begin takes a member's word from which number on a feed can be had. While nothing of it was accepted the lowest word
// counts.
func (r *Room) begin(f *feed, low uint64) {
	low = max(low, 1)
	if f == r.own || f.floor != 0 || f.first != 0 || f.fork != nil || f.skipped != nil {
		return // it is known where
	}
	if f.next == 0 || !f.hasPrev && low < f.next {
		r.goOn(f, low)
	}
}

// goOn has f be accepted from a number on.
func (r *Room) goOn(f *feed, from uint64) {
	f.next = from
	for _, seq := range f.held.numbers() {
		if seq < f.next || seq >= f.next+maxAhead {
			r.parts.again(r.release(f, seq).ID)
		}
	}
	r.accept(f)
}

// askedOf is how often a member that is the author or a holder of f was asked for it.
func (f *feed) askedOf(id identity.DeviceID) *asked {
	if id == f.author {
		return &f.owner
	}
	return &f.holders[id].asked
}

// Stored says that records of this room are kept now, in the order in which they were handed out, and what the store
// gave up for them. Only now they are claimed, shown and, if they are ours, sent.
func (r *Room) Stored(now Now, kept record.Batch, floors []record.Floor) {
	for _, e := range kept.Records {
		f, rec := r.nowOf(e.Chain(), e.Header.Seq), e.Record
		if f == nil || rec.Header.Seq <= f.high {
			continue
		}
		if !f.left && rec.Header.Seq >= f.floor { // else it was given up before we heard that it was kept
			r.claim(now, f, func() {
				if rec.Header.Seq != f.high+1 || f.high == 0 {
					f.low = rec.Header.Seq // what was before the gap is not claimed together with it
				}
				f.high, f.head, f.tip = rec.Header.Seq, rec.ID, rec
			})
		}
		r.maxOrder = record.Follow(r.maxOrder, rec.Header.Order)
		r.show(now, f, rec)
		if f == r.own {
			r.sendOwn(now.Mono, rec)
			r.inquireFor(now.Mono, f, rec)
			continue
		}
		if !f.left {
			r.cite(f)
			r.acknowledge(now.Mono, f, rec.Header.Flags&record.FlagAckWanted != 0)
		}
	}
	for _, s := range kept.Splits {
		r.splitKept(now, s)
	}
	r.Floors(now, floors)
}

// Floors says what the store gave up.
func (r *Room) Floors(now Now, floors []record.Floor) {
	for _, floor := range floors {
		for f := r.feeds[floor.Chain]; f != nil; f = f.onward { // the store may not have split it yet
			if f.high != 0 && floor.Low > f.low {
				r.claim(now, f, func() {
					if f.low = floor.Low; f.low > f.high {
						f.gone, f.low, f.high = f.high+1, 0, 0
					}
				})
			}
			f.floor = max(f.floor, min(floor.Low, f.end()+1))
			r.lapsed = r.lapsed || f == r.enrolled.feed && f.floor > r.enrolled.seq
			if floor.Low <= f.end() {
				break
			}
		}
	}
}
