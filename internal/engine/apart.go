package engine

import (
	"time"

	"bcast/chat"
	"bcast/identity"
	"bcast/internal/seal"
)

// Members that rekey while they do not hear each other end up with other keys each, and what the others say is of no
// room that they know. What both still have are the keys of before. So a member that is here and was not heard under
// the keys in use is spoken to under those: it answers with its rekey (R42), and is told the other one.

const (
	// seekEach is how often such a member is spoken to.
	seekEach = 64 * time.Second
	// seekGrace is how long what members answer under keys of before is taken.
	seekGrace = 10 * time.Second
)

// apart is which members a room's keys in use may not have reached.
type apart struct {
	heard  map[identity.DeviceID]bool // under the keys in use, while it was here without a break
	seekAt time.Duration
	until  time.Duration // what members say under keys of before is taken
}

// begin waits for all to be heard under keys that have just come.
func (a *apart) begin(now Now, jitter time.Duration) {
	a.heard, a.seekAt = map[identity.DeviceID]bool{}, now.Mono+seekEach+jitter
}

// seek speaks to the members of a room that are here and were not heard under the keys in use.
func (e *Engine) seek(now Now, r *room) {
	if now.Mono < r.apart.seekAt {
		return
	}
	r.apart.seekAt = now.Mono + seekEach + e.seekJitter()
	s, before := r.scopes[0], r.ring.Before()
	for _, p := range e.discovery.Peers() {
		if !p.Present() || r.apart.heard[p.ID] || !s.chat.IsMember(p.ID) {
			continue
		}
		for _, keys := range before {
			e.sendTo(p, r, s, keys, greeting(s))
		}
		r.apart.until = now.Mono + seekGrace
	}
}

func (e *Engine) seekJitter() time.Duration {
	return time.Duration(e.cfg.Timing.Int64N(int64(seekEach / 4)))
}

// greeting is a signed frame that says little: who gets it learns who has which keys.
func greeting(s *scope) chat.Send {
	return chat.Send{Class: chat.Control, Frame: s.chat.Summary()}
}

// changesKeys tells whether a room's keys can change: that of a private room that is no direct one.
func (r *room) changesKeys() bool { return r.private && r.direct == nil }

// take has the room go on with other keys.
func (r *room) take(ring *seal.Ring) {
	r.ring, r.keys = ring, ring.Current()
	for _, s := range r.scopes {
		s.chat.SetKeyEpoch(ring.Epoch())
	}
}
