package engine

import (
	"math"
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

// ReceiveAll takes opened datagrams in their order, but those that have a reason in drops already, and notes there why
// others are refused. Records and pieces that follow each other are settled together, so that they are stored in one
// step.
func (e *Engine) ReceiveAll(now Now, opened []Opened, drops []wire.Drop) {
	for i, op := range opened {
		if drops[i] != "" {
			continue
		}
		drops[i] = e.receive(now, op)
		if op.kind != wire.TypeRecord && op.kind != wire.TypeFrag {
			e.settleOut(now)
		}
	}
	e.settleOut(now)
}

func (e *Engine) receive(now Now, op Opened) wire.Drop {
	d := &op.datagram
	if d.Broadcast && !op.own {
		e.budget.hear(now.Mono, d.Size)
	}
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
	case op.knocking:
		return e.receiveKnock(now, op)
	case e.backlog > maxBacklog,
		op.record != nil && op.kind != wire.TypeHead && e.shares.full(now.Mono, op.record.Header.Feed.Author):
		return wire.DropQueueFull
	case e.readOnly(now) != nil:
		return wire.DropReadOnly
	}
	r := e.rooms[op.room]
	if r == nil {
		return wire.DropUnknownRoom // left since it was opened
	}
	s := e.scopeOn(r, d.Iface)
	if s == nil {
		return wire.DropUnusedInterface
	}
	if op.keys != r.keys {
		if reason := e.underOldKeys(now, r, s, &op); reason != "" {
			return reason
		}
	}
	if d.Broadcast {
		e.relay(now, r, s, &op)
	}
	switch op.kind {
	case wire.TypeRecord:
		s.chat.Record(now, op.record)
	case wire.TypeHead:
		s.chat.Head(now, op.record)
	case wire.TypeFrag:
		s.chat.Frag(now, op.frag, op.record)
	case wire.TypeFork:
		s.chat.Fork(now, op.record, op.other)
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
	id := op.speaker
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
	if e.discovery.SaysNothingNew(now.Mono, p, d.From, d.Iface) {
		return wire.DropNothingNew // among many who start together most of what comes: before any search
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

// receiveSigned checks a signed room frame: of a device that proved its address, of its present run, for us or all,
// not seen before, affordable, signed.
func (e *Engine) receiveSigned(now Now, op Opened) wire.Drop {
	sender, d := op.signed.Sender, &op.datagram
	r := e.rooms[op.room]
	switch {
	case r == nil:
		return wire.DropUnknownRoom
	case !sender.To.IsZero() && sender.To != e.cfg.Instance: // of a crowd's wants nearly all
		return wire.DropNotForUs
	}
	p, known := e.discovery.Sender(sender.Key, d.From)
	id := p.ID
	switch {
	case !known || !p.Proven || !r.concerns(id):
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
	e.discovery.Alive(now.Mono, sender.Key, sender.Instance, d.From, d.Iface, d.Broadcast)
	s := e.scopeOn(r, d.Iface)
	if s == nil {
		return wire.DropUnusedInterface
	}
	if op.keys != r.keys {
		if reason := e.underOldKeys(now, r, s, &op); reason != "" {
			return reason
		}
	} else if r.changesKeys() {
		r.apart.heard[id] = now.Mono
		s.chat.Spoke(now, id)
	}
	switch f := op.signed.Frame.(type) {
	case wire.Cut:
		e.sendAgain(id, f)
		return ""
	case wire.Receipt:
		e.discovery.Misses(id, float64(f.Loss)/math.MaxUint16)
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
	if cut, first := e.cuts.add(now.Mono, cut); first {
		e.showCut(cut)
	}
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
		if s.Presence.Type == wire.TypeEcho {
			s.Presence.Probe.Clock = uint64(now.Wall.UnixMilli())
		}
		s.Presence.Key, s.Presence.Instance, s.Presence.Counter = e.cfg.Key.Public(), e.cfg.Instance, e.nextCounter()
		e.out.Send = append(e.out.Send, Send{
			Data: wire.SealPresence(s.Presence, e.cfg.Signer), To: s.To, Iface: s.Iface, Limited: s.Limited,
			Type: s.Presence.Type,
		})
	}
	for _, a := range out.Answers {
		e.answered(now, a)
	}
	for _, ev := range out.Events {
		e.out.Events = append(e.out.Events, Event{Kind: PeerEvent, Peer: &ev.Peer})
		for _, r := range e.ordered {
			if ev.Peer.Status == discovery.Here && ev.Peer.Proven {
				e.recognise(now, r, ev.Peer)
			}
			if !ev.Peer.Present() {
				delete(r.apart.heard, ev.Peer.ID) // when it is back, either of us may have other keys
			}
			for _, s := range r.scopes {
				e.tellPeer(now, r, s, ev.Peer)
			}
		}
	}
	if len(out.Events) > 0 && len(e.ifaces) > 0 {
		e.fitBudget(now)
	}
	if loss := e.discovery.Loss(); loss != e.loss { // in silence, too, or what was guessed at the start would stay
		e.loss = loss
		for _, r := range e.ordered {
			for _, s := range r.scopes {
				e.tellLink(s)
			}
		}
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
	if !out.Store.IsEmpty() {
		store := Store{Token: e.token(), Batch: out.Store}
		store.Scope = uint64(s.id)
		st := storing{scope: s, batch: store.Batch}
		for _, split := range out.Store.Splits {
			s.split(split)
		}
		for _, rec := range out.Store.Records {
			s.chains[rec.Chain()] = rec.Header.Seq
			st.bytes += len(rec.Bytes())
			e.shares.add(now.Mono, rec.Header.Feed.Author, len(rec.Bytes()))
		}
		e.storing[store.Token] = st
		e.backlog += st.bytes
		e.out.Store = append(e.out.Store, store)
	}
	for _, l := range out.Load {
		load := Load{Token: e.token(), Scope: s.id, Ranges: l.Ranges, IDs: l.IDs}
		e.loading[load.Token], s.loads[load.Token] = s, l.Token
		e.out.Load = append(e.out.Load, load)
	}
	for _, send := range out.Send {
		e.post(now, r, s, send)
	}
	e.show(now, r, s, out.Events)
}

// show passes on what happened in a scope, unless another scope of the room has shown it: a link that was away for a
// moment is a network of its own until a member proves the contrary, and tells everything once more.
func (e *Engine) show(now Now, r *room, s *scope, events []chat.Event) {
	e.out.Events = slices.Grow(e.out.Events, len(events))
	var last *record.Record // whether it was shown is looked up once: a record may say several things
	shown := false
	for i := range events {
		ev := &events[i]
		if ev.Kind == chat.Posted && ev.Posts[0].Kind == record.KindRekey {
			e.rekeyed(now, r, s, *ev)
			continue
		}
		if ev.Kind == chat.Foretold {
			e.turnKeys(now, r, s, *ev)
			continue
		}
		if ev.Kind == chat.Received {
			*ev = e.counted(r, *ev)
		}
		if isOnce(ev) {
			if ev.Record != last {
				last, shown = ev.Record, ev.Record.Header.Seq <= r.shown[chainOf(ev)]
			}
			if shown || ev.Device == e.id && s != r.scopes[0] { // said in several scopes, shown once
				continue
			}
		}
		e.out.Events = append(e.out.Events, Event{Kind: RoomEvent, Room: r.name, Chat: *ev})
	}
	last = nil
	for i := range events { // after all
		if ev := &events[i]; isOnce(ev) && ev.Record != last {
			last = ev.Record
			c := chainOf(ev)
			r.shown[c] = max(r.shown[c], ev.Record.Header.Seq)
		}
	}
}

// isOnce tells whether an event shows a record, which is done once.
func isOnce(ev *chat.Event) bool {
	return ev.Record != nil && ev.Kind != chat.Received && ev.Kind != chat.Forked && ev.Kind != chat.Foretold
}

func chainOf(ev *chat.Event) record.Chain {
	return record.Chain{Feed: ev.Record.Header.Feed, Branch: ev.Branch}
}

// split notes that the records of a chain from a number on are of a branch now.
func (s *scope) split(p record.Split) {
	if high := s.chains[p.Chain]; high >= p.At && !p.Branch.IsZero() {
		s.chains[p.Chain] = p.At - 1
		s.chains[record.Chain{Feed: p.Chain.Feed, Branch: p.Branch}] = high
	}
}

// reply answers who said a record, but not before what is said next has place on its way out.
func (e *Engine) reply(id record.ID, reply Reply) {
	token, waiting := e.saying[id]
	if !waiting {
		return
	}
	delete(e.saying, id)
	reply.Token = token
	if reply.Err == nil && e.budget.isBehind() {
		e.said = append(e.said, reply)
		return
	}
	e.out.Replies = append(e.out.Replies, reply)
}

// replySaid answers those that waited for the budget.
func (e *Engine) replySaid() {
	if len(e.said) > 0 && !e.budget.isBehind() {
		e.out.Replies = append(e.out.Replies, e.said...)
		e.said = nil
	}
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
	if p, _ := e.discovery.Peer(id); p.Nick != "" {
		return p.Nick
	}
	return e.remembered(name, id)
}
