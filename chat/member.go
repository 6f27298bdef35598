package chat

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"bcast/identity"
	"bcast/internal/record"
)

// member is what the records say of a device: the last join or leave in the room's order decides.
type member struct {
	nick   identity.Nick
	joined bool
	order  uint64
	id     record.ID
	heard  time.Time
}

// Member is one member of the room.
type Member struct {
	ID    identity.DeviceID
	Nick  identity.Nick
	Heard time.Time
	Away  string // it is here and said to be away; maybe why, else "away"
}

// Members are those whose last join or leave is a join and who were heard within memberLife, and those here that say
// they are in the room, by id.
func (r *Room) Members(now Now) []Member {
	var all []Member
	for id, m := range r.members {
		if m.joined && (r.isDirect() || now.Wall.Sub(m.heard) < memberLife) {
			all = append(all, Member{ID: id, Nick: m.nick, Heard: m.heard})
		}
	}
	for id, p := range r.present {
		if r.members[id] == nil && p.InRoom {
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

// Joined tells whether our own records say that we are a member.
func (r *Room) Joined() bool {
	m := r.members[r.self]
	return m != nil && m.joined
}

// Nick is the nick that a device's records give it, empty if they do not.
func (r *Room) Nick(id identity.DeviceID) identity.Nick {
	if m := r.members[id]; m != nil {
		return m.nick
	}
	return ""
}

func (r *Room) isMember(id identity.DeviceID) bool {
	m := r.members[id]
	return m != nil && m.joined || m == nil && r.present[id].InRoom
}

// show turns a stored record into events: what follows each other in it into one, but who is a member and the keys each
// into one of its own.
func (r *Room) show(now Now, f *feed, rec *record.Record) {
	posts, err := rec.Posts()
	if err != nil {
		return // its author's fault: kept, passed on and claimed like any other, and nothing to see
	}
	late := rec.Header.Order < r.topOrder
	if rec.Header.Order < orderFollowed {
		r.topOrder = max(r.topOrder, rec.Header.Order)
	}
	said := Event{Kind: Posted, Record: rec, Branch: f.id.Branch, Late: late, Device: f.author}
	for i, p := range posts {
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

// stand applies what a post says of how things stand: who is a member under which nick, and the topic.
func (r *Room) stand(now Now, f *feed, rec *record.Record, p record.Post) {
	switch {
	case r.isDirect() && (membership(p.Kind) || p.Kind == record.KindRekey):
	case membership(p.Kind):
		r.memberPost(now, f, rec, p)
	case p.Kind == record.KindRekey:
		r.rekeyed(f, rec, p)
	case p.Kind == record.KindTopic && (r.topicBy == nil || record.Compare(r.topicBy, rec) <= 0):
		r.topic, r.topicBy = p.Text, rec
	}
}

// maxRekeys is how many of the last rekeys are remembered, for members that missed them.
const maxRekeys = 8

// rekeyed notes a member's rekey and takes those whom it shuts out for members no more. Whoever was shut out by one
// that came before rekeys nothing.
func (r *Room) rekeyed(f *feed, rec *record.Record, p record.Post) {
	if !r.isMember(f.author) && f.author != r.self {
		return
	}
	if r.rekeys = append(r.rekeys, rec); len(r.rekeys) > maxRekeys {
		r.rekeys = r.rekeys[1:]
	}
	for word := range strings.FieldsSeq(p.Text) {
		id, err := identity.ParseDeviceID(word)
		if m := r.members[id]; err == nil && m != nil && record.Compare(rec, &record.Record{
			Header: record.Header{Order: m.order}, ID: m.id,
		}) > 0 {
			r.regard(id, func() { m.joined, m.order, m.id = false, rec.Header.Order, rec.ID })
		}
	}
	r.fit()
}

// SetKeyEpoch says under which keys of the room our records are said from now on.
func (r *Room) SetKeyEpoch(epoch uint32) { r.keyEpoch = epoch }

// Rekeys are the records of the last rekeys, the newest last.
func (r *Room) Rekeys() []*record.Record { return r.rekeys }

// Keys are the public keys of the members, as their records show them, by id.
func (r *Room) Keys(now Now) []identity.PublicKey {
	byID := map[identity.DeviceID]identity.PublicKey{r.self: r.cfg.Key.Public()}
	for _, f := range r.feeds {
		byID[f.author] = f.id.Feed.Author
	}
	keys := []identity.PublicKey{byID[r.self]}
	for _, m := range r.Members(now) {
		if key, known := byID[m.ID]; known && m.ID != r.self {
			keys = append(keys, key)
		}
	}
	return keys
}

// IsMember tells whether a device is a member now.
func (r *Room) IsMember(id identity.DeviceID) bool { return id == r.self || r.isMember(id) }

// Topic is what the room is about: what the last post that sets one says, in the room's order.
func (r *Room) Topic() string { return r.topic }

// memberPost applies a join, leave or nick unless a later one, in the room's order, was applied before.
func (r *Room) memberPost(now Now, f *feed, rec *record.Record, p record.Post) {
	r.regard(f.author, func() { r.applyMembership(now, f, rec, p) })
	r.fit()
}

func (r *Room) applyMembership(now Now, f *feed, rec *record.Record, p record.Post) {
	m := r.members[f.author]
	if m == nil {
		m = &member{heard: rec.Header.Time()}
		if m.heard.After(now.Wall) {
			m.heard = now.Wall // a clock that is wrong makes nobody a member for longer
		}
		r.members[f.author] = m
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
	was := m.joined
	switch p.Kind {
	case record.KindJoin:
		m.joined = true
		if !was {
			e.Kind = Joined
		}
	case record.KindLeave:
		m.joined = false
		if !was {
			return
		}
		e.Kind = Left
	}
	if e.Kind != Renamed || e.Nick != e.Was {
		r.out.Events = append(r.out.Events, e)
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
