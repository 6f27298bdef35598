package engine

import (
	"time"

	"bcast/internal/record"
	"bcast/internal/wire"
)

// offer says what we have more than the one who pulls, if it is its turn.
func (e *Engine) offer(now Now, st *stream, claims wire.StreamClaims) {
	served := 0
	for _, other := range e.streams {
		if other.step == offering || other.step == serving {
			served++
		}
	}
	if served >= maxServed {
		wait := busyMin + time.Duration(e.cfg.Timing.Int64N(int64(busyMax-busyMin)))
		st.step, st.quietAt = refusing, now.Mono+streamQuiet // the peer closes: else it might lose the word
		e.write(st, wire.Busy{RetryMillis: uint16(wait.Milliseconds())})
		return
	}
	st.step, st.quietAt = offering, now.Mono+serveQuiet
	offer := st.scope.chat.Offer(claims)
	st.untaken = make(map[record.ShortFeed]wire.SeqRange, len(offer.Claims))
	for _, c := range offer.Claims {
		st.untaken[c.Feed] = wire.SeqRange{Feed: c.Feed, From: c.Low, To: c.High}
	}
	e.write(st, offer)
}

// untake leaves of a take what was offered on this stream and lies behind what was taken before: each record is read
// and sent once, however often it is asked for.
func (st *stream) untake(take wire.Take) (left wire.Take) {
	for _, t := range take.Ranges {
		u := st.untaken[t.Feed] // its To is 0 if the chain was not offered
		if t.From, t.To = max(t.From, u.From), min(t.To, u.To); t.From > t.To {
			continue
		}
		u.From = t.To + 1
		st.untaken[t.Feed] = u
		left.Ranges = append(left.Ranges, t)
	}
	return left
}

// serve writes on of what was taken: what is loaded first, then it loads, and at last it says that this was all. It is
// called again when what it wrote has drained, so that little of what is loaded is kept. That may be told of what was
// written before, while the store is still asked.
func (e *Engine) serve(now Now, st *stream) {
	if !e.entitled(st) {
		e.breakOff(now, st)
		return
	}
	if st.fetching != nil {
		return
	}
	var b []byte
	for len(st.loaded) > 0 && len(b) < writeBytes {
		rec := st.loaded[0]
		st.loaded = st.loaded[1:]
		b = wire.AppendMessage(b, wire.Entry{Branch: rec.Branch, Bytes: rec.Bytes()})
	}
	switch {
	case len(st.loaded) > 0, len(st.spans) > 0 && len(b) > 0:
	case len(st.spans) > 0:
		e.fetch(st)
	default:
		st.step, st.quietAt = offering, now.Mono+serveQuiet
		b = wire.AppendMessage(b, wire.End{})
	}
	if len(b) > 0 {
		e.writeBytes(st, b)
	}
}

// fetch asks the store for the next records of what was taken.
func (e *Engine) fetch(st *stream) {
	load := Load{Token: e.token(), Scope: st.scope.id}
	for room := uint64(loadRecords); room > 0 && len(st.spans) > 0; {
		s := st.spans[0]
		n := min(room, s.To-s.From+1)
		load.Ranges = append(load.Ranges, record.Span{Chain: s.Chain, From: s.From, To: s.From + n - 1})
		room -= n
		if st.spans[0].From += n; st.spans[0].From > s.To {
			st.spans = st.spans[1:]
		}
	}
	st.fetching = load.Ranges
	e.serving[load.Token] = st
	e.out.Load = append(e.out.Load, load)
}

// fetched takes what the store brought, in the order in which it was taken. What it gave up meanwhile is missing.
func (e *Engine) fetched(now Now, st *stream, records []record.Entry) {
	if e.stream(st.id) != st || st.step != serving {
		return
	}
	for _, s := range st.fetching {
		for _, rec := range records {
			if rec.Chain() == s.Chain && s.From <= rec.Header.Seq && rec.Header.Seq <= s.To {
				st.loaded = append(st.loaded, rec)
			}
		}
	}
	st.fetching, st.quietAt = nil, now.Mono+streamQuiet
	e.serve(now, st)
}
