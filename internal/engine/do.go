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
	"bcast/internal/seal"
)

// never is the deadline of what is not due.
const never = time.Duration(math.MaxInt64)

// broadcastAddr stands for the broadcast address of the interface that a datagram goes by.
var broadcastAddr = netip.AddrPort{}

// Command is something that a user wants. A Reply with its token answers each.
type Command interface {
	do(e *Engine, now Now, token uint64)
}

// Join makes this device a member of a room.
type Join struct{ Room identity.RoomName }

// Leave ends membership.
type Leave struct{ Room identity.RoomName }

// Say posts to a joined room. The Reply comes when the post is stored; with Ack, events tell who has it.
type Say struct {
	Room  identity.RoomName
	Posts []record.Post
	Ack   bool
}

// SetNick changes the name shown to others.
type SetNick struct{ Nick identity.Nick }

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
	if e.rooms[c.Room] != nil {
		e.answer(token, Reply{})
		return
	}
	if len(e.rooms) >= maxRooms {
		e.answer(token, Reply{Err: ErrRooms})
		return
	}
	keys, err := seal.Open(seal.PublicSecret(c.Room), 0, e.cfg.NewAEAD)
	if err != nil {
		e.answer(token, Reply{Err: err})
		return
	}
	r := &room{name: c.Room, keys: keys, shown: map[record.Feed]uint64{}}
	e.enter(r)
	e.settle(now, r)
	e.discovery.SetRooms(now.Mono, e.roomNames())
	e.answer(token, Reply{New: true})
}

func (c Leave) do(e *Engine, now Now, token uint64) {
	r := e.rooms[c.Room]
	if r == nil {
		e.answer(token, Reply{Err: ErrNotJoined})
		return
	}
	for _, s := range e.active(r) {
		e.farewell(now, r, s)
	}
	e.flush(now)
	e.forget(r)
	for _, s := range r.scopes {
		e.out.Forget = append(e.out.Forget, s.id)
	}
	e.discovery.SetRooms(now.Mono, e.roomNames())
	e.answer(token, Reply{})
}

// farewell sends our leave record twice and is done with it: we keep nothing that could repair it later; whoever got it
// passes it on.
func (e *Engine) farewell(now Now, r *room, s *scope) {
	if e.Watching() {
		return
	}
	if _, err := s.chat.Say(now, []record.Post{{Kind: record.KindLeave}}, false); err != nil {
		return
	}
	var out chat.Output
	s.chat.Drain(&out)
	s.chat.Stored(now, out.Store, nil)
	s.chat.Drain(&out)
	for range 2 {
		for _, send := range out.Send {
			e.post(now, r, s, send)
		}
	}
}

func (c Say) do(e *Engine, now Now, token uint64) {
	r := e.rooms[c.Room]
	switch {
	case r == nil:
		e.answer(token, Reply{Err: ErrNotJoined})
		return
	case e.readOnly != nil:
		e.answer(token, Reply{Err: e.readOnly})
		return
	case len(e.saying) >= maxStoring:
		e.answer(token, Reply{Err: ErrBusy})
		return
	}
	for i, s := range e.active(r) {
		id, err := s.chat.Say(now, c.Posts, c.Ack)
		if err != nil {
			e.answer(token, Reply{Err: err})
			return
		}
		if i == 0 {
			e.saying[id] = token
		}
	}
}

func (c SetNick) do(e *Engine, now Now, token uint64) {
	e.answer(token, Reply{})
	if c.Nick == e.cfg.Nick {
		return
	}
	e.cfg.Nick = c.Nick
	e.discovery.SetNick(now.Mono, c.Nick)
	for _, r := range e.ordered {
		for _, s := range e.active(r) {
			if _, err := s.chat.Say(now, []record.Post{{Kind: record.KindNick, Nick: c.Nick}}, false); err != nil {
				panic("a nick record is always well formed: " + err.Error())
			}
		}
	}
}

func (Bye) do(e *Engine, now Now, token uint64) {
	e.discovery.Bye(now.Mono)
	e.answer(token, Reply{})
}

func (Announce) do(e *Engine, now Now, token uint64) {
	e.discovery.SetRooms(now.Mono, e.roomNames())
	e.answer(token, Reply{})
}

func (e *Engine) roomNames() []identity.RoomName {
	var names []identity.RoomName
	for _, r := range e.ordered {
		names = append(names, r.name)
	}
	return names
}

// Peers are all devices that ever proved an address, by id.
func (e *Engine) Peers() []discovery.Peer { return e.discovery.Peers() }

// Peer is what is known of a device.
func (e *Engine) Peer(id identity.DeviceID) (discovery.Peer, bool) { return e.discovery.Peer(id) }

// PeerAt is the device that proved to be at an address.
func (e *Engine) PeerAt(addr netip.AddrPort) (discovery.Peer, bool) { return e.discovery.PeerAt(addr) }

// Present is how many devices are here, without us.
func (e *Engine) Present() int { return e.discovery.Present() }

// Own is who we are to others.
func (e *Engine) Own() (identity.DeviceID, identity.Nick, identity.Instance) {
	return e.id, e.cfg.Nick, e.cfg.Instance
}

// OwnHeard is when our own broadcast last came back on each interface.
func (e *Engine) OwnHeard(iface int) (at time.Duration, heard bool) {
	at, heard = e.ownHeard[iface]
	return at, heard
}

// RoomState is what is known of a joined room.
type RoomState struct {
	Name      identity.RoomName
	Scopes    []ScopeID // the first is the one that own posts are shown from
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

// Rooms are the joined rooms, by name.
func (e *Engine) Rooms(now Now) []RoomState {
	var all []RoomState
	for _, r := range e.ordered {
		st := RoomState{Name: r.name}
		for i, s := range r.scopes {
			st.Scopes = append(st.Scopes, s.id)
			stored, missing := s.chat.Posts()
			st.Stored += stored
			if i == 0 {
				st.Missing = missing
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
