package bcast

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"
	"time"

	"bcast/chat"
	"bcast/identity"
	"bcast/internal/control"
	"bcast/internal/engine"
	"bcast/internal/home"
	"bcast/internal/record"
	"bcast/internal/seal"
)

// Join makes this device a member of a room: a public one, named as people write it, the one of an invite, or, by
// "@PEER", the one of this device and another.
func (n *Node) Join(ctx context.Context, room string, options JoinOptions) (Joined, error) {
	r, err := n.parseRoom(ctx, room, options)
	if err != nil {
		return Joined{}, err
	}
	invited := len(r.Secret) > 0 && !options.Private
	if r, err = n.nameHere(r, options); err != nil {
		return Joined{}, err
	}
	joined, err := n.joinKept(ctx, r)
	if err != nil || joined.New {
		return joined, err
	}
	if invited { // one of before the rekey that shut us out brings nothing
		if err = n.notOut(ctx, string(r.Name)); err != nil {
			return joined, err
		}
	}
	return joined, n.answered(ctx, r.Name)
}

// notOut fails if a rekey shut this device out of a joined room.
func (n *Node) notOut(ctx context.Context, room string) error {
	var out error
	err := n.viewRoom(ctx, room, func(_ engine.Now, _ *engine.Engine, r engine.RoomState) error {
		if r.Out {
			out = failure(engine.ErrOut)
		}
		return nil
	})
	return cmp.Or(err, out)
}

// joinKept remembers a room for the next start and joins it: what is not remembered is not joined either.
func (n *Node) joinKept(ctx context.Context, r home.Room) (joined Joined, err error) {
	known := n.isJoined(r.Name)
	if err = n.rememberRoom(r); err == nil {
		joined, err = n.join(ctx, r)
	}
	if err != nil && !known {
		err = errors.Join(err, n.forgetRoom(r.Name))
	}
	return joined, err
}

// rememberRoom keeps a room for the next start, unless it is kept already.
func (n *Node) rememberRoom(r home.Room) error {
	return n.rememberRooms(func(rooms []home.Room) []home.Room {
		if slices.ContainsFunc(rooms, func(k home.Room) bool { return k.Name == r.Name }) {
			return rooms
		}
		return append(rooms, r)
	})
}

// parseRoom is the room that a user wants to join.
func (n *Node) parseRoom(ctx context.Context, room string, options JoinOptions) (home.Room, error) {
	if isDirect(room) {
		return n.parseDirect(ctx, room, options)
	}
	return parseJoin(room, options)
}

// parseJoin checks what a user says of a room that is to be joined. A private one that is new gets a secret.
func parseJoin(room string, options JoinOptions) (home.Room, error) {
	r := home.Room{Ephemeral: options.Ephemeral, Age: home.DefaultAge, Count: home.DefaultCount}
	if strings.HasPrefix(strings.TrimSpace(room), invitePrefix) {
		invite, err := seal.ParseInvite(room)
		if err != nil {
			return r, invalid(err, "ask for it again: bcast invite ROOM")
		}
		r.Name, r.Secret, r.Ephemeral = invite.Name, invite.Secret[:], r.Ephemeral || invite.Ephemeral
		if r.Epoch = invite.Epoch; r.Epoch > 0 {
			r.EpochSecret = invite.EpochSecret[:]
			r.Invited = r.EpochSecret
		}
	} else {
		name, err := identity.ParseRoomName(room)
		if err != nil {
			return r, invalid(err, roomHint)
		}
		r.Name = name
		if options.Private {
			r.Secret = make([]byte, len(seal.Secret{}))
			rand.Read(r.Secret)
		}
	}
	return r, retain(&r, options.Retention)
}

// roomHint says what a room may be called.
const roomHint = "a room is called like lobby, build-3 or été"

// retain sets how much is kept of a room, if the user says so.
func retain(r *home.Room, keep *Retention) error {
	if keep != nil {
		var err error
		r.Age, r.Count, r.Bytes = 0, keep.Count, keep.Bytes
		if keep.Age != "" {
			r.Age, err = time.ParseDuration(keep.Age)
		}
		if err != nil || r.Age < 0 || r.Count < 0 || r.Bytes < 0 {
			return control.NewError(control.CodeInvalid, err,
				fmt.Sprintf("retention of %q, %d records, %d bytes: out of range", keep.Age, keep.Count, keep.Bytes),
				"an age is a duration such as 2160h, the others are numbers; 0 is no bound")
		}
	}
	return nil
}

// invitePrefix begins every invite.
const invitePrefix = "bcast:"

// nameHere gives a room the name it has here: its own, or, if another room has that, with a tag. A room known already
// keeps its name, and a name without an invite is that of the room known by it.
func (n *Node) nameHere(r home.Room, options JoinOptions) (home.Room, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	id := roomID(r)
	for _, known := range n.rooms {
		named := known.Name == r.Name && (len(r.Secret) == 0 || options.Private && len(known.Secret) > 0)
		if roomID(known) == id || named {
			if r.Epoch > known.Epoch { // an invite of after a rekey
				known.Epoch, known.EpochSecret, known.Invited = r.Epoch, r.EpochSecret, r.Invited
			}
			return known, nil
		}
	}
	taken := func(name identity.RoomName) bool {
		return slices.ContainsFunc(n.rooms, func(k home.Room) bool { return k.Name == name })
	}
	if !taken(r.Name) {
		return r, nil
	}
	tagged, err := identity.ParseRoomName(string(r.Name) + "-" + identity.EncodeID(id[:])[:4])
	if err != nil || taken(tagged) {
		return r, control.NewError(control.CodeInvalid, err, fmt.Sprintf("another room is called %s here", r.Name),
			"leave that one first")
	}
	r.Called, r.Name = r.Name, tagged
	return r, nil
}

// roomID is what a room is, whatever it is called.
func roomID(r home.Room) record.RoomID {
	if len(r.Secret) > 0 {
		return record.RoomID(secretOf(r.Secret).RoomID())
	}
	return publicRoom(r.Name)
}

func secretOf(b home.Secret) (s seal.Secret) {
	copy(s[:], b)
	return s
}

// roomNamed is a room by the name it has here; a public one if it is not known.
func (n *Node) roomNamed(name identity.RoomName) home.Room {
	n.mu.Lock()
	defer n.mu.Unlock()
	return roomNamed(n.rooms, name)
}

func roomNamed(rooms []home.Room, name identity.RoomName) home.Room {
	for _, r := range rooms {
		if r.Name == name {
			return r
		}
	}
	return home.Room{Name: name}
}

// join has the engine go on with what the store kept of a room.
func (n *Node) join(ctx context.Context, r home.Room) (Joined, error) {
	command := engine.Join{
		Room: r.Name, Resume: n.resume, Ephemeral: r.Ephemeral,
		Retention: record.Retention{Age: r.Age, Count: r.Count, Bytes: r.Bytes},
	}
	if len(r.Secret) > 0 {
		command.Keys = &engine.Keys{
			Secret: secretOf(r.Secret), Epoch: r.Epoch, EpochSecret: secretOf(r.EpochSecret),
			Invited: secretOf(r.Invited),
		}
	}
	if len(r.Peer) > 0 {
		command.Direct = &engine.Direct{Key: peerKey(r), Nick: r.PeerNick}
	}
	var err error
	if command.Kept, err = n.kept(roomID(r)); err != nil {
		return Joined{}, storeError(err)
	}
	reply, err := n.node.Do(ctx, command)
	joined := Joined{Room: string(r.Name), New: reply.New}
	if err == nil && command.Direct != nil {
		joined.Direct, err = n.directTitle(ctx, r.Name)
	}
	return joined, failure(err)
}

// Invite is what lets others into a joined private room. It is a secret.
func (n *Node) Invite(ctx context.Context, room string) (Invitation, error) {
	name, err := n.roomName(ctx, room)
	if err != nil {
		return Invitation{}, err
	}
	if err = n.notOut(ctx, room); err != nil {
		return Invitation{}, err
	}
	r := n.roomNamed(name)
	if len(r.Peer) > 0 {
		return Invitation{}, control.NewError(control.CodeInvalid, nil, "a direct room is for two",
			"make a private one: bcast join ROOM --private")
	}
	if len(r.Secret) == 0 {
		return Invitation{}, control.NewError(control.CodeInvalid, nil, fmt.Sprintf("room %s is public", name),
			"whoever knows its name can join it: bcast join "+string(name))
	}
	invite := seal.Invite{
		Name: r.Name, Secret: secretOf(r.Secret), Ephemeral: r.Ephemeral, Epoch: r.Epoch,
		EpochSecret: secretOf(r.EpochSecret),
	}
	if r.Called != "" {
		invite.Name = r.Called
	}
	return Invitation{Room: string(name), Invite: invite.Text()}, nil
}

// Rekey changes the keys of a joined private room and shuts out members, named as people do.
func (n *Node) Rekey(ctx context.Context, room string, without []string) (Rekeyed, error) {
	name, err := n.roomName(ctx, room)
	if err != nil {
		return Rekeyed{}, err
	}
	command := engine.Rekey{Room: name}
	for _, word := range without {
		id, err := n.member(ctx, room, word)
		if err != nil {
			return Rekeyed{}, err
		}
		command.Without = append(command.Without, id)
	}
	if _, err := n.node.Do(ctx, command); err != nil {
		return Rekeyed{}, roomFailure(err, room)
	}
	done := Rekeyed{Room: string(name)}
	err = n.viewRoom(ctx, room, func(_ engine.Now, _ *engine.Engine, r engine.RoomState) error {
		done.Epoch = r.Epoch
		return nil
	})
	return done, err
}

// member is the member of a room that a word names.
func (n *Node) member(ctx context.Context, room, word string) (identity.DeviceID, error) {
	var found []identity.Candidate
	err := n.viewRoom(ctx, room, func(_ engine.Now, e *engine.Engine, r engine.RoomState) error {
		var among []identity.Candidate
		for _, m := range r.Members {
			among = append(among, identity.Candidate{ID: m.ID, Nick: e.Nick(r.Name, m.ID)})
		}
		found = identity.Resolve(word, among)
		return nil
	})
	if err != nil {
		return identity.DeviceID{}, err
	}
	c, err := theOne(found, word, "member of "+room, "bcast members "+room)
	return c.ID, err
}

// keepKeys remembers the keys that a rekey brought. It runs with the node's turn, once a rekey.
func (n *Node) keepKeys(room identity.RoomName, keys engine.Keys) {
	err := n.rememberRooms(func(rooms []home.Room) []home.Room {
		for i := range rooms {
			if rooms[i].Name == room {
				rooms[i].Epoch, rooms[i].EpochSecret = keys.Epoch, keys.EpochSecret[:]
				if keys.Invited != (seal.Secret{}) {
					rooms[i].Invited = keys.Invited[:]
				}
			}
		}
		return rooms
	})
	if err != nil {
		n.cfg.Logger.Error("new keys of a room not remembered", "room", room, "err", err)
	}
}

func (n *Node) kept(room record.RoomID) ([]engine.KeptScope, error) {
	scopes, err := n.store.Scopes(room)
	if err != nil {
		return nil, err
	}
	var all []engine.KeptScope
	for _, s := range scopes {
		kept, err := n.store.Kept(s.ID, room)
		if err != nil {
			return nil, err
		}
		all = append(all, engine.KeptScope{Scope: s, Kept: kept})
	}
	return all, nil
}

// Leave ends membership. What is kept of the room stays readable, and is gone on with by who joins again, unless it is
// to be forgotten.
func (n *Node) Leave(ctx context.Context, room string, forget bool) error {
	name, err := n.roomName(ctx, room)
	if err != nil {
		return err
	}
	if _, err := n.node.Do(ctx, engine.Leave{Room: name, Forget: forget}); err != nil {
		return roomFailure(err, room)
	}
	n.flows.Delete(name)
	if err := n.node.Flush(ctx); err != nil { // who joins again must not find what is about to be forgotten
		return failure(err)
	}
	return n.forgetRoom(name)
}

func (n *Node) forgetRoom(name identity.RoomName) error {
	return n.rememberRooms(func(rooms []home.Room) []home.Room {
		return slices.DeleteFunc(rooms, func(r home.Room) bool { return r.Name == name })
	})
}

// Records yields all that is kept of a joined room.
func (n *Node) Records(ctx context.Context, room string) iter.Seq2[Record, error] {
	return func(yield func(Record, error) bool) {
		archive, err := n.archive(ctx, room)
		if err != nil {
			yield(Record{}, err)
			return
		}
		archive.records(ctx, yield)
	}
}

// importBatch is how many records are handed to the engine at once: some milliseconds of its time.
const importBatch = 256

// Import takes records into a joined room, as if members had sent them.
func (n *Node) Import(ctx context.Context, room string, records iter.Seq2[Record, error]) (Imported, error) {
	var done Imported
	state, err := n.roomState(ctx, room)
	if err != nil {
		return done, err
	}
	var batch []*record.Record
	for r, err := range records {
		if err != nil {
			return done, err
		}
		rec, err := record.Parse(state.ID, r.Bytes)
		if err != nil || !rec.Verify(identity.PublicKey.Verify) {
			done.Refused++
			continue
		}
		if batch = append(batch, rec); len(batch) == importBatch {
			if err := n.adopt(ctx, state, batch, &done); err != nil {
				return done, err
			}
			batch = nil
		}
	}
	return done, n.adopt(ctx, state, batch, &done)
}

// adopt brings records into a room and counts those that were not there before.
func (n *Node) adopt(ctx context.Context, room engine.RoomState, records []*record.Record, done *Imported) error {
	before, err := n.holds(room, records)
	if err != nil {
		return storeError(err)
	}
	if _, err := n.node.Do(ctx, engine.Adopt{Room: room.Name, Records: records}); err != nil {
		return roomFailure(err, string(room.Name))
	}
	if err := n.node.Flush(ctx); err != nil {
		return failure(err)
	}
	after, err := n.holds(room, records)
	if err != nil {
		return storeError(err)
	}
	done.Known += before
	done.New += after - before
	done.Refused += len(records) - after
	return nil
}

// holds counts which of the records are kept in one of a room's scopes.
func (n *Node) holds(room engine.RoomState, records []*record.Record) (int, error) {
	ids := make([]record.ID, len(records))
	for i, rec := range records {
		ids[i] = rec.ID
	}
	held := map[record.ID]bool{}
	for _, scope := range room.Scopes {
		found, err := n.store.Load(uint64(scope), nil, ids)
		if err != nil {
			return 0, err
		}
		for _, e := range found {
			held[e.ID] = true
		}
	}
	return len(held), nil
}

// signalKinds are the signals by the names that scripts give them.
var signalKinds = map[string]chat.SignalKind{"typing": chat.Typing, "away": chat.Away, "here": chat.Back}

// maxSignal is the longest text of a signal in bytes.
const maxSignal = 255

// Signal tells the members of a joined room who are here what we do at this moment.
func (n *Node) Signal(ctx context.Context, signal Signal) error {
	name, err := n.roomName(ctx, signal.Room)
	if err != nil {
		return err
	}
	kind, known := signalKinds[signal.Kind]
	if !known {
		return control.NewError(control.CodeInvalid, nil, fmt.Sprintf("signal %q: unknown", signal.Kind),
			"typing, away or here")
	}
	if len(signal.Text) > maxSignal {
		return control.NewError(control.CodeTooLarge, nil, fmt.Sprintf("the text is longer than %d bytes", maxSignal), "")
	}
	if signal.Text != "" {
		if err := control.CheckText(signal.Text); err != nil {
			return err
		}
	}
	_, err = n.node.Do(ctx, engine.Signal{Room: name, Kind: kind, Text: signal.Text})
	return roomFailure(err, signal.Room)
}
