package chat

import (
	"math"
	"slices"
	"time"

	"bcast/identity"
	"bcast/internal/record"
	"bcast/internal/wire"
)

// receipts is what authors that are here are still to be told about what is stored of theirs.
type receipts struct {
	due  map[identity.DeviceID]*receipt
	last map[identity.DeviceID]time.Duration // when each was told
	next time.Duration                       // none is due before
}

// receipt is on its way to one author. Everything of it that comes in the meantime goes along.
type receipt struct {
	at    time.Duration
	feeds []*feed // each is untold
	asked bool
}

func (r *receipts) init() {
	r.due = map[identity.DeviceID]*receipt{}
	r.last = map[identity.DeviceID]time.Duration{}
	r.next = never
}

func (r *receipts) deadline() time.Duration { return r.next }

// acknowledge plans a receipt of f to its author (R18). Who asked gets it soon, so spread that a crowd's do not
// collide; others get it by and by: then a crowd's receipts to one author are about twenty a second, however large it
// is and however much the author says. An author that is not here is told when it comes.
func (r *Room) acknowledge(now time.Duration, f *feed, asked bool) {
	if f.author == r.self {
		return
	}
	if _, here := r.present[f.author]; !here {
		f.untold = true
		return
	}
	d := r.receipts.due[f.author]
	if d == nil {
		d = &receipt{at: never}
		r.receipts.due[f.author] = d
		f.untold = false
	}
	if !f.untold {
		f.untold = true
		d.feeds = append(d.feeds, f)
	}
	if d.asked || !asked && d.at != never {
		return
	}
	spread, gap := r.receiptSpread(), r.receiptSpread()
	if asked {
		spread, gap = time.Duration(r.crowd())*r.profile.receiptEach, r.receiptGap()
	}
	at := now + r.jitter(spread)
	if last, told := r.receipts.last[f.author]; told {
		at = max(at, last+gap)
	}
	d.at, d.asked = min(d.at, at), asked
	r.receipts.next = min(r.receipts.next, d.at)
}

// receiptSpread is over which time unasked receipts of all members to one author are spread, and how often one sends
// one.
func (r *Room) receiptSpread() time.Duration {
	return max(receiptEvery, time.Duration(r.crowd())*receiptEveryEach)
}

// receiptGap is how often one member answers an author that asks.
func (r *Room) receiptGap() time.Duration {
	return max(receiptAgain, time.Duration(r.crowd())*receiptAgainEach)
}

// tellAuthor plans the receipt that could not be sent while its author was not here; soon, if the last record wants it.
func (r *Room) tellAuthor(now time.Duration, author identity.DeviceID) {
	var untold []*feed
	for _, f := range r.recent {
		if f.author == author && f.untold {
			untold = append(untold, f)
		}
	}
	for _, f := range untold {
		f.untold = false
		r.acknowledge(now, f, f.tip != nil && f.tip.Header.Flags&record.FlagAckWanted != 0)
	}
}

func (r *Room) sendReceipts(now time.Duration) {
	if now < r.receipts.next {
		return
	}
	var due []identity.DeviceID
	r.receipts.next = never
	for id, d := range r.receipts.due {
		if d.at <= now {
			due = append(due, id)
		} else {
			r.receipts.next = min(r.receipts.next, d.at)
		}
	}
	slices.SortFunc(due, identity.DeviceID.Compare)
	for _, id := range due {
		d := r.receipts.due[id]
		if at := r.mayTell(now, id); at > now {
			d.at = at
			r.receipts.next = min(r.receipts.next, at)
			continue
		}
		delete(r.receipts.due, id)
		r.receipts.last[id] = now
		for _, f := range d.feeds {
			f.untold = false
		}
		feeds := slices.DeleteFunc(d.feeds, func(f *feed) bool { return f.high == 0 }) // the store gave up all of it
		slices.SortFunc(feeds, byName)
		if n := min(len(feeds), r.claimsFor(id)); n > 0 {
			r.send(id, Control, wire.Receipt{Stored: wireClaims(feeds[:n]), Loss: uint16(r.link.Missed * math.MaxUint16)})
			feeds = feeds[n:]
		}
		for _, f := range feeds {
			r.acknowledge(now, f, false)
		}
	}
}

// claimsFor is how many claims of a receipt fit a datagram to that member.
func (r *Room) claimsFor(to identity.DeviceID) int {
	const beside = 7
	return min((r.LimitOf(to)-wire.SealedOverhead-wire.SignedOverhead-beside)/wire.ClaimSize, wire.MaxClaims)
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
	case wire.Signal:
		r.signal(now, from, f)
	case wire.Receipt:
		for _, c := range f.Stored {
			r.credit(now.Mono, from, c)
		}
	}
}

// splitReceipt has the author told of what was its feed f and is the branch y now, too.
func (r *Room) splitReceipt(f, y *feed) {
	y.untold = f.untold
	if d := r.receipts.due[f.author]; d != nil && slices.Contains(d.feeds, f) {
		d.feeds = append(d.feeds, y)
	}
}

// forget takes f out of what is to be told.
func (r *receipts) forget(f *feed) {
	if d := r.due[f.author]; d != nil {
		d.feeds = slices.DeleteFunc(d.feeds, func(o *feed) bool { return o == f })
	}
}
