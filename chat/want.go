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
	tries int
}

func (r *Room) askDeadline() time.Duration {
	at := never
	for _, a := range r.asks {
		at = min(at, a.at)
	}
	return at
}

// noticeGap begins, goes on with or ends the asking for f (R10). progress says that a record of it just came: then the
// rest may be on its way too, and patience starts anew.
func (r *Room) noticeGap(now time.Duration, f *feed, progress bool) {
	a := r.asks[f]
	switch {
	case f.missing() == 0:
		delete(r.asks, f)
		clear(f.holders)
	case a == nil:
		r.asks[f] = &ask{at: now + r.firstWant()}
	case progress:
		a.at, a.tries = max(a.at, now+r.profile.wantAgain), min(a.tries, 1)
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

// askAgain makes every gap due anew: somebody came who may fill it.
func (r *Room) askAgain(now time.Duration) {
	for _, f := range r.short {
		if f.missing() > 0 {
			r.asks[f] = &ask{at: now + r.profile.firstWant}
		}
	}
}

// Head takes the header of an author's last record, whose signature was checked (R2).
func (r *Room) Head(now Now, rec *record.Record) {
	f := r.feedOf(rec.Header.Feed)
	if f == nil || f.forked {
		return
	}
	r.signed(f, rec.Header.Seq)
	r.noticeGap(now.Mono, f, false)
	if f != r.own && f.high >= rec.Header.Seq {
		r.acknowledge(now.Mono, f, rec.Header.Flags)
	}
}

// sendAsks sends one WANT to each member that something is due to be asked of.
func (r *Room) sendAsks(now time.Duration) {
	wants := map[identity.DeviceID]*wire.Want{}
	var targets []identity.DeviceID
	for _, f := range r.dueAsks(now) {
		a := r.asks[f]
		target, ok := r.holderOf(f, a.tries)
		if !ok || f.missing() == 0 {
			delete(r.asks, f) // nobody here has it; a claim or an arrival begins it again
			continue
		}
		w := wants[target]
		if w == nil {
			w = &wire.Want{Limit: uint16(min(r.cfg.RecvBuffer, wire.MaxDatagram))}
			wants[target], targets = w, append(targets, target)
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
		again := r.interval(a)
		a.tries++
		a.at = now + again + r.jitter(again/4)
	}
	for _, t := range targets {
		if w := wants[t]; len(w.Ranges)+len(w.Parts) > 0 {
			r.send(t, Control, *w)
		}
	}
}

// interval is how long to wait for what was just asked for.
func (r *Room) interval(a *ask) time.Duration {
	return min(r.profile.wantAgain<<min(a.tries, 16), r.profile.wantAgainMax)
}

// dueAsks are the feeds to ask for now. What would be due within a quarter of its interval goes along, so that many
// gaps make few datagrams.
func (r *Room) dueAsks(now time.Duration) []*feed {
	var due []*feed
	if r.askDeadline() > now {
		return nil
	}
	for f, a := range r.asks {
		if a.at <= now+r.interval(a)/4 && (a.tries > 0 || a.at <= now) {
			due = append(due, f)
		}
	}
	slices.SortFunc(due, byName)
	return due
}

// wantsFor is how many wants fit a datagram to that member.
func (r *Room) wantsFor(to identity.DeviceID) int {
	const each = 24
	return min((r.limitOf(to)-wire.SealedOverhead-wire.SignedOverhead-8)/each, wire.MaxWants)
}

// limitOf is the largest datagram that reaches a member whole.
func (r *Room) limitOf(id identity.DeviceID) int {
	limit := min(wire.MaxDatagram, max(r.link.Datagram, wire.MinDatagram))
	if p, ok := r.present[id]; ok && p.RecvBuffer >= wire.MinDatagram {
		limit = min(limit, p.RecvBuffer)
	}
	return limit
}

// holderOf chooses whom to ask: the author, after two vain tries also any other member that claims to have it, the one
// first that was asked in vain least often.
func (r *Room) holderOf(f *feed, tries int) (identity.DeviceID, bool) {
	_, author := r.present[f.author]
	author = author && f.author != r.self
	if author && tries < 2 {
		return f.author, true
	}
	var holders []identity.DeviceID
	least := math.MaxInt
	for id, h := range f.holders {
		if _, here := r.present[id]; !here || h.high < max(f.next, 1) || id == f.author || h.vain > least {
			continue
		}
		if h.vain < least {
			holders, least = nil, h.vain
		}
		holders = append(holders, id)
	}
	if len(holders) == 0 || author && tries%2 == 0 {
		return f.author, author
	}
	slices.SortFunc(holders, identity.DeviceID.Compare)
	return holders[r.cfg.Rand.IntN(len(holders))], true
}

// lacking adds what f lacks to w, at most room wants: byte ranges of a record of which pieces came, else numbers.
func (r *Room) lacking(f *feed, w *wire.Want, room int) {
	last := min(f.claimed, max(f.next, 1)+maxAhead-1)
	for seq := max(f.next, 1); seq <= last && room > 0; seq++ {
		if f.held[seq] != nil {
			continue
		}
		if a := r.parts.of(f.id, seq); a != nil {
			for _, p := range a.missing(room) {
				w.Parts = append(w.Parts, p)
				room--
			}
			continue
		}
		from := seq
		for seq < last && f.held[seq+1] == nil && r.parts.of(f.id, seq+1) == nil {
			seq++
		}
		w.Ranges = append(w.Ranges, wire.SeqRange{Feed: f.short, From: from, To: seq})
		room--
	}
}

// heldBy notes that a member claims to have f up to high, if that is more than we have. When the table is full, the
// member asked in vain most often makes place.
func (f *feed) heldBy(id identity.DeviceID, high uint64) {
	if high < max(f.next, 1) {
		return
	}
	if h := f.holders[id]; h != nil {
		h.high = max(h.high, high)
	} else {
		if len(f.holders) >= maxHolders && !f.dismissHolder() {
			return
		}
		f.holders[id] = &holder{high: high}
	}
	f.claimed = max(f.claimed, high)
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
