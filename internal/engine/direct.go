package engine

import (
	"time"

	"bcast/discovery"
	"bcast/identity"
	"bcast/internal/record"
	"bcast/internal/seal"
	"bcast/internal/wire"
)

// A direct room is a private one of two devices, whose secret follows from their keys. Who is spoken to learns of it
// from the datagrams alone: one by unicast, from the address of a device that is here, for no room that we have, is
// tried with the keys of the direct room of that device (R52). So nobody else learns more than who sends to whom.

// Direct is the other one of a direct room.
type Direct struct {
	Key  identity.PublicKey
	Nick identity.Nick // when it was last here
}

// ID is the device's.
func (d *Direct) ID() identity.DeviceID { return d.Key.ID() }

// DirectRoom is the name, here, of the direct room with a device. It is no RoomName that anybody could choose.
func DirectRoom(id identity.DeviceID) identity.RoomName { return identity.RoomName("@" + id.String()) }

// Retain changes how much is kept of a joined room.
type Retain struct {
	Room      identity.RoomName
	Retention record.Retention
}

func (c Retain) do(e *Engine, _ Now, token uint64) {
	r := e.rooms[c.Room]
	if r == nil {
		e.answer(token, Reply{Err: ErrNotJoined})
		return
	}
	r.retention = c.Retention
	for _, s := range r.scopes {
		e.keep(r, s)
	}
	e.answer(token, Reply{})
}

// other is the key of the other one of a direct room; zero if it is none.
func (r *room) other() (key identity.PublicKey) {
	if r.direct != nil {
		key = r.direct.Key
	}
	return key
}

// concerns tells whether a device can have a part in the room.
func (r *room) concerns(id identity.DeviceID) bool { return r.direct == nil || r.direct.ID() == id }

// Other is the other one of a direct room; zero if the room is none.
func (e *Engine) Other(name identity.RoomName) (id identity.DeviceID) {
	if r := e.rooms[name]; r != nil && r.direct != nil {
		id = r.direct.ID()
	}
	return id
}

// meet takes what is known of the other one of a direct room that is here. From when unicast reaches it, it hears what
// opens the room.
func (e *Engine) meet(now Now, r *room, s *scope, p discovery.Peer) {
	if r.direct == nil {
		return
	}
	r.direct.Nick = p.Nick
	if p.Reached && !r.reached {
		s.chat.Knock(now)
	}
	r.reached = p.Reached
}

// remembered is the nick that the other one of a direct room had when it was last here.
func (e *Engine) remembered(name identity.RoomName, id identity.DeviceID) identity.Nick {
	if r := e.rooms[name]; r != nil && r.direct != nil && r.direct.ID() == id {
		return r.direct.Nick
	}
	return ""
}

// KeyOf is the public key of a device: one that was here, or that said something in a joined room.
func (e *Engine) KeyOf(now Now, id identity.DeviceID) (identity.PublicKey, bool) {
	if p, known := e.discovery.Peer(id); known {
		return p.Key, true
	}
	for _, r := range e.ordered {
		if r.direct != nil && r.direct.ID() == id {
			return r.direct.Key, true
		}
		for _, s := range r.scopes {
			for _, key := range s.chat.Keys() {
				if key.ID() == id {
					return key, true
				}
			}
		}
	}
	return identity.PublicKey{}, false
}

// The bounds on what strangers' datagrams cost before anything is known of them.
const (
	maxKnocks  = 256                   // keys remembered; beyond it all are forgotten
	knockKeys  = 20 * time.Millisecond // between two derivations of keys
	knocksEach = time.Second           // between two KnockEvents of one device
)

// knock is the direct room with a device, as far as it takes to know its datagrams.
type knock struct {
	keys *seal.Room // nil: the device's key makes none
	told time.Duration
}

// knocks tells whether a datagram for no room of ours may be one that opens a direct room: by unicast, with something
// said in it. What members tell of their states opens nothing, so that a room once left stays closed.
func knocks(op *Opened) bool {
	switch op.kind {
	case wire.TypeRecord, wire.TypeFrag, wire.TypeHead:
		return !op.datagram.Broadcast
	}
	return false
}

// receiveKnock looks whether a datagram is of the direct room with the device that is where it came from. It is refused
// in any case: what it says comes again when the room is open.
func (e *Engine) receiveKnock(now Now, op Opened) wire.Drop {
	p, proven := e.discovery.PeerAt(op.datagram.From)
	if !proven || e.Watching() || e.rooms[DirectRoom(p.ID)] != nil {
		return wire.DropUnknownRoom
	}
	k := e.knockOf(now, p)
	if k == nil || k.keys == nil || now.Mono < k.told || !k.keys.Owns(op.datagram.Data) {
		return wire.DropUnknownRoom
	}
	k.told = now.Mono + knocksEach
	e.out.Events = append(e.out.Events, Event{Kind: KnockEvent, Peer: &p})
	return wire.DropUnknownRoom
}

// knockOf makes the keys of the direct room with a peer once; nil if it is not the time for more.
func (e *Engine) knockOf(now Now, p discovery.Peer) *knock {
	if k := e.knocks[p.ID]; k != nil {
		return k
	}
	if now.Mono < e.knockAt {
		return nil
	}
	e.knockAt = now.Mono + knockKeys
	if len(e.knocks) >= maxKnocks {
		clear(e.knocks)
	}
	k := &knock{}
	if secret, err := seal.DirectSecret(e.cfg.Key, p.Key); err == nil {
		if ring, err := seal.NewRing(secret, e.cfg.NewAEAD); err == nil {
			k.keys = ring.Current()
		}
	}
	e.knocks[p.ID] = k
	return k
}
