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

// feed is one author's chain as far as it is known here.
//
//	1 ── low ═══ stored ═══ high ── accepted, being stored ── next … held beyond gaps … claimed
type feed struct {
	id     record.Feed
	short  record.ShortFeed
	author identity.DeviceID

	low, high uint64         // stored without gaps; zero: nothing
	head      record.ID      // of high
	tip       *record.Record // high itself, as a head; what HEAD sends

	next    uint64    // the number accepted next; zero: where the feed begins for us is not known yet
	prev    record.ID // of next-1
	hasPrev bool      // false at the first one accepted, whose predecessor we never saw
	held    map[uint64]*record.Record
	proven  uint64 // the highest number that its author signed, as far as we saw
	claimed uint64 // the highest number proven, or claimed by a member that is here
	forked  bool   // its author signed two chains; what follows the first one seen is not followed further

	receipted time.Duration // when its author was last told what is stored of it

	holders map[identity.DeviceID]*holder // members here that claim to have what we lack
}

// holder is a member that claims to have a feed up to high, and how often it was asked for it in vain.
type holder struct {
	high uint64
	vain int
}

// newFeed is a feed of which nothing but its short name is known.
func newFeed(short record.ShortFeed) *feed {
	return &feed{short: short, held: map[uint64]*record.Record{}, holders: map[identity.DeviceID]*holder{}}
}

// feedOf is the room's state of a feed, made if there is room for it; else nil.
func (r *Room) feedOf(id record.Feed) *feed {
	if f := r.feeds[id]; f != nil {
		return f
	}
	short := id.Short()
	if !r.placeForFeed() {
		return nil
	}
	f := r.short[short]
	if f == nil || f.id != (record.Feed{}) {
		f = newFeed(short)
		if r.short[short] == nil { // of two feeds with one short name the first keeps it
			r.short[short] = f
		}
	}
	f.id, f.author = id, id.Author.ID()
	r.feeds[id] = f
	return f
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
	if f.claimed < first || f.forked {
		return 0
	}
	return int(f.claimed-first+1) - len(f.held)
}

// placeForFeed tells whether another feed can be taken. When the table is full, feeds of which nothing is stored make
// place: whoever needs one tells of it again.
func (r *Room) placeForFeed() bool {
	if max(len(r.feeds), len(r.short)) < maxFeeds {
		return true
	}
	for short, f := range r.short {
		if f.high == 0 && !f.hasPrev && f != r.own {
			r.drop(f)
			delete(r.short, short)
			delete(r.feeds, f.id)
			delete(r.asks, f)
		}
	}
	return max(len(r.feeds), len(r.short)) < maxFeeds
}

// drop forgets what is held of a feed behind its gap.
func (r *Room) drop(f *feed) {
	for seq := range f.held {
		r.release(f, seq)
	}
}

// hold keeps a record until all before it in its feed are accepted; release takes it out.
func (r *Room) hold(f *feed, rec *record.Record) {
	f.held[rec.Header.Seq] = rec
	r.heldBytes += len(rec.Bytes())
}

func (r *Room) release(f *feed, seq uint64) *record.Record {
	rec := f.held[seq]
	delete(f.held, seq)
	r.heldBytes -= len(rec.Bytes())
	return rec
}

// prove notes that the author signed number seq.
func (f *feed) prove(seq uint64) {
	f.proven = max(f.proven, seq)
	f.claimed = max(f.claimed, seq)
}

// forgetHolder drops a member's claim; what only it claimed is not asked for any more (R10).
func (f *feed) forgetHolder(id identity.DeviceID) {
	if f.holders[id] == nil {
		return
	}
	delete(f.holders, id)
	f.claimed = f.proven
	for _, h := range f.holders {
		f.claimed = max(f.claimed, h.high)
	}
}

// Record takes a record whose signature was checked (R1). It may come twice and in any order.
func (r *Room) Record(now Now, rec *record.Record) {
	f := r.feedOf(rec.Header.Feed)
	if f == nil || f.forked {
		return
	}
	seq := rec.Header.Seq
	r.signed(f, seq)
	if seq < f.next || f.held[seq] != nil {
		r.parts.forget(rec)
		return
	}
	if seq != f.next && !r.placeForRecord(f, rec) {
		return
	}
	r.parts.forget(rec)
	r.hold(f, rec)
	r.accept(f)
	r.noticeGap(now.Mono, f, true)
}

// signed takes the author's word that number seq is there. Of a feed of which nothing was accepted yet it corrects who
// said that it begins later.
func (r *Room) signed(f *feed, seq uint64) {
	if !f.hasPrev && seq < f.next {
		f.next = 0
	}
	if f.next == 0 && seq == 1 {
		f.next = 1
	}
	f.prove(seq)
}

// placeForRecord tells whether a record that is not the next of its feed may wait behind the gap. When all feeds
// together hold too much, the one that holds most starts anew.
func (r *Room) placeForRecord(f *feed, rec *record.Record) bool {
	if len(f.held) >= maxAhead || f.next != 0 && rec.Header.Seq >= f.next+maxAhead {
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
	for f.next != 0 && f.held[f.next] != nil {
		rec := r.release(f, f.next)
		if f.hasPrev && rec.Header.Prev != f.prev {
			f.forked, f.claimed = true, f.next-1
			return
		}
		f.next, f.prev, f.hasPrev = f.next+1, rec.ID, true
		r.out.Store = append(r.out.Store, rec)
	}
}

// begin takes a member's word from which number on a feed can be had (R13). While nothing of it was accepted the lowest
// word counts. Later only the author's does, for nobody has what the author gave up; or, while it is away, that of the
// only member that has the feed.
func (r *Room) begin(f *feed, from identity.DeviceID, low uint64) {
	low = max(low, 1)
	switch {
	case f == r.own:
		return // nobody knows better than we
	case f.next == 0 || !f.hasPrev && low < f.next:
	case low > f.next && (from == f.author || r.onlyHolder(f, from)):
		f.hasPrev = false
	default:
		return
	}
	f.next = low
	for seq := range f.held {
		if seq < f.next || seq >= f.next+maxAhead {
			r.release(f, seq)
		}
	}
	r.accept(f)
}

func (r *Room) onlyHolder(f *feed, id identity.DeviceID) bool {
	_, author := r.present[f.author]
	return !author && f.hasPrev && len(f.holders) == 1 && f.holders[id] != nil
}

// Stored says that records of this room are kept now, in the order in which they were handed out, and what the store
// gave up for them. Only now they are claimed, shown and, if they are ours, sent.
func (r *Room) Stored(now Now, records []*record.Record, floors []record.Floor) {
	for _, rec := range records {
		f := r.feeds[rec.Header.Feed]
		if f == nil {
			continue
		}
		r.claim(now, f, func() {
			if rec.Header.Seq != f.high+1 || f.high == 0 {
				f.low = rec.Header.Seq // what was before the gap is not claimed together with it
			}
			f.high, f.head, f.tip = rec.Header.Seq, rec.ID, rec
		})
		if rec.Header.Order < orderFollowed {
			r.maxOrder = max(r.maxOrder, rec.Header.Order)
		}
		r.show(now, f, rec)
		if f == r.own {
			r.sendOwn(now.Mono, rec)
			continue
		}
		r.cite(f)
		r.acknowledge(now.Mono, f, rec.Header.Flags)
	}
	for _, floor := range floors {
		if f := r.feeds[floor.Feed]; f != nil && f.high != 0 && floor.Low > f.low {
			r.claim(now, f, func() {
				if f.low = floor.Low; f.low > f.high {
					f.low, f.high = 0, 0
				}
			})
		}
	}
}

// claim changes what is claimed of a feed and keeps sum and order of change in step.
func (r *Room) claim(now Now, f *feed, change func()) {
	if f.high != 0 {
		r.sum.remove(f)
		i := len(r.recent) - 1
		for r.recent[i] != f { // what changed lately changes again: from the end it is near
			i--
		}
		r.recent = slices.Delete(r.recent, i, i+1)
	}
	change()
	if f.high != 0 {
		r.sum.add(f)
		r.recent = append(r.recent, f)
	}
	r.changedAt = now.Mono
	r.trickle.changed(now.Mono, r.profile, r.cfg.Rand)
}

// wireClaim is a feed's claim as digests carry it.
func (f *feed) wireClaim() wire.FeedClaim {
	return wire.FeedClaim{Feed: f.short, Low: f.low, High: f.high, Head: [4]byte(f.head[:4])}
}

// byName orders feeds by their short names: an order that does not depend on a map.
func byName(a, b *feed) int {
	if c := bytes.Compare(a.short[:], b.short[:]); c != 0 {
		return c
	}
	return cmp.Or(bytes.Compare(a.id.Author[:], b.id.Author[:]), cmp.Compare(a.id.Epoch, b.id.Epoch))
}
