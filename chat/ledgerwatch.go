package chat

import (
	"slices"
	"time"

	"bcast/identity"
	"bcast/internal/record"
	"bcast/internal/wire"
)

// watched is an own record of which it is told how many have it.
type watched struct {
	rec     *record.Record
	chain   record.Chain
	members []identity.DeviceID
	have    int
	changed bool // since it was told
}

// watch tells from now on how many of members have rec.
func (r *Room) watch(rec *record.Record, chain record.Chain, members []identity.DeviceID) {
	l := &r.ledger
	l.watched = append(l.watched, &watched{rec: rec, chain: chain, members: members})
	if len(l.watched) > maxWatched {
		l.watched = slices.Delete(l.watched, 0, 1)
	}
}

// Watched is an own record said lately.
func (r *Room) Watched(id record.ID) (e record.Entry, known bool) {
	for _, w := range r.ledger.watched {
		if w.rec.ID == id {
			return record.Entry{Record: w.rec, Branch: w.chain.Branch}, true
		}
	}
	return record.Entry{}, false
}

// recountWatched counts a member among those that have a record, or no more, after its level changed. Who waits for
// receipts is told at once, others by and by.
func (r *Room) recountWatched(now time.Duration, chain record.Chain, id identity.DeviceID, was, is level) {
	for _, w := range r.ledger.watched {
		seq := w.rec.Header.Seq
		if w.chain != chain || was.holds(seq) == is.holds(seq) {
			continue
		}
		if _, counts := slices.BinarySearchFunc(w.members, id, identity.DeviceID.Compare); !counts {
			continue
		}
		if is.holds(seq) {
			w.have++
		} else {
			w.have--
		}
		w.changed = true
		if w.rec.Header.Flags&record.FlagAckWanted != 0 || w.have == len(w.members) {
			r.tellReceived(w)
		} else {
			r.ledger.tellAt = min(r.ledger.tellAt, now+tellReceivedEach)
		}
	}
}

// tellWatched tells what changed lately.
func (r *Room) tellWatched(now time.Duration) {
	if now < r.ledger.tellAt {
		return
	}
	r.ledger.tellAt = never
	for _, w := range r.ledger.watched {
		if w.changed {
			r.tellReceived(w)
		}
	}
}

func (r *Room) tellReceived(w *watched) {
	w.changed = false
	e := Event{Kind: Received, Record: w.rec, Branch: w.chain.Branch, Members: len(w.members), Have: w.have}
	for _, id := range w.members {
		if len(e.Missing) == MaxMissing {
			break
		}
		if !r.has(w.chain, w.rec.Header.Seq, id) {
			e.Missing = append(e.Missing, id)
		}
	}
	r.out.Events = append(r.out.Events, e)
}

// splitLedger follows a split of an own chain: what a member told of the numbers from split.At on may be about another
// branch, so of the new one nothing is known yet.
func (r *Room) splitLedger(split record.Split) {
	branch := record.Chain{Feed: split.Chain.Feed, Branch: split.Branch}
	for _, w := range r.ledger.watched {
		if w.chain == split.Chain && w.rec.Header.Seq >= split.At {
			w.chain, w.changed, w.have = branch, false, 0
		}
	}
	if ls := r.ledger.levels[split.Chain]; ls != nil {
		ls.cut(split.At)
	}
	if q := &r.ledger.inquiry; q.rec != nil && q.chain == split.Chain && q.rec.Header.Seq >= split.At {
		q.chain = branch
	}
}

// inquiry asks members again for receipts of the last own record that wants some: a receipt may be lost, or the record.
type inquiry struct {
	rec     *record.Record
	chain   record.Chain
	members []identity.DeviceID
	at      time.Duration // never: nobody is to be asked
	until   time.Duration
	gap     time.Duration
}

// inquireFor begins to ask for receipts of rec, when the HEADs that follow it have had their time.
func (r *Room) inquireFor(now time.Duration, f *feed, rec *record.Record) {
	members, known := r.Roster(rec.Header.Feed, rec.Header.Seq)
	if !known || rec.Header.Flags&record.FlagAckWanted == 0 {
		return
	}
	r.ledger.inquiry = inquiry{
		rec: rec, chain: f.id, members: members, gap: inquireFirst,
		at: now + inquireAfter + time.Duration(r.crowd())*r.profile.receiptEach, until: now + inquireUntil,
	}
}

// inquireAgain goes on asking when a member came that lacks the record, as far as we know: soon, for it may have been
// taken for gone only, and somebody waits.
func (r *Room) inquireAgain(now time.Duration, id identity.DeviceID) {
	q := &r.ledger.inquiry
	if q.rec == nil || !r.owes(q, id) {
		return
	}
	q.at = min(q.at, now+inquireBack+r.jitter(inquireBack))
	q.until, q.gap = now+inquireUntil, inquireFirst
}

// owes tells whether a member that is asked did not say yet that it has the record.
func (r *Room) owes(q *inquiry, id identity.DeviceID) bool {
	_, asked := slices.BinarySearchFunc(q.members, id, identity.DeviceID.Compare)
	return asked && !r.has(q.chain, q.rec.Header.Seq, id)
}

// inquire sends the HEAD of the record once more: to those who owe a receipt, or, if they are many, to all.
func (r *Room) inquire(now time.Duration) {
	q := &r.ledger.inquiry
	if now < q.at {
		return
	}
	q.at = never
	var owing []identity.DeviceID
	for _, p := range r.sortedPresent() {
		if r.owes(q, p.ID) {
			owing = append(owing, p.ID)
		}
	}
	if len(owing) == 0 || now >= q.until {
		return
	}
	wait := q.gap
	if len(owing) > inquireEach {
		owing = []identity.DeviceID{{}}
		wait = max(wait, r.receiptGap())
	}
	for _, id := range owing {
		r.send(id, Control, wire.Head{Bytes: q.rec.Head()})
	}
	if q.at = now + wait; q.until-now < inquireUntil-inquireEager {
		q.gap = min(q.gap*3/2, inquireMax)
	}
}

// unwatch forgets a record that could not be stored: it was never said.
func (r *Room) unwatch(rec *record.Record) {
	r.ledger.watched = slices.DeleteFunc(r.ledger.watched, func(w *watched) bool { return w.rec == rec })
}
