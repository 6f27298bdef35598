package chat

import (
	"slices"
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
}

// Members are those whose last join or leave is a join and who were heard within memberLife, and those here that say
// they are in the room, by id.
func (r *Room) Members(now Now) []Member {
	var all []Member
	for id, m := range r.members {
		if m.joined && now.Wall.Sub(m.heard) < memberLife {
			all = append(all, Member{ID: id, Nick: m.nick, Heard: m.heard})
		}
	}
	for id, p := range r.present {
		if r.members[id] == nil && p.InRoom {
			all = append(all, Member{ID: id, Heard: now.Wall})
		}
	}
	slices.SortFunc(all, func(a, b Member) int { return a.ID.Compare(b.ID) })
	return all
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

// show turns a stored record into events.
func (r *Room) show(now Now, f *feed, rec *record.Record) {
	posts, err := record.DecodePosts(rec.Body)
	if err != nil {
		return // its author's fault: kept, passed on and claimed like any other, and nothing to see
	}
	late := rec.Header.Order < r.topOrder
	if rec.Header.Order < orderFollowed {
		r.topOrder = max(r.topOrder, rec.Header.Order)
	}
	for i, p := range posts {
		switch p.Kind {
		case record.KindJoin, record.KindLeave, record.KindNick:
			r.memberPost(now, f, rec, p)
		default:
			r.out.Events = append(r.out.Events, Event{
				Kind: Posted, Record: rec, Index: i, Post: p, Late: late, Device: f.author, Nick: r.Nick(f.author),
			})
		}
	}
}

// memberPost applies a join, leave or nick unless a later one, in the room's order, was applied before.
func (r *Room) memberPost(now Now, f *feed, rec *record.Record, p record.Post) {
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
	e := Event{Kind: Renamed, Device: f.author, Nick: m.nick, Was: m.nick, Record: rec}
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
	r.fit()
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
