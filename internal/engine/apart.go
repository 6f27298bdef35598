package engine

import (
	"slices"
	"time"

	"bcast/chat"
	"bcast/discovery"
	"bcast/identity"
	"bcast/internal/record"
	"bcast/internal/seal"
	"bcast/internal/wire"
)

// Members that rekey while they do not hear each other end up with other keys each, and what the others say is of no
// room that they know. What both still have are the keys of before. So a member that is here and was not heard under
// the keys in use is spoken to under those: it answers with its rekey (R42), and is told the other one.

const (
	// seekEach is how often such a member is spoken to.
	seekEach = 64 * time.Second
	// seekSoon is when one that has just come is.
	seekSoon = 4 * time.Second
	// seekMost is how many are at once: one pair that learns of each other tells the rest of both.
	seekMost = 4
	// seekGrace is how long what members answer under keys of before is taken.
	seekGrace = 10 * time.Second
	// admitWithin is the longest that somebody waits before it seals the keys to a member that nobody sealed them to: all
	// who hear that member would.
	admitWithin = 4 * time.Second
	maxAdmits   = 64
	// unheard stands for when somebody was heard who was not.
	unheard = -1
)

// apart is which members a room's keys in use may not have reached.
type apart struct {
	heard  map[identity.DeviceID]time.Duration // when last under the keys in use, while it was here without a break
	seekAt time.Duration
	until  time.Duration // what members say under keys of before is taken
	admits []admit
}

// admit is a member that a rekey did not name, since its author did not know of it.
type admit struct {
	id     identity.DeviceID
	before *seal.Room // keys that it has
	at     time.Duration
	said   bool
}

func (a *apart) admit(now Now, id identity.DeviceID, before *seal.Room, after time.Duration) {
	known := slices.ContainsFunc(a.admits, func(d admit) bool { return d.id == id })
	if !known && len(a.admits) < maxAdmits {
		a.admits = append(a.admits, admit{id, before, now.Mono + after, false})
	}
}

func (a *apart) deadline() time.Duration {
	at := a.seekAt
	for _, d := range a.admits {
		if !d.said {
			at = min(at, d.at)
		}
	}
	return at
}

// came has one that is here now spoken to before long, unless it is heard.
func (a *apart) came(now Now, id identity.DeviceID, jitter time.Duration) {
	if _, known := a.heard[id]; !known {
		a.heard[id], a.seekAt = unheard, min(a.seekAt, now.Mono+seekSoon+jitter)
	}
}

// strayed has one that speaks under keys of before, and was not heard for long, spoken to under these: it may have other
// keys in use than when it was.
func (a *apart) strayed(now Now, id identity.DeviceID, jitter time.Duration) {
	if a.hears(id) && now.Mono-a.heard[id] >= seekEach {
		delete(a.heard, id)
		a.came(now, id, jitter)
	}
}

func (a *apart) hears(id identity.DeviceID) bool {
	at, known := a.heard[id]
	return known && at != unheard
}

// begin waits for all to be heard under keys that have just come.
func (a *apart) begin(now Now, jitter time.Duration) {
	a.heard, a.seekAt, a.admits = map[identity.DeviceID]time.Duration{}, now.Mono+seekEach+jitter, nil
}

// seek speaks to the members of a room that are here and were not heard under the keys in use.
func (e *Engine) seek(now Now, r *room) {
	if now.Mono < r.apart.seekAt {
		return
	}
	r.apart.seekAt = now.Mono + seekEach + e.seekJitter()
	s, before := r.scopes[0], r.ring.Before()
	silent := slices.DeleteFunc(e.discovery.Peers(), func(p discovery.Peer) bool {
		return !p.Present() || r.apart.hears(p.ID) || !s.chat.IsMember(p.ID)
	})
	e.cfg.Timing.Shuffle(len(silent), func(i, j int) { silent[i], silent[j] = silent[j], silent[i] })
	for _, p := range silent[:min(len(silent), seekMost)] {
		for _, keys := range before {
			e.sendTo(p, r, s, keys, greeting)
		}
		r.apart.until = now.Mono + seekGrace
	}
	e.call(now, r)
}

// call speaks under the first keys of a room, which all who ever joined it have: to members that we do not know of, who
// do not know of us. One in a room does at a time.
func (e *Engine) call(now Now, r *room) {
	heard := 0
	for id := range r.apart.heard {
		if r.apart.hears(id) {
			heard++
		}
	}
	if first := r.ring.Of(0); r.ring.Epoch() > 0 && first != nil && e.cfg.Timing.IntN(1+heard) == 0 {
		e.budget.queue(outgoing{r.name, r.scopes[0], first, greeting, now.Mono, 0})
		r.apart.until = now.Mono + seekGrace
	}
}

// admit seals the keys in use to members that nobody sealed them to, though they have keys of before: with a further
// record of the rekey that brought them, whoever said that.
func (e *Engine) admit(now Now, r *room) {
	s := r.scopes[0]
	r.apart.admits = slices.DeleteFunc(r.apart.admits, func(d admit) bool {
		return !d.said && d.at <= now.Mono && (r.keysFor(s, d.id) != nil || !s.chat.IsMember(d.id))
	})
	var keys []identity.PublicKey
	for i, d := range r.apart.admits {
		if p, here := e.discovery.Peer(d.id); here && !d.said && d.at <= now.Mono {
			keys, r.apart.admits[i].said = append(keys, p.Key), true
		}
	}
	if len(keys) == 0 || e.readOnly(now) != nil {
		return
	}
	ring := r.ring
	bodies, _, err := seal.SealRekey(e.cfg.Random, ring.RoomID(), ring.Epoch(), e.cfg.Key.Public(), ring.Secret(), keys)
	if err != nil {
		return // of what has no epoch there is nothing to tell
	}
	for _, b := range bodies {
		if _, err := s.chat.Say(now, []record.Post{{Kind: record.KindRekey, Data: b}}, false); err != nil {
			panic("a rekey is always well formed: " + err.Error())
		}
	}
}

// admitted tells those to whom a record of ours sealed the keys in use, under the keys that they have.
func (e *Engine) admitted(now Now, r *room, s *scope, rec *record.Record) {
	waiting := r.apart.admits
	r.apart.admits = slices.DeleteFunc(slices.Clone(waiting), func(d admit) bool { return r.keysFor(s, d.id) == rec })
	for _, d := range waiting {
		if p, here := e.discovery.Peer(d.id); here && r.keysFor(s, d.id) == rec {
			e.tellKeys(now, p, r, s, d.before)
		}
	}
}

func (e *Engine) seekJitter() time.Duration {
	return time.Duration(e.cfg.Timing.Int64N(int64(seekSoon)))
}

// greeting is a signed frame that says nothing, so that who hears it learns who has which keys, and no more.
var greeting = chat.Send{Class: chat.Control, Frame: wire.Busy{}}

// changesKeys tells whether a room's keys can change: that of a private room that is no direct one.
func (r *room) changesKeys() bool { return r.private && r.direct == nil }

// take has the room go on with other keys.
func (r *room) take(ring *seal.Ring) {
	r.ring, r.keys = ring, ring.Current()
	for _, s := range r.scopes {
		s.chat.SetKeyEpoch(ring.Epoch())
	}
}
