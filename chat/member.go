package chat

import (
	"cmp"
	"slices"
	"time"

	"bcast/identity"
	"bcast/internal/record"
)

// member is what is known of a device that takes part, or did: the last join or leave in the room's order decides, but
// where a rekey shut it out.
type member struct {
	nick         identity.Nick
	joined, left bool   // by its last record of that kind; neither: there is none that we have
	spoke        bool   // with the keys of a private room, which proves as much as a join
	out          uint32 // since which key epoch it is shut out; 0: it is not
	order        uint64
	id           record.ID
	heard        time.Time // while it is not here: when it last was, or said something
}

// takesPart tells whether a device with this past is a member; here says so if its presence names the room.
func (m *member) takesPart(here bool) bool {
	if m == nil {
		return here
	}
	return m.out == 0 && (m.joined || !m.left && (m.spoke || here))
}

// Member is one member of the room.
type Member struct {
	ID    identity.DeviceID
	Nick  identity.Nick
	Heard time.Time // here, or by what it said, whoever brought that
	Away  string    // it is here and said to be away; maybe why, else "away"
}

// Members are those whose last join or leave is a join and who were heard within memberLife, and those that show or say
// that they are in the room, by id.
func (r *Room) Members(now Now) []Member {
	var all []Member
	for id, m := range r.members {
		heard := m.heard
		if _, here := r.present[id]; here || id == r.self {
			heard = now.Wall
		}
		if r.isMember(id) && (r.isDirect() || now.Wall.Sub(heard) < memberLife) {
			all = append(all, Member{ID: id, Nick: m.nick, Heard: heard})
		}
	}
	for id := range r.present {
		if r.members[id] == nil && r.isMember(id) {
			all = append(all, Member{ID: id, Heard: now.Wall})
		}
	}
	for i := range all {
		if text, away := r.IsAway(all[i].ID); away {
			all[i].Away = cmp.Or(text, "away")
		}
	}
	slices.SortFunc(all, func(a, b Member) int { return a.ID.Compare(b.ID) })
	return all
}

// enrolment is where a join stands.
type enrolment struct {
	feed *feed
	seq  uint64
}

// Joined tells whether our own records that are kept say that we are a member, and will to who gets them.
func (r *Room) Joined() bool {
	m := r.members[r.self]
	return m != nil && m.joined && m.out == 0 && !r.lapsed
}

// Lapsed tells whether our join is to be said again.
func (r *Room) Lapsed() bool { return r.lapsed }

// Nick is the nick that a device's records give it, empty if they do not.
func (r *Room) Nick(id identity.DeviceID) identity.Nick {
	if m := r.members[id]; m != nil {
		return m.nick
	}
	return ""
}

func (r *Room) isMember(id identity.DeviceID) bool {
	return r.members[id].takesPart(r.present[id].InRoom)
}

func (r *Room) newMember(id identity.DeviceID, heard time.Time) *member {
	m := &member{heard: heard, out: r.outOf(id)}
	r.members[id] = m
	return m
}

// Spoke says that a device that is here has the keys that a private room has now: it is a member, whatever records of
// it are still kept, until one says that it left. Whoever was shut out and has keys of since then is one again.
func (r *Room) Spoke(now Now, id identity.DeviceID) {
	m := r.members[id]
	if m != nil && m.spoke && m.out == 0 {
		return
	}
	var out uint32
	r.regard(id, func() {
		if m == nil {
			m = r.newMember(id, now.Wall)
		}
		if m.spoke = true; r.keyEpoch > m.out || r.keyEpoch == m.out && !r.isNamed(id) {
			out, m.out = m.out, 0
		}
	})
	if out != 0 && r.isMember(id) {
		r.tellMember(id, true)
		r.reconsider(id, out)
	}
	r.fit()
}

// tellMember tells that a device is a member again, or none any more, by no record of its own.
func (r *Room) tellMember(id identity.DeviceID, is bool) {
	e := Event{Kind: Left, Device: id, Nick: r.Nick(id)}
	if is {
		e.Kind = Joined
	}
	r.out.Events = append(r.out.Events, e)
}

// show turns a stored record into events: what follows each other in it into one, but who is a member and the keys each
// into one of its own.
func (r *Room) show(now Now, f *feed, rec *record.Record) {
	posts, err := rec.Posts()
	if err != nil {
		return // its author's fault: kept, passed on and claimed like any other, and nothing to see
	}
	r.heardBy(f.author, saidAt(&rec.Header, now.Wall))
	late := rec.Header.Order < r.topOrder
	r.topOrder = record.Follow(r.topOrder, rec.Header.Order)
	said := Event{Kind: Posted, Record: rec, Branch: f.id.Branch, Late: late, Device: f.author}
	rekeyed := false
	for i, p := range posts {
		if p.Kind == record.KindRekey {
			if rekeyed { // the first counts: one record is not to cost a key agreement for each of its posts
				r.tell(said, posts[said.Index:i])
				said.Index = i + 1
				continue
			}
			rekeyed = true
		}
		alone := membership(p.Kind) || p.Kind == record.KindRekey
		if alone {
			r.tell(said, posts[said.Index:i])
		}
		r.stand(now, f, rec, p)
		if p.Kind == record.KindRekey {
			said.Index = i
			r.tell(said, posts[i:i+1])
		}
		if alone {
			said.Index = i + 1
		}
	}
	r.tell(said, posts[said.Index:])
}

// tell tells of posts, if there are any.
func (r *Room) tell(said Event, posts []record.Post) {
	if len(posts) > 0 {
		said.Posts, said.Nick = posts, r.Nick(said.Device)
		r.out.Events = append(r.out.Events, said)
	}
}

func membership(k record.Kind) bool {
	return k == record.KindJoin || k == record.KindLeave || k == record.KindNick
}

// stand applies what a post says of how things stand: who is a member under which nick, and the keys.
func (r *Room) stand(now Now, f *feed, rec *record.Record, p record.Post) {
	switch {
	case r.isDirect() && membership(p.Kind):
	case membership(p.Kind):
		r.memberPost(now, f, rec, p)
	case p.Kind == record.KindRekey:
		r.rekeyed(f, rec, p)
	}
}

// IsMember tells whether a device is a member now.
func (r *Room) IsMember(id identity.DeviceID) bool { return id == r.self || r.isMember(id) }

// memberPost applies a join, leave or nick unless a later one, in the room's order, was applied before.
func (r *Room) memberPost(now Now, f *feed, rec *record.Record, p record.Post) {
	r.regard(f.author, func() { r.applyMembership(now, f, rec, p) })
	r.fit()
}

func (r *Room) applyMembership(now Now, f *feed, rec *record.Record, p record.Post) {
	m := r.members[f.author]
	if m == nil {
		m = r.newMember(f.author, saidAt(&rec.Header, now.Wall))
	}
	if _, here := r.present[f.author]; here || f == r.own {
		m.heard = now.Wall
	}
	if rec.Header.Order < m.order || rec.Header.Order == m.order && !lessID(m.id, rec.ID) && rec.ID != m.id {
		return
	}
	m.order, m.id = rec.Header.Order, rec.ID
	e := Event{Kind: Renamed, Device: f.author, Nick: m.nick, Was: m.nick, Record: rec, Branch: f.id.Branch}
	if p.Nick != "" {
		m.nick, e.Nick = p.Nick, p.Nick
	}
	was := m.joined && m.out == 0
	switch p.Kind {
	case record.KindJoin:
		m.joined, m.left = true, false
		if f.author == r.self {
			r.enrolled = enrolment{f, rec.Header.Seq}
			if rec.Header.KeyEpoch >= m.out {
				m.out = 0
			}
		}
		if !was && m.out == 0 { // who is shut out says so before it proves it
			e.Kind = Joined
		}
	case record.KindLeave:
		m.joined, m.left, m.spoke = false, true, false
		if !was {
			return
		}
		e.Kind = Left
	}
	if e.Kind != Renamed || e.Nick != e.Was {
		r.out.Events = append(r.out.Events, e)
	}
}

// saidAt is when a record was said, as far as it tells: by its author's clock or, if that is behind, by the room's
// order, which follows all clocks; and not after it came, so that a clock that is ahead makes nobody a member for
// longer.
func saidAt(h *record.Header, came time.Time) time.Time {
	said := h.Time()
	if order := time.UnixMilli(int64(h.Order)); order.After(said) {
		said = order
	}
	if said.After(came) {
		return came
	}
	return said
}

// heardBy notes that a device was there at some time.
func (r *Room) heardBy(id identity.DeviceID, at time.Time) {
	if m := r.members[id]; m != nil && at.After(m.heard) {
		m.heard = at
	}
}

// sortedPresent is who is here, by id.
func (r *Room) sortedPresent() []Peer {
	all := make([]Peer, 0, len(r.present))
	for _, p := range r.present {
		all = append(all, p)
	}
	slices.SortFunc(all, func(a, b Peer) int { return a.ID.Compare(b.ID) })
	return all
}
