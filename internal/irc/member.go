package irc

import (
	"context"
	"maps"
	"slices"
	"strings"

	"bcast/internal/control"
	"bcast/internal/show"
)

// member follows who comes to a room, leaves it or changes its nick.
func (c *conn) member(ctx context.Context, change control.MemberChange) {
	if change.ID == c.people.self.id {
		if change.Change == "nick" {
			c.renamed(change.Nick)
		}
		c.syncRooms(ctx) // another face may have joined or left
		return
	}
	if r := c.rooms[change.Room]; r != nil {
		c.refresh(ctx, r)
	}
}

// syncRooms makes the client's channels those of the device.
func (c *conn) syncRooms(ctx context.Context) {
	rooms, err := c.api.Rooms(ctx)
	if err != nil {
		return
	}
	joined := map[string]bool{}
	for _, noun := range rooms {
		joined[noun.Name] = true
		if noun.Direct == "" {
			c.enter(ctx, noun)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(c.rooms)) {
		if !joined[name] {
			c.leave(c.rooms[name])
		}
	}
}

// presence follows devices that come and go.
func (c *conn) presence(ctx context.Context, peer control.Peer) {
	if !control.Here(peer.Status) {
		if who := c.people.byID[peer.ID]; who != nil && who.rooms > 0 {
			c.gone(who, show.Presence(peer.Status))
		}
		return
	}
	for _, name := range slices.Sorted(maps.Keys(c.rooms)) {
		r := c.rooms[name]
		if !r.public || slices.Contains(peer.Rooms, name) || r.members[peer.ID] != nil {
			c.refresh(ctx, r)
		}
	}
}

// gone takes somebody out of all rooms.
func (c *conn) gone(who *person, why string) {
	c.emit(outgoing{source: who, command: "QUIT", params: []string{why}, said: true})
	for _, r := range c.rooms {
		delete(r.members, who.id)
	}
	who.rooms = 0
	c.people.release(who)
}

// refresh shows what changed among the members of a room.
func (c *conn) refresh(ctx context.Context, r *room) {
	members, err := c.api.Members(ctx, r.name)
	if err != nil {
		return // it was left meanwhile, which an event tells
	}
	is := map[string]control.Member{}
	for _, m := range members {
		is[m.ID] = m
	}
	for _, id := range slices.Sorted(maps.Keys(r.members)) {
		who, m := r.members[id], is[id]
		switch {
		case who == nil || who == c.people.self: // a device that went took its rooms along
		case m.ID == "":
			c.emit(outgoing{source: who, command: "PART", params: []string{channel(r.name)}})
			delete(r.members, id)
			who.rooms--
			c.people.release(who)
		case !isHere(m.Status):
			c.gone(who, show.Presence(m.Status))
		default:
			c.changed(who, m)
		}
	}
	for _, m := range members {
		if isHere(m.Status) && r.members[m.ID] == nil && m.ID != c.people.self.id {
			who := c.meet(r, m)
			c.tellJoin(r, who)
			if who.verified {
				c.tellVerified(r, who)
			}
		}
	}
}

// changed tells what is new about somebody who stays.
func (c *conn) changed(who *person, m control.Member) {
	c.nameAs(who, m.Nick, m.Tagged)
	if away := strings.TrimSpace(show.Clean(m.Away)); away != who.away {
		who.away = away
		c.tellAway(who)
	}
	if who.verified != m.Verified {
		who.verified = m.Verified
		for _, name := range slices.Sorted(maps.Keys(c.rooms)) {
			if c.rooms[name].members[who.id] != nil {
				c.tellVerified(c.rooms[name], who)
			}
		}
	}
}

// nameAs gives somebody another nick, or a tag behind it.
func (c *conn) nameAs(who *person, nick string, tagged bool) {
	if who == c.people.self || who.nick == nick && who.tagged == tagged {
		return
	}
	before := *who
	who.nick, who.tagged = nick, tagged
	c.people.place(who)
	c.tellName(&before, who)
}
