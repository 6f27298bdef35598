package engine

import (
	"slices"
	"time"

	"bcast/chat"
	"bcast/discovery"
	"bcast/identity"
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
	// unheard stands for when somebody was heard who was not.
	unheard = -1
)

// apart is which members a room's keys in use may not have reached.
type apart struct {
	heard  map[identity.DeviceID]time.Duration // when last under the keys in use, while it was here without a break
	seekAt time.Duration
	until  time.Duration              // what members say under keys of before is taken
	missed map[identity.DeviceID]bool // whom the rekey that brought them did not name, as was told
}

// came has one that is here now spoken to before long, unless it is heard.
func (a *apart) came(now Now, id identity.DeviceID, jitter time.Duration) {
	if _, known := a.heard[id]; !known {
		a.heard[id], a.seekAt = unheard, min(a.seekAt, now.Mono+seekSoon+jitter)
	}
}

// strayed has one that speaks under keys of before, and was not heard for long, spoken to under these: it may have
// other keys in use than when it was.
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
	a.heard, a.missed = map[identity.DeviceID]time.Duration{}, map[identity.DeviceID]bool{}
	a.seekAt = now.Mono + seekEach + jitter
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
