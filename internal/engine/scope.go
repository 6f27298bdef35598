package engine

import (
	"encoding/binary"
	"slices"

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
	keys   *seal.Room
	scopes []*scope               // the first is the one that own posts are shown from; the last left is forgotten first
	shown  map[record.Feed]uint64 // up to which number, by whichever scope
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
	feeds    map[record.Feed]uint64
}

// on tells whether the scope may be served on an interface.
func (s *scope) on(i Interface) bool {
	return slices.ContainsFunc(i.Networks, func(n NetworkID) bool { return s.networks[n] })
}

// here are the interfaces that s may be served on.
func (e *Engine) here(s *scope) []Interface {
	var on []Interface
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
	for _, s := range r.scopes {
		if s.on(e.ifaces[i]) {
			return s
		}
	}
	return nil
}

// settle gives every interface a scope of r and tells the scopes what their links are like.
func (e *Engine) settle(now Now, r *room) {
	var homeless []Interface
	for _, i := range e.ifaces {
		s := e.scopeOn(r, i.Index)
		if s == nil {
			homeless = append(homeless, i)
			continue
		}
		for _, n := range i.Networks {
			s.networks[n] = true
		}
	}
	if len(homeless) > 0 || len(r.scopes) == 0 {
		s := e.emptyScope(r)
		if s == nil {
			s = e.newScope(now, r)
		}
		for _, i := range homeless {
			for _, n := range i.Networks {
				s.networks[n] = true
			}
		}
	}
	e.orderScopes(r)
	for _, s := range r.scopes {
		e.tellLink(s)
		e.tellPeers(now, r, s)
	}
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
	s := &scope{
		id: ScopeID(e.token()), networks: map[NetworkID]bool{}, members: map[identity.DeviceID]bool{},
		loads: map[uint64]uint64{}, feeds: map[record.Feed]uint64{},
	}
	s.chat = chat.New(now, chat.Config{
		ID: record.RoomID(r.keys.ID), Key: e.cfg.Key, RecvBuffer: e.cfg.RecvBuffer, Epoch: e.cfg.Timing.Uint64(),
		Rand: e.cfg.Timing, Verify: e.cfg.Verify, Fingerprint: r.keys.Fingerprint,
	})
	if len(r.scopes) >= maxScopes {
		last := len(r.scopes) - 1
		e.out.Forget = append(e.out.Forget, r.scopes[last].id)
		r.scopes = r.scopes[:last]
	}
	r.scopes = append(r.scopes, s)
	if !e.Watching() {
		join := record.Post{Kind: record.KindJoin, Nick: e.cfg.Nick}
		if _, err := s.chat.Say(now, []record.Post{join}, false); err != nil {
			panic("a join record is always well formed: " + err.Error())
		}
	}
	return s
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
	link := chat.Link{Datagram: wire.MaxDatagram, Loss: e.discovery.Loss()}
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
	if !p.Proven || e.scopeOn(r, p.Iface) != s {
		s.chat.Absent(now, p.ID)
		return
	}
	inRoom := slices.Contains(p.Rooms, r.name)
	if inRoom && p.Reached && len(s.members) < maxKnown {
		s.members[p.ID] = true
	}
	s.chat.Present(now, chat.Peer{ID: p.ID, RecvBuffer: p.RecvBuffer, Wifi: p.Wifi, InRoom: inRoom})
}

// recognise joins the scope that p was met in now with one that knew p before, if at least half of those who took part
// there prove to be here: then it is the same network, at least to its members (N2). One acquaintance is not enough: a
// phone goes where its laptop goes. What was said meanwhile is taken over.
func (e *Engine) recognise(now Now, r *room, p discovery.Peer) {
	met := e.scopeOn(r, p.Iface)
	if met == nil || !slices.Contains(p.Rooms, r.name) {
		return
	}
	i := slices.IndexFunc(r.scopes, func(s *scope) bool {
		return s != met && s.members[p.ID] && 2*e.metAgain(r, s, met) >= len(s.members)
	})
	if i < 0 || met.members[p.ID] && !e.precedes(r.scopes[i], met) {
		return
	}
	known := r.scopes[i]
	for n := range met.networks {
		known.networks[n] = true
	}
	r.scopes = slices.DeleteFunc(r.scopes, func(s *scope) bool { return s == met })
	e.absorb(met, known)
	e.settle(now, r)
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
func (e *Engine) precedes(a, b *scope) bool { return a.id < b.id }

// absorption is a scope on its way into another.
type absorption struct {
	from ScopeID
	into *scope
}

// absorb has everything that was stored in one scope taken into another.
func (e *Engine) absorb(from, into *scope) {
	load := Load{Token: e.token(), Scope: from.id}
	for f, high := range from.feeds {
		load.Ranges = append(load.Ranges, record.Span{Feed: f, From: 1, To: high})
	}
	slices.SortFunc(load.Ranges, func(a, b record.Span) int { return compareFeeds(a.Feed, b.Feed) })
	for id := range from.members {
		into.members[id] = true
	}
	e.absorbing[load.Token] = absorption{from.id, into}
	e.out.Load = append(e.out.Load, load)
}

func compareFeeds(a, b record.Feed) int {
	x := binary.BigEndian.AppendUint64(slices.Clone(a.Author[:]), a.Epoch)
	y := binary.BigEndian.AppendUint64(slices.Clone(b.Author[:]), b.Epoch)
	return slices.Compare(x, y)
}
