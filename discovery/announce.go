package discovery

import (
	"math"
	"slices"
	"time"

	"bcast/identity"
	"bcast/internal/wire"
)

// link is one interface taken part on: what is announced there and when.
type link struct {
	Interface
	hellos    []hello // still to come of the announcement
	lossy     bool    // of this announcement: somebody was not reached by it in time, so others may not have been
	lastHello time.Duration
	beat      time.Duration              // the next BEAT, which everything sent before it promises
	questions [challengesKept]question   // sent to all, newest first
	prompted  [promptedMax]time.Duration // end of the window of each of the last broadcasts that others caused
}

// hello is one step of an announcement; a spare one is taken only if there are strangers.
type hello struct {
	at    time.Duration
	spare bool
}

// question is a challenge that went out, and when.
type question struct {
	challenge wire.Challenge
	at        time.Duration
}

func (i Interface) equal(other Interface) bool {
	return i.Index == other.Index && i.Wifi == other.Wifi && i.Second == other.Second && i.Network == other.Network &&
		slices.Equal(i.Addrs, other.Addrs)
}

// interval is the mean time between two BEATs of each of n devices, ourselves included.
func (i Interface) interval(n int) time.Duration {
	if i.Wifi {
		return max(wifiBeat, time.Duration(n)*time.Second/wifiShare)
	}
	return max(wiredBeat, time.Duration(n)*time.Second/wiredShare)
}

// latest is the longest that interval(n) may become by jitter.
func latest(interval time.Duration) time.Duration { return interval + interval/beatJitter }

func (d *Discovery) link(index int) *link {
	for _, l := range d.links {
		if l.Index == index {
			return l
		}
	}
	return nil
}

// on counts the devices on an interface, this one included.
func (d *Discovery) on(l *link) int {
	n := 1
	for _, p := range d.peers {
		if p.hears(l.Index) {
			n++
		}
	}
	return n
}

// announce starts a burst of HELLOs on every interface; one that runs starts over. The first is due at once, unless one
// was sent just now.
func (d *Discovery) announce(now time.Duration) {
	if d.gone {
		return
	}
	for _, l := range d.links {
		start := now
		if l.lastHello != never {
			start = max(now, l.lastHello+helloGap)
		}
		l.hellos, l.lossy = l.hellos[:0], false
		for _, step := range helloSteps {
			at := start + step.after + between(d.cfg.Rand, 0, step.after/helloJitter)
			l.hellos = append(l.hellos, hello{at, step.spare})
		}
		d.advanceLink(now, l)
	}
}

// advanceLink sends the HELLOs and the BEAT that are due on l.
func (d *Discovery) advanceLink(now time.Duration, l *link) {
	wanted := false
	for len(l.hellos) > 0 && now >= l.hellos[0].at { // one stands for all that are overdue
		l.lossy = l.lossy || l.hellos[0].spare && d.strange(now, l)
		wanted = wanted || !l.hellos[0].spare || l.lossy
		l.hellos = l.hellos[1:]
	}
	if wanted {
		l.lastHello = now
		p := wire.Presence{Type: d.greeting()}
		p.Echo = d.echoFor(now, l)
		d.broadcast(now, l, p)
	}
	if now >= l.beat {
		interval := l.interval(d.on(l))
		l.beat = now + between(d.cfg.Rand, interval-interval/beatJitter, latest(interval))
		if !l.Second || d.Met(l.Index) {
			p := wire.Presence{Type: wire.TypeBeat}
			p.Echo = d.echoFor(now, l)
			d.broadcast(now, l, p)
		}
	}
	if len(l.hellos) > 0 {
		d.due(l.hellos[0].at)
	}
	d.due(l.beat)
}

// greeting is what an announcement says: HELLO, or, if some who are here have to prove themselves again, a PROBE to
// everyone, because a device to which we are well known answers no HELLO.
func (d *Discovery) greeting() wire.Type {
	if slices.ContainsFunc(d.peers, func(p *peer) bool { return p.status.present() && len(p.paths) == 0 }) {
		return wire.TypeProbe
	}
	return wire.TypeHello
}

// nextHello is when a HELLO is sure to be sent on l.
func (l *link) nextHello() (time.Duration, bool) {
	for _, h := range l.hellos {
		if !h.spare {
			return h.at, true
		}
	}
	return 0, false
}

// strange tells whether somebody was heard on l just now who has not proven anything, or is here and did not answer yet
// what was sent to its place alone.
func (d *Discovery) strange(now time.Duration, l *link) bool {
	return slices.ContainsFunc(d.strangers, func(s *stranger) bool {
		return s.iface == l.Index && now < s.heard+strangeFor && d.unanswered(now, &s.path)
	}) || slices.ContainsFunc(d.peers, func(p *peer) bool {
		return slices.ContainsFunc(p.paths, func(t *path) bool {
			return t.iface == l.Index && !t.reached && !t.blocked && d.unanswered(now, t)
		})
	})
}

// echoFor is the challenge of somebody heard on l lately whom our answer may not have reached, of each in turn, of
// strangers first: to echo it to all costs nothing and is owed to nobody.
func (d *Discovery) echoFor(now time.Duration, l *link) wire.Challenge {
	var best *path
	look := func(t *path) {
		if t.iface == l.Index && !t.reached && !t.blocked && !t.theirs.IsZero() && now < t.heard+echoLifetime/2 &&
			now >= t.answered+answerWait/2 && (best == nil || t.echoed < best.echoed) {
			best = t
		}
	}
	for _, s := range d.strangers {
		look(&s.path)
	}
	if best == nil {
		for _, p := range d.peers {
			for _, t := range p.paths {
				look(t)
			}
		}
	}
	if best == nil {
		return wire.Challenge{}
	}
	best.echoed = now
	return best.theirs
}

// claims is what everything sent on l says of us.
func (d *Discovery) claims(now time.Duration, l *link) wire.Claims {
	return wire.Claims{
		Nick: d.cfg.Nick, Addrs: l.Addrs[:min(len(l.Addrs), wire.MaxAddrs)],
		UnicastPort: d.cfg.UnicastPort, StreamPort: d.cfg.StreamPort, Wifi: l.Wifi,
		RecvBuffer: uint16(min(max(d.cfg.RecvBuffer, 0), math.MaxUint16)), Watch: d.cfg.RecvBuffer < watchBelow,
		MaxVersion: wire.Version, NextBeat: max(l.beat-now, 0), Rooms: d.cfg.Rooms,
		Services: d.cfg.Services,
	}
}

// broadcast sends p to everyone on l, with a challenge that anyone may echo.
func (d *Discovery) broadcast(now time.Duration, l *link, p wire.Presence) {
	claims := d.claims(now, l)
	claims.Echo = p.Echo
	p.Claims = claims
	if p.Type != wire.TypeAck {
		p.Challenge = d.question(now, l)
	}
	d.out.Send = append(d.out.Send, Send{Presence: p, Iface: l.Index})
}

// unicast sends to the place of t and to nobody else; until it is known to be theirs, at most one datagram for each
// that came from there. Everything but an ACK brings a challenge for that place.
func (d *Discovery) unicast(
	now time.Duration, l *link, t *path, kind wire.Type, to identity.Instance, echo wire.Challenge,
) {
	if !t.reached {
		if t.credit == 0 {
			return
		}
		t.credit--
	}
	p := wire.Presence{Type: kind, To: to, Claims: d.claims(now, l)}
	p.Echo = echo
	if kind != wire.TypeAck {
		p.Challenge = d.ask(now, t)
	}
	d.out.Send = append(d.out.Send, Send{Presence: p, Iface: l.Index, To: t.addr})
}

// question is the challenge that broadcasts on l carry at this time.
func (d *Discovery) question(now time.Duration, l *link) wire.Challenge {
	if q := l.questions[0]; !q.challenge.IsZero() && now < q.at+challengeShared {
		return q.challenge
	}
	copy(l.questions[1:], l.questions[:])
	l.questions[0] = question{challenge: d.challenge(), at: now}
	return l.questions[0].challenge
}

// asked tells whether a challenge was broadcast on l lately.
func (l *link) asked(now time.Duration, echo wire.Challenge) bool {
	return slices.ContainsFunc(l.questions[:], func(q question) bool {
		return q.challenge == echo && !echo.IsZero() && now < q.at+echoLifetime
	})
}

// ask is the challenge that unicast to t carries at this time.
func (d *Discovery) ask(now time.Duration, t *path) wire.Challenge {
	if !t.asked.IsZero() && now < t.askedAt+challengeShared {
		t.askedOnce = false
		return t.asked
	}
	t.asked, t.askedAt, t.askedOnce = d.challenge(), now, true
	return t.asked
}

// prompt tells whether others may cause one more broadcast on l, and counts it.
func (l *link) prompt(now time.Duration) bool {
	for i, free := range l.prompted {
		if now >= free {
			l.prompted[i] = now + promptedWindow
			return true
		}
	}
	return false
}

// respond sends an answer to one device in the way that reaches it: by unicast, or for everyone to hear where unicast
// is blocked.
func (d *Discovery) respond(now time.Duration, l *link, t *path, kind wire.Type, to identity.Instance, open bool) {
	if !open {
		d.unicast(now, l, t, kind, to, t.theirs)
		return
	}
	p := wire.Presence{Type: kind, To: to}
	p.Echo = t.theirs
	d.broadcast(now, l, p)
}
