package discovery

import (
	"net/netip"
	"slices"
	"time"

	"bcast/identity"
	"bcast/internal/wire"
)

// Answer is the echo that a peer sent back: what was asked by Ask arrived there, and this here.
type Answer struct {
	Challenge wire.Challenge // that Ask returned
	Took      time.Duration
	Probe     wire.Probe
}

// ask is a question that a peer may still answer.
type ask struct {
	challenge wire.Challenge
	of        identity.DeviceID
	probe     wire.Probe
	at        time.Duration
}

// Ask asks a peer here to echo a datagram of a size in a way; an Answer with the challenge may come of it within
// askLifetime. It is false if there is nobody to ask, or the peer has not echoed yet what was sent to it alone.
func (d *Discovery) Ask(now time.Duration, id identity.DeviceID, way wire.Way, size int) (wire.Challenge, bool) {
	d.catchUp(now)
	p := d.find(id)
	if d.gone || p == nil || !p.status.present() || size < wire.PresenceSize || size > wire.MaxProbe {
		return wire.Challenge{}, false
	}
	t := p.path(p.at)
	if t == nil || !t.reached {
		return wire.Challenge{}, false
	}
	a := ask{d.challenge(), id, wire.Probe{Way: way, Size: size}, now}
	if len(d.asks) >= maxAsks {
		d.asks = d.asks[1:]
	}
	d.asks = append(d.asks, a)
	question := d.echoing(now, t, p.instance, a.probe)
	question.Presence.Challenge = a.challenge
	if !t.blocked {
		question.To = t.addr
	}
	d.out.Send = append(d.out.Send, question)
	return a.challenge, true
}

// echoing is an echo to one instance. It names no rooms and services: they are what may be long in it.
func (d *Discovery) echoing(now time.Duration, t *path, to identity.Instance, probe wire.Probe) Send {
	l := d.link(t.iface)
	p := wire.Presence{Type: wire.TypeEcho, To: to, Claims: d.claims(now, l)}
	p.Rooms, p.Services, p.Probe = nil, nil, probe
	return Send{Presence: p, Iface: t.iface}
}

// hearEcho takes a question, or the answer to one, from an address that echoed what was sent to it alone. It says
// nothing of its sender but that it lives.
func (d *Discovery) hearEcho(p *peer, m *heard) wire.Drop {
	t := p.path(m.place)
	switch {
	case t == nil || !t.reached:
		return wire.DropStranger
	case m.To.IsZero():
		return wire.DropNotForUs
	case !m.Probe.Way.Known():
		return wire.DropUnknownType
	}
	t.heard = m.now
	if d.alive(p, m.now, m.broadcast) {
		d.tell(Changed, p)
	}
	switch {
	case !m.Echo.IsZero():
		d.answered(p, m)
	case !m.Challenge.IsZero():
		return d.echo(p, t, m)
	}
	return ""
}

// answered takes an answer to what was asked of p, once, if it is as large and came in the way that was asked for.
func (d *Discovery) answered(p *peer, m *heard) {
	i := slices.IndexFunc(d.asks, func(a ask) bool {
		return a.challenge == m.Echo && a.of == p.id && m.now < a.at+askLifetime && a.probe.Size == m.Probe.Size &&
			a.probe.Way == m.Probe.Way && m.broadcast == (a.probe.Way != wire.WayUnicast)
	})
	if i < 0 {
		return
	}
	took := m.now - d.asks[i].at
	d.asks = slices.Delete(d.asks, i, i+1)
	d.out.Answers = append(d.out.Answers, Answer{m.Echo, took, m.Probe})
}

// echo answers a question by one datagram as large as it, within what its sender and all together may have in a
// minute. Those for all to hear count among the broadcasts that others cause.
func (d *Discovery) echo(p *peer, t *path, m *heard) wire.Drop {
	size := m.Probe.Size
	left := min(p.echoes.left(m.now, echoesEach), d.echoes.left(m.now, echoesAll)) - size
	if left < 0 || m.Probe.Way != wire.WayUnicast && !m.link.prompt(m.now) {
		return wire.DropBudget
	}
	p.echoes.take(m.now, size)
	d.echoes.take(m.now, size)
	answer := d.echoing(m.now, t, m.Instance,
		wire.Probe{Way: m.Probe.Way, Size: size, Left: left, Heard: d.heardOn(m.link, p)})
	answer.Presence.Echo = m.Challenge
	answer.To, answer.Limited = netip.AddrPort{}, m.Probe.Way == wire.WayLimited
	if m.Probe.Way == wire.WayUnicast {
		answer.To = t.addr
	}
	d.out.Send = append(d.out.Send, answer)
	return ""
}

// heardOn names who is here by an interface, the asker left out: from anywhere on, for not all may fit.
func (d *Discovery) heardOn(l *link, asker *peer) []wire.HeardStart {
	var all []wire.HeardStart
	from := d.cfg.Rand.IntN(len(d.peers))
	for n := range d.peers {
		p := d.peers[(from+n)%len(d.peers)]
		if p != asker && p.hears(l.Index) {
			all = append(all, wire.HeardStart(p.id[:]))
		}
	}
	return all
}

// allowance is what was given within the last minute.
type allowance []given

type given struct {
	at    time.Duration
	bytes int
}

// left is how much of a limit may still be given.
func (a *allowance) left(now time.Duration, limit int) int {
	*a = slices.DeleteFunc(*a, func(g given) bool { return now >= g.at+echoWindow })
	for _, g := range *a {
		limit -= g.bytes
	}
	return limit
}

func (a *allowance) take(now time.Duration, bytes int) { *a = append(*a, given{now, bytes}) }
