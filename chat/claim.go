package chat

import (
	"bytes"
	"slices"

	"bcast/internal/wire"
)

// claim changes what is claimed of a feed and keeps sum and order of change in step.
func (r *Room) claim(now Now, f *feed, change func()) {
	claimed := f.high != 0
	r.full = false
	if claimed {
		r.sum.remove(f)
		r.delist(f)
	}
	if change(); f.high != 0 {
		r.sum.add(f)
		r.enlist(f)
	}
	if claimed != (f.high != 0) {
		r.name(f)
	}
	r.changedAt = now.Mono
	r.trickle.changed(now.Mono, r.profile, r.cfg.Rand)
}

// enlist puts a feed behind all that changed before, and delist takes it out.
func (r *Room) enlist(f *feed) {
	r.changes++
	f.changed = r.changes
	r.recent = append(r.recent, f)
	if f.author == r.self {
		r.mine = append(r.mine, f)
	}
}

func (r *Room) delist(f *feed) {
	r.recent = without(r.recent, f)
	if f.author == r.self {
		r.mine = without(r.mine, f)
	}
}

// name enters a feed among those with a claim, or takes it out.
func (r *Room) name(f *feed) {
	i, there := slices.BinarySearchFunc(r.named, f, byName)
	if there {
		r.named = slices.Delete(r.named, i, i+1)
	} else {
		r.named = slices.Insert(r.named, i, f)
	}
}

// without takes a feed out of a list that has it. What changed lately changes again: from the end it is near.
func without(feeds []*feed, f *feed) []*feed {
	for i, other := range slices.Backward(feeds) {
		if other == f {
			return slices.Delete(feeds, i, i+1)
		}
	}
	return feeds
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
	return a.id.Compare(b.id)
}
