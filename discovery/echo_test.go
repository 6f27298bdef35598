package discovery

import (
	"net/netip"
	"testing"
	"time"

	"bcast/identity"
	"bcast/internal/wire"
)

// asks is an echo question of o for us, sent to us alone.
func (o *other) asks(way wire.Way, size int) *wire.Presence {
	p := o.datagram(wire.TypeEcho, wire.Challenge{})
	p.To, p.Probe = o.c.self(), wire.Probe{Way: way, Size: size}
	return p
}

// self is the instance that everything for us names: the engine has checked that, here any will do.
func (c *talk) self() (i identity.Instance) { i.Nonce = 7; return i }

// E1, E2: a question is answered once, by a datagram as large as it, in the way that it asks for; an answer never.
func TestEchoIsAnsweredInItsWay(t *testing.T) {
	c := newTalk(t)
	bob, carol := c.device("10.0.0.2:27475", false), c.device("10.0.0.3:27475", true)
	bob.meets()
	carol.meets()
	for _, test := range []struct {
		way     wire.Way
		to      netip.AddrPort
		limited bool
	}{
		{wire.WayUnicast, bob.addr, false}, {wire.WayDirected, netip.AddrPort{}, false}, {wire.WayLimited, netip.AddrPort{}, true},
	} {
		if drop := bob.send(bob.asks(test.way, 700), false); drop != "" || len(c.sent) != 1 {
			t.Fatalf("%v: drop %q, %d datagrams", test.way, drop, len(c.sent))
		}
		limited := c.sent[0].Limited
		p := c.next(wire.TypeEcho, test.to)
		if limited != test.limited || p.Echo != bob.question() || p.To != bob.instance || !p.Challenge.IsZero() ||
			p.Probe.Size != 700 || p.Probe.Way != test.way || len(p.Rooms) > 0 {
			t.Errorf("%v: %+v", test.way, p)
		}
		if id := carol.id(); len(p.Probe.Heard) != 1 || p.Probe.Heard[0] != wire.HeardStart(id[:]) {
			t.Errorf("it hears %x, want carol alone", p.Probe.Heard)
		}
	}
	answer := bob.asks(wire.WayUnicast, 700)
	answer.Echo = wire.Challenge{1}
	bob.send(answer, false)
	c.wantSilence()
}

// TA14-017A, CVE-2024-2169. E1, E3: an echo is for proven devices alone, never more than what was asked with, and at most
// 10,000 bytes a minute to one device and 40,000 to all, whatever they ask.
func TestADV_16_Echoes_are_for_the_proven_and_few(t *testing.T) {
	c := newTalk(t)
	bob, stranger, heard := c.device("10.0.0.2:27475", false), c.device("10.0.0.3:9", true), c.device("10.0.0.4:9", true)
	bob.meets()
	heard.tells(wire.TypeAnswer, c.d.links[0].questions[0].challenge) // of what all could hear
	c.sent, c.events = nil, nil
	toAll, elsewhere, odd := bob.asks(1, 512), *bob, bob.asks(9, 512)
	toAll.To = identity.Instance{}
	elsewhere.addr = heard.addr
	elsewhere.claims.Addrs = heard.claims.Addrs
	for name, drop := range map[string]wire.Drop{
		"a stranger": stranger.send(stranger.asks(1, 512), false), "unproven": heard.send(heard.asks(1, 512), false),
		"to all": bob.send(toAll, true), "from elsewhere": elsewhere.send(elsewhere.asks(1, 512), false),
		"an odd way": bob.send(odd, false),
	} {
		if drop == "" || len(c.sent) > 0 {
			t.Errorf("%s: drop %q, %d answers", name, drop, len(c.sent))
		}
	}
	c.flood([]*other{bob}, 9_000)
	crowd := []*other{bob}
	for n := range 7 {
		o := c.device(netip.AddrFrom4([4]byte{10, 0, 0, byte(20 + n)}).String()+":27475", n%2 == 0)
		o.meets()
		crowd = append(crowd, o)
	}
	c.flood(crowd, 30_000)
}

// flood has devices ask for all they can for three minutes; they are given at least so much in one of them.
func (c *talk) flood(crowd []*other, least int) {
	given := map[*other]*allowance{}
	var all allowance
	broadcasts, most := 0, 0
	for step := range 900 {
		if step%5 == 0 {
			broadcasts = 0
		}
		for n, o := range crowd {
			size := []int{512, 1400, 4000}[(step+n)%3]
			o.send(o.asks(wire.Way(1+(step+n)%2), size), false)
			for _, s := range c.sent {
				if s.Presence.Type != wire.TypeEcho {
					continue
				}
				if s.Presence.Probe.Size > size || len(c.sent) > 1 {
					c.Fatalf("%d datagrams, of %d bytes, for %d", len(c.sent), s.Presence.Probe.Size, size)
				}
				if !s.To.IsValid() {
					broadcasts++
				}
				if given[o] == nil {
					given[o] = &allowance{}
				}
				given[o].take(c.now, size)
				all.take(c.now, size)
				most = max(most, 1<<30-all.left(c.now, 1<<30))
				if given[o].left(c.now, 10_000) < 0 || all.left(c.now, 40_000) < 0 {
					c.Fatalf("at %v more than one device, or all, may have", c.now)
				}
			}
			c.sent = nil
		}
		if broadcasts > 4 {
			c.Errorf("%d broadcasts in a second", broadcasts)
		}
		c.wait(200 * time.Millisecond)
		for _, o := range crowd {
			o.says(wire.TypeBeat)
		}
		c.sent, c.events = nil, nil
	}
	if most < least {
		c.Errorf("only %d bytes in a minute", most)
	}
}

// E4: an answer is taken once, from who was asked, as large as asked and in the way asked for.
func TestAsk(t *testing.T) {
	c := newTalk(t)
	bob, carol := c.device("10.0.0.2:27475", false), c.device("10.0.0.3:27475", true)
	bob.meets()
	carol.meets()
	ask := func(way wire.Way) (wire.Challenge, *wire.Presence) {
		challenge, ok := c.d.Ask(c.now, bob.id(), way, 1400)
		c.drain()
		if !ok || c.next(wire.TypeEcho, bob.addr).Challenge != challenge {
			t.Fatal("nothing was asked")
		}
		answer := bob.asks(way, 1400)
		answer.Challenge, answer.Echo = wire.Challenge{}, challenge
		return challenge, answer
	}
	answers := func() int {
		var out Output
		c.d.Drain(&out)
		return len(out.Answers)
	}
	receive := func(o *other, p *wire.Presence, broadcast bool) int {
		c.d.Receive(c.now, p, o.addr, 1, broadcast)
		return answers()
	}
	_, answer := ask(wire.WayUnicast)
	wrong := *answer
	wrong.Probe.Size = 512
	forged := *answer
	forged.Key, forged.Addrs = carol.key, carol.claims.Addrs
	c.now += 3 * time.Millisecond
	if receive(bob, &wrong, false)+receive(carol, &forged, false)+receive(bob, answer, true) > 0 {
		t.Error("a wrong answer counts")
	}
	if receive(bob, answer, false) != 1 || receive(bob, answer, false) != 0 {
		t.Error("an answer does not count once")
	}
	if _, answer = ask(wire.WayLimited); receive(bob, answer, false) != 0 || receive(bob, answer, true) != 1 {
		t.Error("the way does not count")
	}
	_, answer = ask(wire.WayUnicast)
	c.now += askLifetime
	if receive(bob, answer, false) != 0 {
		t.Error("a late answer counts")
	}
	for range maxAsks + 5 {
		ask(wire.WayUnicast)
	}
	if len(c.d.asks) != maxAsks {
		t.Errorf("%d questions are remembered", len(c.d.asks))
	}
	stranger := c.device("10.0.0.9:9", true)
	if _, ok := c.d.Ask(c.now, stranger.id(), wire.WayUnicast, 512); ok {
		t.Error("a stranger was asked")
	}
}
