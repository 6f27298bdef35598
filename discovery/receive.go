package discovery

import (
	"net/netip"
	"slices"
	"time"

	"bcast/identity"
	"bcast/internal/wire"
)

// heard is one presence datagram and how it came.
type heard struct {
	*wire.Presence
	now       time.Duration
	id        identity.DeviceID
	place     place
	link      *link
	broadcast bool
}

// Receive takes a presence datagram whose signature, counter and destination are checked, from the address it came
// from and by the interface it came in on. It tells why it was refused.
func (d *Discovery) Receive(
	now time.Duration, p *wire.Presence, from netip.AddrPort, iface int, broadcast bool,
) wire.Drop {
	if d.gone {
		return ""
	}
	d.catchUp(now)
	from = unmap(from)
	m := &heard{Presence: p, now: now, place: place{iface, from}, link: d.link(iface), broadcast: broadcast}
	if m.link == nil {
		return wire.DropUnusedInterface
	}
	if !slices.Contains(p.Addrs, from.Addr().WithZone("")) {
		return wire.DropSourceMismatch
	}
	known, id := d.sender(p.Key, from)
	m.id = id
	switch {
	case m.id == d.cfg.Self:
		return wire.DropOwn
	case known != nil && slices.Contains(known.ended, p.Instance):
		if p.Type == wire.TypeBye { // it is said more than once
			return ""
		}
		return wire.DropOldInstance
	case p.Type < wire.TypeHello || p.Type > wire.TypeEcho:
		return wire.DropUnknownType
	case p.Type == wire.TypeBye:
		d.hearBye(known, m)
		return ""
	case known == nil || known.instance != p.Instance || !known.status.present():
		if p.Type == wire.TypeEcho {
			return wire.DropStranger
		}
		return d.hearStranger(m)
	case p.Type == wire.TypeEcho:
		return d.hearEcho(known, m)
	}
	return d.hearPeer(known, m)
}

// SaysNothingNew tells whether what is not checked yet is one HELLO of a burst that is for others: of a peer heard
// within newsEach, which has proven itself there and to which we have, that says of it what is known and echoes nothing
// of ours. To check its signature would bring nothing: among many who start together these are most of what comes. Who
// forges one has us ignore a forgery. As what is not checked cannot be known again, one from there that is older than
// what was heard since says nothing either: it may be a recording.
func (d *Discovery) SaysNothingNew(now time.Duration, p *wire.Presence, from netip.AddrPort, iface int) bool {
	from = unmap(from)
	known, l := d.byAddr[from], d.link(iface)
	if p.Type != wire.TypeHello || known == nil || l == nil || known.key != p.Key || known.instance != p.Instance ||
		known.status != Here {
		return false
	}
	t := known.path(place{iface, from})
	return t != nil && t.reached && (p.Counter < known.counter ||
		now < t.heard+newsEach && !l.asked(now, p.Echo) && sameClaims(known.claims, p.Claims))
}

// hearPeer takes what a present peer says: all of it is a sign of life, and what it says at a proven place is answered.
func (d *Discovery) hearPeer(p *peer, m *heard) wire.Drop {
	t := p.path(m.place)
	if t == nil {
		if d.hearDevice(p, m) {
			d.tell(Changed, p)
		}
		return d.hearStranger(m)
	}
	moved := d.follow(p, t, m)
	t.heard = m.now
	t.credit++
	t.giveUpWaiting(m.now)
	if !m.Challenge.IsZero() {
		t.theirs = m.Challenge
	}
	blocked, reached := p.blocked, t.reached
	if t.echoes(m) {
		d.reach(p, t, m)
	} else if m.broadcast && d.isBlocked(t) {
		t.blocked = true
	}
	changed := d.hearDevice(p, m)
	d.expectBeat(p, t, m)
	changed = d.choose(m.now, p) || changed || moved
	if p.at == t.place {
		p.blocked = t.blocked
	}
	if changed || p.blocked != blocked || t.reached != reached {
		d.tell(Changed, p)
	}
	d.reply(p, t, m)
	return ""
}

// reply answers what a peer says at a proven place. An ACK is never answered, an ANSWER by one ACK, a PROBE by one
// BEAT, one to everyone by an ANSWER; a HELLO or BEAT by an ANSWER if the peer may not have proven us.
func (d *Discovery) reply(p *peer, t *path, m *heard) {
	switch m.Type {
	case wire.TypeAnswer:
		d.acknowledge(m, t)
	case wire.TypeProbe:
		switch {
		case !m.broadcast || !m.To.IsZero():
			d.stillHere(p, t, m)
		case t.waiting || m.now >= t.answered+answerGap:
			d.confirm(m.now, p, t)
		}
	case wire.TypeHello, wire.TypeBeat:
		gap := answerGap
		if m.Type == wire.TypeHello {
			gap = max(answerWait/2, d.answerTakes())
		}
		if d.isBlocked(t) {
			gap = unicastRetry
		}
		switch {
		case t.reached && m.link.asked(m.now, m.Echo) && m.now >= t.answered+answerWait,
			!t.reached && m.broadcast && m.now >= t.answered+gap:
			d.confirm(m.now, p, t)
		}
	}
}

// stillHere answers a PROBE: by a BEAT that everyone who wonders hears, or, when there were many, by one for the asker.
func (d *Discovery) stillHere(p *peer, t *path, m *heard) {
	if m.link.prompt(m.now) {
		beat := wire.Presence{Type: wire.TypeBeat}
		beat.Echo = m.Challenge
		d.broadcast(m.now, m.link, beat)
		return
	}
	d.unicast(m.now, m.link, t, wire.TypeBeat, p.instance, m.Challenge)
}

// confirm sends a proven peer an ANSWER, until it acknowledges one: our ACK may have got lost.
func (d *Discovery) confirm(now time.Duration, p *peer, t *path) {
	if !t.reached && t.credit == 0 {
		return
	}
	t.answered, t.waiting = now, true
	d.unicast(now, d.link(t.iface), t, wire.TypeAnswer, p.instance, t.theirs)
}

// reach notes that the peer echoed what was asked at t alone: unicast goes through, and it has proven us too.
func (d *Discovery) reach(p *peer, t *path, m *heard) {
	t.reached, t.waiting, t.blocked, t.failed = true, false, false, 0
	d.name(p, t)
	if t.askedOnce && !m.broadcast {
		p.rtt = m.now - t.askedAt
		t.askedOnce = false
		d.lag = max(p.rtt, d.lag-d.lag/lagMemory)
	}
}

// hearDevice takes what counts from every place that the current instance speaks from: that it lives, and what it says
// of itself, if nothing newer was heard. It tells whether the peer has changed.
func (d *Discovery) hearDevice(p *peer, m *heard) bool {
	changed := d.alive(p, m.now, m.broadcast)
	if m.Counter < p.counter {
		return changed
	}
	changed = changed || !sameClaims(p.claims, m.Claims)
	p.counter, p.claims = m.Counter, m.Claims
	return changed
}

// sameClaims compares what lasts from one datagram to the next.
func sameClaims(a, b wire.Claims) bool {
	return a.Nick == b.Nick && a.RecvBuffer == b.RecvBuffer && a.Watch == b.Watch && a.Wifi == b.Wifi &&
		a.StreamPort == b.StreamPort && a.MaxVersion == b.MaxVersion && slices.Equal(a.Rooms, b.Rooms) &&
		slices.EqualFunc(a.Services, b.Services, wire.Service.Equal)
}

// hearBye ends an instance for good. Of one that was never proven only the traces are removed.
func (d *Discovery) hearBye(p *peer, m *heard) {
	d.strangers = slices.DeleteFunc(d.strangers, func(s *stranger) bool {
		return s.id == m.id && s.instance == m.Instance
	})
	if p == nil || p.instance != m.Instance {
		return
	}
	p.end(p.instance)
	p.lastSeen = m.now
	d.dropPaths(p)
	d.setStatus(p, Left)
	d.tell(Departed, p)
}

// sender is who signs with a key, and its id. Nearly all that is heard comes from where its sender was proven, and
// costs no hash and no search.
func (d *Discovery) sender(key identity.PublicKey, from netip.AddrPort) (*peer, identity.DeviceID) {
	if p := d.byAddr[from]; p != nil && p.key == key {
		return p, p.id
	}
	id := key.ID()
	return d.find(id), id
}

// Sender is the device that signs with a key and speaks from an address, if it was ever proven, anywhere.
func (d *Discovery) Sender(key identity.PublicKey, from netip.AddrPort) (Peer, bool) {
	if p, _ := d.sender(key, unmap(from)); p != nil {
		return d.snapshot(p), true
	}
	return Peer{}, false
}

// Alive takes a signed room frame, checked, as a sign of life. It proves no address and revives nobody who is lost.
func (d *Discovery) Alive(
	now time.Duration, key identity.PublicKey, instance identity.Instance, from netip.AddrPort, iface int, broadcast bool,
) {
	d.catchUp(now)
	from = unmap(from)
	p, _ := d.sender(key, from)
	if d.gone || p == nil || p.instance != instance || !p.status.present() {
		return
	}
	if t := p.path(place{iface, from}); t != nil {
		t.heard = now
	}
	if d.alive(p, now, broadcast) {
		d.tell(Changed, p)
	}
}

// alive notes a sign of life. It tells whether the peer was suspected.
func (d *Discovery) alive(p *peer, now time.Duration, broadcast bool) bool {
	p.lastSeen = now
	if broadcast {
		p.lastBroadcast = now
	} else {
		p.lastUnicast = now
	}
	if p.status != Suspect {
		return false
	}
	d.setStatus(p, Here)
	d.expectWithin(now, p)
	return true
}
