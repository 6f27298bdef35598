package chat

import (
	"slices"
	"time"

	"bcast/identity"
	"bcast/internal/record"
	"bcast/internal/wire"
)

// awaited is an own post whose receipts are counted, against the members that were here when it was said.
type awaited struct {
	rec     *record.Record
	members []identity.DeviceID
	have    int
}

// acknowledge plans a receipt if the author wants one (R18), spread so that a crowd's do not collide.
func (r *Room) acknowledge(now time.Duration, f *feed, flags byte) {
	if flags&record.FlagAckWanted == 0 {
		return
	}
	if _, planned := r.receipts[f]; planned {
		return
	}
	at := now + r.jitter(time.Duration(r.crowd())*r.profile.receiptEach)
	r.receipts[f] = max(at, f.receipted+receiptAgain)
}

func (r *Room) receiptDeadline() time.Duration {
	at := never
	for _, due := range r.receipts {
		at = min(at, due)
	}
	return at
}

func (r *Room) sendReceipts(now time.Duration) {
	var due []*feed
	for f, at := range r.receipts {
		if at <= now {
			due = append(due, f)
		}
	}
	slices.SortFunc(due, byName)
	for _, f := range due {
		delete(r.receipts, f)
		f.receipted = now
		if _, here := r.present[f.author]; here {
			r.send(f.author, Control, wire.Receipt{
				Stored: []wire.FeedClaim{f.wireClaim()}, Loss: uint16(r.link.Loss * 65535),
			})
		}
	}
}

// await counts the receipts of rec from now on.
func (r *Room) await(rec *record.Record) {
	a := &awaited{rec: rec}
	for _, p := range r.sortedPresent() {
		if r.isMember(p.ID) {
			a.members = append(a.members, p.ID)
		}
	}
	r.awaited = append(r.awaited, a)
	if len(r.awaited) > maxAwaited {
		r.awaited = r.awaited[1:]
	}
}

// Await tells how many of the members that were here when post id was said hold it.
func (r *Room) Await(id record.ID) (members, have int) {
	for _, a := range r.awaited {
		if a.rec.ID == id {
			return len(a.members), a.have
		}
	}
	return 0, 0
}

// reached notes that a member has our feed up to high.
func (r *Room) reached(id identity.DeviceID, high uint64) {
	if high <= r.levels[id] || high >= r.own.next {
		return
	}
	r.levels[id] = high
	for _, a := range r.awaited {
		have := 0
		for _, m := range a.members {
			if r.levels[m] >= a.rec.Header.Seq {
				have++
			}
		}
		if have != a.have {
			a.have = have
			r.out.Events = append(r.out.Events, Event{
				Kind: Received, Record: a.rec, Members: len(a.members), Have: have,
			})
		}
	}
}

// Frame takes a signed frame of a member, checked (R4).
func (r *Room) Frame(now Now, from identity.DeviceID, f wire.Frame) {
	switch f := f.(type) {
	case wire.Digest:
		r.digest(now, from, f)
	case wire.Range:
		r.ranges(now, from, f)
	case wire.Want:
		r.want(now.Mono, from, f)
	case wire.Receipt:
		for _, c := range f.Stored {
			r.credit(from, c)
		}
	}
}
