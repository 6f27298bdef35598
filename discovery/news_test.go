package discovery

import (
	"fmt"
	"testing"
	"time"

	"bcast/identity"
	"bcast/internal/wire"
)

func (o *other) hello(echo wire.Challenge) *wire.Presence { return o.datagram(wire.TypeHello, echo) }

// What a burst says to others is not worth a check, and whatever may be new is (P9a).
func TestOnlyNewsIsChecked(t *testing.T) {
	c := newTalk(t)
	bob := c.device("10.0.0.2:27475", false)
	nothing := func(what string, want bool, p *wire.Presence) {
		t.Helper()
		if got := c.d.SaysNothingNew(c.now, p, bob.addr, bob.iface); got != want {
			t.Errorf("%s says nothing new: %t", what, got)
		}
	}
	nothing("a stranger", false, bob.hello(wire.Challenge{}))
	bob.says(wire.TypeHello)
	a := c.want(wire.TypeAnswer, bob)
	ours := c.d.question(c.now, c.d.links[0])
	bob.tells(wire.TypeAck, ours)
	nothing("who did not prove its address", false, bob.hello(wire.Challenge{}))
	bob.tells(wire.TypeAck, a.Challenge)
	nothing("a further hello", true, bob.hello(wire.Challenge{}))
	nothing("who waits for our echo", false, bob.hello(ours))
	nothing("who echoes somebody else", true, bob.hello(wire.Challenge{7}))
	nothing("a beat", false, bob.datagram(wire.TypeBeat, wire.Challenge{}))
	nothing("a probe", false, bob.datagram(wire.TypeProbe, wire.Challenge{}))
	elsewhere := bob.hello(wire.Challenge{})
	if c.d.SaysNothingNew(c.now, elsewhere, c.device("10.0.0.3:27475", true).addr, 1) {
		t.Error("from another address")
	}
	next := bob.hello(wire.Challenge{})
	next.Instance.Boot++
	nothing("another run", false, next)
	renamed := bob.hello(wire.Challenge{})
	renamed.Nick = "robert"
	nothing("another nick", false, renamed)
	joined := bob.hello(wire.Challenge{})
	joined.Rooms = []identity.RoomName{"kitchen"}
	nothing("another room", false, joined)
	recorded := bob.hello(wire.Challenge{})
	c.wait(newsEach)
	nothing("who was not heard for a while", false, bob.hello(wire.Challenge{}))
	bob.says(wire.TypeBeat)
	c.wait(newsEach)
	nothing("a recording", true, recorded)
}

// Where answers take long, as among many who start on one machine, none is sent again before it had time to be echoed.
func TestAnswerHasTimeToArrive(t *testing.T) {
	c := newTalk(t)
	slow := c.device("10.0.0.2:27475", false)
	slow.says(wire.TypeHello)
	a := c.want(wire.TypeAnswer, slow)
	c.wait(150 * time.Millisecond)
	slow.tells(wire.TypeAck, a.Challenge)
	bob := c.device("10.0.0.3:27475", false)
	bob.says(wire.TypeHello)
	c.want(wire.TypeAnswer, bob)
	for range 2 {
		c.wait(100 * time.Millisecond)
		bob.says(wire.TypeHello)
		c.wantSilence()
	}
	c.wait(101 * time.Millisecond)
	bob.says(wire.TypeHello)
	c.want(wire.TypeAnswer, bob)
	for n := range 40 {
		quick := c.device(fmt.Sprintf("10.0.0.%d:27475", 10+n), false)
		quick.says(wire.TypeHello)
		quick.tells(wire.TypeAck, c.want(wire.TypeAnswer, quick).Challenge)
	}
	if c.d.answerTakes() > 10*time.Millisecond {
		t.Errorf("after forty quick ones an answer is still given %v", c.d.answerTakes())
	}
}
