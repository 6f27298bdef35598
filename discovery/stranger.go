package discovery

import (
	"slices"
	"time"

	"bcast/identity"
	"bcast/internal/wire"
)

// stranger is an instance of a device heard at a place that it has not proven. What it says counts for nothing yet.
type stranger struct {
	path
	id       identity.DeviceID
	instance identity.Instance
	answerAt time.Duration // an ANSWER that was put off; never: none
}

// meet finds or enters the stranger that m is of, as the one heard last.
func (d *Discovery) meet(m *heard) *stranger {
	i := slices.IndexFunc(d.strangers, m.of)
	var s *stranger
	switch {
	case i >= 0:
		s = d.strangers[i]
		d.strangers = slices.Delete(d.strangers, i, i+1)
	default:
		if len(d.strangers) >= maxStrangers {
			d.strangers = slices.Delete(d.strangers, 0, 1)
		}
		s = &stranger{path: newPath(m.place), id: m.id, instance: m.Instance, answerAt: never}
	}
	d.strangers = append(d.strangers, s)
	s.heard, s.theirs = m.now, m.Challenge
	s.credit++
	return s
}

// newPath is a place at which nothing was said yet.
func newPath(at place) path { return path{place: at, answered: never, echoed: never} }

// of tells whether m is of the stranger s.
func (m *heard) of(s *stranger) bool {
	return s.place == m.place && s.instance == m.Instance && s.id == m.id
}

// hearStranger takes what comes from a place that its sender has not proven: an echo proves it, a question is answered.
func (d *Discovery) hearStranger(m *heard) wire.Drop {
	if d.echoed(m) {
		return d.prove(m)
	}
	switch m.Type {
	case wire.TypeHello, wire.TypeBeat, wire.TypeProbe:
		if !m.Challenge.IsZero() {
			d.greet(m)
		}
	}
	return ""
}

// echoed tells whether m brings back a challenge that was to be read at its source.
func (d *Discovery) echoed(m *heard) bool {
	if m.Echo.IsZero() {
		return false
	}
	if m.link.asked(m.now, m.Echo) {
		return true
	}
	i := slices.IndexFunc(d.strangers, m.of)
	return i >= 0 && d.strangers[i].echoes(m)
}

// echoes tells whether m brings back what was asked at this place alone.
func (t *path) echoes(m *heard) bool {
	return !m.Echo.IsZero() && m.Echo == t.asked && m.now < t.askedAt+echoLifetime
}

// greet answers a stranger's question: at once, or, if our own HELLO will make the stranger answer, only if it does
// not. Of two, the one with the lower id never waits.
func (d *Discovery) greet(m *heard) {
	s := d.meet(m)
	s.giveUpWaiting(m.now)
	gap := answerGap
	if m.Type == wire.TypeHello {
		gap = d.answerTakes()
	}
	if s.answerAt != never || s.answered != never && m.now < s.answered+gap {
		return
	}
	l := m.link
	if next, ok := l.nextHello(); ok && next < m.now+helloSoon && d.cfg.Self.Compare(m.id) > 0 {
		s.answerAt = next + answerMin + between(d.cfg.Rand, 0, answerSpan)
		d.due(s.answerAt)
		return
	}
	d.answer(m.now, s)
}

// answerTakes is how long an ANSWER and its echo may take: before, it is not given up for lost.
func (d *Discovery) answerTakes() time.Duration { return min(2*d.lag, answerGap) }

// unanswered tells whether an ANSWER to this place may have got lost, or none was sent.
func (d *Discovery) unanswered(now time.Duration, t *path) bool {
	return t.answered == never || now >= t.answered+d.answerTakes()
}

// advanceStranger sends the ANSWER that was put off.
func (d *Discovery) advanceStranger(now time.Duration, s *stranger) {
	switch {
	case s.answerAt == never:
	case now >= s.answerAt:
		s.answerAt = never
		d.answer(now, s)
	default:
		d.due(s.answerAt)
	}
}

// answer sends a stranger the echo that it asked for. Each ANSWER is caused by one datagram of the stranger, of the
// same size. One that unicast does not reach is answered by broadcast, of which there are few.
func (d *Discovery) answer(now time.Duration, s *stranger) {
	l := d.link(s.iface)
	open := d.isBlocked(&s.path)
	if open && !l.prompt(now) {
		return
	}
	s.blocked = open
	s.answered, s.waiting = now, !open
	d.respond(now, l, &s.path, wire.TypeAnswer, s.instance, open)
}

// prove makes the stranger that m is of a peer here, at this place: m brings the echo. What was proven of an earlier
// instance ends.
func (d *Discovery) prove(m *heard) wire.Drop {
	p := d.find(m.id)
	if p == nil {
		if p = d.add(m.id, m.Key); p == nil {
			return wire.DropTableFull
		}
		p.firstSeen = m.now
	}
	appeared := !p.status.present() || p.instance != m.Instance
	if p.instance != m.Instance {
		d.replace(p, m.Instance)
	}
	t := d.promote(p, m)
	t.credit++
	d.setStatus(p, Here)
	if t.echoes(m) {
		d.reach(p, t, m)
	}
	d.addPath(p, t)
	d.hearDevice(p, m)
	d.expectBeat(p, t, m)
	if m.Type == wire.TypeAnswer {
		d.acknowledge(m, t)
	} else if !t.reached && !m.Challenge.IsZero() { // it is a question, too
		d.confirm(m.now, p, t)
	}
	if appeared {
		d.tell(Appeared, p)
	} else {
		d.tell(Changed, p)
	}
	return ""
}

// promote removes the stranger that m is of, and those that p's past instances were, and gives the path to keep.
func (d *Discovery) promote(p *peer, m *heard) *path {
	t := newPath(m.place)
	d.strangers = slices.DeleteFunc(d.strangers, func(s *stranger) bool {
		if m.of(s) {
			t = s.path
			return true
		}
		return s.id == p.id && slices.Contains(p.ended, s.instance)
	})
	if !m.Challenge.IsZero() {
		t.theirs = m.Challenge
	}
	return &t
}

// replace ends the instance that p was and begins another, of which nothing is known yet.
func (d *Discovery) replace(p *peer, instance identity.Instance) {
	if !p.instance.IsZero() {
		p.end(p.instance)
	}
	d.dropPaths(p)
	p.instance, p.counter, p.claims, p.rtt, p.blocked = instance, 0, wire.Claims{}, 0, false
	p.lastBroadcast, p.lastUnicast = never, never
}

// acknowledge answers an ANSWER, once, in the way that it came: who answers by broadcast cannot be reached otherwise.
// One that echoes what all could hear is answered by an ANSWER, which asks its place alone; the answer to that echoes
// what went to one place, and so ends it.
func (d *Discovery) acknowledge(m *heard, t *path) {
	if m.Challenge.IsZero() {
		return
	}
	kind := wire.TypeAck
	if !t.reached && !m.broadcast && m.link.asked(m.now, m.Echo) {
		kind = wire.TypeAnswer
		t.answered, t.waiting = m.now, true
	}
	d.respond(m.now, m.link, t, kind, m.Instance, m.broadcast && m.link.prompt(m.now))
}
