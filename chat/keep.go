package chat

import (
	"cmp"
	"slices"
	"time"

	"bcast/internal/record"
)

// doubtEach is how often a claim that nobody proved makes us begin a new feed: each costs every member a place for it.
const doubtEach = 10 * time.Minute

// restore goes on from what a store kept: claims, members and order are as they were when it was kept.
func (r *Room) restore(now Now, kept *record.Kept) {
	var claimed []*feed
	for _, c := range kept.Chains {
		f := r.feedOf(c.Chain)
		if f == nil {
			continue // a store that holds more than the table: the rest is read from it, and not passed on
		}
		f.low, f.high, f.head, f.tip = c.Low, c.High, c.Head.ID, c.Head
		f.next, f.prev, f.hasPrev, f.trail = c.High+1, c.Head.ID, true, []record.ID{c.Head.ID}
		f.prove(c.High)
		f.floor = c.Low
		r.sum.add(f)
		claimed = append(claimed, f)
	}
	for _, c := range kept.Gone {
		if len(r.feeds) >= maxFeeds*3/4 {
			break // the rest may come back; there has to be place for what is new
		}
		if f := r.feedOf(c.Chain); f != nil {
			f.next, f.floor, f.gone = c.Low, c.Low, c.Low
		}
	}
	heard := map[*feed]int64{}
	for _, c := range kept.Chains {
		heard[r.feeds[c.Chain]] = c.Heard
	}
	slices.SortStableFunc(claimed, func(a, b *feed) int { return int(min(max(heard[a]-heard[b], -1), 1)) })
	for _, f := range claimed {
		r.enlist(f)
		r.name(f)
		if f.author == r.self && f.id.Branch.IsZero() {
			r.own = f // the last one heard of: the next one cites it
		}
	}
	if kept.Own != nil {
		if f := r.feeds[record.Chain{Feed: *kept.Own}]; f != nil && f.high != 0 {
			r.own = f
		}
	}
	r.restoreTrees(kept)
	r.maxOrder, r.topOrder = kept.Order, kept.Order
	r.restoreMembers(now, kept, heard)
	r.restoreLedger(kept)
}

// restoreMembers applies the joins, leaves, nicks and rekeys kept. A member was heard when its last record was said,
// and not when that came, which another may have brought.
func (r *Room) restoreMembers(now Now, kept *record.Kept, heard map[*feed]int64) {
	standing := slices.Clone(kept.Standing) // as they came: of two rekeys the one that came first counts
	slices.SortStableFunc(standing, func(a, b record.Entry) int { return cmp.Compare(a.Kept, b.Kept) })
	for _, e := range standing {
		f := r.feeds[e.Chain()]
		if f == nil {
			continue
		}
		posts, err := e.Posts()
		if err != nil {
			continue
		}
		then := now
		if kept := time.Unix(0, e.Kept); kept.Before(now.Wall) {
			then.Wall = kept
		}
		for _, p := range posts {
			r.stand(then, f, e.Record, p)
		}
	}
	for f, at := range heard {
		if f != r.own {
			r.heardBy(f.author, saidAt(&f.tip.Header, time.Unix(0, min(at, now.Wall.UnixNano()))))
		}
	}
	r.out.Events = nil // all of that is long known
}

// Adopt takes a record that our own user brings: from another scope of ours or from an export. Of a feed of which there
// is nothing here it may be the first, whatever its number.
func (r *Room) Adopt(now Now, rec *record.Record) {
	f := r.feedOf(record.Chain{Feed: rec.Header.Feed})
	if f != nil && f != r.own && !f.hasPrev && f.floor == 0 && f.proven == 0 && !r.isForked(f) {
		f.next = rec.Header.Seq
	}
	r.Record(now, rec)
}

// doubt notes that a member claims more of our own feed than we know of. It may be right: the home may be a restored or
// copied one. Then a record of ours could be the second with its number, so the next begins a new feed.
func (r *Room) doubt(now time.Duration) {
	if now-r.renewedAt >= doubtEach {
		r.doubted = true
	}
}

// Doubt says that our key was heard from another run: our next record begins a new feed.
func (r *Room) Doubt() { r.doubted = true }

// renew begins a new own feed. Its first record names the head of the one before, which is a feed like any other from
// now on: what is missing of it is asked for.
func (r *Room) renew(now time.Duration) {
	old := r.own
	for {
		id := record.Chain{Feed: record.Feed{Author: r.cfg.Key.Public(), Epoch: r.cfg.Rand.Uint64()}}
		if r.feeds[id] == nil && r.short[id.Short()] == nil {
			r.own = r.newOwn(id)
			break
		}
	}
	r.own.next, r.full = 1, false
	if old != nil {
		r.own.prev = old.head
	}
	r.doubted, r.renewedAt = false, now
	r.tail.demand.renew()
}

// newOwn makes room for our own feed, whoever filled the table.
func (r *Room) newOwn(id record.Chain) *feed {
	f := newFeed(id.Short())
	r.identify(f, id)
	r.short[f.short] = f
	return f
}

// Refused says that the store could not keep a batch. What was handed out is forgotten, as if it had never come: it is
// asked for again. Of our own feed nobody can tell whether the record is on the disk after all, so a new one begins.
func (r *Room) Refused(now Now, batch record.Batch) {
	for _, e := range batch.Records {
		f := r.nowOf(e.Chain(), e.Header.Seq)
		if f == nil || e.Header.Seq <= f.high {
			continue
		}
		r.parts.again(e.ID)
		r.unwatch(e.Record)
		if f == r.own {
			r.renew(now.Mono)
			f.proven = f.high
		}
		r.takeBack(f)
		f.recount()
		r.noticeGap(now.Mono, f, none)
	}
	r.refusedLevels(now.Mono, batch.Levels)
	if len(batch.Splits) > 0 {
		r.splitRefused(now.Mono)
	}
}

// takeBack has f go on from what is stored of it.
func (r *Room) takeBack(f *feed) {
	if f.next <= f.high+1 {
		return
	}
	r.mayLack(f)
	f.skipped, r.full = nil, false
	if f.floor, f.anew = f.gone, false; f.high != 0 { // where it can be had beyond has to be found out anew
		f.floor = f.low
	}
	switch {
	case f.high != 0:
		f.rewind(f.high + 1)
		f.prev, f.hasPrev = f.head, true
	case f.first != 0:
		f.rewind(f.first)
		f.prev, f.hasPrev = f.before, true
	case r.isForked(f):
		f.rewind(f.begins()) // where it begins is known, or there would be no fork
		f.hasPrev = false
	default:
		f.trail, f.next, f.hasPrev = nil, f.gone, false
	}
	if f.next <= f.end() {
		if f.onward != nil {
			r.takeBack(f.onward) // it was handed out behind what did not come to stay
		}
		r.cancelSplit(f.fork)
		f.fork, f.onward = nil, nil // what comes again may be of another branch
	}
}
