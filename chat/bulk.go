package chat

import (
	"cmp"
	"math"
	"slices"
	"time"

	"bcast/identity"
	"bcast/internal/record"
	"bcast/internal/wire"
)

// What is much, or was missed long ago, is not asked for datagram by datagram: it is pulled over a stream. The one who
// pulls says what it has, the other what it has more, and then the one who pulls takes it a part at a time, so that
// nothing comes that it has no place for. What a Room does here knows no stream; the engine carries the messages.
//
//	behind ── Pull ── Offered ── NextTake, Record …, NextTake, Record …, nothing more ── PullDone
//	              └── PullBroken, PullLater: what came is kept, and the next pull goes on from there

// Limits of catching up.
const (
	// pullAfter records missing for pullSettle, or pullAtOnce of them, are pulled: fewer than that, or for a moment only,
	// is what loss makes in a lively room, and repairs by datagram are faster than a handshake.
	pullAfter  = 64
	pullSettle = time.Second
	pullAtOnce = 256
	// pullCheck is how often it is looked at how much is missing; pullSoon, if it was so much that it is pulled at once
	// and nobody could be reached yet, as in the first moments: much is asked for by datagram in the meantime.
	pullCheck = 250 * time.Millisecond
	pullSoon  = 10 * time.Millisecond
	// takeRecords is how many records are asked for at once: at most 4.5 MiB of the largest.
	takeRecords = 256
	// listAll chains are claimed whatever is missing (14 KiB). With more of them than that and than missing records, only
	// those known to lack something are: cost follows the difference. The others are found by comparing ranges.
	listAll = 512
	// pullAgain is how long a member that did not deliver is not pulled from, doubling up to pullAgainMax.
	pullAgain    = 30 * time.Second
	pullAgainMax = 30 * time.Minute
	// refusedAgain takes the place of pullAgain if the member closed before it said a word, as one does that has not
	// proven us yet: a moment later it may have, and it is perhaps the only one to pull from.
	refusedAgain = time.Second
	// manyRecords is what a chain counts for at most: sums of what liars claim do not overflow.
	manyRecords = math.MaxInt / maxFeeds
	// progressEach is how often it is told how far a pull has come.
	progressEach = 200 * time.Millisecond
)

// bulk is what a room does to catch up.
type bulk struct {
	checkAt  time.Duration // when it is looked at next how much is missing
	since    time.Duration // that much is; never: it is not
	due      bool          // a pull is wanted
	pull     *pull         // under way
	failures map[identity.DeviceID]failure
}

// failure is how often a member was pulled from in a row in vain, and until when it is left alone.
type failure struct {
	count int
	until time.Duration
}

// pull is one pull from a member.
type pull struct {
	from   identity.DeviceID
	goals  map[*feed]goal
	open   []*feed // those of goals that are not reached yet, by name
	taken  []taken // what the last take asks for
	toldAt time.Duration
	told   bool
}

// goal is which numbers of a feed a pull is to bring.
type goal struct{ from, to uint64 }

type taken struct {
	feed *feed
	from uint64
}

func (b *bulk) init() {
	b.since = never
	b.failures = map[identity.DeviceID]failure{}
}

func (r *Room) bulkDeadline() time.Duration {
	if len(r.asks) == 0 || r.bulk.pull != nil {
		return never
	}
	return r.bulk.checkAt
}

// lookBehind decides whether so much is missing that a pull is worth it.
func (r *Room) lookBehind(now time.Duration) {
	b := &r.bulk
	if len(r.asks) == 0 {
		b.since = never
	}
	if now < b.checkAt || b.pull != nil {
		return
	}
	b.checkAt = now + pullCheck
	missing := r.behind()
	switch {
	case missing <= pullAfter:
		b.since = never
	case b.since == never:
		b.since = now
	}
	b.due = missing > pullAtOnce || b.since != never && now-b.since >= pullSettle
}

// behind is how many records are missing that somebody here claims to have.
func (r *Room) behind() int {
	n := 0
	for f := range r.asks {
		n += f.missing()
	}
	return n
}

// covered tells whether what f lacks is being pulled, so that it is not asked for by datagram.
func (r *Room) covered(f *feed) bool {
	p := r.bulk.pull
	if p == nil {
		return false
	}
	_, covers := p.goals[f]
	return covers
}

// Pull begins a pull if one is due: from is the member to pull from, among those that can be reached by a stream.
func (r *Room) Pull(now Now, reachable func(identity.DeviceID) bool) (from identity.DeviceID, due bool) {
	b := &r.bulk
	if !b.due || b.pull != nil {
		return identity.DeviceID{}, false
	}
	b.due = false // whatever comes of it: the next look decides anew
	best := r.sources(now.Mono, reachable)
	if len(best) == 0 {
		if r.behind() > pullAtOnce {
			b.checkAt = now.Mono + pullSoon
		}
		return identity.DeviceID{}, false
	}
	from = best[r.cfg.Rand.IntN(len(best))].id
	b.pull = &pull{from: from, goals: map[*feed]goal{}}
	return from, true
}

// source is a member that a pull may come from.
type source struct {
	id     identity.DeviceID
	vain   int
	covers int // records that we lack and it claims
}

// sources are the members to choose from: those pulled from in vain least often, and of these, those that have at least
// half of what the best of them has. They need not be the authors.
func (r *Room) sources(now time.Duration, reachable func(identity.DeviceID) bool) []source {
	covers := map[identity.DeviceID]int{}
	for f := range r.asks {
		if _, here := r.present[f.author]; here && f.author != r.self {
			covers[f.author] += f.missing()
		}
		for id, h := range f.holders {
			if first := max(f.next, 1); id != f.author && h.high >= first {
				covers[id] += int(min(h.high-first+1, manyRecords))
			}
		}
	}
	var all []source
	for id, n := range covers {
		fail := r.bulk.failures[id]
		if _, here := r.present[id]; here && fail.until <= now && reachable(id) {
			all = append(all, source{id, fail.count, n})
		}
	}
	slices.SortFunc(all, func(a, b source) int {
		return cmp.Or(cmp.Compare(a.vain, b.vain), cmp.Compare(b.covers, a.covers), a.id.Compare(b.id))
	})
	n := 0
	for n < len(all) && all[n].vain == all[0].vain && all[0].covers-all[n].covers <= all[n].covers {
		n++
	}
	return all[:n]
}

// PullClaims is what the member that is pulled from is told of what we have.
func (r *Room) PullClaims() wire.StreamClaims {
	if n := len(r.recent); n <= wire.MaxStreamClaims && n <= max(listAll, r.behind()) {
		return wire.StreamClaims{All: true, Claims: wireClaims(r.recent)}
	}
	var lacking []*feed
	for f := range r.asks {
		lacking = append(lacking, f)
	}
	slices.SortFunc(lacking, byName)
	return wire.StreamClaims{Claims: wireClaims(lacking[:min(len(lacking), wire.MaxStreamClaims)])}
}

// Offered takes what the member has more. From now on that is not asked for by datagram.
func (r *Room) Offered(now Now, offer wire.Offer) {
	p := r.bulk.pull
	if p == nil {
		return
	}
	for _, c := range offer.Claims {
		r.learn(now, p.from, c)
		f := r.short[c.Feed]
		if f == nil || f == r.own || f.missing() == 0 || f.next < c.Low || f.next > c.High {
			continue // nothing new, or nothing that follows what we have
		}
		p.goals[f] = goal{f.next, c.High}
		delete(r.asks, f)
	}
	for f := range p.goals {
		p.open = append(p.open, f)
	}
	slices.SortFunc(p.open, byName)
}

// NextTake is what to ask the member for next, after all that it was asked for before came or will not come any more;
// nothing if there is nothing left to ask it for.
func (r *Room) NextTake(now Now) wire.Take {
	p := r.bulk.pull
	if p == nil {
		return wire.Take{}
	}
	for _, t := range p.taken {
		if t.feed.next <= t.from { // nothing of it came
			r.giveUp(now.Mono, t.feed)
		}
	}
	p.open = slices.DeleteFunc(p.open, func(f *feed) bool {
		g, covered := p.goals[f]
		return !covered || f.next > min(g.to, f.end())
	})
	var take wire.Take
	room := uint64(takeRecords)
	p.taken = nil
	for _, f := range p.open {
		if room == 0 || len(take.Ranges) == wire.MaxWants {
			break
		}
		from := max(f.next, 1)
		to := min(p.goals[f].to, f.end(), from+room-1)
		room -= to - from + 1
		take.Ranges = append(take.Ranges, wire.SeqRange{Feed: f.short, From: from, To: to})
		p.taken = append(p.taken, taken{f, from})
	}
	if now.Mono >= p.toldAt {
		r.tellPull(now.Mono, false)
	}
	return take
}

// giveUp leaves to others what the member claims of f and does not give.
func (r *Room) giveUp(now time.Duration, f *feed) {
	p := r.bulk.pull
	delete(p.goals, f)
	if h := f.holders[p.from]; h != nil {
		h.vain++
	}
	if r.short[f.short] == f {
		r.noticeGap(now, f, none)
	}
}

// tellPull tells how far the pull has come.
func (r *Room) tellPull(now time.Duration, done bool) {
	p := r.bulk.pull
	if len(p.goals) == 0 && !p.told {
		return
	}
	p.toldAt, p.told = now+progressEach, true
	have, total := p.progress()
	r.out.Events = append(r.out.Events, Event{
		Kind: Synced, Device: p.from, Nick: r.Nick(p.from), Have: have, Total: total, Done: done,
	})
}

// progress is how many of the records that it is to bring the pull has brought.
func (p *pull) progress() (have, total int) {
	for f, g := range p.goals {
		total += int(min(g.to-g.from+1, manyRecords))
		if next := min(f.next, g.to+1); next > g.from {
			have += int(min(next-g.from, manyRecords))
		}
	}
	return have, total
}

// PullDone says that the member had nothing more to give.
func (r *Room) PullDone(now Now) {
	p := r.bulk.pull
	if p == nil {
		return
	}
	if have, _ := p.progress(); have == 0 {
		r.PullBroken(now) // it claimed something, else it would not have been asked
		return
	}
	delete(r.bulk.failures, p.from)
	r.endPull(now.Mono)
}

// PullBroken says that the stream did not come about, broke, or brought too little in its time. What is missing is
// asked for by datagram again, and pulled from others or later.
func (r *Room) PullBroken(now Now) { r.pullInVain(now, pullAgain) }

// PullRefused says that the member closed the stream before it proved to know the room.
func (r *Room) PullRefused(now Now) { r.pullInVain(now, refusedAgain) }

// pullInVain ends a pull and leaves the member alone for a while, twice as long with each failure in a row.
func (r *Room) pullInVain(now Now, again time.Duration) {
	p := r.bulk.pull
	if p == nil {
		return
	}
	fail := r.bulk.failures[p.from]
	wait := min(again<<min(fail.count, 11), pullAgainMax)
	r.bulk.failures[p.from] = failure{fail.count + 1, now.Mono + wait + r.jitter(wait/4)}
	r.endPull(now.Mono)
}

// PullLater says that the member, or our own store, has to be left alone for a while. Nobody failed.
func (r *Room) PullLater(now Now, wait time.Duration) {
	p := r.bulk.pull
	if p == nil {
		return
	}
	fail := r.bulk.failures[p.from]
	r.bulk.failures[p.from] = failure{fail.count, now.Mono + wait}
	r.endPull(now.Mono)
}

// endPull has what is still missing asked for by datagram again.
func (r *Room) endPull(now time.Duration) {
	r.tellPull(now, true)
	var left []*feed
	for f := range r.bulk.pull.goals {
		if r.short[f.short] == f {
			left = append(left, f)
		}
	}
	r.bulk.pull = nil
	r.bulk.checkAt = now + pullCheck
	slices.SortFunc(left, byName)
	for _, f := range left {
		r.noticeGap(now, f, none)
	}
}

// Offer is what we have more than the one who pulls claims to have.
func (r *Room) Offer(claims wire.StreamClaims) wire.Offer {
	theirs := make(map[record.ShortFeed]uint64, len(claims.Claims))
	for _, c := range claims.Claims {
		theirs[c.Feed] = c.High
	}
	var more []*feed
	for _, f := range r.recent {
		if high, named := theirs[f.short]; (named || claims.All) && high < f.high {
			more = append(more, f)
		}
	}
	slices.SortFunc(more, byName)
	return wire.Offer{Claims: wireClaims(more[:min(len(more), wire.MaxStreamClaims)])}
}

// Spans is where in the store the records are that a take asks for, as far as we have them.
func (r *Room) Spans(take wire.Take) []record.Span {
	var spans []record.Span
	for _, t := range take.Ranges {
		f := r.short[t.Feed]
		if f == nil || f.high == 0 {
			continue
		}
		if from, to := max(t.From, f.low), min(t.To, f.high); from <= to {
			spans = append(spans, record.Span{Chain: f.id, From: from, To: to})
		}
	}
	return spans
}
