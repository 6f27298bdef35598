package engine

import (
	"net/netip"
	"slices"

	"bcast/chat"
	"bcast/discovery"
	"bcast/identity"
	"bcast/internal/record"
	"bcast/internal/seal"
	"bcast/internal/wire"
)

// Receive takes an opened datagram: the checks that need state, cheapest first, and then what it says. It tells why
// the datagram was refused, if it was.
func (e *Engine) Receive(now Now, op Opened) wire.Drop {
	reason := e.receive(now, op)
	e.settleOut(now)
	return reason
}

func (e *Engine) receive(now Now, op Opened) wire.Drop {
	d := &op.datagram
	switch {
	case op.cut:
		return e.receiveCut(now, op)
	case op.own:
		e.heardOwn(now, d)
		return wire.DropOwn
	case op.presence != nil:
		return e.receivePresence(now, op)
	case op.signed != nil:
		return e.receiveSigned(now, op)
	}
	r := e.rooms[op.room]
	if r == nil {
		return wire.DropUnknownRoom // left since it was opened
	}
	s := e.scopeOn(r, d.Iface)
	if s == nil {
		return wire.DropUnusedInterface
	}
	switch op.kind {
	case wire.TypeRecord:
		s.chat.Record(now, op.record)
	case wire.TypeHead:
		s.chat.Head(now, op.record)
	case wire.TypeFrag:
		s.chat.Frag(now, op.frag)
	}
	return ""
}

func (e *Engine) heardOwn(now Now, d *Datagram) {
	if d.Broadcast {
		e.ownHeard[d.Iface] = now.Mono
	}
}

// receivePresence checks presence: whose, for whom, seen before, affordable, signed; discovery decides what it means.
func (e *Engine) receivePresence(now Now, op Opened) wire.Drop {
	p, d := op.presence, &op.datagram
	id := p.Key.ID()
	if id == e.id {
		if p.Instance == e.cfg.Instance {
			e.heardOwn(now, d)
			return wire.DropOwn
		}
		return e.receiveTwin(now, p, d.From)
	}
	if !p.To.IsZero() && p.To != e.cfg.Instance {
		return wire.DropNotForUs
	}
	who := speaker{id, p.Instance}
	if w := e.windows[who]; w != nil && !w.Fresh(p.Counter) {
		return wire.DropReplayed
	}
	if !e.discovery.Admit(now.Mono, p.Key, d.From) {
		return wire.DropBudget
	}
	if !p.Verify(e.cfg.Verify) {
		return wire.DropBadSignature
	}
	e.mark(who, p.Counter)
	return e.discovery.Receive(now.Mono, p, d.From, d.Iface, d.Broadcast)
}

// receiveTwin notices that our own key speaks from another run: a copied home, or our own past being replayed.
func (e *Engine) receiveTwin(now Now, p *wire.Presence, from netip.AddrPort) wire.Drop {
	if p.Instance.Boot < e.cfg.Instance.Boot {
		return wire.DropOwn
	}
	if !e.discovery.Admit(now.Mono, p.Key, from) {
		return wire.DropBudget
	}
	if !p.Verify(e.cfg.Verify) {
		return wire.DropOwn
	}
	who := speaker{e.id, p.Instance}
	if e.windows[who] == nil {
		e.out.Events = append(e.out.Events, Event{Kind: TwinEvent})
	}
	e.mark(who, p.Counter)
	return wire.DropOwn
}

// receiveSigned checks a signed room frame: of a device that proved its address, of its present run, for us or all,
// not seen before, affordable, signed.
func (e *Engine) receiveSigned(now Now, op Opened) wire.Drop {
	sender, d := op.signed.Sender, &op.datagram
	id := sender.Key.ID()
	p, known := e.discovery.Peer(id)
	r := e.rooms[op.room]
	switch {
	case r == nil:
		return wire.DropUnknownRoom
	case !sender.To.IsZero() && sender.To != e.cfg.Instance:
		return wire.DropNotForUs
	case !known || !p.Proven:
		return wire.DropStranger
	case p.Instance != sender.Instance:
		return wire.DropOldInstance
	}
	who := speaker{id, sender.Instance}
	if w := e.windows[who]; w != nil && !w.Fresh(sender.Counter) {
		return wire.DropReplayed
	}
	if !e.discovery.Admit(now.Mono, sender.Key, d.From) {
		return wire.DropBudget
	}
	if !op.signed.Verify(e.cfg.Verify, r.keys.ID, d.Data[:seal.OuterSize]) {
		return wire.DropBadSignature
	}
	e.mark(who, sender.Counter)
	e.discovery.Alive(now.Mono, id, sender.Instance, d.From, d.Iface, d.Broadcast)
	s := e.scopeOn(r, d.Iface)
	if s == nil {
		return wire.DropUnusedInterface
	}
	if cut, ok := op.signed.Frame.(wire.Cut); ok {
		e.sendAgain(id, cut)
		return ""
	}
	s.chat.Frame(now, id, op.signed.Frame)
	return ""
}

// mark writes the replay window of a speaker, after its signature was checked.
func (e *Engine) mark(who speaker, counter uint64) {
	w := e.windows[who]
	if w == nil {
		if len(e.windows) >= maxWindows {
			for old := range e.windows {
				if p, known := e.discovery.Peer(old.id); !known || p.Instance != old.instance {
					delete(e.windows, old)
				}
			}
		}
		w = &seal.Window{}
		e.windows[who] = w
	}
	w.Mark(counter)
}

// receiveCut shows a datagram that the buffer cut, and asks a proven sender to send it again in pieces (T2).
func (e *Engine) receiveCut(now Now, op Opened) wire.Drop {
	d := &op.datagram
	if op.own || d.From.Port() == e.cfg.UnicastPort && e.ownAddr(d) {
		e.heardOwn(now, d)
		return wire.DropOwn
	}
	cut := Cut{From: d.From, Room: op.room, Received: len(d.Data), Size: d.Size}
	p, proven := e.discovery.PeerAt(d.From)
	if proven {
		cut.Peer, cut.Nick = p.ID, p.Nick
	}
	e.out.Events = append(e.out.Events, Event{Kind: CutEvent, Room: op.room, Cut: cut})
	if r := e.rooms[op.room]; r != nil && proven && !e.Watching() && now.Mono >= e.cutAt {
		if s := e.scopeOn(r, d.Iface); s != nil {
			e.cutAt = now.Mono + cutsEach
			frame := wire.Cut{Received: uint16(min(len(d.Data), wire.MaxUDP)), Size: uint32(d.Size)}
			copy(frame.Nonce[:], d.Data[seal.PrefixSize:])
			e.post(now, r, s, chat.Send{To: p.ID, Class: chat.Control, Frame: frame})
		}
	}
	return wire.DropCut
}

// ownAddr tells whether a datagram came from one of our addresses. It is looked at only where too little of a cut
// datagram arrived to tell by its nonce.
func (e *Engine) ownAddr(d *Datagram) bool {
	return slices.ContainsFunc(e.ifaces, func(i Interface) bool { return slices.Contains(i.Addrs, d.From.Addr()) })
}

// takeDiscovery carries out what discovery wants and tells the rooms who came and went.
func (e *Engine) takeDiscovery(now Now) {
	var out discovery.Output
	e.discovery.Drain(&out)
	for _, s := range out.Send {
		s.Presence.Key, s.Presence.Instance, s.Presence.Counter = e.cfg.Key.Public(), e.cfg.Instance, e.nextCounter()
		e.out.Send = append(e.out.Send, Send{
			Data: wire.SealPresence(s.Presence, e.cfg.Key), To: s.To, Iface: s.Iface, Type: s.Presence.Type,
		})
	}
	for _, ev := range out.Events {
		e.out.Events = append(e.out.Events, Event{Kind: PeerEvent, Peer: ev.Peer})
		for _, r := range e.ordered {
			if ev.Peer.Status == discovery.Here && ev.Peer.Proven {
				e.recognise(now, r, ev.Peer)
			}
			for _, s := range r.scopes {
				e.tellLink(s)
				e.tellPeer(now, r, s, ev.Peer)
			}
		}
	}
	if len(out.Events) > 0 && len(e.ifaces) > 0 {
		e.fitBudget(now)
	}
}

func (e *Engine) nextCounter() uint64 {
	e.counter++
	return e.counter
}

// takeChat carries out what a room wants.
func (e *Engine) takeChat(now Now, r *room, s *scope) {
	var out chat.Output
	s.chat.Drain(&out)
	if len(out.Store) > 0 {
		store := Store{Token: e.token(), Scope: s.id, Records: out.Store}
		e.storing[store.Token] = s
		e.out.Store = append(e.out.Store, store)
		for _, rec := range out.Store {
			s.feeds[rec.Header.Feed] = rec.Header.Seq
		}
	}
	for _, l := range out.Load {
		load := Load{Token: e.token(), Scope: s.id, Ranges: l.Ranges, IDs: l.IDs}
		e.loading[load.Token], s.loads[load.Token] = s, l.Token
		e.out.Load = append(e.out.Load, load)
	}
	for _, send := range out.Send {
		e.post(now, r, s, send)
	}
	e.show(r, s, out.Events)
}

// show passes on what happened in a scope, unless another scope of the room has shown it: a link that was away for a
// moment is a network of its own until a member proves the contrary, and tells everything once more.
func (e *Engine) show(r *room, s *scope, events []chat.Event) {
	for _, ev := range events {
		if ev.Kind != chat.Received {
			if ev.Record.Header.Seq <= r.shown[ev.Record.Header.Feed] {
				continue
			}
			if ev.Device == e.id && s != r.scopes[0] {
				continue // said in several scopes, shown once
			}
		}
		e.out.Events = append(e.out.Events, Event{Kind: RoomEvent, Room: r.name, Chat: ev})
	}
	for _, ev := range events { // after all: a record may say several things
		if ev.Kind != chat.Received {
			h := &ev.Record.Header
			r.shown[h.Feed] = max(r.shown[h.Feed], h.Seq)
		}
	}
}

func (e *Engine) reply(id record.ID, reply Reply) {
	token, waiting := e.saying[id]
	if !waiting {
		return
	}
	delete(e.saying, id)
	reply.Token = token
	e.out.Replies = append(e.out.Replies, reply)
}

// Nick is the best name known for a device in a room: its records', else its presence's, else empty.
func (e *Engine) Nick(name identity.RoomName, id identity.DeviceID) identity.Nick {
	if id == e.id {
		return e.cfg.Nick
	}
	if r := e.rooms[name]; r != nil {
		for _, s := range r.scopes {
			if nick := s.chat.Nick(id); nick != "" {
				return nick
			}
		}
	}
	p, _ := e.discovery.Peer(id)
	return p.Nick
}
