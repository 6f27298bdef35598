package bcast

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"slices"
	"time"

	"bcast/discovery"
	"bcast/identity"
	"bcast/internal/control"
	"bcast/internal/engine"
	"bcast/internal/history"
	"bcast/internal/home"
	"bcast/internal/node"
	"bcast/internal/record"
	"bcast/internal/seal"
)

// History reads what a home keeps, without taking part: beside a running node or without one. Its methods are those of
// Node, but for rooms that were ever joined and not left.
type History struct {
	store history.Reader
	close func() error
	self  identity.DeviceID
	nick  identity.Nick
	rooms []home.Room
}

// OpenHistory opens the history of a home for reading. Errors are those of Start that concern the home, and
// CodeNotFound where nothing is kept yet.
func OpenHistory(dir string) (*History, error) {
	self, nick, rooms, err := home.Look(dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, homeError(dir, err)
	}
	store, openErr := history.OpenReadOnly(dir)
	switch err = errors.Join(err, openErr); {
	case errors.Is(err, fs.ErrNotExist):
		return nil, control.NewError(control.CodeNotFound, err, "nothing is kept in "+dir, "bcast join lobby")
	case err != nil:
		return nil, storeError(err)
	}
	return &History{store: store, close: store.Close, self: self, nick: nick, rooms: rooms}, nil
}

// Close ends reading.
func (h *History) Close() error { return h.close() }

// Posts returns posts of a room in the room's order, as Node.Posts does.
func (h *History) Posts(ctx context.Context, room string, query PostQuery) ([]Post, error) {
	a, err := h.archive(room)
	if err != nil {
		return nil, err
	}
	return a.posts(ctx, query)
}

// Records yields all that is kept of a room.
func (h *History) Records(ctx context.Context, room string) iter.Seq2[Record, error] {
	return func(yield func(Record, error) bool) {
		a, err := h.archive(room)
		if err != nil {
			yield(Record{}, err)
			return
		}
		a.records(ctx, yield)
	}
}

// Ledger tells who has a post of one of the rooms, as far as it was known when the home was last used.
func (h *History) Ledger(_ context.Context, post string) (Ledger, error) {
	for _, room := range h.rooms {
		a, err := h.archive(string(room.Name))
		if err != nil {
			return Ledger{}, err
		}
		entry, ref, err := a.find(post)
		switch {
		case err == nil:
			return h.ledger(a, entry, ref)
		case control.AsError(err).Code != control.CodeNotFound:
			return Ledger{}, err
		}
	}
	return Ledger{}, control.NewError(control.CodeNotFound, nil, fmt.Sprintf("post %q: not known here", post),
		"`bcast history ROOM --json` shows ids")
}

func (h *History) ledger(a *archive, entry record.Entry, ref record.Ref) (Ledger, error) {
	l := Ledger{
		Post: ref.String(), Room: string(a.room), Direct: a.direct, Missing: []Missing{},
		Partial: entry.Header.Feed.Author.ID() != h.self,
	}
	roster, have, err := a.ledger(entry)
	if err != nil {
		return l, storeError(err)
	}
	known, err := a.acquaintances()
	if err != nil {
		return l, storeError(err)
	}
	if l.Partial {
		have[h.self] = true
		for id := range known {
			if id != entry.Header.Feed.Author.ID() {
				roster = append(roster, id)
			}
		}
		slices.SortFunc(roster, identity.DeviceID.Compare)
	}
	count(&l, roster, have, func(id identity.DeviceID) Missing {
		m := known[id]
		return Missing{
			ID: id.String(), Nick: string(m.nick), Tag: id.Tag(), Status: discovery.Lost.String(), Since: m.heard,
		}
	})
	return l, nil
}

func (h *History) archive(room string) (*archive, error) {
	r, err := keptRoom(room, h.rooms)
	if err != nil {
		return nil, err
	}
	a, err := keptArchive(h.store, r, h.self, h.nick)
	if err == nil && len(a.scopes) == 0 {
		err = control.NewError(control.CodeNotFound, nil, fmt.Sprintf("nothing is kept of room %q", room),
			"bcast join "+room)
	}
	return a, err
}

// leftArchive is that of a room that is not joined any more, if something is kept of it.
func (n *Node) leftArchive(ctx context.Context, room string, notJoined error) (*archive, error) {
	var self identity.DeviceID
	var nick identity.Nick
	err := n.view(ctx, func(_ engine.Now, e *engine.Engine, _ node.Counters) { self, nick, _ = e.Own() })
	if err != nil {
		return nil, err
	}
	r, err := n.roomKnown(ctx, room)
	if err != nil {
		return nil, err
	}
	a, err := keptArchive(n.store, r, self, nick)
	if err == nil {
		if a.held = n.files.holdings; len(a.scopes) == 0 {
			err = notJoined
		}
	}
	return a, err
}

// keptArchive is what a store has of a room, whoever is in it.
func keptArchive(
	store history.Reader, r home.Room, self identity.DeviceID, nick identity.Nick,
) (*archive, error) {
	id := roomID(r)
	scopes, err := store.Scopes(id)
	if err != nil {
		return nil, storeError(err)
	}
	a := &archive{room: r.Name, id: id, store: store, self: self, direct: keptTitle(r)}
	for _, s := range scopes {
		a.scopes = append(a.scopes, s.ID)
	}
	a.names = func(context.Context, []identity.DeviceID) (map[identity.DeviceID]called, error) {
		known, err := a.acquaintances()
		if err != nil {
			return nil, storeError(err)
		}
		names := map[identity.DeviceID]called{}
		for id, m := range known {
			names[id] = called{nick: m.nick}
		}
		if len(r.Peer) > 0 { // whose records name nobody
			names[peerKey(r).ID()], names[self] = called{nick: r.PeerNick}, called{nick: nick}
		}
		return names, nil
	}
	return a, nil
}

// acquaintance is what the records of a room say of a device.
type acquaintance struct {
	nick  identity.Nick
	heard time.Time
}

// acquaintances are those that joins and nicks of the room name.
func (a *archive) acquaintances() (map[identity.DeviceID]acquaintance, error) {
	all := map[identity.DeviceID]acquaintance{}
	for _, scope := range a.scopes {
		kept, err := a.store.Kept(scope, a.id)
		if err != nil {
			return nil, err
		}
		for _, e := range kept.Standing {
			posts, err := e.Posts()
			if err != nil {
				continue
			}
			for _, p := range posts {
				if p.Nick != "" {
					all[e.Header.Feed.Author.ID()] = acquaintance{nick: p.Nick}
				}
			}
		}
		for _, c := range kept.Chains {
			id := c.Chain.Feed.Author.ID()
			m := all[id]
			if at := time.Unix(0, c.Heard).UTC(); at.After(m.heard) {
				m.heard = at
			}
			all[id] = m
		}
	}
	return all, nil
}

func publicRoom(name identity.RoomName) record.RoomID {
	return record.RoomID(seal.PublicSecret(name).RoomID())
}
