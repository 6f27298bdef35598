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

// A record that follows none of ours tells that there is another branch, and not where it begins. What is before it is
// asked for by its id, and by a number half way to where we agree, until two records are found that follow the same.

// Limits of finding a fork.
const (
	// maxStrays is how many records of a feed wait for those before them to be found; the highest goes first, and is
	// asked for again as one of its branch. They count among the bytes held.
	maxStrays = 64
	// maxWalkTries is how often something is asked for in vain before the walk rests for walkRest: a member that only
	// says to have another branch makes nobody ask without end.
	maxWalkTries = 8
	walkRest     = time.Minute
	// maxWalks is how many walks go on at once that an author's signature gave reason for, and how many that a claim did;
	// the others wait. So neither makes us send more than a few wants a second.
	maxWalks = 4
	// maxLooks is how often the store is asked at once for the ids of old records. What else comes meanwhile is dropped,
	// and comes again: every digest says anew that there is a difference.
	maxLooks = 8
)

// walk is the way back to where a branch begins.
type walk struct {
	deep    *record.Record    // the lowest record known that follows none of ours, without its body
	probe   uint64            // if there is none: the number at which witness has another record of chain
	chain   record.Chain      // in which it is looked for
	agreed  uint64            // the highest number at which there was no difference
	witness identity.DeviceID // who claims to have another record
	at      time.Duration     // when it is asked for next; never: nothing is
	rest    time.Duration     // before then nothing is asked for
	tries   int               // in vain
}

// agree notes that another has the same record as we.
func (w *walk) agree(rec *record.Record) {
	w.agreed = max(w.agreed, rec.Header.Seq)
	if w.deep == nil && w.probe == rec.Header.Seq {
		w.probe, w.at = 0, never // there is no difference, or not here
	}
}

// stray keeps a record of which it is not known where it belongs, and has the one before it looked for.
func (r *Room) stray(rec *record.Record) {
	id, h := rec.Header.Feed, &rec.Header
	for _, f := range r.chainsOf(id) {
		if f.id.Branch.IsZero() && f.next != 0 && h.Seq <= f.begins() && f.begins() > 1 {
			return // it forked before what we keep: nothing here shows where
		}
	}
	t := r.treeOf(id)
	if !rec.IsHead() {
		r.keepStray(t, rec)
	}
	if w := &t.walk; w.deep == nil || h.Seq < w.deep.Header.Seq {
		w.deep, w.probe, w.tries = r.headOnly(rec), 0, 0
		r.walkOn(w, w.rest)
		if w.chain == (record.Chain{}) {
			w.chain.Feed = id
		}
	}
}

func (r *Room) keepStray(t *tree, rec *record.Record) {
	same := func(s *record.Record) bool { return s.ID == rec.ID }
	if slices.ContainsFunc(t.strays, same) || r.heldBytes+len(rec.Bytes()) > maxHeldBytes {
		return
	}
	if len(t.strays) >= maxStrays {
		highest := 0
		for i, s := range t.strays {
			if s.Header.Seq > t.strays[highest].Header.Seq {
				highest = i
			}
		}
		if t.strays[highest].Header.Seq <= rec.Header.Seq {
			return
		}
		r.takeStray(t, highest)
	}
	t.strays = append(t.strays, rec)
	r.heldBytes += len(rec.Bytes())
}

func (r *Room) takeStray(t *tree, i int) *record.Record {
	rec := t.strays[i]
	t.strays = slices.Delete(t.strays, i, i+1)
	r.heldBytes -= len(rec.Bytes())
	return rec
}

// headOnly is a record without its body, which is not kept in memory for it.
func (r *Room) headOnly(rec *record.Record) *record.Record {
	head, err := record.ParseHead(r.cfg.ID, bytes.Clone(rec.Head()))
	if err != nil {
		panic("the head of a record is well formed: " + err.Error())
	}
	return head
}

// retry finds the place of what was waiting for a record that f has now.
func (r *Room) retry(now Now, f *feed) {
	t := r.trees[f.id.Feed]
	if t == nil {
		return
	}
	belongs := func(rec *record.Record) bool { return sightings(nil).follows(f, rec) }
	for range maxStrays {
		i := slices.IndexFunc(t.strays, belongs)
		if i < 0 {
			break
		}
		r.sift(now, r.takeStray(t, i), nil)
	}
	if deep := t.walk.deep; deep != nil && (belongs(deep) || r.isPlaced(deep)) {
		t.walk.deep, t.walk.at, t.walk.tries = nil, never, 0
		r.sift(now, deep, nil)
	}
	if t.walk.deep == nil && len(t.strays) > 0 {
		r.stray(slices.MinFunc(t.strays, func(a, b *record.Record) int {
			return cmp.Compare(a.Header.Seq, b.Header.Seq)
		}))
	}
}

// waits tells that f is a branch that the store does not know yet.
func (f *feed) waits() bool { return f.root != nil && f.root.split != nil }

// isPlaced tells whether rec is in one of the chains of its feed.
func (r *Room) isPlaced(rec *record.Record) bool {
	return slices.ContainsFunc(r.chainsOf(rec.Header.Feed), func(f *feed) bool {
		id, known := f.idAt(rec.Header.Seq)
		return known && id == rec.ID
	})
}

// walkOn has what w is after be asked for at a time.
func (r *Room) walkOn(w *walk, at time.Duration) {
	w.at, r.walkAt = at, min(r.walkAt, at)
}

// giveUpWalk stops looking for where a branch begins, for a while.
func (r *Room) giveUpWalk(t *tree) {
	for len(t.strays) > 0 {
		r.takeStray(t, len(t.strays)-1)
	}
	t.walk = walk{at: never, rest: t.walk.rest}
}

// dueWalks are the feeds of which something is to be looked for now. It finds when the next of the others is really
// due: walkAt may be of one that was given up since. There may be many trees, and the deadline is asked for after each
// datagram.
func (r *Room) dueWalks(now time.Duration) []record.Feed {
	if now < r.walkAt {
		return nil
	}
	var due []record.Feed
	r.walkAt = never
	for id, t := range r.trees {
		if t.walk.at <= now {
			due = append(due, id)
		} else {
			r.walkAt = min(r.walkAt, t.walk.at)
		}
	}
	slices.SortFunc(due, func(a, b record.Feed) int {
		return record.Chain{Feed: a}.Compare(record.Chain{Feed: b})
	})
	return due
}

func (r *Room) sendWalks(now time.Duration) {
	for _, id := range r.dueWalks(now) {
		t := r.trees[id]
		w := &t.walk
		target, ok := r.walkTarget(id.Author.ID(), w)
		if !ok || w.tries >= maxWalkTries || w.deep == nil && w.probe == 0 {
			r.giveUpWalk(t)
			t.walk.rest = now + walkRest
			continue
		}
		if w.tries == 0 && r.walking(w.deep != nil) >= maxWalks {
			r.walkOn(w, now+r.profile.wantAgainMax)
			continue
		}
		again := min(r.profile.wantAgain<<w.tries, r.profile.wantAgainMax)
		w.tries++
		r.walkOn(w, now+again+r.jitter(again/4))
		r.send(target, Control, r.walkWant(w))
	}
}

// walking is how many walks go on, by a record that follows none of ours or by a claim alone.
func (r *Room) walking(signed bool) int {
	n := 0
	for _, t := range r.trees {
		if t.walk.tries > 0 && (t.walk.deep != nil) == signed {
			n++
		}
	}
	return n
}

// walkWant asks for the record before the lowest one known, and for one half way to where there is no difference.
func (r *Room) walkWant(w *walk) wire.Want {
	ask := wire.Want{Limit: uint16(min(r.cfg.RecvBuffer, wire.MaxDatagram))}
	at := w.probe
	if w.deep != nil {
		ask.IDs = [][16]byte{w.deep.Header.Prev}
		if at = (w.agreed + w.deep.Header.Seq) / 2; at >= w.deep.Header.Seq-1 {
			at = 0
		}
	}
	if f := r.feeds[w.chain]; f != nil && at > w.agreed {
		ask.Ranges = []wire.SeqRange{{Feed: f.short, From: at, To: at}}
	}
	return ask
}

// walkTarget chooses whom to ask: who said to have it and the author first, then anyone here.
func (r *Room) walkTarget(author identity.DeviceID, w *walk) (identity.DeviceID, bool) {
	for i, id := range []identity.DeviceID{w.witness, author} {
		if _, here := r.present[id]; here && w.tries%4 == i {
			return id, true
		}
	}
	var all []identity.DeviceID
	for _, p := range r.sortedPresent() {
		if r.isMember(p.ID) {
			all = append(all, p.ID)
		}
	}
	if len(all) == 0 {
		return identity.DeviceID{}, false
	}
	return all[r.cfg.Rand.IntN(len(all))], true
}

// look is why the store is asked for records that are not to be sent: to place rec, a fork, or the head of a claim, to
// show a proof to a member, or to know where the branches of a tree begin.
type look struct {
	rec   *record.Record
	rival *record.Record // which proves a fork together with rec
	claim *wire.FeedClaim
	from  identity.DeviceID
	proof *fork
	tree  *tree
	of    record.Chain
}

// lookFor asks the store, once at a time for each feed.
func (r *Room) lookFor(l look, of record.Chain, spans []record.Span, ids []record.ID) {
	if l.tree == nil {
		busy := len(r.looks) >= maxLooks
		for _, other := range r.looks {
			busy = busy || other.of.Feed == of.Feed
		}
		if busy {
			return
		}
	}
	l.of = of
	r.token++
	r.looks[r.token] = l
	r.out.Load = append(r.out.Load, Load{Token: r.token, Ranges: spans, IDs: ids})
}

// looked takes what the store has.
func (r *Room) looked(now Now, l look, found sightings) {
	if found == nil {
		found = sightings{} // asked for, and not there
	}
	f := r.feeds[l.of]
	switch {
	case l.tree != nil:
		r.grow(now, l.of.Feed, found)
	case l.proof != nil:
		for _, e := range found {
			for i, id := range l.proof.ids {
				if e.ID == id {
					l.proof.heads[i] = r.headOnly(e.Record)
				}
			}
		}
		r.sendProof(l.proof, l.from, found)
	case l.claim != nil && f != nil:
		if id, known := found.idAt(f, l.claim.High); known && [4]byte(id[:4]) != l.claim.Head {
			r.suspect(f, l.from, l.claim.High)
		}
	case l.rival != nil:
		r.siftBoth(now, l.rec, l.rival, found)
	case l.rec != nil:
		r.sift(now, l.rec, found)
	}
}
