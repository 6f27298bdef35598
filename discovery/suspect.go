package discovery

import (
	"time"

	"bcast/internal/wire"
)

// probing is how far the questions to a suspect have come.
type probing struct {
	next   time.Duration // the next PROBE, or the end of a round
	each   int           // PROBEs of a round
	sent   int           // of this round
	rounds int           // to go, this one included
}

// grace is how late a BEAT on l may be.
func (p *peer) grace(l *link) time.Duration {
	if p.claims.Wifi || l != nil && l.Wifi {
		return wifiGrace
	}
	return wiredGrace
}

// expectBeat takes the promise that every datagram makes of the next BEAT at its place, and counts the last one's: as
// heard if this is the BEAT that it promised, as missed if that is overdue. Broadcasts alone count; a BEAT that a PROBE
// caused promises the same BEAT again.
func (d *Discovery) expectBeat(p *peer, t *path, m *heard) {
	grace := p.grace(m.link)
	next := m.now + min(m.NextBeat, maxPromise) + grace
	switch {
	case t.late == 0:
	case m.now > t.late:
		d.countBeat(p, true)
	case m.Type == wire.TypeBeat && m.broadcast && m.now+2*grace >= t.late && next > t.late+grace:
		d.countBeat(p, false)
	}
	t.late, t.heard = next, m.now
	p.expect = next
	for _, other := range p.paths {
		p.expect = max(p.expect, other.late)
	}
	d.plan(p, p.suspectAt())
}

func (d *Discovery) countBeat(p *peer, missed bool) {
	p.beats.count(missed, lossMemory)
	d.reckon(p, func() { p.shares.count(missed, lossMemoryShare) })
	d.pooled.count(missed, lossMemoryPooled)
}

// expectWithin gives a peer, of whose next BEAT nothing is known, the time of one interval.
func (d *Discovery) expectWithin(now time.Duration, p *peer) {
	l := d.link(p.at.iface)
	n := Interface{Wifi: p.claims.Wifi || l != nil && l.Wifi}
	p.expect = now + latest(n.interval(d.present+1)) + p.grace(l)
	d.plan(p, p.suspectAt())
}

// excuse gives a peer, and each of its paths, a fresh window after we ourselves were away.
func (d *Discovery) excuse(now time.Duration, p *peer) {
	d.expectWithin(now, p)
	for _, t := range p.paths {
		t.late = p.expect
	}
	if p.status == Suspect {
		d.startProbing(now, p)
	}
}

// suspectAt is when a silent peer is suspected.
func (p *peer) suspectAt() time.Duration { return max(p.expect, p.lastSeen+talking) }

// nextAt is when something is due for a present peer.
func (p *peer) nextAt() time.Duration {
	if p.status == Here {
		return p.suspectAt()
	}
	return p.probing.next
}

// advancePeer does what is due for a present peer.
func (d *Discovery) advancePeer(now time.Duration, p *peer) {
	if p.status == Here {
		if now < p.suspectAt() {
			d.plan(p, p.suspectAt())
			return
		}
		d.setStatus(p, Suspect)
		d.startProbing(now, p)
		d.tell(Suspected, p)
	}
	d.advanceProbing(now, p)
}

// advanceProbing asks what is due, and ends the round and the peer when nothing came back. The steps count from when
// they are taken: a node that is late itself leaves no less time for the answers.
func (d *Discovery) advanceProbing(now time.Duration, p *peer) {
	b := &p.probing
	if now >= b.next && b.sent == b.each {
		for _, t := range p.paths {
			t.fail()
		}
		b.sent = 0
		if b.rounds--; b.rounds == 0 {
			d.lose(p)
			return
		}
	}
	if now >= b.next {
		d.probe(now, p)
	}
	d.plan(p, b.next)
}

// startProbing plans the questions: more of them the more gets lost.
func (d *Discovery) startProbing(now time.Duration, p *peer) {
	lost := max(d.lossOf(p), d.mean())
	p.probing = probing{next: now + between(d.cfg.Rand, 0, probeDelay), each: probes(lost), rounds: 1}
	if measured := p.beats.missed + d.pooled.missed; lost > lossyLink && measured >= lossSeen {
		p.probing.rounds = lossyRounds
	}
	d.plan(p, p.probing.next)
}

// probe asks once, at every proven place.
func (d *Discovery) probe(now time.Duration, p *peer) {
	for _, t := range p.paths {
		l := d.link(t.iface)
		if t.blocked || !t.reached {
			d.broadcast(now, l, wire.Presence{Type: wire.TypeProbe, To: p.instance})
		} else {
			d.unicast(now, l, t, wire.TypeProbe, p.instance, wire.Challenge{})
		}
	}
	b := &p.probing
	b.sent++
	if p.grace(d.link(p.at.iface)) != wifiGrace {
		b.next = now + probeSpread/time.Duration(b.each)
		return
	}
	b.next = now + wifiProbeSpread/time.Duration(b.each)
	if b.sent == b.each && b.rounds == 1 {
		b.next += wifiGrace // the last answers may be held back as a BEAT may
	}
}

// lose gives a peer up. It may come back, but has to prove itself again.
func (d *Discovery) lose(p *peer) {
	d.dropPaths(p)
	d.setStatus(p, Lost)
	d.tell(Vanished, p)
}

// advancePaths drops places that fell silent for long.
func (d *Discovery) advancePaths(now time.Duration) {
	if d.several == 0 {
		return
	}
	for _, p := range d.peers {
		d.advancePathsOf(now, p)
	}
}

func (d *Discovery) advancePathsOf(now time.Duration, p *peer) {
	for i := len(p.paths) - 1; i >= 0; i-- {
		if t := p.paths[i]; len(p.paths) > 1 && t.place != p.at && now > t.late+pathRest {
			d.dropPath(p, t)
		}
	}
}
