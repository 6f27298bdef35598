package chat

import (
	"time"

	"bcast/identity"
	"bcast/internal/record"
	"bcast/internal/wire"
)

// skipped is where a feed was when it began anew behind what nobody here said to have. Until a record from there on has
// come that is the word of some member, who need not have what it claims: so it is taken back by a better one.
type skipped struct {
	next    uint64
	prev    record.ID
	hasPrev bool
	trail   []record.ID
}

// beginAnew gives up what nobody has any more (R13): a feed goes on from the lowest number that a member here claims to
// have, if for anewAfter none of them claimed to have the next one. Who comes back after a long time first hears of
// those that keep least; the others are asked.
func (r *Room) beginAnew(now time.Duration, f *feed) {
	r.mayLack(f)
	low := r.lowest(f)
	switch {
	case f == r.own || f.first != 0 || f.next == 0 || low <= f.next || low > f.end(): // a branch is known by its ids
		f.anewAt = never
	case f.anewAt == never:
		f.anewAt = now + anewAfter
		r.askAround(now, f)
	case now < f.anewAt:
		r.askAround(now, f)
	default:
		if f.anewAt = never; f.skipped == nil {
			f.skipped = &skipped{f.next, f.prev, f.hasPrev, f.trail}
		}
		f.anew, f.hasPrev, f.trail, r.full = true, false, nil, false
		r.goOn(f, low)
	}
}

// askAround asks members that said nothing of f what they have of it: by a list of it alone, which is answered with
// what we lack (R16).
func (r *Room) askAround(now time.Duration, f *feed) {
	if now < r.aroundAt {
		return
	}
	r.aroundAt = now + r.profile.digestMin
	list := wire.Span{From: f.short, To: f.short, Listed: true}
	if f.high != 0 {
		list.Claims = wireClaims([]*feed{f})
	}
	var silent []identity.DeviceID
	for _, p := range r.sortedPresent() {
		if f.holders[p.ID] == nil && r.isMember(p.ID) {
			silent = append(silent, p.ID)
		}
	}
	for _, i := range r.cfg.Rand.Perm(len(silent))[:min(len(silent), maxAround)] {
		r.send(silent[i], Control, wire.Range{Spans: []wire.Span{list}})
	}
}

// lowest is from which number on somebody here claims to have f; zero: nobody does. Who claims to have the next one and
// was asked for it in vain again and again does not count: a liar would keep all from going on.
func (r *Room) lowest(f *feed) uint64 {
	low := uint64(0)
	for id, h := range f.holders {
		if h.high >= f.next && (h.low > f.next || f.askedOf(id).idle < patience) && (low == 0 || h.low < low) {
			low = max(h.low, 1)
		}
	}
	return low
}

// goBackFor has f go on from where it was if its author signed number seq just now, of those that were skipped.
func (r *Room) goBackFor(f *feed, seq uint64) {
	if s := f.skipped; s != nil && s.next <= seq && seq < f.next && seq > f.proven {
		r.goBack(f)
	}
}

// goBackBy does so if the author, or a member that was not asked for it in vain again and again, says to have what was
// to come next.
func (r *Room) goBackBy(f *feed, from identity.DeviceID, c wire.FeedClaim) {
	s := f.skipped
	if s == nil || c.Low > s.next || c.High < s.next {
		return
	}
	if h := f.holders[from]; from == f.author || h == nil || h.idle < patience {
		r.goBack(f)
	}
}

func (r *Room) goBack(f *feed) {
	s := f.skipped
	f.prev, f.hasPrev, f.trail = s.prev, s.hasPrev, s.trail
	f.skipped, f.anew, f.anewAt = nil, false, never
	r.goOn(f, s.next)
}
