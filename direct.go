package bcast

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"strings"

	"bcast/discovery"
	"bcast/identity"
	"bcast/internal/control"
	"bcast/internal/engine"
	"bcast/internal/home"
	"bcast/internal/node"
	"bcast/internal/record"
	"bcast/internal/seal"
)

// A direct room that somebody else opened is kept within these bounds until our user says something in it: else any
// device of the link could fill the disk.
const (
	maxAsked   = 64 // rooms; no more are opened
	askedCount = 1000
	askedBytes = 1_000_000
)

// isDirect tells whether a word names a direct room: "@" and a device.
func isDirect(word string) bool { return strings.HasPrefix(word, "@") }

// roomName is the name, here, of the room that a user means. Words are resolved once, and the name stays: whoever takes
// another's nick meanwhile gets nothing that was meant for that one.
func (n *Node) roomName(ctx context.Context, word string) (identity.RoomName, error) {
	if isDirect(word) {
		key, _, err := n.addressee(ctx, word)
		return engine.DirectRoom(key.ID()), err
	}
	name, err := identity.ParseRoomName(word)
	return name, invalid(err, roomHint)
}

// parseDirect is the direct room that a user wants to open.
func (n *Node) parseDirect(ctx context.Context, word string, options JoinOptions) (home.Room, error) {
	if options.Private {
		return home.Room{}, control.NewError(control.CodeInvalid, nil, "a direct room is private by itself", "")
	}
	key, nick, err := n.addressee(ctx, word)
	if err != nil {
		return home.Room{}, err
	}
	n.mu.Lock()
	blocked := n.trusted.blocks(key.ID())
	n.mu.Unlock()
	if blocked {
		return home.Room{}, control.NewError(control.CodeInvalid, nil, fmt.Sprintf("%s is blocked", word),
			"bcast block --undo "+strings.TrimPrefix(word, "@"))
	}
	r, err := n.directRoom(key, nick)
	if err != nil {
		return r, err
	}
	r.Ephemeral = options.Ephemeral
	return r, retain(&r, options.Retention)
}

// directRoom is that of this device and another.
func (n *Node) directRoom(key identity.PublicKey, nick identity.Nick) (home.Room, error) {
	secret, err := seal.DirectSecret(n.key, key)
	if err != nil {
		return home.Room{}, invalid(err, "name another device")
	}
	return home.Room{
		Name: engine.DirectRoom(key.ID()), Secret: secret[:], Peer: key[:], PeerNick: nick, Age: home.DefaultAge,
		Count: home.DefaultCount,
	}, nil
}

// addressee is the device that a user wants to speak to alone. Unlike the devices that a word names elsewhere, one is
// not taken by its nick while another that is known here looks alike by its own: what is said goes to one of them, and
// cannot be taken back.
func (n *Node) addressee(ctx context.Context, word string) (identity.PublicKey, identity.Nick, error) {
	word = strings.TrimPrefix(word, "@")
	var found []identity.Candidate
	var key identity.PublicKey
	known := false
	err := n.view(ctx, func(now engine.Now, e *engine.Engine, _ node.Counters) {
		found = alike(n.crowd, word, n.acquainted(now, e))
		if self, nick, _ := e.Own(); len(found) == 0 && (word == self.String() || word == string(nick)) {
			found = []identity.Candidate{{ID: self, Nick: nick}}
		}
		if len(found) == 1 {
			key, known = e.KeyOf(now, found[0].ID)
		}
	})
	if err != nil {
		return key, "", err
	}
	c, err := theOne(found, word, "device", "`bcast peers` lists who is here")
	switch {
	case err != nil:
	case c.ID == n.key.ID():
		err = control.NewError(control.CodeInvalid, nil, "that is this device", "name another one")
	case !known:
		err = control.NewError(control.CodeNotFound, nil,
			fmt.Sprintf("the key of %s-%s is not known here", c.Nick, c.ID.Tag()), "it becomes known when that device is here")
	}
	return key, c.Nick, err
}

// alike are those that a word names and, if it names them by their nick, those that look alike.
func alike(c *crowd, word string, among []identity.Candidate) []identity.Candidate {
	named := identity.Resolve(word, among)
	if slices.ContainsFunc(named, func(f identity.Candidate) bool { return string(f.Nick) == word }) {
		look := c.skeleton(identity.Nick(word))
		for _, a := range among {
			if c.skeleton(a.Nick) == look {
				named = append(named, a)
			}
		}
	}
	var found []identity.Candidate // each once: one device may be known by several nicks
	for _, n := range named {
		if !slices.ContainsFunc(found, func(f identity.Candidate) bool { return f.ID == n.ID }) {
			found = append(found, n)
		}
	}
	return found
}

// acquainted are the other devices that a user may mean: those that are or were here, members of joined rooms, whom a
// direct room is with, and whose keys were compared. It runs with the node's turn.
func (n *Node) acquainted(now engine.Now, e *engine.Engine) []identity.Candidate {
	var all []identity.Candidate
	for _, p := range e.Peers() {
		all = append(all, identity.Candidate{ID: p.ID, Nick: p.Nick})
	}
	self, _, _ := e.Own()
	for _, r := range e.Rooms(now) {
		for _, m := range r.Members {
			if m.ID != self {
				all = append(all, identity.Candidate{ID: m.ID, Nick: e.Nick(r.Name, m.ID)})
			}
		}
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, p := range n.trusted.Pins {
		if id, err := identity.ParseDeviceID(p.ID); err == nil {
			all = append(all, identity.Candidate{ID: id, Nick: p.Nick})
		}
	}
	return all
}

// title is whom a direct room is with, as people are shown it: words that name that device alone. Of no direct room it
// is empty.
func (s *sight) title(e *engine.Engine, room identity.RoomName, id identity.DeviceID) string {
	if id.IsZero() {
		return ""
	}
	nick := e.Nick(room, id)
	switch {
	case nick == "":
		return id.LongTag()
	case s.tagged(id, nick):
		return string(nick) + "-" + id.Tag()
	}
	return string(nick)
}

func (n *Node) directTitle(ctx context.Context, room identity.RoomName) (title string, err error) {
	err = n.view(ctx, func(_ engine.Now, e *engine.Engine, _ node.Counters) {
		sight := n.sight(e)
		title = sight.title(e, room, e.Other(room))
	})
	return title, err
}

// knocked opens the direct room with a device that says something in it, unless it is not to be heard. It runs with the
// node's turn, and what takes time goes on beside it.
func (n *Node) knocked(p discovery.Peer) {
	n.mu.Lock()
	blocked := n.trusted.blocks(p.ID)
	n.mu.Unlock()
	if blocked || n.askedRooms() >= maxAsked {
		return
	}
	n.opening.Go(func() {
		r, err := n.directRoom(p.Key, p.Nick)
		if err != nil {
			return // it cannot have knocked
		}
		scopes, err := n.store.Scopes(roomID(r))
		if err == nil && len(scopes) > 0 { // one that was left: all that is kept of it stays
			keep := scopes[0].Retention
			r.Age, r.Count, r.Bytes = keep.Age, keep.Count, keep.Bytes
		} else {
			r.Count, r.Bytes = askedCount, askedBytes
		}
		r.Asked = r.Count == askedCount && r.Bytes == askedBytes
		<-n.started
		if _, err := n.joinKept(context.Background(), r); err != nil {
			n.cfg.Logger.Warn("a direct room was not opened", "with", p.ID, "err", err)
		}
	})
}

// askedRooms counts the direct rooms that others opened and that were not answered.
func (n *Node) askedRooms() (count int) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, r := range n.rooms {
		if r.Asked {
			count++
		}
	}
	return count
}

// answered keeps a direct room that another opened as one of ours from now on.
func (n *Node) answered(ctx context.Context, name identity.RoomName) error {
	if !n.roomNamed(name).Asked {
		return nil
	}
	err := n.rememberRooms(func(rooms []home.Room) []home.Room {
		for i := range rooms {
			if r := &rooms[i]; r.Name == name {
				r.Asked, r.Count, r.Bytes = false, home.DefaultCount, 0
			}
		}
		return rooms
	})
	if err != nil {
		return err
	}
	_, err = n.node.Do(ctx, engine.Retain{
		Room: name, Retention: record.Retention{Age: home.DefaultAge, Count: home.DefaultCount},
	})
	return failure(err)
}

// keepPeerNick remembers how the other one of a direct room is called now. It runs with the node's turn.
func (n *Node) keepPeerNick(p discovery.Peer) {
	stale := func(r home.Room) bool { return bytes.Equal(r.Peer, p.Key[:]) && r.PeerNick != p.Nick && p.Nick != "" }
	n.mu.Lock()
	found := slices.ContainsFunc(n.rooms, stale)
	n.mu.Unlock()
	if !found {
		return
	}
	err := n.rememberRooms(func(rooms []home.Room) []home.Room {
		rooms[slices.IndexFunc(rooms, stale)].PeerNick = p.Nick
		return rooms
	})
	if err != nil {
		n.cfg.Logger.Error("a nick not remembered", "err", err)
	}
}

// roomKnown is a room that a word names, joined or left.
func (n *Node) roomKnown(ctx context.Context, word string) (home.Room, error) {
	if isDirect(word) {
		key, nick, err := n.addressee(ctx, word)
		if err != nil {
			return home.Room{}, err
		}
		return n.directRoom(key, nick)
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	return keptRoom(word, n.rooms)
}

// isJoined tells whether a room is joined by its name here.
func (n *Node) isJoined(name identity.RoomName) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return slices.ContainsFunc(n.rooms, func(r home.Room) bool { return r.Name == name })
}

// peerKey is the public key of the other one of a direct room.
func peerKey(r home.Room) (key identity.PublicKey) {
	copy(key[:], r.Peer)
	return key
}

// keptRoom is the room that a word names among those that a home has joined.
func keptRoom(word string, rooms []home.Room) (home.Room, error) {
	if !isDirect(word) {
		name, err := identity.ParseRoomName(word)
		return roomNamed(rooms, name), invalid(err, roomHint)
	}
	var among []identity.Candidate
	for _, r := range rooms {
		if len(r.Peer) > 0 {
			among = append(among, identity.Candidate{ID: peerKey(r).ID(), Nick: r.PeerNick})
		}
	}
	c, err := theOne(alike(newCrowd(), word[1:], among), word, "direct room", "`bcast join "+word+"` opens one")
	return roomNamed(rooms, engine.DirectRoom(c.ID)), err
}

// keptTitle is whom a room of a home is with, if it is a direct one.
func keptTitle(r home.Room) string {
	switch {
	case len(r.Peer) == 0:
		return ""
	case r.PeerNick == "":
		return peerKey(r).ID().LongTag()
	}
	return string(r.PeerNick)
}
