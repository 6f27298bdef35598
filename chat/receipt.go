package chat

import (
	"cmp"
	"container/heap"
	"math"
	"slices"
	"time"

	"bcast/identity"
	"bcast/internal/record"
	"bcast/internal/wire"
)

// receipts is what authors are still to be told about what is stored of theirs. In a crowd that comes there is one on
// its way to each: it is looked at those that are due, not at all.
type receipts struct {
	due  map[identity.DeviceID]*receipt
	line turns                               // the same, by when they are due
	last map[identity.DeviceID]time.Duration // when each was told
	away map[identity.DeviceID][]*feed       // untold ones of authors that are not here
}

// receipt is on its way to one author. Everything of it that comes in the meantime goes along.
type receipt struct {
	to    identity.DeviceID
	at    time.Duration
	slot  int     // its place in the line
	feeds []*feed // each is untold
	asked bool
}

// turns is a heap of receipts, the first one due first.
type turns []*receipt

func (t turns) Len() int           { return len(t) }
func (t turns) Less(i, j int) bool { return t[i].at < t[j].at }

func (t turns) Swap(i, j int) {
	t[i], t[j] = t[j], t[i]
	t[i].slot, t[j].slot = i, j
}

func (t *turns) Push(d any) {
	d.(*receipt).slot = len(*t)
	*t = append(*t, d.(*receipt))
}

func (t *turns) Pop() any {
	last := len(*t) - 1
	d := (*t)[last]
	(*t)[last], *t = nil, (*t)[:last]
	return d
}

func (r *receipts) init() {
	r.due, r.away = map[identity.DeviceID]*receipt{}, map[identity.DeviceID][]*feed{}
	r.last = map[identity.DeviceID]time.Duration{}
}

func (r *receipts) deadline() time.Duration {
	if len(r.line) == 0 {
		return never
	}
	return r.line[0].at
}

// take removes those that are due, and returns them by whom they are for.
func (r *receipts) take(now time.Duration) []*receipt {
	var due []*receipt
	for r.deadline() <= now {
		due = append(due, heap.Pop(&r.line).(*receipt))
	}
	slices.SortFunc(due, func(a, b *receipt) int { return a.to.Compare(b.to) })
	return due
}

// leave notes that an author is not here any more: what it is not told yet waits until it comes.
func (r *receipts) leave(author identity.DeviceID) {
	if d := r.due[author]; d != nil {
		heap.Remove(&r.line, d.slot)
		r.away[author] = append(r.away[author], d.feeds...)
	}
	delete(r.due, author)
	delete(r.last, author)
}

// acknowledge plans a receipt of f to its author (R18). Who asked gets it soon, so spread that a crowd's do not
// collide; others get it by and by: then a crowd's receipts to one author are about twenty a second, however large it
// is and however much the author says. An author that is not here is told when it comes.
func (r *Room) acknowledge(now time.Duration, f *feed, asked bool) {
	if f.author == r.self {
		return
	}
	if _, here := r.present[f.author]; !here {
		if !f.untold {
			f.untold = true
			r.receipts.away[f.author] = append(r.receipts.away[f.author], f)
		}
		return
	}
	d := r.receipts.due[f.author]
	if d == nil {
		d = &receipt{to: f.author, at: never}
		r.receipts.due[f.author] = d
		heap.Push(&r.receipts.line, d)
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
	heap.Fix(&r.receipts.line, d.slot)
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
	untold := r.receipts.away[author]
	delete(r.receipts.away, author)
	slices.SortFunc(untold, func(a, b *feed) int { return cmp.Compare(a.changed, b.changed) })
	for _, f := range untold {
		if f.untold = false; f.high != 0 {
			r.acknowledge(now, f, f.tip != nil && f.tip.Header.Flags&record.FlagAckWanted != 0)
		}
	}
}

func (r *Room) sendReceipts(now time.Duration) {
	for _, d := range r.receipts.take(now) {
		id := d.to
		if at := r.mayTell(now, id); at > now {
			d.at = at
			heap.Push(&r.receipts.line, d)
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
	if away := r.receipts.away[f.author]; slices.Contains(away, f) {
		r.receipts.away[f.author] = append(away, y)
	}
	if d := r.receipts.due[f.author]; d != nil && slices.Contains(d.feeds, f) {
		d.feeds = append(d.feeds, y)
	}
}

// forget takes f out of what is to be told.
func (r *receipts) forget(f *feed) {
	is := func(o *feed) bool { return o == f }
	if r.away[f.author] = slices.DeleteFunc(r.away[f.author], is); len(r.away[f.author]) == 0 {
		delete(r.away, f.author)
	}
	if d := r.due[f.author]; d != nil {
		d.feeds = slices.DeleteFunc(d.feeds, is)
	}
}
