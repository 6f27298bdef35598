package chat

import (
	"slices"
	"time"

	"bcast/identity"
	"bcast/internal/record"
	"bcast/internal/wire"
)

// Limits of telling of forks: a member that forks its feeds, or that does not want to know, must not make us send much.
const (
	// proofEach is how often one member is sent a proof; its claims ask for the next.
	proofEach = 100 * time.Millisecond
	// tellsEach is how often, on average, a proof is broadcast in a room, and maxTells how many at once. What is not
	// broadcast is sent to those whose claims ask for it.
	tellsEach = time.Second
	maxTells  = 4
)

// Fork takes two heads of one feed, whose signatures were checked, that cannot both be honest (R8). Who sent them means
// nothing.
func (r *Room) Fork(now Now, a, b *record.Record) {
	trunk := r.feeds[record.Chain{Feed: a.Header.Feed}]
	siblings := a.Header.Seq == b.Header.Seq && (a.Header.Prev == b.Header.Prev || a.Header.Seq == 1)
	if a.Header.Feed != b.Header.Feed || a.ID == b.ID {
		return
	}
	if siblings && trunk != nil && (trunk.hasPrev || r.isForked(trunk)) {
		r.siftBoth(now, a, b, nil)
		return
	}
	r.Head(now, a) // what follows is asked for, and shows the fork
	r.Head(now, b)
}

// siftBoth finds where two heads fork a chain that we have. What is not remembered, the store is asked.
func (r *Room) siftBoth(now Now, a, b *record.Record, seen sightings) {
	seq, chains := a.Header.Seq, r.chainsOf(a.Header.Feed)
	if r.loadingTree(a.Header.Feed) || seen == nil && r.lookAround(look{rec: a, rival: b}, chains) {
		return
	}
	for _, f := range chains {
		if !seen.follows(f, a) {
			continue
		}
		if mine, known := seen.idAt(f, seq); known {
			if mine == a.ID {
				a, b = b, a
			}
			r.forked(now, f, mine, a)
		} else if f.next == seq && f.fork == nil && r.mayFork() {
			f.fork = newFork(f, seq, a.ID, b.ID)
			f.fork.heads = [2]*record.Record{r.headOnly(a), r.headOnly(b)}
			f.proven = min(f.proven, seq-1)
			f.recount()
			for _, seq := range f.held.numbers() {
				r.stray(r.release(f, seq))
			}
			r.heardFork(now, f)
			r.keepFork(f.fork, record.Split{Chain: f.id, At: seq})
			r.doubted = r.doubted || f == r.own // another run has our key
		}
		if f.fork == nil || f.fork.seq != seq {
			return
		}
		f.fork.tellAt = never // others have heard it, too
		for _, rec := range []*record.Record{a, b} {
			id := record.Chain{Feed: rec.Header.Feed, Branch: rec.ID}
			if r.feeds[id] == nil {
				r.branch(now, f, rec)
			}
		}
		r.noticeGap(now.Mono, f, none)
		return
	}
	r.Head(now, a)
	r.Head(now, b)
}

// loadingTree tells that the store was asked where the branches of a feed begin, and did not answer yet.
func (r *Room) loadingTree(id record.Feed) bool {
	t := r.trees[id]
	return t != nil && t.loading
}

// denies tells whether a member's claim of f speaks of another chain than ours. A member that does not know of a fork
// is told; if it is we who do not, the fork is looked for.
func (r *Room) denies(now time.Duration, from identity.DeviceID, f *feed, c wire.FeedClaim) bool {
	if r.loadingTree(f.id.Feed) {
		return false
	}
	if c.High > f.end() {
		r.enlighten(now, from, f)
		return true
	}
	if c.High >= f.next {
		return false
	}
	id, known := f.idAt(c.High)
	if !known && f.isStored(c.High) {
		span := record.Span{Chain: f.id, From: c.High, To: c.High}
		r.lookFor(look{claim: &c, from: from}, f.id, []record.Span{span}, nil)
	}
	if known && [4]byte(id[:4]) != c.Head {
		r.suspect(f, from, c.High)
		return true
	}
	return false
}

// suspect looks for the record that a member claims to have in the place of ours.
func (r *Room) suspect(f *feed, from identity.DeviceID, seq uint64) {
	if w := &r.treeOf(f.id.Feed).walk; w.deep == nil && w.probe == 0 {
		w.probe, w.chain, w.witness, w.agreed, w.tries = seq, f.id, from, 0, 0
		r.walkOn(w, w.rest)
	}
}

// enlighten sends a member the proof of the fork at the end of f.
func (r *Room) enlighten(now time.Duration, from identity.DeviceID, f *feed) {
	s := r.serve(now, from)
	if now < s.provedAt || !s.spend() {
		return
	}
	s.provedAt = now + proofEach
	r.sendProof(f.fork, from, nil)
}

// sendProof sends the proof of a fork, after it was read from the store if need be.
func (r *Room) sendProof(k *fork, to identity.DeviceID, seen sightings) {
	if k.heads[0] != nil && k.heads[1] != nil {
		r.send(to, Control, wire.Fork{A: k.heads[0].Head(), B: k.heads[1].Head()})
	} else if seen == nil {
		r.lookFor(look{proof: k, from: to}, k.of, nil, k.ids[:])
	}
}

// forkDeadline is when something is due about forks.
func (r *Room) forkDeadline() time.Duration {
	at := min(r.splitAt, r.walkAt)
	for _, k := range r.untold {
		at = min(at, k.tellAt)
	}
	return at
}

// sendForks does what is due about forks.
func (r *Room) sendForks(now time.Duration) {
	if r.splitAt <= now {
		r.splitAt = never
		r.tellSplit()
	}
	r.sendWalks(now)
	for _, k := range r.untold {
		if k.tellAt > now {
			continue
		}
		r.tells.refill(now, maxTells, 1/tellsEach.Seconds())
		if k.tellAt = never; r.tells.spend() {
			r.sendProof(k, identity.DeviceID{}, nil)
		}
	}
	r.untold = slices.DeleteFunc(r.untold, func(k *fork) bool { return k.tellAt == never })
}
