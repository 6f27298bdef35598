package chat

import (
	"slices"
	"time"

	"bcast/internal/record"
)

// tellSplit has the store split a chain, one at a time: what a store refused must not be followed by what builds on it.
func (r *Room) tellSplit() {
	if r.splitting != nil || r.splitAt != never || len(r.splits) == 0 {
		return
	}
	r.splitting = r.splits[0].split
	s := *r.splitting
	r.out.Store.Splits = append(r.out.Store.Splits, s)
	for i := range r.out.Store.Records { // these come after it
		if e := &r.out.Store.Records[i]; e.Chain() == s.Chain && e.Header.Seq >= s.At {
			e.Branch = s.Branch
		}
	}
}

// splitKept says that the store split a chain: its branches go on.
func (r *Room) splitKept(now Now, s record.Split) {
	if len(r.splits) > 0 && r.splits[0].split == r.splitting {
		r.splits[0].split = nil
		r.splits = r.splits[1:]
	}
	r.splitting = nil
	r.tellSplit()
	for _, f := range r.chainsOf(s.Chain.Feed) {
		r.accept(f)
		r.retry(now, f)
		r.noticeGap(now.Mono, f, none)
	}
}

// splitRefused says that the store could not split a chain.
func (r *Room) splitRefused(now time.Duration) {
	r.splitting, r.splitAt = nil, now+splitAgain
}

// cancelSplit forgets a split of records that the store refused.
func (r *Room) cancelSplit(k *fork) {
	if k != nil && k.split != nil {
		r.splits = slices.DeleteFunc(r.splits, func(o *fork) bool { return o == k })
		k.split = nil
	}
}

// nowOf is the chain that record seq of a chain is in now: it may have been split since it was handed out.
func (r *Room) nowOf(id record.Chain, seq uint64) *feed {
	f := r.feeds[id]
	if f == nil && !id.Branch.IsZero() {
		f = &feed{id: id, author: id.Feed.Author.ID(), left: true}
	}
	for f != nil && seq > f.end() {
		f = f.onward
	}
	return f
}

// restoreTrees finds the feeds with branches in what a store kept, and has it say where they begin.
func (r *Room) restoreTrees(kept *record.Kept) {
	ids := map[record.Feed][]record.ID{}
	var forked []record.Feed
	for _, c := range slices.Concat(kept.Chains, kept.Gone) {
		f := r.feeds[c.Chain]
		if f == nil || c.Chain.Branch.IsZero() {
			continue
		}
		f.first, f.before = c.First, c.Before
		if f.first == 0 {
			f.first = c.Low
		}
		if ids[c.Chain.Feed] == nil {
			forked = append(forked, c.Chain.Feed)
		}
		t := r.treeOf(c.Chain.Feed)
		t.loading, t.branches = true, append(t.branches, f)
		ids[c.Chain.Feed] = append(ids[c.Chain.Feed], c.Chain.Branch)
	}
	for _, h := range kept.Heads {
		t := r.treeOf(h.Header.Feed)
		t.heads = append(t.heads, h)
		if f := r.feeds[record.Chain{Feed: h.Header.Feed}]; f != nil && !t.loading {
			r.rejoin(f)
		}
	}
	for _, id := range forked {
		if r.own != nil && r.own.id.Feed == id {
			r.doubted = true
		}
		r.lookFor(look{tree: r.trees[id]}, record.Chain{Feed: id}, nil, ids[id])
	}
}

// grow puts the branches of a feed, whose first records were found, where they belong.
func (r *Room) grow(now Now, id record.Feed, found sightings) {
	t := r.trees[id]
	t.loading = false
	for _, e := range found {
		if f := r.feeds[e.Chain()]; f != nil && f.id.Branch == e.ID {
			f.first, f.before = e.Header.Seq, e.Header.Prev
		}
	}
	r.limitBranches(now, id)
	if len(t.branches) == 0 {
		return
	}
	trunk, lowest := r.feedOf(record.Chain{Feed: id}), t.branches[0]
	if trunk != nil && trunk.high == 0 && (trunk.next == 0 || trunk.next == lowest.first) { // nothing is left of it
		trunk.next, trunk.prev, trunk.hasPrev = lowest.first, lowest.before, lowest.first > 1
	}
	for _, f := range r.chainsOf(id) {
		r.rejoin(f)
	}
}

// rejoin ends f if branches are known that begin after it.
func (r *Room) rejoin(f *feed) {
	t := r.trees[f.id.Feed]
	if t == nil || f.fork != nil {
		return
	}
	for _, b := range t.branches {
		follows := b.first > 1 && b.before == f.prev && f.hasPrev || b.first == 1 && f.id.Branch.IsZero()
		if b == f || b.first != f.next || b.first <= f.first || !follows {
			continue
		}
		if f.fork == nil && b.root != nil && b.root.of == f.id {
			f.fork = b.root
		} else if f.fork == nil {
			f.fork = newFork(f, b.first, b.id.Branch)
		} else if f.fork.ids[1].IsZero() && f.fork.ids[0] != b.id.Branch {
			f.fork.ids[1] = b.id.Branch
		}
		b.root = f.fork
	}
	r.recall(f, t.heads)
}

// recall takes up the proof of the fork at the end of f from the heads that were kept. Two of them are one without any
// branch.
func (r *Room) recall(f *feed, heads []*record.Record) {
	var proof []*record.Record
	for _, h := range heads {
		if h.Header.Seq == f.next && sightings(nil).follows(f, h) {
			proof = append(proof, h)
		}
	}
	if f.fork == nil && len(proof) > 1 {
		f.fork = newFork(f, f.next, proof[0].ID, proof[1].ID)
	}
	k := f.fork
	if k == nil {
		return
	}
	for _, h := range proof {
		if k.ids[1].IsZero() && k.ids[0] != h.ID {
			k.ids[1] = h.ID
		}
		if i := slices.Index(k.ids[:], h.ID); i >= 0 {
			k.heads[i] = h
		}
	}
}
