package chat

import (
	"bytes"
	"cmp"
	"slices"
	"time"

	"bcast/internal/record"
	"bcast/internal/wire"
)

// An author forks a feed when it signs two records with one number: its key was copied, or it lies. The feed then ends
// before that number, and from there on each branch is a chain of its own, named by its first record. So all who know
// of the fork name the chains alike, whichever branch they saw first, and claims, gaps and answers need no other rule.
//
//	1 ── trunk ── s-1 ─┬─ s  branch ── t-1 ─┬─ t  branch of the branch
//	                   └─ s' branch         └─ t' …
//
// A fork is believed when two records with its author's signature follow the same record: nobody else can make one.

// Limits of forks.
const (
	// maxBranches is how many branches of one feed are followed: those that begin first and, of these, those with the
	// smallest ids, so that all members follow the same in the end. What is beyond is not claimed or asked for any more.
	maxBranches = 4
	// trailKeep is how many ids of the newest records of a chain are remembered (1 KiB): a fork below is seen by asking
	// the store.
	trailKeep = 64
	// maxSplits is how many chains the store may still have to split; while it is behind no other fork is followed, which
	// takes its author one datagram and the store a transaction. It shows again.
	maxSplits = 64
	// maxUntold is how many proofs wait to be broadcast; the others are for those whose claims ask for them.
	maxUntold = 64
	// splitAgain is when the store is asked again to split a chain after it refused.
	splitAgain = 10 * time.Second
)

// fork is where an author signed two records after one.
type fork struct {
	of     record.Chain      // the chain that ends
	seq    uint64            // of the first records of the branches; the chain ends before
	ids    [2]record.ID      // two of them: the proof
	heads  [2]*record.Record // the same, if need be read from the store
	split  *record.Split     // what the store does not know yet; the branches wait for it
	tellAt time.Duration     // when the proof is broadcast; never: it was, by us or another
}

// tree is what is known of a feed beside its trunk, if its author gave reason to doubt it.
type tree struct {
	branches []*feed          // that are followed, by where they begin
	heads    []*record.Record // of records with which forks begin, as the store kept them
	strays   []*record.Record
	walk     walk
	loading  bool // the first records of the branches are being read from the store
}

// treeOf is the room's tree of a feed, made if need be.
func (r *Room) treeOf(id record.Feed) *tree {
	t := r.trees[id]
	if t == nil {
		t = &tree{walk: walk{at: never}}
		r.trees[id] = t
	}
	return t
}

// isForked tells whether records of a feed have to be sifted: it has more chains than the trunk.
func (r *Room) isForked(trunk *feed) bool {
	t := r.trees[trunk.id.Feed]
	return trunk.fork != nil || t != nil && len(t.branches) > 0
}

// chainsOf are the chains of a feed that are followed, the trunk first.
func (r *Room) chainsOf(id record.Feed) []*feed {
	var all []*feed
	if trunk := r.feeds[record.Chain{Feed: id}]; trunk != nil {
		all = append(all, trunk)
	}
	if t := r.trees[id]; t != nil {
		all = append(all, t.branches...)
	}
	return all
}

// step moves f on behind a record.
func (f *feed) step(rec *record.Record) {
	f.next, f.prev, f.hasPrev = rec.Header.Seq+1, rec.ID, true
	f.trail = append(f.trail, rec.ID)
	// what is on its way to the store can be found nowhere else; of a feed that begins late that is not all up to next
	unstored := int(min(f.next-min(f.next, f.high), uint64(len(f.trail))))
	if keep := max(trailKeep, unstored); len(f.trail) > 2*keep {
		f.trail = slices.Clone(f.trail[len(f.trail)-keep:])
	}
}

// rewind forgets what was accepted from number seq on.
func (f *feed) rewind(seq uint64) {
	keep := len(f.trail) - int(min(f.next-seq, uint64(len(f.trail))))
	f.trail, f.next = f.trail[:keep], seq
}

// placeFor tells whether there is room for n more chains.
func (r *Room) placeFor(n int) bool {
	return r.placeForFeed() && max(len(r.feeds), len(r.short))+n <= maxFeeds
}

// mayFork tells whether one more fork can be followed: whether there is place for two branches, and the store keeps up.
func (r *Room) mayFork() bool { return len(r.splits) < maxSplits && r.placeFor(2) }

// begins is the lowest number that f has.
func (f *feed) begins() uint64 {
	if f.high != 0 {
		return f.low
	}
	return f.next - uint64(len(f.trail))
}

// end is the last number that f can have.
func (f *feed) end() uint64 {
	if f.fork == nil {
		return 1 << 62
	}
	return f.fork.seq - 1
}

// idAt is the id of record seq of f, as far as it is remembered.
func (f *feed) idAt(seq uint64) (record.ID, bool) {
	if f.hasPrev && seq+1 == f.next && seq >= f.first {
		return f.prev, true
	}
	if seq >= f.next || f.next-seq > uint64(len(f.trail)) {
		return record.ID{}, false
	}
	return f.trail[len(f.trail)-int(f.next-seq)], true
}

// isStored tells whether f has record seq in the store.
func (f *feed) isStored(seq uint64) bool { return f.high != 0 && f.low <= seq && seq <= f.high }

// sightings are what the store was asked for to place a record; nil: it was not asked yet.
type sightings []record.Entry

// idAt is the id of record seq of f.
func (s sightings) idAt(f *feed, seq uint64) (record.ID, bool) {
	if id, known := f.idAt(seq); known {
		return id, true
	}
	for _, e := range s {
		if e.Header.Seq == seq && e.Chain() == f.id {
			return e.ID, true
		}
	}
	return record.ID{}, false
}

// follows tells whether rec comes directly after a record of f.
func (s sightings) follows(f *feed, rec *record.Record) bool {
	if trunk := f.id.Branch.IsZero(); rec.Header.Seq == 1 || trunk && !f.hasPrev && rec.Header.Seq == f.next {
		return trunk
	}
	id, known := s.idAt(f, rec.Header.Seq-1)
	return rec.Header.Seq > f.first && known && id == rec.Header.Prev
}

// sift finds the place of a record, or of its head, that is not simply the next or ahead: it came before, goes on with
// a branch, begins one, or proves a fork.
func (r *Room) sift(now Now, rec *record.Record, seen sightings) {
	chains, seq := r.chainsOf(rec.Header.Feed), rec.Header.Seq
	for _, f := range chains {
		if f.id.Branch == rec.ID && f.next == seq {
			r.take(now, f, rec)
			return
		}
		if id, known := seen.idAt(f, seq); known && id == rec.ID {
			r.takeAgain(now, f, rec)
			return
		}
	}
	if seen == nil && r.lookAround(look{rec: rec}, chains) {
		return
	}
	for _, f := range chains {
		if before := f.held.at(seq - 1); f.waits() && before != nil && before.ID == rec.Header.Prev {
			r.wait(f, rec)
			return
		}
		if !seen.follows(f, rec) {
			continue
		}
		mine, known := seen.idAt(f, seq)
		switch {
		case f.next == seq && seq <= f.end():
			r.take(now, f, rec)
		case f.next == seq:
			r.branch(now, f, rec)
		case known:
			r.forked(now, f, mine, rec)
		default:
			continue
		}
		return
	}
	r.stray(rec)
}

// lookAround asks the store where l.rec belongs: which records of chains have its number and the one before, if one of
// these is stored and it is not remembered which.
func (r *Room) lookAround(l look, chains []*feed) bool {
	var spans []record.Span
	unknown, seq := false, l.rec.Header.Seq
	for _, f := range chains {
		_, at := f.idAt(seq)
		_, before := f.idAt(seq - 1)
		here, behind := f.isStored(seq) && !at, f.isStored(seq-1) && f.next > seq
		unknown = unknown || here || behind && !before
		if here || behind && seq > 1 {
			spans = append(spans, record.Span{Chain: f.id, From: max(seq, 2) - 1, To: seq})
		}
	}
	if unknown {
		r.lookFor(l, record.Chain{Feed: l.rec.Header.Feed}, spans, nil)
	}
	return unknown
}

// take puts a record in its place, which is the next of f.
func (r *Room) take(now Now, f *feed, rec *record.Record) {
	f.prove(rec.Header.Seq)
	if rec.IsHead() {
		r.noticeGap(now.Mono, f, none)
		return
	}
	r.parts.forget(rec)
	r.enter(now, f, rec)
}

// wait holds a record of a branch until the store knows that.
func (r *Room) wait(f *feed, rec *record.Record) {
	if f.prove(rec.Header.Seq); !rec.IsHead() && f.held.at(rec.Header.Seq) == nil && r.placeForRecord(f, rec) {
		r.parts.forget(rec)
		r.hold(f, rec)
	}
}

// takeAgain takes a record that f has.
func (r *Room) takeAgain(now Now, f *feed, rec *record.Record) {
	if t := r.trees[f.id.Feed]; t != nil {
		t.walk.agree(rec)
	}
	if !rec.IsHead() {
		r.parts.forget(rec)
	} else if f.high >= rec.Header.Seq && rec.Header.Flags&record.FlagAckWanted != 0 {
		r.acknowledge(now.Mono, f, true)
	}
}

// forked cuts f where rec and the record that we have there follow the same one.
func (r *Room) forked(now Now, f *feed, mine record.ID, rec *record.Record) {
	if !r.mayFork() {
		return // as long as nothing is known of the other branch, nothing is wrong here
	}
	y := r.split(now, f, mine, rec)
	r.heardFork(now, f)
	r.branch(now, f, rec)
	r.limitBranches(now, f.id.Feed)
	for _, c := range []*feed{f, y} {
		r.retry(now, c)
		r.noticeGap(now.Mono, c, none)
	}
}

// heardFork tells of a new fork, by which f ends.
func (r *Room) heardFork(now Now, f *feed) {
	if f.fork.tellAt = never; len(r.untold) < maxUntold {
		f.fork.tellAt = now.Mono + r.firstWant() + r.jitter(r.profile.digestMin)
		r.untold = append(r.untold, f.fork)
	}
	r.out.Events = append(r.out.Events, Event{
		Kind: Forked, Record: f.fork.heads[1], Branch: f.fork.ids[0], Device: f.author, Nick: r.Nick(f.author),
	})
}

// split makes what f has from other's number on a branch of its own, and has the store do the same. The store keeps the
// head of other, too: the record itself may never come, and without it nobody could prove the fork to others.
func (r *Room) split(now Now, f *feed, mine record.ID, other *record.Record) *feed {
	h := other.Header
	y, at := r.feedOf(record.Chain{Feed: f.id.Feed, Branch: mine}), h.Seq
	y.first, y.before, y.fork, y.onward = at, h.Prev, f.fork, f.onward
	y.next, y.prev, y.hasPrev, y.proven = f.next, f.prev, true, f.next-1
	y.trail = slices.Clone(f.trail[len(f.trail)-int(min(f.next-at, uint64(len(f.trail)))):])
	y.recount()
	r.moveClaim(now, f, y, h)
	f.rewind(at)
	f.prev, f.hasPrev = h.Prev, at > 1
	y.root = newFork(f, at, mine, other.ID)
	y.root.heads[1] = r.headOnly(other)
	f.fork, f.onward = y.root, y
	f.proven = min(f.proven, at-1)
	f.recount()
	t := r.treeOf(f.id.Feed)
	t.branches = append(t.branches, y)
	for _, seq := range f.held.numbers() {
		r.stray(r.release(f, seq))
	}
	r.splitReceipt(f, y)
	split := record.Split{Chain: f.id, At: at, Branch: mine, Before: h.Prev}
	r.splitLedger(split)
	if f == r.own {
		r.own, r.doubted = y, true // another run has our key, and got our numbers
	}
	r.keepFork(y.root, split)
	return y
}

// newFork is a fork at the end of f.
func newFork(f *feed, seq uint64, ids ...record.ID) *fork {
	k := &fork{of: f.id, seq: seq, tellAt: never}
	copy(k.ids[:], ids)
	return k
}

// keepFork has the store keep what is known of a fork beside records: where the chain ends, and heads that prove it.
func (r *Room) keepFork(k *fork, split record.Split) {
	k.split = &split
	for _, h := range k.heads {
		if h != nil {
			k.split.Heads = append(k.split.Heads, h)
		}
	}
	r.splits = append(r.splits, k)
	r.tellSplit()
}

// moveClaim divides what is claimed of f between it and the branch that begins with number h.Seq.
func (r *Room) moveClaim(now Now, f, y *feed, h record.Header) {
	if f.high < h.Seq {
		return
	}
	r.claim(now, y, func() { y.low, y.high, y.head, y.tip = max(f.low, h.Seq), f.high, f.head, f.tip })
	r.claim(now, f, func() {
		if f.high, f.head, f.tip = h.Seq-1, h.Prev, nil; f.high < f.low {
			f.low, f.high = 0, 0
		}
	})
}

// branch begins the branch of f that rec is the first of, unless enough others go before it.
func (r *Room) branch(now Now, f *feed, rec *record.Record) {
	t, id := r.treeOf(f.id.Feed), record.Chain{Feed: f.id.Feed, Branch: rec.ID}
	if slices.ContainsFunc(t.branches, func(b *feed) bool { return b.id == id }) {
		return // it was begun, and its beginning given up since
	}
	if k := f.fork; k.ids[0] != rec.ID && k.ids[1].IsZero() {
		k.ids[1], k.heads[1] = rec.ID, r.headOnly(rec)
		r.keepFork(k, record.Split{Chain: f.id, At: k.seq})
	}
	last := len(t.branches) - 1
	full := last+1 >= maxBranches && compareBranch(rec.Header.Seq, rec.ID, t.branches[last]) > 0
	if full || r.feeds[id] == nil && !r.placeFor(1) {
		r.refuse(t, id)
		return
	}
	y := r.feedOf(id)
	y.first, y.before, y.root = rec.Header.Seq, rec.Header.Prev, f.fork
	y.next, y.prev, y.hasPrev = y.first, y.before, true
	t.branches = append(t.branches, y)
	r.limitBranches(now, f.id.Feed)
	r.take(now, y, rec)
}

// refuse drops what members claim of a branch that is not followed, and what is known to follow it.
func (r *Room) refuse(t *tree, id record.Chain) {
	if f := r.short[id.Short()]; f != nil && f.id == (record.Chain{}) {
		delete(r.short, f.short)
		delete(r.asks, f)
	}
	r.giveUpWalk(t)
}

func compareBranch(first uint64, id record.ID, b *feed) int {
	return cmp.Or(cmp.Compare(first, b.first), bytes.Compare(id[:], b.id.Branch[:]))
}

// limitBranches follows no more branches than maxBranches. Those that are followed no more stay in the store, to be
// shown; but they are not claimed, so that all members agree in the end.
func (r *Room) limitBranches(now Now, id record.Feed) {
	t := r.trees[id]
	slices.SortFunc(t.branches, func(a, b *feed) int { return compareBranch(a.first, a.id.Branch, b) })
	for len(t.branches) > maxBranches {
		last := t.branches[len(t.branches)-1]
		t.branches = t.branches[:len(t.branches)-1]
		r.claim(now, last, func() { last.low, last.high = 0, 0 })
		r.drop(last)
		delete(r.feeds, last.id)
		delete(r.short, last.short)
		delete(r.asks, last)
		r.receipts.forget(last)
		is := func(f *feed) bool { return f == last }
		r.newest, r.ragged = slices.DeleteFunc(r.newest, is), slices.DeleteFunc(r.ragged, is)
		last.left = true
	}
}

// forgetTree forgets why a feed of which nothing is stored was doubted.
func (r *Room) forgetTree(id record.Feed) {
	if t := r.trees[id]; t != nil {
		r.giveUpWalk(t)
		delete(r.trees, id)
	}
}

// contradicts tells whether a claim of f is of another chain than ours, as far as is remembered.
func (f *feed) contradicts(c wire.FeedClaim) bool {
	id, known := f.idAt(c.High)
	return known && [4]byte(id[:4]) != c.Head
}
