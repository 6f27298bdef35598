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
	claimed uint64 // the highest number known to exist
	forked  bool   // its author signed two chains; what follows the first one seen is not followed further

	receipted time.Duration // when its author was last told what is stored of it

	holders map[identity.DeviceID]uint64 // who claims to have up to which number
}

// feedOf is the room's state of a feed, made if there is room for it; else nil.
func (r *Room) feedOf(id record.Feed) *feed {
	if f := r.feeds[id]; f != nil {
		return f
	}
	short := id.Short()
	if len(r.feeds) >= maxFeeds {
		return nil
	}
	f := r.short[short]
	if f == nil || f.id != (record.Feed{}) {
		f = &feed{short: short, held: map[uint64]*record.Record{}, holders: map[identity.DeviceID]uint64{}}
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
	if f == nil && len(r.short) < maxFeeds {
		f = &feed{short: short, held: map[uint64]*record.Record{}, holders: map[identity.DeviceID]uint64{}}
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

// Record takes a record whose signature was checked (R1). It may come twice and in any order.
func (r *Room) Record(now Now, rec *record.Record) {
	f := r.feedOf(rec.Header.Feed)
	if f == nil || f.forked {
		return
	}
	r.parts.forget(rec.ID)
	seq := rec.Header.Seq
	if f.next == 0 && seq == 1 {
		f.next = 1
	}
	f.claimed = max(f.claimed, seq)
	if seq < f.next || f.held[seq] != nil || len(f.held) >= maxAhead || f.next != 0 && seq >= f.next+maxAhead {
		return
	}
	if size := len(rec.Bytes()); r.heldBytes+size <= maxHeldBytes {
		f.held[seq] = rec
		r.heldBytes += size
	}
	r.accept(f)
	r.noticeGap(now.Mono, f, true)
}

// accept moves what is in order from held to the store.
func (r *Room) accept(f *feed) {
	for f.next != 0 {
		rec := f.held[f.next]
		if rec == nil {
			return
		}
		delete(f.held, f.next)
		r.heldBytes -= len(rec.Bytes())
		if f.hasPrev && rec.Header.Prev != f.prev {
			f.forked, f.claimed = true, f.next-1
			return
		}
		f.next, f.prev, f.hasPrev = f.next+1, rec.ID, true
		r.out.Store = append(r.out.Store, rec)
	}
}

// begin says from which number on a feed can be had, when nothing of it is known yet.
func (r *Room) begin(f *feed, low uint64) {
	if f.next != 0 {
		return
	}
	f.next = max(low, 1)
	for seq, rec := range f.held {
		if seq < f.next || seq >= f.next+maxAhead {
			r.heldBytes -= len(rec.Bytes())
			delete(f.held, seq)
		}
	}
	r.accept(f)
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
			if f.high == 0 {
				f.low = rec.Header.Seq
			}
			f.high, f.head, f.tip = rec.Header.Seq, rec.ID, rec
		})
		r.maxOrder = max(r.maxOrder, rec.Header.Order)
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
			r.claim(now, f, func() { f.low = min(floor.Low, f.high) })
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
	r.sum.add(f)
	r.recent = append(r.recent, f)
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
