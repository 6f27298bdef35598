package chat

import (
	"bcast/identity"
	"bcast/internal/record"
)

// A direct room is one of two devices. Who takes part follows from its keys and not from records: both are members,
// whatever they say, whether they opened it or not, and nobody else writes in it (R50).

// isDirect tells whether the room is one of two devices.
func (r *Room) isDirect() bool { return !r.other.IsZero() }

// pair makes the two of a direct room its members.
func (r *Room) pair() {
	if r.cfg.Direct == (identity.PublicKey{}) {
		return
	}
	r.other = r.cfg.Direct.ID()
	for _, id := range []identity.DeviceID{r.self, r.other} {
		r.members[id] = &member{joined: true}
	}
}

// admits tells whether a device may write here. Only who holds one of the two keys could make a datagram of a direct
// room; who stole one writes in nobody's name, and not in its own either.
func (r *Room) admits(author identity.PublicKey) bool {
	return !r.isDirect() || author == r.cfg.Direct || author == r.cfg.Key.Public()
}

// Knock begins to send HEADs of our last record to the other of a direct room, if it lacks it: it may not have opened
// the room, and opens it for nothing less (R51).
func (r *Room) Knock(now Now) {
	var last *record.Record
	for _, f := range r.feeds {
		lacks := f.author == r.self && f.tip != nil && !r.has(f.id, f.high, r.other)
		if lacks && (last == nil || record.Compare(f.tip, last) > 0) {
			last = f.tip
		}
	}
	if last != nil {
		r.tail.last, r.tail.head, r.tail.since = last, 0, now.Mono
		r.tail.headAt = now.Mono + r.profile.heads[0]
	}
}
