package engine

import (
	"math"
	"net/netip"
	"slices"
	"time"

	"bcast/chat"
	"bcast/discovery"
	"bcast/identity"
	"bcast/internal/record"
	"bcast/internal/wire"
)

// never is the deadline of what is not due.
const never = time.Duration(math.MaxInt64)

// broadcastAddr stands for the broadcast address of the interface that a datagram goes by.
var broadcastAddr = netip.AddrPort{}

// Command is something that a user wants. A Reply with its token answers each.
type Command interface {
	do(e *Engine, now Now, token uint64)
}

// Join makes this device a member of a room. Kept is what the store has of it.
type Join struct {
	Room identity.RoomName
	Keys *Keys // of a private room; nil: it is public
	// Direct is the other one of a room of two devices, which is a private one; nil: it is none.
	Direct *Direct
	Kept   []KeptScope
	// Resume tells that nothing of our own feeds can be missing in Kept, so that they may be continued.
	Resume    bool
	Ephemeral bool
	Retention record.Retention
}

// KeptScope is a scope of a room as the store has it.
type KeptScope struct {
	record.Scope
	record.Kept
}

// Leave ends membership. The Reply comes when that is stored and said. With Forget nothing is kept of the room.
type Leave struct {
	Room   identity.RoomName
	Forget bool
}

// Say posts to a joined room: in as few records as they fit in, and as few signatures. The Reply comes when all is
// stored and names the last record; with Ack, events tell who has it.
type Say struct {
	Room  identity.RoomName
	Posts []record.Post
	Ack   bool
}

// Adopt takes records that our own user brings, their signatures checked, into a joined room.
type Adopt struct {
	Room    identity.RoomName
	Records []*record.Record
}

// Signal tells the members of a room who are here what we do at this moment.
type Signal struct {
	Room identity.RoomName
	Kind chat.SignalKind
	Text string
}

// SetNick changes the name shown to others.
type SetNick struct{ Nick identity.Nick }

// SetServices changes what is said to be offered here.
type SetServices struct{ Services []wire.Service }

// SetBudget bounds what we broadcast, in bytes a second; 0: by the kind of link.
type SetBudget struct{ Broadcast int }

// Bye says goodbye to all: the last thing that an instance does.
type Bye struct{}

// Announce says again who we are, as after a change.
type Announce struct{}

// Do carries out a command.
func (e *Engine) Do(now Now, token uint64, c Command) {
	c.do(e, now, token)
	e.settleOut(now)
}

func (e *Engine) answer(token uint64, reply Reply) {
	reply.Token = token
	e.out.Replies = append(e.out.Replies, reply)
}

func (c Join) do(e *Engine, now Now, token uint64) {
	if r := e.rooms[c.Room]; r != nil {
		if r.leaving == nil {
			e.readmit(now, r, c.Keys)
			e.answer(token, Reply{})
		} else {
			e.answer(token, Reply{Err: ErrBusy})
		}
		return
	}
	if len(e.rooms) >= maxRooms {
		e.answer(token, Reply{Err: ErrRooms})
		return
	}
	ring, err := e.ring(c.Room, c.Keys)
	if err != nil {
		e.answer(token, Reply{Err: err})
		return
	}
	r := &room{
		name: c.Room, ring: ring, keys: ring.Current(), shown: map[record.Chain]uint64{}, private: c.Keys != nil,
		told:      ring.Current(),
		ephemeral: c.Ephemeral, retention: c.Retention, switched: now.Mono, direct: c.Direct,
	}
	if c.Keys != nil {
		r.invited = c.Keys.Invited
	}
	r.apart.begin(now, e.seekJitter())
	for _, k := range c.Kept {
		e.restore(now, r, k, c.Resume)
	}
	e.unite(now, r)
	e.reopenRekeys(r)
	for _, s := range r.scopes {
		e.enrol(now, r, s)
	}
	e.enter(r)
	e.settle(now, r)
	e.discovery.SetRooms(now.Mono, e.roomNames())
	e.answer(token, Reply{New: true})
}

func (c Leave) do(e *Engine, now Now, token uint64) {
	r := e.rooms[c.Room]
	if r == nil || r.leaving != nil {
		e.answer(token, Reply{Err: ErrNotJoined})
		return
	}
	r.leaving = &leaving{token: token, forget: c.Forget, waits: map[record.ID]bool{}}
	for _, s := range e.active(r) {
		if e.Watching() || e.readOnly(now) != nil || r.direct != nil {
			break
		}
		id, err := s.chat.Say(now, []record.Post{{Kind: record.KindLeave}}, false)
		if err != nil {
			panic("a leave record is always well formed: " + err.Error())
		}
		r.leaving.waits[id] = true
	}
	e.part(now, r)
}

// leaving is a room on its way out: it goes when the last words are stored and sent.
type leaving struct {
	token  uint64
	forget bool
	waits  map[record.ID]bool // leave records on their way to the store
}

// part ends a room whose last words are said.
func (e *Engine) part(now Now, r *room) {
	if len(r.leaving.waits) > 0 {
		return
	}
	e.flush(now)
	e.forget(r)
	stay := e.abandon(r)
	if r.leaving.forget {
		for _, s := range r.scopes {
			e.out.Forget = append(e.out.Forget, s.id)
		}
		e.out.Forget = append(e.out.Forget, stay...)
	}
	e.discovery.SetRooms(now.Mono, e.roomNames())
	e.answer(r.leaving.token, Reply{})
}

// farewell sends a leave record twice when it is stored, for we shall not repair it later: whoever got it passes it on.
// A store that refuses it keeps nobody from leaving.
func (e *Engine) farewell(now Now, s *scope, id record.ID) {
	i := slices.IndexFunc(e.ordered, func(r *room) bool { return r.leaving != nil && r.leaving.waits[id] })
	if i < 0 {
		return
	}
	r := e.ordered[i]
	delete(r.leaving.waits, id)
	var out chat.Output
	s.chat.Drain(&out)
	for range 2 {
		for _, send := range out.Send {
			e.post(now, r, s, send)
		}
	}
	e.part(now, r)
}

func (c Say) do(e *Engine, now Now, token uint64) {
	r := e.rooms[c.Room]
	switch {
	case r == nil || r.leaving != nil:
		e.answer(token, Reply{Err: ErrNotJoined})
		return
	case r.out:
		e.answer(token, Reply{Err: ErrOut})
		return
	case e.readOnly(now) != nil:
		e.answer(token, Reply{Err: e.readOnly(now)})
		return
	case len(e.saying)+len(e.said) >= maxStoring:
		e.answer(token, Reply{Err: ErrBusy})
		return
	}
	scopes := e.active(r)
	packs := packed(c.Posts, scopes)
	together := make([][]record.ID, len(packs))
	for i, s := range scopes {
		ids, err := s.chat.SayAll(now, packs, c.Ack || r.direct != nil)
		if err != nil {
			e.answer(token, Reply{Err: err})
			return
		}
		for n, id := range ids {
			together[n] = append(together[n], id)
		}
		if i == 0 {
			e.saying[ids[len(ids)-1]] = token
		}
	}
	for _, ids := range together {
		r.saidTogether(ids)
	}
}

// piecesAtOnce is in how many pieces a record goes that says more than fits a datagram: what a record costs whoever
// takes it is divided by so many, and pieces of one size make trains.
const piecesAtOnce = 10

// packed divides posts into records: one that fits a datagram of all the scopes, or, if they are too many for that, a
// few that fill piecesAtOnce.
func packed(posts []record.Post, scopes []*scope) [][]record.Post {
	size := wire.MaxDatagram
	for _, s := range scopes {
		limit, _ := s.chat.Limit()
		size = min(size, limit)
	}
	size -= wire.SealedOverhead
	first, rest := record.Overhead(chat.MaxCited), record.Overhead(0)
	if packs := record.Pack(posts, size-first, size-rest); len(packs) == 1 {
		return packs
	}
	size = piecesAtOnce * (size - wire.FragOverhead)
	return record.Pack(posts, size-first, size-rest)
}

func (c Adopt) do(e *Engine, now Now, token uint64) {
	r := e.rooms[c.Room]
	switch {
	case r == nil:
		e.answer(token, Reply{Err: ErrNotJoined})
		return
	case e.readOnly(now) != nil:
		e.answer(token, Reply{Err: e.readOnly(now)})
		return
	}
	for _, rec := range c.Records {
		r.scopes[0].chat.Adopt(now, rec)
	}
	e.answer(token, Reply{})
}

func (c Signal) do(e *Engine, now Now, token uint64) {
	r := e.rooms[c.Room]
	if r == nil {
		e.answer(token, Reply{Err: ErrNotJoined})
		return
	}
	for _, s := range e.active(r) {
		s.chat.Signal(now, c.Kind, c.Text)
	}
	e.answer(token, Reply{})
}

func (c SetServices) do(e *Engine, now Now, token uint64) {
	e.discovery.SetServices(now.Mono, c.Services)
	e.answer(token, Reply{})
}

func (c SetNick) do(e *Engine, now Now, token uint64) {
	e.answer(token, Reply{})
	if c.Nick == e.cfg.Nick {
		return
	}
	e.cfg.Nick = c.Nick
	e.discovery.SetNick(now.Mono, c.Nick)
	for _, r := range e.ordered {
		if r.direct != nil {
			continue // presence tells
		}
		for _, s := range e.active(r) {
			if _, err := s.chat.Say(now, []record.Post{{Kind: record.KindNick, Nick: c.Nick}}, false); err != nil {
				panic("a nick record is always well formed: " + err.Error())
			}
		}
	}
}

func (c SetBudget) do(e *Engine, now Now, token uint64) {
	e.budget.refill(now.Mono) // what came so far came at the old rate
	e.budget.fixed = c.Broadcast
	e.budget.setLink(now.Mono, e.budget.wifi)
	e.answer(token, Reply{})
}

func (Bye) do(e *Engine, now Now, token uint64) {
	for _, r := range e.ordered {
		for _, s := range r.scopes {
			s.chat.FlushLedger()
		}
	}
	e.discovery.Bye(now.Mono)
	e.answer(token, Reply{})
}

func (Announce) do(e *Engine, now Now, token uint64) {
	e.discovery.Announce(now.Mono)
	e.answer(token, Reply{})
}

// roomNames are the rooms that presence tells of: nobody learns which private ones there are.
func (e *Engine) roomNames() []identity.RoomName {
	var names []identity.RoomName
	for _, r := range e.ordered {
		if !r.private {
			names = append(names, r.name)
		}
	}
	return names
}

// Peers are all devices that ever proved an address, by id.
func (e *Engine) Peers() []discovery.Peer { return e.discovery.Peers() }

// Peer is what is known of a device.
func (e *Engine) Peer(id identity.DeviceID) (discovery.Peer, bool) { return e.discovery.Peer(id) }

// Places are the addresses that a device has proven.
func (e *Engine) Places(id identity.DeviceID) []netip.Addr { return e.discovery.Places(id) }

// PeerAt is the device that proved to be at an address.
func (e *Engine) PeerAt(addr netip.AddrPort) (discovery.Peer, bool) { return e.discovery.PeerAt(addr) }

// Present is how many devices are here, without us.
func (e *Engine) Present() int { return e.discovery.Present() }

// Own is who we are to others.
func (e *Engine) Own() (identity.DeviceID, identity.Nick, identity.Instance) {
	return e.id, e.cfg.Nick, e.cfg.Instance
}

// Key is our public key.
func (e *Engine) Key() identity.PublicKey { return e.cfg.Key.Public() }

// OwnHeard is when our own broadcast last came back on each interface.
func (e *Engine) OwnHeard(iface int) (at time.Duration, heard bool) {
	at, heard = e.ownHeard[iface]
	return at, heard
}

// RoomState is what is known of a joined room.
type RoomState struct {
	Name      identity.RoomName
	ID        record.RoomID
	Ephemeral bool
	Retention record.Retention
	Private   bool
	Direct    identity.DeviceID // the other one of a direct room; zero: it is none
	Out       bool              // a rekey shut us out
	Epoch     uint32            // of the keys
	Scopes    []ScopeID         // the first is the one that own posts are shown from
	Order     uint64            // the highest in that one that own records follow
	Members   []chat.Member
	Stored    int
	Missing   int
	Limit     int
	LimitedBy identity.DeviceID
}

// Serving are the scopes of a joined room that own posts are said in and members are answered from now.
func (e *Engine) Serving(name identity.RoomName) []ScopeID {
	r := e.rooms[name]
	if r == nil {
		return nil
	}
	var ids []ScopeID
	for _, s := range e.active(r) {
		ids = append(ids, s.id)
	}
	return ids
}

// Scopes are those of a joined room; the first is the one that own posts are shown from.
func (e *Engine) Scopes(name identity.RoomName) []ScopeID {
	r := e.rooms[name]
	if r == nil {
		return nil
	}
	ids := make([]ScopeID, len(r.scopes))
	for i, s := range r.scopes {
		ids[i] = s.id
	}
	return ids
}

// Rooms are the joined rooms, by name.
func (e *Engine) Rooms(now Now) []RoomState {
	var all []RoomState
	for _, r := range e.ordered {
		st := RoomState{Name: r.name, ID: record.RoomID(r.keys.ID), Ephemeral: r.ephemeral,
			Private: r.private, Out: r.out, Retention: r.retention, Epoch: r.ring.Epoch()}
		if r.direct != nil {
			st.Direct = r.direct.ID()
		}
		for i, s := range r.scopes {
			st.Scopes = append(st.Scopes, s.id)
			stored, missing := s.chat.Posts()
			st.Stored += stored
			if i == 0 {
				st.Missing, st.Order = missing, s.chat.Order()
				st.Limit, st.LimitedBy = s.chat.Limit()
			}
			for _, m := range s.chat.Members(now) {
				if !slices.ContainsFunc(st.Members, func(k chat.Member) bool { return k.ID == m.ID }) {
					st.Members = append(st.Members, m)
				}
			}
		}
		all = append(all, st)
	}
	return all
}
