package chat

import (
	"cmp"
	"slices"
	"time"

	"bcast/identity"
	"bcast/internal/record"
	"bcast/internal/wire"
)

// subject is one thing that can be asked for: a record by its number, or by its id, all of it or some bytes.
type subject struct {
	feed     record.ShortFeed
	seq      uint64
	id       record.ID // used when seq is 0
	from, to uint16    // of the encoded record; to 0: all of it
}

// answer is who asked for a subject.
type answer struct {
	subject
	askers []asker
}

type asker struct {
	id    identity.DeviceID
	limit int
}

// delivery is what was sent, and to whom; to no device: to all.
type delivery struct {
	subject
	to identity.DeviceID
}

// answers gathers what members ask for, so that several who miss one record get it by one broadcast (R12).
type answers struct {
	at      time.Duration // when the gathered are answered; never: none
	queue   []*answer
	byWhat  map[subject]*answer
	loading map[uint64][]*answer
	held    map[delivery]time.Duration // sent lately: not again before then
}

func (a *answers) init() {
	a.at = never
	a.byWhat = map[subject]*answer{}
	a.loading = map[uint64][]*answer{}
	a.held = map[delivery]time.Duration{}
}

func (a *answers) deadline() time.Duration { return a.at }

// add queues what for a member; false when the queue is full.
func (a *answers) add(what subject, who asker, at time.Duration) bool {
	ans := a.byWhat[what]
	if ans == nil {
		if len(a.queue) >= maxAnswers {
			return false
		}
		ans = &answer{subject: what}
		a.byWhat[what], a.queue = ans, append(a.queue, ans)
		a.at = min(a.at, at)
	}
	if !slices.ContainsFunc(ans.askers, func(k asker) bool { return k.id == who.id }) {
		ans.askers = append(ans.askers, who)
	}
	return true
}

// direct queues a record by its id for one member, due at once.
func (a *answers) direct(id record.ID, to identity.DeviceID, limit int) {
	a.add(subject{id: id}, asker{to, limit}, 0)
}

// served is a token bucket: how many records a member may still have repaired now.
type served struct {
	tokens   float64
	at       time.Duration
	provedAt time.Duration // before when it is sent no proof of a fork
}

// refill adds what time brings, so many a second, up to a number.
func (s *served) refill(now time.Duration, most, rate float64) {
	s.tokens = min(most, s.tokens+rate*(now-s.at).Seconds())
	s.at = now
}

func (s *served) spend() bool {
	if s.tokens < 1 {
		return false
	}
	s.tokens--
	return true
}

// serve is what a member may be sent of repairs now: who asks for much is served at a rate, and asks again.
func (r *Room) serve(now time.Duration, id identity.DeviceID) *served {
	s := r.served[id]
	if s == nil {
		s = &served{tokens: askRecords, at: now}
		r.served[id] = s
	}
	s.refill(now, askRecords, askRate)
	return s
}

// want takes what a member asks for.
func (r *Room) want(now time.Duration, from identity.DeviceID, w wire.Want) {
	who := asker{id: from, limit: max(min(int(w.Limit), r.LimitOf(from)), wire.MinDatagram)}
	at, budget := now+r.profile.gather, r.serve(now, from)
	var below []wire.FeedClaim
	var none []wire.Span
	for _, want := range w.Ranges {
		f := r.short[want.Feed]
		if f != nil && want.From > f.end() {
			r.enlighten(now, from, f)
		}
		if f == nil || f.high == 0 {
			if len(none) < digestClaims && budget.spend() {
				none = append(none, wire.Span{From: want.Feed, To: want.Feed, Listed: true})
			}
			continue
		}
		if f == r.own {
			r.tail.demand.note(from, want.From, want.To, f.high, max(r.tail.copies, 1))
		}
		if want.From < f.low && len(below) < digestClaims {
			below = append(below, f.wireClaim())
		}
		for seq := max(want.From, f.low); seq <= min(want.To, f.high) && budget.spend(); seq++ {
			r.gather(now, subject{feed: f.short, seq: seq}, who, at)
		}
	}
	for _, id := range w.IDs {
		if !budget.spend() {
			break
		}
		r.gather(now, subject{id: id}, who, at)
	}
	if len(w.Parts) > 0 {
		r.tail.demand.heard(from)
	}
	for _, p := range w.Parts {
		if p.From < p.To && budget.spend() {
			r.gather(now, subject{id: p.Record, from: p.From, to: p.To}, who, at)
		}
	}
	// So that nobody asks for ever for what nobody has (R13).
	if len(below) > 0 {
		r.sendClaims(from, below)
	}
	if len(none) > 0 {
		r.send(from, Control, wire.Range{Spans: none})
	}
}

// gather queues what a member asks for, unless it was sent just now, to all or to that member: then its want is late.
func (r *Room) gather(now time.Duration, what subject, who asker, at time.Duration) {
	toAll := r.answers.held[delivery{subject: what}] > now && who.limit >= r.limit // else it was too long for it
	if toAll || r.answers.held[delivery{what, who.id}] > now {
		return
	}
	r.answers.add(what, who, at)
}

// sendAnswers asks the store for what was gathered.
func (r *Room) sendAnswers(now time.Duration) {
	a := &r.answers
	if a.at > now {
		return
	}
	r.token++
	load := Load{Token: r.token}
	a.loading[load.Token] = a.queue
	for _, ans := range a.queue {
		if ans.seq == 0 {
			load.IDs = append(load.IDs, ans.id)
			continue
		}
		f := r.short[ans.feed]
		if f == nil {
			continue // a branch that is followed no more
		}
		if n := len(load.Ranges); n > 0 && load.Ranges[n-1].Chain == f.id && load.Ranges[n-1].To+1 == ans.seq {
			load.Ranges[n-1].To = ans.seq
			continue
		}
		load.Ranges = append(load.Ranges, record.Span{Chain: f.id, From: ans.seq, To: ans.seq})
	}
	a.queue, a.at = nil, never
	clear(a.byWhat)
	for what, until := range a.held {
		if until <= now {
			delete(a.held, what)
		}
	}
	r.out.Load = append(r.out.Load, load)
}

// Loaded brings the records of a Load; those that the store no longer has are missing.
func (r *Room) Loaded(now Now, token uint64, records []record.Entry) {
	if l, known := r.looks[token]; known {
		delete(r.looks, token)
		r.looked(now, l, records)
		return
	}
	bySeq := map[subject]*record.Record{}
	for _, e := range records {
		bySeq[subject{feed: e.Chain().Short(), seq: e.Header.Seq}] = e.Record
		bySeq[subject{id: e.ID}] = e.Record
	}
	batch := r.answers.loading[token]
	delete(r.answers.loading, token)
	slices.SortStableFunc(batch, func(a, b *answer) int {
		return cmp.Or(slices.Compare(a.feed[:], b.feed[:]), cmp.Compare(a.seq, b.seq))
	})
	for _, ans := range batch {
		rec := bySeq[subject{feed: ans.feed, seq: ans.seq}]
		if ans.seq == 0 {
			rec = bySeq[subject{id: ans.id}]
		}
		if rec != nil {
			r.reply(now.Mono, ans, rec)
		}
	}
}

// reply sends rec to who asked: by one broadcast if they are several and it reaches them whole.
func (r *Room) reply(now time.Duration, ans *answer, rec *record.Record) {
	end := int(ans.to)
	if end == 0 {
		end = len(rec.Bytes())
	}
	all := ans.to == 0
	wide := 0
	for _, k := range ans.askers {
		if k.limit >= r.limit {
			wide++
		}
	}
	if wide >= askersForBroadcast {
		r.replyTo(rec, identity.DeviceID{}, r.limit, all, int(ans.from), end)
		r.answers.held[delivery{subject: ans.subject}] = now + r.profile.holdOff
	}
	for _, k := range ans.askers {
		if wide < askersForBroadcast || k.limit < r.limit {
			r.replyTo(rec, k.id, k.limit, all, int(ans.from), end)
			r.answers.held[delivery{ans.subject, k.id}] = now + r.profile.wantAgain/2
		}
	}
}

func (r *Room) replyTo(rec *record.Record, to identity.DeviceID, limit int, all bool, from, end int) {
	if all {
		r.carry(rec, to, Repair, limit)
	} else {
		r.out.Send = appendPart(r.out.Send, rec, to, Repair, limit, from, end)
	}
}
