package discovery

import (
	"testing"
	"time"

	"bcast/internal/wire"
)

// "What was proven on the interface is then to be proven again": a link that may lead elsewhere makes nobody lost and
// everybody unproven; all are asked at once; an echo of what was asked on the old network proves nothing.
func TestOtherNetworkIsProvenAgain(t *testing.T) {
	c := newTalk(t)
	bob := c.device("10.0.0.2:27475", false)
	bob.meets()
	bob.says(wire.TypeBeat)
	old := c.d.links[0].questions[0].challenge
	c.events, c.sent, c.own = nil, nil, nil

	moved := wired
	moved.Network[0]++
	c.d.SetInterfaces(c.now, []Interface{moved})
	c.drain()
	c.wantEvents(bob, Changed)
	if p := c.wantStatus(bob, Here); p.Proven {
		t.Error("still proven on another network")
	}
	if _, ok := c.d.PeerAt(bob.addr); ok {
		t.Error("still found at its address")
	}
	asked := c.wantOpen(wire.TypeProbe)
	if !asked.To.IsZero() || asked.Challenge.IsZero() || asked.Challenge == old {
		t.Errorf("PROBE to %v, challenge %x", asked.To, asked.Challenge)
	}
	bob.tells(wire.TypeAnswer, old)
	if p, _ := c.d.Peer(bob.id()); p.Proven {
		t.Error("proven by an echo from the old network")
	}
	bob.tells(wire.TypeAnswer, asked.Challenge)
	c.wantEvents(bob, Changed)
	if p := c.wantStatus(bob, Here); !p.Proven || p.Addr != bob.addr {
		t.Errorf("not proven by a fresh echo: %+v", p)
	}
	c.want(wire.TypeAnswer, bob)
	c.wait(3 * time.Second)
	for _, s := range c.sent {
		if s.Presence.Type == wire.TypeProbe {
			t.Error("asked again what was answered")
		}
	}
}

// A PROBE to everyone is a known device that wants us to prove ourselves: by unicast, again until it acknowledges, and
// then not at once again.
func TestProbeToAllIsAnsweredByUnicast(t *testing.T) {
	c := newTalk(t)
	bob := c.device("10.0.0.2:27475", false)
	bob.meets()
	c.wait(answerGap)
	c.sent, c.own = nil, nil
	for range 2 {
		bob.says(wire.TypeProbe)
		c.want(wire.TypeAnswer, bob)
	}
	bob.says(wire.TypeProbe)
	answer := c.want(wire.TypeAnswer, bob)
	bob.tells(wire.TypeAck, answer.Challenge)
	bob.says(wire.TypeProbe)
	c.wantSilence()
	c.now += answerGap
	bob.says(wire.TypeProbe)
	c.want(wire.TypeAnswer, bob)
}
