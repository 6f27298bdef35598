package wire_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"testing"

	"bcast/identity"
	"bcast/internal/record"
	"bcast/internal/seal"
	"bcast/internal/wire"
)

// openRooms is the rooms that a vector's reader has joined.
func openRooms(t *testing.T, v *vector) []*seal.Room {
	t.Helper()
	name := v.value("room")
	if name == "" {
		name = "lobby"
	}
	room, err := seal.Open(seal.PublicSecret(identity.RoomName(name)), 0, nil)
	if err != nil {
		t.Fatal(err)
	}
	return []*seal.Room{room}
}

// An opener receives vectors in the order of PROTOCOL.md, section 8, as far as four packages without a network can.
type opener struct {
	t     *testing.T
	rooms []*seal.Room
	parts []wire.Frag
}

func verify(key identity.PublicKey, message, sig []byte) bool { return key.Verify(message, sig) }

func (o *opener) open(s section, inside []byte, size int) wire.Drop {
	if s.kind == "record" {
		return o.record(s.bytes)
	}
	if size > len(s.bytes) {
		return wire.DropCut
	}
	t, version, ok := wire.Classify(s.bytes)
	switch {
	case !ok:
		return wire.DropNotBcast
	case version != wire.Version:
		return wire.DropVersion
	case !t.Known():
		return wire.DropUnknownType
	case t.Presence():
		return o.presence(s.bytes)
	}
	for _, room := range o.rooms {
		if room.Owns(s.bytes) {
			return o.sealed(room, t, s.bytes, inside)
		}
	}
	return wire.DropUnknownRoom
}

func (o *opener) presence(b []byte) wire.Drop {
	p, err := wire.ParsePresence(b)
	switch {
	case err != nil:
		return wire.DropMalformed
	case !p.Verify(verify):
		return wire.DropBadSignature
	}
	return ""
}

func (o *opener) sealed(room *seal.Room, t wire.Type, b, inside []byte) wire.Drop {
	inner, err := room.Unseal(b)
	if err != nil {
		return wire.DropDamaged
	}
	if inside != nil && !bytes.Equal(inner, inside[2:2+len(inner)]) {
		o.t.Errorf("inside is\n%x, the vector says\n%x", inner, inside)
	}
	if t.Signed() {
		signed, err := wire.ParseSigned(t, inner)
		switch {
		case err != nil:
			return wire.DropMalformed
		case !signed.Verify(verify, room.ID, b[:seal.OuterSize]):
			return wire.DropBadSignature
		}
		return ""
	}
	f, err := wire.ParseFrame(t, inner)
	if err != nil {
		return wire.DropMalformed
	}
	return o.proves(f)
}

// proves checks what a frame without a sender brings its own proof of.
func (o *opener) proves(f wire.Frame) wire.Drop {
	switch f := f.(type) {
	case wire.Record:
		return o.record(f.Bytes)
	case wire.Head:
		return o.head(f.Bytes)
	case wire.Fork:
		if drop := o.head(f.A); drop != "" {
			return drop
		}
		return o.head(f.B)
	case wire.Frag:
		o.parts = append(o.parts, f)
	}
	return ""
}

func (o *opener) record(b []byte) wire.Drop { return proven(record.Parse(o.rooms[0].ID, b)) }
func (o *opener) head(b []byte) wire.Drop   { return proven(record.ParseHead(o.rooms[0].ID, b)) }

func proven(r *record.Record, err error) wire.Drop {
	switch {
	case err != nil:
		return wire.DropMalformed
	case !r.Verify(verify):
		return wire.DropBadSignature
	}
	return ""
}

// finish puts the fragments of a vector together.
func (o *opener) finish(v *vector) {
	if v.value("assembled") == "" {
		return
	}
	whole := make([]byte, o.parts[0].Total)
	for _, p := range o.parts {
		copy(whole[p.Offset:], p.Data)
	}
	if drop := o.record(whole); drop != "" {
		o.t.Errorf("the fragments together: %s", drop)
	}
	if sum := sha256.Sum256(whole); hex.EncodeToString(sum[:]) != v.value("assembled") {
		o.t.Errorf("the fragments together have the SHA-256 %x", sum)
	}
}
