package chat

import (
	"math"
	"slices"
	"time"

	"bcast/identity"
	"bcast/internal/record"
	"bcast/internal/wire"
)

// ask is when to ask for what a feed lacks, and how often that was done in vain.
type ask struct {
	at    time.Duration
	wait  time.Duration // of which at is the end: what is due within a quarter of it goes along with others
	tries int
	of    identity.DeviceID // who was asked last

	certain bool // the author signed that there is something to ask for
}

// wants are what is sent now to each of those who are asked.
type wants map[identity.DeviceID]*wire.Want

// askDeadline is when an ask is due, or was, before it was put off or given up: in a crowd that comes there are
// hundreds, and this is asked after each datagram.
func (r *Room) askDeadline() time.Duration {
	if len(r.asks) == 0 {
		return never
	}
	return max(r.askAt, r.askRest)
}

// ask begins to ask for what f lacks.
func (r *Room) ask(f *feed, at time.Duration) {
	if len(r.asks) == 0 {
		r.askAt = never // what was due is here
	}
	r.asks[f] = &ask{at: at, certain: f.certain()}
	r.askAt = min(r.askAt, at)
}

// nextAsk finds when an ask is really due.
func (r *Room) nextAsk() time.Duration {
	r.askAt = never
	for _, a := range r.asks {
		r.askAt = min(r.askAt, a.at)
	}
	return r.askAt
}

// progress is what a record did that just came of a feed.
type progress uint8

const (
	none    progress = iota // there was no record, but a word of one
	held                    // it waits behind the gap
	forward                 // it closed the gap, or a part of it from the front
)

// noticeGap begins, goes on with or ends the asking for f (R10). What closes a gap from the front is an answer, and the
// rest of it may be on its way. What comes behind it is only what the author goes on to say: it puts off nothing, or a
// gap of who speaks steadily would be asked for when it pauses. Either shows that asking is worth it, and patience
// starts anew.
func (r *Room) noticeGap(now time.Duration, f *feed, p progress) {
	r.mayLack(f)
	a := r.asks[f]
	switch {
	case f.missing() == 0:
		delete(r.asks, f)
		clear(f.holders)
	case r.covered(f):
	case a == nil:
		r.ask(f, now+r.firstWant())
		r.bulk.checkAt = max(r.bulk.checkAt, now)
	default:
		if p == forward {
			a.at = max(a.at, now+r.profile.wantAgain)
		}
		if p != none {
			a.tries = min(a.tries, 1)
			r.askSoon(now, a)
		}
		r.assure(now, f, a)
	}
}

// assure has the author be asked soon for what it signed since it did not give what others claimed.
func (r *Room) assure(now time.Duration, f *feed, a *ask) {
	was := a.certain
	if a.certain = f.certain(); !a.certain || was {
		return
	}
	f.owner, a.tries = asked{}, min(a.tries, 1)
	r.askSoon(now, a)
}

// turnTo has a member be asked soon for f that says to have it and was not asked yet, if all others are left alone.
func (r *Room) turnTo(now time.Duration, f *feed, id identity.DeviceID) {
	a, h := r.asks[f], f.holders[id]
	if a != nil && a.wait > r.profile.wantAgainMax && h != nil && h.idle == 0 && h.vain == 0 && id != f.author {
		r.askSoon(now, a)
	}
}

// askSoon brings an ask forward to when it would be due if one had just been sent.
func (r *Room) askSoon(now time.Duration, a *ask) {
	if wait := r.profile.wantAgain + r.firstWant(); now+wait < a.at {
		a.at, a.wait, r.askAt = now+wait, wait, min(r.askAt, now+wait)
	}
}

// firstWant draws how long to wait before the first WANT: a truncated exponential, as NORM spreads its NACKs (RFC 5401,
// 3.2.2): of many who miss the same record, few ask early.
func (r *Room) firstWant() time.Duration {
	n := float64(r.crowd())
	span := float64(min(r.profile.firstWant+time.Duration(n)*r.profile.firstWantEach, r.profile.firstWantMax))
	lambda := math.Log(n) + 1
	return time.Duration(span / lambda * math.Log1p(r.cfg.Rand.Float64()*(math.Exp(lambda)-1)))
}

// askAgain makes gaps due anew: somebody came who may fill them. What of others is asked for at the usual pace goes on
// at it: in a crowd that comes somebody comes all the time.
func (r *Room) askAgain(now time.Duration, who identity.DeviceID) {
	r.ragged = slices.DeleteFunc(r.ragged, func(f *feed) bool {
		f.anewAt = never
		if f.ragged = f.missing() > 0 && r.short[f.short] == f; !f.ragged || r.covered(f) {
			return !f.ragged
		}
		if a := r.asks[f]; a == nil || f.author == who || a.wait > r.profile.wantAgainMax {
			r.ask(f, now+r.profile.firstWant)
			r.bulk.checkAt = max(r.bulk.checkAt, now)
		}
		return false
	})
}

// mayLack has f be looked at when somebody comes: something happened by which it may lack something now.
func (r *Room) mayLack(f *feed) {
	if !f.ragged {
		f.ragged = true
		r.ragged = append(r.ragged, f)
	}
}

// Head takes the header of an author's last record, whose signature was checked (R2).
func (r *Room) Head(now Now, rec *record.Record) {
	f := r.feedOf(record.Chain{Feed: rec.Header.Feed})
	if f == nil || r.loadingTree(f.id.Feed) {
		return
	}
	if f == r.own && rec.Header.Seq >= f.next {
		r.renew(now.Mono)
	}
	r.goBackFor(f, rec.Header.Seq)
	if r.isForked(f) || f.hasPrev && rec.Header.Seq < f.next {
		r.sift(now, rec, nil)
		return
	}
	if rec.Header.Seq < f.floor {
		return
	}
	r.signed(f, rec.Header.Seq)
	r.noticeGap(now.Mono, f, none)
	if f.high >= rec.Header.Seq && rec.Header.Flags&record.FlagAckWanted != 0 {
		r.acknowledge(now.Mono, f, true)
	}
}

// sendAsks sends one WANT to each member that something is due to be asked of.
func (r *Room) sendAsks(now time.Duration) {
	due := r.dueAsks(now)
	if len(due) == 0 {
		return
	}
	sending := wants{}
	var targets []identity.DeviceID
	for _, f := range due {
		a := r.asks[f]
		r.beginAnew(now, f)
		target, at := r.holderOf(now, f, sending)
		if at == never || f.missing() == 0 {
			delete(r.asks, f) // nobody here has it; a claim or an arrival begins it again
			continue
		}
		w := sending[target]
		if at <= now && w == nil {
			at = r.mayAsk(now, target)
		}
		if at > now {
			a.at, a.wait = at, at-now
			continue
		}
		if w == nil {
			w = &wire.Want{Limit: uint16(min(r.cfg.RecvBuffer, wire.MaxDatagram))}
			sending[target], targets = w, append(targets, target)
		}
		room := r.wantsFor(target) - len(w.Ranges) - len(w.Parts)
		if room <= 0 {
			a.at = now + r.profile.wantAgain
			continue
		}
		r.lacking(f, w, room)
		if h := f.holders[target]; h != nil {
			h.vain++
		}
		r.wasAsked(now, f.askedOf(target))
		a.wait, a.of = min(r.profile.wantAgain<<min(a.tries, 16), r.profile.wantAgainMax), target
		a.tries++
		a.at = now + a.wait + r.jitter(a.wait/4)
	}
	r.nextAsk()
	r.askRest = now + time.Duration(max(len(r.asks)-manyAsks, 0))*askLook
	for _, t := range targets {
		if w := sending[t]; len(w.Ranges)+len(w.Parts) > 0 {
			r.send(t, Control, *w)
		}
	}
}

// wasAsked has who was asked for a feed again and again without any of it having come be asked rarely.
func (r *Room) wasAsked(now time.Duration, k *asked) {
	if k.idle++; k.idle >= patience {
		k.rest = now + min(r.profile.wantAgainMax<<min(k.idle-patience+1, 16), askRarest)
	}
}

// mayAsk tells when a member that has credit may be sent a want, and counts one that may be now: those that all have to
// hear are few.
func (r *Room) mayAsk(now time.Duration, id identity.DeviceID) time.Duration {
	at := r.mayTell(now, id)
	if at <= now {
		r.creditOf(now, id).spend()
	}
	return at
}

// hasCredit tells when a member has credit for a want: whatever it claims, of whatever feeds, those that bring nothing
// are few.
func (r *Room) hasCredit(now time.Duration, id identity.DeviceID) time.Duration {
	if s := r.creditOf(now, id); s.tokens < 1 {
		return now + time.Duration((1-s.tokens)/vainRate*float64(time.Second)) + time.Millisecond
	}
	return now
}

// mayTell tells when a member may be sent something that is for it alone, and, if all would hear it, counts it.
func (r *Room) mayTell(now time.Duration, id identity.DeviceID) time.Duration {
	if !r.present[id].Open {
		return now
	}
	rate := openRate / float64(r.crowd())
	if r.openly.refill(now, openMost, rate); !r.openly.spend() {
		return now + time.Duration((1-r.openly.tokens)/rate*float64(time.Second)) + time.Millisecond
	}
	return now
}

// deserve gives the member that was asked last for f credit for a record that came, by its size.
func (r *Room) deserve(now time.Duration, f *feed, rec *record.Record) {
	a := r.asks[f]
	if a == nil {
		return
	}
	id := a.of
	if h := f.holders[id]; h != nil {
		h.vain = 0
	}
	s := r.creditOf(now, id)
	s.tokens = min(vainWants, s.tokens+float64(wantsDeserved*(1+len(rec.Bytes())/wire.MaxDatagram)))
}

// creditOf is how many wants a member may be sent that bring nothing. It outlasts its absence, or it would have all of
// it each time that it comes.
func (r *Room) creditOf(now time.Duration, id identity.DeviceID) *served {
	s := r.credits[id]
	if s == nil {
		if len(r.credits) >= maxCredits {
			clear(r.credits)
		}
		s = &served{tokens: vainWants, at: now}
		r.credits[id] = s
	}
	s.refill(now, vainWants, vainRate)
	return s
}

// dueAsks are the feeds to ask for now. What would be due within a quarter of its interval goes along, so that many
// gaps make few datagrams.
func (r *Room) dueAsks(now time.Duration) []*feed {
	var due []*feed
	if r.askDeadline() > now || r.nextAsk() > now {
		return nil
	}
	for f, a := range r.asks {
		if a.at <= now+a.wait/4 {
			due = append(due, f)
		}
	}
	slices.SortFunc(due, byName)
	return due
}

// wantsFor is how many wants fit a datagram to that member.
func (r *Room) wantsFor(to identity.DeviceID) int {
	const each = 24
	return min((r.LimitOf(to)-wire.SealedOverhead-wire.SignedOverhead-8)/each, wire.MaxWants)
}

// LimitOf is the largest datagram in bytes that reaches a member whole.
func (r *Room) LimitOf(id identity.DeviceID) int {
	limit := min(wire.MaxDatagram, max(r.link.Datagram, wire.MinDatagram))
	if p, ok := r.present[id]; ok && p.RecvBuffer >= wire.MinDatagram {
		limit = min(limit, p.RecvBuffer)
	}
	return limit
}

// holderOf chooses whom to ask: the author, after two vain tries also any other member that claims to have it, the one
// first that was asked in vain least often. Who is left alone for longer than what goes along with others waits, or has
// no credit and gets no want as it is, is not asked; if that are all, at is when the first of them may be; never:
// nobody here has it.
func (r *Room) holderOf(now time.Duration, f *feed, sending wants) (id identity.DeviceID, at time.Duration) {
	a := r.asks[f]
	at = never
	mayBe := func(id identity.DeviceID, rest time.Duration) bool {
		credit := now
		if sending[id] == nil {
			credit = r.hasCredit(now, id)
		}
		at = min(at, max(rest, credit))
		return rest <= now+a.wait/4 && credit <= now
	}
	_, author := r.present[f.author]
	author = author && f.author != r.self && mayBe(f.author, f.owner.rest)
	var holders []identity.DeviceID
	least := math.MaxInt
	for id, h := range f.holders {
		_, here := r.present[id]
		if !here || id == f.author || h.high < max(f.next, 1) || !mayBe(id, h.rest) || h.vain > least {
			continue
		}
		if h.vain < least {
			holders, least = nil, h.vain
		}
		holders = append(holders, id)
	}
	switch {
	case author && (a.tries < 2 || a.tries%2 == 0 || len(holders) == 0):
		return f.author, 0
	case len(holders) == 0:
		return id, at
	}
	slices.SortFunc(holders, identity.DeviceID.Compare)
	return holders[r.cfg.Rand.IntN(len(holders))], 0
}

// lacking adds what f lacks to w, at most room wants: byte ranges of a record of which pieces came, else numbers.
func (r *Room) lacking(f *feed, w *wire.Want, room int) {
	last := min(f.claimed, f.end(), max(f.next, 1)+maxAhead-1)
	pieces := r.parts.of(f.id.Feed)
	for seq := max(f.next, 1); seq <= last && room > 0; seq++ {
		if f.held.at(seq) != nil {
			continue
		}
		if a := pieces[seq]; a != nil {
			for _, p := range a.missing(room) {
				w.Parts = append(w.Parts, p)
				room--
			}
			continue
		}
		from := seq
		for seq < last && f.held.at(seq+1) == nil && pieces[seq+1] == nil {
			seq++
		}
		w.Ranges = append(w.Ranges, wire.SeqRange{Feed: f.short, From: from, To: seq})
		room--
	}
}

// heldBy notes that a member claims to have f, if that is more than we have, and tells whether it did. When the table
// is full, the member asked in vain most often makes place.
func (f *feed) heldBy(id identity.DeviceID, c wire.FeedClaim) bool {
	if c.High < max(f.next, 1) {
		return false
	}
	if h := f.holders[id]; h != nil {
		h.low, h.high = c.Low, max(h.high, c.High)
	} else {
		if len(f.holders) >= maxHolders && !f.dismissHolder() {
			return false
		}
		if f.holders == nil {
			f.holders = map[identity.DeviceID]*holder{}
		}
		f.holders[id] = &holder{low: c.Low, high: c.High}
	}
	f.claimed = max(f.claimed, c.High)
	return true
}

func (f *feed) dismissHolder() bool {
	var worst identity.DeviceID
	vain := 0
	for id, h := range f.holders {
		if h.vain > vain || h.vain == vain && vain > 0 && id.Compare(worst) < 0 {
			worst, vain = id, h.vain
		}
	}
	if vain > 0 {
		f.forgetHolder(worst)
	}
	return vain > 0
}
