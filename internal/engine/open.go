package engine

import (
	"bytes"
	"net/netip"

	"bcast/identity"
	"bcast/internal/record"
	"bcast/internal/seal"
	"bcast/internal/wire"
)

// Datagram is what a socket received: Data is what the buffer took, Size what was sent.
type Datagram struct {
	Data      []byte
	Size      int
	From      netip.AddrPort
	Iface     int
	TTL       int // -1: the system does not tell
	Broadcast bool
	OnLink    bool
}

// Opened is a datagram whose shape, and, if it proves itself, whose signature is right. What depends on state is still
// to be checked by Receive.
type Opened struct {
	datagram Datagram
	kind     wire.Type
	own      bool // sealed by us
	cut      bool
	presence *wire.Presence
	room     identity.RoomName
	record   *record.Record // also a head
	frag     wire.Frag
	signed   *wire.Signed
}

// Opener opens datagrams: the checks that need no state, in the order of cost. It is immutable and safe on many
// goroutines.
type Opener struct {
	verify record.Verifier
	rooms  []openRoom
	nonces *nonces
}

type openRoom struct {
	name identity.RoomName
	keys *seal.Room
}

func (e *Engine) refreshOpener() {
	o := &Opener{verify: e.cfg.Verify, nonces: e.nonces}
	for _, r := range e.ordered {
		o.rooms = append(o.rooms, openRoom{r.name, r.keys})
	}
	e.opener = o
}

// Open checks d: size, cut, link, hops, magic, version, type, tag, seal, shape, and the signature of what proves
// itself. The Opened of a cut datagram tells whose it was, as far as the rest can tell. Opened keeps d.Data.
func (o *Opener) Open(d Datagram) (Opened, wire.Drop) {
	op := Opened{datagram: d, cut: d.Size > len(d.Data)}
	t, version, ours := wire.Classify(d.Data)
	op.kind = t
	switch {
	case d.Size == 0:
		return op, wire.DropEmpty
	case op.cut:
		if ours && version == wire.Version && !t.Presence() {
			op.room, _, op.own = o.owner(d.Data)
		}
		return op, ""
	case !d.OnLink:
		return op, wire.DropOffLink
	case d.TTL >= 0 && d.TTL != 255:
		return op, wire.DropHops
	case !ours:
		return op, wire.DropNotBcast
	case version != wire.Version:
		return op, wire.DropVersion
	case !t.Known():
		return op, wire.DropUnknownType
	case t.Presence():
		return o.openPresence(op)
	}
	return o.openSealed(op)
}

func (o *Opener) openPresence(op Opened) (Opened, wire.Drop) {
	p, err := wire.ParsePresence(op.datagram.Data)
	if err != nil {
		return op, wire.DropMalformed
	}
	op.presence = p
	return op, ""
}

// owner finds the room that a datagram was sealed for, and whether we sealed it.
func (o *Opener) owner(b []byte) (identity.RoomName, *seal.Room, bool) {
	for _, r := range o.rooms {
		if r.keys.Owns(b) {
			return r.name, r.keys, o.nonces.own(b[seal.PrefixSize : seal.PrefixSize+seal.NonceSize])
		}
	}
	return "", nil, false
}

func (o *Opener) openSealed(op Opened) (Opened, wire.Drop) {
	name, keys, own := o.owner(op.datagram.Data)
	if keys == nil {
		return op, wire.DropUnknownRoom
	}
	op.room, op.own = name, own
	if own {
		return op, ""
	}
	inner, err := keys.Unseal(op.datagram.Data)
	if err != nil {
		return op, wire.DropDamaged
	}
	if op.kind.Signed() {
		op.signed, err = wire.ParseSigned(op.kind, inner)
	} else {
		err = o.openProven(&op, keys, inner)
	}
	if err == errSignature {
		return op, wire.DropBadSignature
	}
	if err != nil {
		return op, wire.DropMalformed
	}
	return op, ""
}

// openProven reads a frame that proves itself and checks its proof.
func (o *Opener) openProven(op *Opened, keys *seal.Room, inner []byte) error {
	frame, err := wire.ParseFrame(op.kind, inner)
	if err != nil {
		return err
	}
	switch f := frame.(type) {
	case wire.Record:
		op.record, err = record.Parse(keys.ID, bytes.Clone(f.Bytes)) // without the padding: it is kept for long
	case wire.Head:
		op.record, err = record.ParseHead(keys.ID, bytes.Clone(f.Bytes))
	case wire.Frag:
		op.frag = f
		return nil // proven when it is whole
	case wire.Fork:
		return nil // format fixed, behaviour to come
	}
	if err == nil && !op.record.Verify(o.verify) {
		return errSignature
	}
	return err
}
