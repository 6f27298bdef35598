package engine

import (
	"bytes"
	"errors"
	"net/netip"
	"slices"

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
	Foreign   bool // Own was asked, and said no
}

// Opened is a datagram whose shape, and, if it proves itself, whose signature is right. What depends on state is still
// to be checked by Receive.
type Opened struct {
	datagram Datagram
	kind     wire.Type
	own      bool // sealed by us
	cut      bool
	presence *wire.Presence
	speaker  identity.DeviceID // of presence
	room     identity.RoomName
	keys     *seal.Room     // with which it was sealed
	knocking bool           // sealed for no room of ours: maybe for a direct one that we have not opened
	record   *record.Record // also a head, also that of a frag's record if the whole of it is in the frag
	other    *record.Record // of a fork: the other head
	frag     wire.Frag
	signed   *wire.Signed
}

// Type is what the datagram says to be, whether it was opened or not.
func (op *Opened) Type() wire.Type { return op.kind }

// From is where the datagram came from, whether it was opened or not.
func (op *Opened) From() netip.AddrPort { return op.datagram.From }

// Opener opens datagrams: the checks that need no state, in the order of cost. It is immutable and safe on many
// goroutines.
type Opener struct {
	prove   Prover
	rooms   []openRoom
	nonces  *nonces
	share   func(*record.Record) *record.Record
	inPlace bool
}

// Prover checks a signature in what came from an address. The drop is empty, wire.DropBadSignature or, where so many
// from there were wrong that it does not look, wire.DropBudget: a wrong signature costs its sender nothing, and us
// 51 µs. It must be safe on many goroutines.
type Prover func(from netip.AddrPort, key identity.PublicKey, message, sig []byte) wire.Drop

// unbudgeted proves by a Verifier alone.
func unbudgeted(verify record.Verifier) Prover {
	return func(_ netip.AddrPort, key identity.PublicKey, message, sig []byte) wire.Drop {
		if !verify(key, message, sig) {
			return wire.DropBadSignature
		}
		return ""
	}
}

type openRoom struct {
	name identity.RoomName
	ring *seal.Ring
}

func (e *Engine) refreshOpener() {
	o := &Opener{prove: e.cfg.Prove, nonces: e.nonces, share: e.cfg.Share, inPlace: e.cfg.OpenInPlace}
	for _, r := range e.ordered {
		o.rooms = append(o.rooms, openRoom{r.name, r.ring})
	}
	e.opener = o
}

// Open checks d: size, cut, link, hops, magic, version, type, tag, seal, shape, and the signature of what proves
// itself. The Opened of a cut datagram tells whose it was, as far as the rest can tell. Opened keeps d.Data; once
// Receive has taken it nobody does, but of presence.
func (o *Opener) Open(d Datagram) (Opened, wire.Drop) {
	op := Opened{datagram: d, cut: d.Size > len(d.Data)}
	t, version, ours := wire.Classify(d.Data)
	op.kind = t
	switch {
	case d.Size == 0:
		return op, wire.DropEmpty
	case op.cut:
		if ours && version == wire.Version && !t.Presence() {
			op.room, _, op.own = o.owner(&d)
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
	op.presence, op.speaker = p, p.Key.ID()
	return op, ""
}

// owner finds the room that a datagram was sealed for, and whether we sealed it.
func (o *Opener) owner(d *Datagram) (identity.RoomName, *seal.Room, bool) {
	for _, r := range o.rooms {
		if keys, owns := r.ring.Owns(d.Data); owns {
			return r.name, keys, !d.Foreign && o.Own(*d)
		}
	}
	return "", nil, false
}

func (o *Opener) openSealed(op Opened) (Opened, wire.Drop) {
	name, keys, own := o.owner(&op.datagram)
	if keys == nil && knocks(&op) {
		op.knocking = true
		return op, ""
	}
	if keys == nil {
		return op, wire.DropUnknownRoom
	}
	op.room, op.own, op.keys = name, own, keys
	if own {
		return op, ""
	}
	unseal := keys.Unseal
	if o.inPlace && op.kind == wire.TypeFrag {
		unseal = keys.UnsealInPlace
	}
	inner, err := unseal(op.datagram.Data)
	if err != nil {
		return op, wire.DropDamaged
	}
	if op.kind.Signed() {
		op.signed, err = wire.ParseSigned(op.kind, inner)
	} else {
		err = openProven(&op, keys, inner)
	}
	if err != nil {
		return op, wire.DropMalformed
	}
	drop := o.proof(&op)
	if o.share != nil && drop == "" && op.kind == wire.TypeRecord {
		op.record = o.share(op.record)
	}
	return op, drop
}

// proof checks the signatures of a frame that proves itself.
func (o *Opener) proof(op *Opened) (drop wire.Drop) {
	verify := func(key identity.PublicKey, message, sig []byte) bool {
		drop = o.prove(op.datagram.From, key, message, sig)
		return drop == ""
	}
	for _, rec := range []*record.Record{op.record, op.other} {
		if rec != nil && !rec.Verify(verify) {
			return drop
		}
	}
	return ""
}

// openProven reads a frame that proves itself.
func openProven(op *Opened, keys *seal.Room, inner []byte) error {
	frame, err := wire.ParseFrame(op.kind, inner)
	if err != nil {
		return err
	}
	switch f := frame.(type) {
	case wire.Record:
		op.record, err = record.Parse(keys.ID, withoutPadding(f.Bytes, len(op.datagram.Data)))
	case wire.Head:
		op.record, err = record.ParseHead(keys.ID, withoutPadding(f.Bytes, len(op.datagram.Data)))
	case wire.Frag:
		op.frag = f
		op.record = headOf(keys, f)
	case wire.Fork:
		return openFork(op, keys, f)
	}
	return err
}

// headOf is the head of a record of which the first piece came; nil if it holds none. The pieces behind it are proven
// by it when the record is whole.
func headOf(keys *seal.Room, f wire.Frag) *record.Record {
	if f.Offset != 0 {
		return nil
	}
	piece := bytes.Clone(f.Data[:min(len(f.Data), record.MaxHead)])
	head, _, err := record.ParseHeadPrefix(keys.ID, piece)
	if err != nil || head.ID != record.ID(f.Record) {
		return nil
	}
	return head
}

// Own tells whether d is a sealed datagram of this process that came back to it, without opening it.
func (o *Opener) Own(d Datagram) bool {
	kind, _, ours := wire.Classify(d.Data)
	return ours && !kind.Presence() && len(d.Data) >= seal.OuterSize &&
		o.nonces.own(d.Data[seal.PrefixSize:seal.PrefixSize+seal.NonceSize])
}

// withoutPadding is the inside of a datagram of so many bytes, to be kept for long: copied, unless most of the memory
// that it was decrypted into is itself.
func withoutPadding(inside []byte, datagram int) []byte {
	if 4*len(inside) >= 3*datagram {
		return slices.Clip(inside)
	}
	return bytes.Clone(inside)
}

var errNoFork = errors.New("two heads that can both be honest")

// openFork reads two heads that prove a fork if one author signed both: one denies the other.
func openFork(op *Opened, keys *seal.Room, f wire.Fork) error {
	a, err := record.ParseHead(keys.ID, bytes.Clone(f.A))
	if err != nil {
		return err
	}
	b, err := record.ParseHead(keys.ID, bytes.Clone(f.B))
	if err != nil {
		return err
	}
	x, y := &a.Header, &b.Header
	same := x.Seq == y.Seq && a.ID != b.ID
	denied := y.Seq == x.Seq+1 && y.Prev != a.ID
	if x.Feed != y.Feed || !same && !denied {
		return errNoFork
	}
	op.record, op.other = a, b
	return nil
}
