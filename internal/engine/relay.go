package engine

import (
	"bytes"
	"slices"

	"bcast/chat"
	"bcast/identity"
	"bcast/internal/record"
	"bcast/internal/wire"
)

// relay says again by one family of addresses what a member broadcast by the other, to members who cannot hear it
// (R53). What proves itself needs no sender, so it is the same coming from us. What gets lost, or does not fit the
// budget, is asked for like anything else.
func (e *Engine) relay(now Now, r *room, s *scope, op *Opened) {
	d := &op.datagram
	other := 0
	for _, i := range e.ifaces {
		if i.Index == d.Iface {
			other = i.Other
		}
	}
	if other == 0 || e.Watching() || r.direct != nil {
		return
	}
	able := func(id identity.DeviceID) bool { return s.chat.IsMember(id) }
	if !e.discovery.Relays(d.From, d.Iface, other, able) {
		return
	}
	limit, _ := s.chat.Limit()
	frame := func(f wire.Frame, id record.ID) {
		e.budget.queue(outgoing{r.name, s, r.keys, chat.Send{Class: chat.Repair, Frame: f, Record: id}, now.Mono, other})
	}
	switch op.kind {
	case wire.TypeHead:
		frame(wire.Head{Bytes: op.record.Bytes()}, record.ID{})
	case wire.TypeFrag:
		for _, f := range cut(op.frag, limit) {
			frame(f, record.ID(f.Record))
		}
	case wire.TypeRecord:
		for _, send := range chat.AppendRecord(nil, op.record, identity.DeviceID{}, chat.Repair, limit) {
			frame(send.Frame, op.record.ID)
		}
	} // who asks is told of forks
}

// cut is a piece of a record in pieces that fit datagrams of at most limit bytes. They are for keeps.
func cut(f wire.Frag, limit int) (cuts []wire.Frag) {
	for piece := range slices.Chunk(f.Data, limit-wire.SealedOverhead-wire.FragOverhead) {
		cuts = append(cuts, wire.Frag{Record: f.Record, Total: f.Total, Offset: f.Offset, Data: bytes.Clone(piece)})
		f.Offset += uint16(len(piece))
	}
	return cuts
}
