package engine

import (
	"bytes"
	"maps"
	"slices"
	"time"

	"bcast/chat"
	"bcast/discovery"
	"bcast/identity"
	"bcast/internal/record"
	"bcast/internal/seal"
	"bcast/internal/wire"
)

// room is a joined room: its keys, and its conversation once for every set of networks that shares it.
type room struct {
	name   identity.RoomName
	ring   *seal.Ring
	keys   *seal.Room              // the current ones of ring
	scopes []*scope                // the first is the one that own posts are shown from; the last left is forgotten first
	shown  map[record.Chain]uint64 // up to which number, by whichever scope

	private  bool          // its history is one, on whatever network
	out      bool          // a rekey shut us out, and no keys came since
	switched time.Duration // when the current keys came
	told     *seal.Room    // what the home knows for the current keys
	invited  seal.Secret   // the keys of a later epoch that an invite brought, for who says a rekey counts
	rekeys   []rekeying    // to be said again under the keys of before
	apart    apart
	// toldAt is when members that speak under old keys were told the new ones.
	toldAt    map[identity.DeviceID]time.Duration
	said      [][]record.ID // of posts said in several scopes the record in each, the first one's first
	ephemeral bool
	retention record.Retention
	direct    *Direct  // nil: it is not one of two devices
	reached   bool     // of a direct room: the other one is here, and unicast reaches it
	leaving   *leaving // nil: it is not being left
}

// scope is a room's conversation on the networks that may share it: what was heard on a network is served on that
// network alone, so that nobody carries a room's history from the office to a café by carrying a laptop (N1).
//
//	a network is added to a scope when it is known by its gateway, when the scope holds nothing yet that others could
//	learn, or when at least half of those who took part in the scope prove to be there too (N2)
type scope struct {
	id       ScopeID
	networks map[NetworkID]bool
	members  map[identity.DeviceID]bool // whoever was here and named the room; at most maxKnown
	chat     *chat.Room
	loads    map[uint64]uint64 // the room's token of each of our Loads
	chains   map[record.Chain]uint64
	kept     record.Scope // as the store has it
	// everywhere tells that the room is private: its members are the same on whatever network.
	everywhere bool
	born       uint64 // orders the scopes by when they began
}

// on tells whether the scope may be served on an interface.
func (s *scope) on(i Interface) bool {
	return slices.ContainsFunc(i.Networks, func(n NetworkID) bool { return s.networks[n] })
}

// here are the interfaces that s may be served on.
func (e *Engine) here(s *scope) []Interface {
	var on []Interface
	if s.everywhere {
		return e.ifaces
	}
	for _, i := range e.ifaces {
		if s.on(i) {
			on = append(on, i)
		}
	}
	return on
}

// scopeOn is the scope of a room for what comes and goes by an interface.
func (e *Engine) scopeOn(r *room, iface int) *scope {
	i := slices.IndexFunc(e.ifaces, func(f Interface) bool { return f.Index == iface })
	if i < 0 {
		return nil
	}
	if r.private && len(r.scopes) > 0 {
		return r.scopes[0]
	}
	for _, s := range r.scopes {
		if s.on(e.ifaces[i]) {
			return s
		}
	}
	return nil
}

// settle gives every interface a scope of r and tells the scopes what their links are like.
func (e *Engine) settle(now Now, r *room) {
	for _, i := range e.ifaces {
		s := e.scopeOn(r, i.Index)
		if s == nil {
			s = e.vacantScope(now, r)
		}
		for _, n := range i.Networks {
			s.networks[n] = true
		}
	}
	e.unite(now, r)
	if len(r.scopes) == 0 {
		e.newScope(now, r)
	}
	e.orderScopes(r)
	for _, s := range r.scopes {
		e.keep(r, s)
		e.tellLink(s)
		e.tellPeers(now, r, s)
	}
}

// vacantScope is a scope of r for another network: each that is not known gets one of its own, also when several come
// at once.
func (e *Engine) vacantScope(now Now, r *room) *scope {
	if s := e.emptyScope(r); s != nil {
		return s
	}
	return e.newScope(now, r)
}

// emptyScope is a scope of r that holds nothing which another network could learn.
func (e *Engine) emptyScope(r *room) *scope {
	for _, s := range r.scopes {
		if len(s.networks) == 0 {
			return s
		}
	}
	return nil
}

// newScope begins a conversation of r on a new network: with a new feed, whose first record is our join.
func (e *Engine) newScope(now Now, r *room) *scope {
	if len(r.scopes) >= maxScopes {
		last := len(r.scopes) - 1
		e.out.Forget = append(e.out.Forget, r.scopes[last].id)
		r.scopes = r.scopes[:last]
	}
	s := e.makeScope(now, r, ScopeID(e.cfg.Timing.Uint64()>>1), record.Kept{}, false)
	e.enrol(now, r, s)
	return s
}

// restore takes up a scope that the store kept.
func (e *Engine) restore(now Now, r *room, k KeptScope, resume bool) {
	s := e.makeScope(now, r, ScopeID(k.ID), k.Kept, resume)
	s.kept = k.Scope
	for _, n := range k.Networks {
		s.networks[n] = true
	}
	for _, id := range k.Members {
		s.members[id] = true
	}
	for _, c := range k.Chains {
		s.chains[c.Chain] = c.High
		r.shown[c.Chain] = max(r.shown[c.Chain], c.High)
	}
	for _, gone := range k.Gone { // another scope may have it still
		r.shown[gone.Chain] = max(r.shown[gone.Chain], gone.Low-1)
	}
}

func (e *Engine) makeScope(now Now, r *room, id ScopeID, kept record.Kept, resume bool) *scope {
	s := &scope{
		id: id, networks: map[NetworkID]bool{}, members: map[identity.DeviceID]bool{},
		loads: map[uint64]uint64{}, chains: map[record.Chain]uint64{}, born: e.token(),
		everywhere: r.private,
	}
	cfg := chat.Config{
		ID: record.RoomID(r.keys.ID), Key: e.cfg.Signer, RecvBuffer: e.cfg.RecvBuffer, Kept: kept,
		Resume: resume && !e.unsure[id],
		Rand:   e.cfg.Timing, Fingerprint: func(b []byte) [16]byte { return r.keys.Fingerprint(b) },
		Direct: r.other(),
	}
	if r.changesKeys() {
		cfg.Rekey = seal.ReadRekey
		cfg.Holds = func(data []byte) bool { return r.ring.Holds(data) }
		cfg.Invited = func(data []byte) bool { return seal.Promises(data, r.invited) }
	}
	s.chat = chat.New(now, cfg)
	s.chat.SetKeyEpoch(r.ring.Epoch())
	r.scopes = append(r.scopes, s)
	return s
}

// enrol says that we are a member, under the nick that we have now, unless that is said already. In a direct room that
// goes without saying.
func (e *Engine) enrol(now Now, r *room, s *scope) {
	post := record.Post{Kind: record.KindJoin, Nick: e.cfg.Nick}
	switch {
	case e.Watching(), r.out, r.direct != nil, s.chat.Joined() && s.chat.Nick(e.id) == e.cfg.Nick:
		return
	case s.chat.Joined():
		post.Kind = record.KindNick
	}
	if _, err := s.chat.Say(now, []record.Post{post}, false); err != nil {
		panic("a membership record is always well formed: " + err.Error())
	}
}

// rejoin says again that we are a member where the record that says so is not kept any more, or a rekey undid it.
func (e *Engine) rejoin(now Now, s *scope) {
	if !s.chat.Lapsed() {
		return
	}
	for _, r := range e.ordered {
		if slices.Contains(r.scopes, s) && r.leaving == nil {
			e.enrol(now, r, s)
		}
	}
}

// keep has the store know what s is, if that changed.
func (e *Engine) keep(r *room, s *scope) {
	k := record.Scope{
		ID: uint64(s.id), Room: record.RoomID(r.keys.ID), Ephemeral: r.ephemeral, Retention: r.retention,
	}
	for n := range s.networks {
		k.Networks = append(k.Networks, n)
	}
	slices.SortFunc(k.Networks, func(a, b [16]byte) int { return bytes.Compare(a[:], b[:]) })
	if k.Members = s.kept.Members; len(k.Members) != len(s.members) {
		k.Members = slices.SortedFunc(maps.Keys(s.members), identity.DeviceID.Compare)
	}
	if !k.Equal(&s.kept) {
		s.kept = k
		e.out.Keep = append(e.out.Keep, k)
	}
}

// keepMember has the store know of one more member. What is known of the others stays as it is: a crowd is not copied
// for each of whom it consists.
func (e *Engine) keepMember(r *room, s *scope, id identity.DeviceID) {
	all := s.kept.ID == uint64(s.id) && len(s.kept.Members) == len(s.members)
	if s.members[id] = true; !all { // not all of it was ever told
		e.keep(r, s)
		return
	}
	s.kept.Members = append(s.kept.Members, id)
	kept := s.kept
	kept.Members = slices.Clip(kept.Members) // what we add next is ours alone
	e.out.Keep = append(e.out.Keep, kept)
}

// keepAgain has the store told once more what s is: it may be what it could not keep.
func (e *Engine) keepAgain(s *scope) {
	for _, r := range e.ordered {
		if slices.Contains(r.scopes, s) {
			s.kept = record.Scope{}
			e.keep(r, s)
		}
	}
}

// orderScopes puts those first that are on a network now; otherwise the order stays.
func (e *Engine) orderScopes(r *room) {
	slices.SortStableFunc(r.scopes, func(a, b *scope) int {
		return min(len(e.here(b)), 1) - min(len(e.here(a)), 1)
	})
}

// active are the scopes that own posts are said in: all that are on a network now, or the latest if none is.
func (e *Engine) active(r *room) []*scope {
	n := 0
	for n < len(r.scopes) && len(e.here(r.scopes[n])) > 0 {
		n++
	}
	return r.scopes[:max(n, min(len(r.scopes), 1))]
}

func (e *Engine) tellLink(s *scope) {
	link := chat.Link{Datagram: wire.MaxDatagram, Loss: e.loss, Missed: e.discovery.Missed()}
	for _, i := range e.here(s) {
		link.Wifi = link.Wifi || i.Wifi
		link.Datagram = min(link.Datagram, i.MTU-ipUDPHeader)
	}
	s.chat.SetLink(link)
}

// ipUDPHeader is what an IPv4 and a UDP header take of the MTU, in bytes.
const ipUDPHeader = 28

// tellPeers says who is on the scope's networks now.
func (e *Engine) tellPeers(now Now, r *room, s *scope) {
	for _, p := range e.discovery.Peers() {
		e.tellPeer(now, r, s, p)
	}
}

func (e *Engine) tellPeer(now Now, r *room, s *scope, p discovery.Peer) {
	if !r.concerns(p.ID) {
		return
	}
	if !p.Proven || e.scopeOn(r, p.Iface) != s {
		r.reached = false
		s.chat.Absent(now, p.ID)
		return
	}
	// Presence names no private room, but perhaps a public namesake.
	inRoom := !r.private && slices.Contains(p.Rooms, r.name)
	if inRoom && p.Reached && !s.members[p.ID] && len(s.members) < maxKnown {
		e.keepMember(r, s, p.ID)
	}
	s.chat.Present(now, chat.Peer{
		ID: p.ID, Instance: p.Instance, RecvBuffer: p.RecvBuffer, Wifi: p.Wifi, InRoom: inRoom,
		Open: byBroadcast(p),
	})
	e.meet(now, r, s, p)
}

// recognise joins the scope that p was met in now with one that knew p before, if at least half of those who took part
// there prove to be here: then it is the same network, at least to its members (N2). One acquaintance is not enough: a
// phone goes where its laptop goes. What was said meanwhile is taken over.
func (e *Engine) recognise(now Now, r *room, p discovery.Peer) {
	met := e.scopeOn(r, p.Iface)
	if met == nil || r.private || !slices.Contains(p.Rooms, r.name) {
		return
	}
	i := slices.IndexFunc(r.scopes, func(s *scope) bool {
		return s != met && s.members[p.ID] && 2*e.metAgain(r, s, met) >= len(s.members)
	})
	if i < 0 || met.members[p.ID] && !precedes(r.scopes[i], met) {
		return
	}
	e.absorb(now, r, met, r.scopes[i])
	e.settle(now, r)
}

// unite has a network be in one scope of r: what is said in another scope of it nobody would be served. There are two
// when a process died before all of one was in the other, and when the gateway of a new network turns out to be known.
func (e *Engine) unite(now Now, r *room) {
	for i := 0; i < len(r.scopes); i++ {
		s := r.scopes[i]
		j := slices.IndexFunc(r.scopes, func(o *scope) bool { return o != s && precedes(o, s) && o.shares(s) })
		if j >= 0 {
			e.absorb(now, r, s, r.scopes[j])
			i = -1 // what it is in now may share a network with one before
		}
	}
}

// shares tells whether two scopes have a network in common.
func (s *scope) shares(o *scope) bool {
	for n := range s.networks {
		if o.networks[n] {
			return true
		}
	}
	return false
}

// metAgain counts the members of one scope of r that proved to be where another is.
func (e *Engine) metAgain(r *room, of, at *scope) int {
	n := 0
	for id := range of.members {
		p, known := e.discovery.Peer(id)
		if known && p.Proven && p.Status == discovery.Here && slices.Contains(p.Rooms, r.name) &&
			e.scopeOn(r, p.Iface) == at {
			n++
		}
	}
	return n
}

// precedes tells which of two scopes is the older one: into that the other goes.
func precedes(a, b *scope) bool { return a.born < b.born }

// absorption is a scope on its way into another.
type absorption struct {
	from ScopeID
	into *scope
	rest []record.Span // still to be loaded
	// refused tells that the store did not keep all of it there: then it stays where it is.
	refused bool
}

// absorb ends a scope of r: its networks are another's from now on, into which everything is taken that it has stored.
func (e *Engine) absorb(now Now, r *room, from, into *scope) {
	e.takeChat(now, r, from) // what is still to be stored of it is taken, too
	for token, a := range e.absorbing {
		if a.into == from {
			a.into = into
			e.absorbing[token] = a
		}
	}
	for n := range from.networks {
		into.networks[n] = true
	}
	r.scopes = slices.DeleteFunc(r.scopes, func(s *scope) bool { return s == from })
	into.chat.Inherit(now, from.chat)
	load := Load{Token: e.token(), Scope: from.id}
	for c, high := range from.chains {
		load.Ranges = append(load.Ranges, record.Span{Chain: c, From: 1, To: high})
	}
	slices.SortFunc(load.Ranges, func(a, b record.Span) int { return a.Chain.Compare(b.Chain) })
	for id := range from.members {
		into.members[id] = true
	}
	e.absorbing[load.Token] = absorption{from: from.id, into: into, rest: load.Ranges}
	e.out.Load = append(e.out.Load, load)
}

// absorbed takes a part of what is absorbed, and asks for the next: a store brings so much at a time.
func (e *Engine) absorbed(now Now, token uint64, a absorption, records []record.Entry) {
	delete(e.absorbing, token)
	for _, rec := range records {
		a.into.chat.Adopt(now, rec.Record)
	}
	if len(records) > 0 {
		last := records[len(records)-1]
		for len(a.rest) > 0 && a.rest[0].Chain != last.Chain() {
			a.rest = a.rest[1:]
		}
		if len(a.rest) > 0 {
			a.rest = slices.Clone(a.rest)
			a.rest[0].From = last.Header.Seq + 1
			load := Load{Token: e.token(), Scope: a.from, Ranges: a.rest}
			e.absorbing[load.Token] = a
			e.out.Load = append(e.out.Load, load)
			return
		}
	}
	e.emptied = append(e.emptied, a)
}

// keepEmptied has scopes stay of which the store did not keep all that was taken into another.
func (e *Engine) keepEmptied(into *scope) {
	for token, a := range e.absorbing {
		a.refused = a.refused || a.into == into
		e.absorbing[token] = a
	}
	for i, a := range e.emptied {
		e.emptied[i].refused = a.refused || a.into == into
	}
}

// abandon has what was on its way into scopes of a room that is left stay where it is: it is taken over when the room
// is joined again.
func (e *Engine) abandon(r *room) []ScopeID {
	var stay []ScopeID
	stays := func(a absorption) bool {
		if !slices.Contains(r.scopes, a.into) {
			return false
		}
		stay = append(stay, a.from)
		return true
	}
	maps.DeleteFunc(e.absorbing, func(_ uint64, a absorption) bool { return stays(a) })
	e.emptied = slices.DeleteFunc(e.emptied, stays)
	slices.Sort(stay)
	return stay
}

// forgetEmptied has the store forget scopes of which all was taken into another, and kept there.
func (e *Engine) forgetEmptied() {
	e.emptied = slices.DeleteFunc(e.emptied, func(a absorption) bool {
		for _, st := range e.storing {
			if st.scope == a.into {
				return false
			}
		}
		if !a.refused {
			e.out.Forget = append(e.out.Forget, a.from)
		}
		return true
	})
}
