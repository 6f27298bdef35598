package discovery

import (
	"net/netip"
	"testing"
	"time"

	"bcast/identity"
	"bcast/internal/wire"
)

// "HELLO at start and on any change at 0 / 20 / 100 / 500 / 2000 ms with jitter on every interface."
func TestAnnouncement(t *testing.T) {
	c := newBurst(t)
	own := c.wantOwn(wire.TypeHello)
	if p := own[0].Presence; p.Nick != "me" || p.Challenge.IsZero() || p.NextBeat <= 0 || p.Watch ||
		p.RecvBuffer != 65535 || len(p.Addrs) != 1 || p.Rooms[0] != "lobby" || !p.To.IsZero() {
		t.Errorf("HELLO says %+v", p)
	}
	for _, at := range []time.Duration{20, 100, 500, 2000} {
		step := at * time.Millisecond
		c.wait(step + step/helloJitter - (c.now - time.Second))
		c.wantOwn(wire.TypeHello)
	}
	c.wait(wiredBeat - (c.now - time.Second))
	c.wantOwn(wire.TypeBeat)
}

// A change during an announcement starts it again; it is not doubled, and nothing is announced that has not changed.
func TestAnnouncementIsNotDoubled(t *testing.T) {
	c := newTalk(t)
	for range 50 {
		c.d.SetNick(c.now, "you")
		c.d.SetNick(c.now, "me")
		c.d.SetRooms(c.now, []identity.RoomName{"lobby"})
		c.d.SetInterfaces(c.now, []Interface{wired})
		c.drain()
		c.wait(time.Millisecond)
	}
	if n := len(c.own); n > 4 {
		t.Errorf("%d HELLOs within 50 ms", n)
	}
	c.own = nil
	c.d.SetInterfaces(c.now, []Interface{radio, wired})
	c.drain()
	c.wait(50 * time.Millisecond)
	for _, s := range c.own {
		if p := s.Presence; p.Wifi != (s.Iface == radio.Index) {
			t.Errorf("interface %d announces wifi %v", s.Iface, p.Wifi)
		}
	}
	if len(c.own) != 4 {
		t.Errorf("%d HELLOs, want two on each interface", len(c.own))
	}
	c.wait(3 * time.Second)
	c.own = nil
	c.d.SetRooms(c.now, []identity.RoomName{"lobby", "kitchen"})
	c.drain()
	for _, s := range c.wantOwn(wire.TypeHello, wire.TypeHello) {
		if len(s.Presence.Rooms) != 2 {
			t.Errorf("announces %v", s.Presence.Rooms)
		}
	}
	c.wait(3 * time.Second)
	c.own = nil
	for range 2 {
		c.d.SetServices(c.now, []wire.Service{{Name: "Web", Type: "_http._tcp", Port: 80}})
	}
	c.drain()
	for _, s := range c.wantOwn(wire.TypeHello, wire.TypeHello) {
		if len(s.Presence.Services) != 1 {
			t.Errorf("announces %v", s.Presence.Services)
		}
	}
}

// "Strangers are answered at once by unicast"; "here … wait[s] for an echo".
func TestStrangerIsAnsweredAtOnce(t *testing.T) {
	c := newTalk(t)
	bob := c.device("10.0.0.2:27475", false)
	bob.says(wire.TypeHello)
	answer := c.want(wire.TypeAnswer, bob)
	c.wantEvents(bob)
	if len(c.d.Peers()) != 0 || c.d.Present() != 0 {
		t.Error("a stranger is among the peers")
	}
	c.now += 3 * time.Millisecond
	bob.tells(wire.TypeAck, answer.Challenge)
	c.wantSilence() // "Never answer an ACK"
	c.wantEvents(bob, Appeared)
	p := c.wantStatus(bob, Here)
	if p.RTT != 3*time.Millisecond || p.Addr != bob.addr || p.Nick != "bob" || p.Iface != 1 || p.FirstSeen != c.now {
		t.Errorf("peer %+v", p)
	}
	if q, ok := c.d.PeerAt(bob.addr); !ok || q.ID != bob.id() || c.d.Present() != 1 {
		t.Error("not found at its address")
	}
	bob.says(wire.TypeHello)
	c.wait(100 * time.Millisecond)
	c.wantSilence()
}

func TestWrongEchoProvesNothing(t *testing.T) {
	c := newTalk(t)
	bob := c.device("10.0.0.2:27475", false)
	bob.says(wire.TypeHello)
	answer := c.want(wire.TypeAnswer, bob)
	bob.tells(wire.TypeAck, wire.Challenge{9})
	bob.tells(wire.TypeAnswer, wire.Challenge{9})
	mallory := c.device("10.0.0.3:27475", false)
	mallory.tells(wire.TypeAck, answer.Challenge) // a challenge for bob's address, from another
	bob.addr = netip.MustParseAddrPort("10.0.0.4:27475")
	bob.claims.Addrs = []netip.Addr{bob.addr.Addr()}
	bob.tells(wire.TypeAck, answer.Challenge) // bob's key, from an address that was not asked
	c.now += echoLifetime
	bob.addr = netip.MustParseAddrPort("10.0.0.2:27475")
	bob.claims.Addrs = []netip.Addr{bob.addr.Addr()}
	bob.tells(wire.TypeAck, answer.Challenge) // too late
	c.wantSilence()
	c.wantEvents(bob)
}

// "ANSWER echoes the challenge and brings its own, ACK echoes that": of what all could hear by an ANSWER, of what went
// to one place by an ACK.
func TestAnswerIsAcknowledgedOnce(t *testing.T) {
	c := newBurst(t)
	hello := c.wantOwn(wire.TypeHello)[0].Presence
	bob := c.device("10.0.0.2:27475", false)
	bob.tells(wire.TypeAnswer, hello.Challenge)
	answer := c.want(wire.TypeAnswer, bob)
	c.wantSilence()
	c.wantEvents(bob, Appeared)
	if answer.Echo != bob.question() || answer.Challenge == hello.Challenge {
		t.Errorf("ANSWER %+v", answer)
	}
	bob.tells(wire.TypeAck, answer.Challenge)
	c.wait(2 * time.Second)
	c.wantSilence()
	// An echo is not needed from who is proven: it asks because it has not proven us.
	bob.tells(wire.TypeAnswer, wire.Challenge{})
	c.want(wire.TypeAck, bob)
	c.wantSilence()
}

// "… unless the own burst has a HELLO due within 100 ms": the other will answer that one. The lower id does not wait.
func TestOfTwoThatStartOneAnswers(t *testing.T) {
	c := newBurst(t)
	above, below := c.device("10.0.0.2:27475", true), c.device("10.0.0.3:27475", false)
	above.says(wire.TypeHello)
	c.want(wire.TypeAnswer, above)
	below.says(wire.TypeHello)
	c.wait(20 * time.Millisecond)
	c.wantSilence()
	c.wait(20*time.Millisecond/helloJitter + answerMin + answerSpan) // no answer came
	c.want(wire.TypeAnswer, below)
	c.wantSilence()
}

// CVE-2020-12695 (CallStranger): what names other addresses than it comes from is not answered.
//
// "A source not among them is the drop src_mismatch"; "nothing is sent to an address that only a payload names".
func TestADV_17_A_source_that_is_not_claimed(t *testing.T) {
	c := newTalk(t)
	bob := c.device("10.0.0.2:27475", false)
	bob.claims.Addrs = []netip.Addr{netip.MustParseAddr("10.0.0.9")}
	if drop := bob.says(wire.TypeHello); drop != wire.DropSourceMismatch {
		t.Errorf("drop %q", drop)
	}
	bob.claims.Addrs = append(bob.claims.Addrs, bob.addr.Addr())
	bob.iface = 5
	if drop := bob.says(wire.TypeHello); drop != wire.DropUnusedInterface {
		t.Errorf("drop %q", drop)
	}
	c.wantSilence()
}

// "A BEAT of a stranger is answered like a HELLO, but at most once per 500 ms."
func TestStrangersBeat(t *testing.T) {
	c := newTalk(t)
	bob := c.device("10.0.0.2:27475", false)
	for range 10 {
		bob.says(wire.TypeBeat)
		c.wait(50 * time.Millisecond)
	}
	bob.says(wire.TypeBeat)
	c.next(wire.TypeAnswer, bob.addr)
	c.want(wire.TypeAnswer, bob)
	c.wantSilence()
}

// "BYE ends an instance for good."
func TestBye(t *testing.T) {
	c := newTalk(t)
	bob := c.device("10.0.0.2:27475", false)
	bob.meets()
	bob.says(wire.TypeBye)
	if drop := bob.says(wire.TypeBye); drop != "" {
		t.Errorf("drop %q of a goodbye said twice", drop)
	}
	c.wantEvents(bob, Departed)
	c.wantStatus(bob, Left)
	if _, ok := c.d.PeerAt(bob.addr); ok || c.d.Present() != 0 {
		t.Error("still there")
	}
	if drop := bob.says(wire.TypeBeat); drop != wire.DropOldInstance {
		t.Errorf("drop %q", drop)
	}
	bob.instance = identity.Instance{Boot: 4, Nonce: 40}
	bob.meets()
	c.wantStatus(bob, Here)
}

// "Here, a changed address and dropping an old instance's claims wait for an echo; a lower boot count counts only with
// one."
func TestNewInstanceWaitsForEcho(t *testing.T) {
	for name, next := range map[string]identity.Instance{
		"higher": {Boot: 4, Nonce: 1}, "lower": {Boot: 1, Nonce: 1}, "same boot": {Boot: 3, Nonce: 1},
	} {
		t.Run(name, func(t *testing.T) {
			c := newTalk(t)
			bob := c.device("10.0.0.2:27475", false)
			bob.meets()
			old := *bob
			bob.instance, bob.counter, bob.claims.Nick = next, 0, "robert"
			bob.says(wire.TypeHello)
			answer := c.want(wire.TypeAnswer, bob)
			if p := c.wantStatus(bob, Here); p.Nick != "bob" || p.Instance != old.instance {
				t.Errorf("an unproven instance changed %+v", p)
			}
			c.wantEvents(bob)
			bob.tells(wire.TypeAck, answer.Challenge)
			c.wantEvents(bob, Appeared)
			if p := c.wantStatus(bob, Here); p.Nick != "robert" || p.Instance != next || c.d.Present() != 1 {
				t.Errorf("peer %+v", p)
			}
			if drop := old.says(wire.TypeBeat); drop != wire.DropOldInstance {
				t.Errorf("drop %q", drop)
			}
		})
	}
}

func TestNewAddressWaitsForEcho(t *testing.T) {
	c := newTalk(t)
	bob := c.device("10.0.0.2:27475", false)
	bob.meets()
	was := bob.addr
	bob.addr = netip.MustParseAddrPort("10.0.0.77:27475")
	bob.claims.Addrs = []netip.Addr{bob.addr.Addr()}
	bob.says(wire.TypeHello)
	answer := c.want(wire.TypeAnswer, bob)
	if p := c.wantStatus(bob, Here); p.Addr != was {
		t.Errorf("moved to %v without an echo", p.Addr)
	}
	c.wantEvents(bob)
	bob.tells(wire.TypeAck, answer.Challenge)
	c.wantEvents(bob, Changed)
	if p := c.wantStatus(bob, Here); p.Addr != bob.addr {
		t.Errorf("still at %v", p.Addr)
	}
	for range 12 { // the old address is forgotten when it has been silent for long
		c.wait(4 * time.Second)
		bob.says(wire.TypeBeat)
	}
	if _, ok := c.d.PeerAt(was); ok {
		t.Error("still found at the old address")
	}
}

// Who goes back to an address that it had is there at once, not when its beat at the other one is late.
func TestOldAddressIsTakenAgain(t *testing.T) {
	c := newTalk(t)
	bob := c.device("10.0.0.2:27475", false)
	bob.meets()
	moveTo := func(addr string) {
		bob.addr = netip.MustParseAddrPort(addr)
		bob.claims.Addrs = []netip.Addr{bob.addr.Addr()}
		for range 2 {
			bob.says(wire.TypeProbe)
			c.wait(20 * time.Millisecond)
		}
	}
	was := bob.addr
	moveTo("10.0.0.77:27475")
	bob.tells(wire.TypeAck, c.next(wire.TypeAnswer, bob.addr).Challenge)
	if p := c.wantStatus(bob, Here); p.Addr != bob.addr {
		t.Errorf("not moved: %v", p.Addr)
	}
	c.wait(100 * time.Millisecond)
	moveTo(was.String())
	if p := c.wantStatus(bob, Here); p.Addr != was {
		t.Errorf("still at %v", p.Addr)
	}
}

// With a second interface the peer is reached by the other path when the one in use falls silent.
func TestSecondPathTakesOver(t *testing.T) {
	c := newTalk(t)
	c.d.SetInterfaces(c.now, []Interface{wired, radio})
	c.wait(3 * time.Second)
	bob := c.device("10.0.0.2:27475", false)
	air := *bob
	bob.meets()
	air.addr, air.iface, air.asked = netip.MustParseAddrPort("10.1.0.2:27475"), radio.Index, 100
	air.claims.Addrs = []netip.Addr{air.addr.Addr()}
	air.counter = 100
	air.says(wire.TypeHello)
	answer := c.want(wire.TypeAnswer, &air)
	air.tells(wire.TypeAck, answer.Challenge)
	c.wantEvents(bob, Changed)
	for range 3 {
		c.wait(4 * time.Second)
		bob.counter = air.counter
		bob.says(wire.TypeBeat)
		air.counter = bob.counter
	}
	c.wantEvents(bob, Changed)
	if p := c.wantStatus(bob, Here); p.Addr != bob.addr || p.Iface != 1 {
		t.Errorf("at %v", p.Addr)
	}
	c.d.SetInterfaces(c.now, []Interface{radio})
	c.drain()
	if p, _ := c.d.Peer(bob.id()); p.Addr == bob.addr {
		t.Error("reached by an interface that is gone")
	}
}

// CVE-2025-32900 (KDE Connect): a replayed or reordered datagram changes nothing that is shown of a device.
//
// What a peer says of itself changes with the newest datagram, not with one that was overtaken.
func TestADV_06_An_older_word_changes_nothing(t *testing.T) {
	c := newTalk(t)
	bob := c.device("10.0.0.2:27475", false)
	bob.meets()
	late := bob.datagram(wire.TypeBeat, wire.Challenge{})
	bob.claims.Nick, bob.claims.RecvBuffer, bob.claims.Rooms = "robert", 300, []identity.RoomName{"lobby"}
	bob.says(wire.TypeHello)
	c.wantEvents(bob, Changed)
	bob.send(late, true)
	c.wantEvents(bob)
	if p := c.wantStatus(bob, Here); p.Nick != "robert" || !p.Watch || p.RecvBuffer != 300 || len(p.Rooms) != 1 {
		t.Errorf("peer %+v", p)
	}
}

func TestOwnKeyFromElsewhere(t *testing.T) {
	c := newTalk(t)
	twin := c.device("10.0.0.2:27475", false)
	c.d.cfg.Self = twin.id()
	if drop := twin.says(wire.TypeHello); drop != wire.DropOwn {
		t.Errorf("drop %q", drop)
	}
	if drop := c.device("10.0.0.3:1", true).says(wire.TypeEcho); drop != wire.DropStranger {
		t.Errorf("drop %q", drop)
	}
}

func TestOwnGoodbye(t *testing.T) {
	c := newTalk(t)
	bob := c.device("10.0.0.2:27475", false)
	bob.meets()
	c.d.Bye(c.now)
	c.d.Bye(c.now)
	c.drain()
	c.wantOpen(wire.TypeBye)
	c.wantOpen(wire.TypeBye)
	bob.says(wire.TypeProbe)
	c.d.SetNick(c.now, "ghost")
	c.d.Advance(c.now + time.Hour)
	c.drain()
	c.wantSilence()
	c.wantOwn()
	if c.d.Deadline() != forever {
		t.Error("something is due after the goodbye")
	}
}

func TestStatusNames(t *testing.T) {
	for status, want := range map[Status]string{
		0: "unknown", Here: "here", Suspect: "suspect", Lost: "lost", Left: "left", 9: "unknown",
	} {
		if status.String() != want {
			t.Errorf("%d is %q, want %q", status, status, want)
		}
	}
}
