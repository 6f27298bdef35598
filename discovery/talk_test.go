package discovery

import (
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"
	"time"

	"bcast/identity"
	"bcast/internal/wire"
)

// talk is a conversation of one Discovery with others that the test speaks for. What we announce on our own, HELLOs and
// BEATs that nobody asked for, is heard only by wantOwn.
type talk struct {
	*testing.T
	d      *Discovery
	now    time.Duration
	sent   []Send
	own    []Send
	events []Event
}

var (
	wired = Interface{Index: 1, Addrs: []netip.Addr{netip.MustParseAddr("10.0.0.1")}}
	radio = Interface{Index: 2, Addrs: []netip.Addr{netip.MustParseAddr("10.1.0.1")}, Wifi: true}
)

// newTalk is a conversation whose announcement at the start is over.
func newTalk(t *testing.T) *talk {
	c := newBurst(t)
	c.wait(3 * time.Second)
	c.own = nil
	return c
}

// newBurst is a conversation that begins with the first HELLO.
func newBurst(t *testing.T) *talk {
	c := &talk{T: t, now: time.Second, d: New(Config{
		Self: identity.DeviceID{0x80}, Rand: rand.New(rand.NewPCG(1, 1)),
		Nick: "me", UnicastPort: 27475, RecvBuffer: 65535, Rooms: []identity.RoomName{"lobby"},
	})}
	c.d.SetInterfaces(c.now, []Interface{wired})
	c.drain()
	return c
}

func (c *talk) drain() {
	var out Output
	c.d.Drain(&out)
	for _, s := range out.Send {
		t := s.Presence.Type
		if t == wire.TypeHello || t == wire.TypeBeat && !s.To.IsValid() && s.Presence.Echo.IsZero() {
			c.own = append(c.own, s)
		} else {
			c.sent = append(c.sent, s)
		}
	}
	c.events = append(c.events, out.Events...)
}

// wait lets time pass.
func (c *talk) wait(d time.Duration) {
	for end := c.now + d; ; {
		at := c.d.Deadline()
		if at > end {
			c.now = end
			return
		}
		c.now = max(c.now, at)
		c.d.Advance(c.now)
		c.drain()
	}
}

// other is a device that the test speaks for.
type other struct {
	c        *talk
	key      identity.PublicKey
	instance identity.Instance
	addr     netip.AddrPort
	iface    int
	counter  uint64
	asked    byte
	claims   wire.Claims
}

// device is one at addr whose id is below or above ours.
func (c *talk) device(addr string, above bool) *other {
	o := &other{c: c, addr: netip.MustParseAddrPort(addr), iface: 1, instance: identity.Instance{Boot: 3, Nonce: 30}}
	for o.key[31] = o.addr.Addr().As4()[3]; (o.key.ID()[0] >= 0x80) != above; o.key[0]++ {
	}
	o.claims = wire.Claims{
		Nick: "bob", Addrs: []netip.Addr{o.addr.Addr()}, UnicastPort: o.addr.Port(), RecvBuffer: 65535, MaxVersion: 1,
		NextBeat: 4 * time.Second,
	}
	return o
}

func (o *other) id() identity.DeviceID { return o.key.ID() }

// datagram is what o says next. Its challenge is fresh unless it is an ACK.
func (o *other) datagram(t wire.Type, echo wire.Challenge) *wire.Presence {
	o.counter++
	p := &wire.Presence{Type: t, Key: o.key, Instance: o.instance, Counter: o.counter, Claims: o.claims}
	p.Echo = echo
	if t != wire.TypeAck {
		o.asked++
		p.Challenge = wire.Challenge{1, o.addr.Addr().As4()[3], o.asked}
	}
	return p
}

func (o *other) question() wire.Challenge { return wire.Challenge{1, o.addr.Addr().As4()[3], o.asked} }

// says broadcasts, tells sends to us alone.
func (o *other) says(t wire.Type) wire.Drop { return o.send(o.datagram(t, wire.Challenge{}), true) }
func (o *other) tells(t wire.Type, echo wire.Challenge) wire.Drop {
	return o.send(o.datagram(t, echo), false)
}

func (o *other) send(p *wire.Presence, broadcast bool) wire.Drop {
	drop := o.c.d.Receive(o.c.now, p, o.addr, o.iface, broadcast)
	o.c.drain()
	return drop
}

// want takes the next datagram sent, which must be of type t, to o alone, and echo its last question.
func (c *talk) want(t wire.Type, o *other) wire.Presence {
	c.Helper()
	p := c.next(t, o.addr)
	if p.To != o.instance || p.Echo != o.question() {
		c.Fatalf("%v to %v echoes %x, want to %v, %x", t, p.To, p.Echo[:3], o.instance, o.question())
	}
	return p
}

// wantOpen takes the next datagram sent, which must be a broadcast of type t.
func (c *talk) wantOpen(t wire.Type) wire.Presence {
	c.Helper()
	return c.next(t, netip.AddrPort{})
}

func (c *talk) next(t wire.Type, to netip.AddrPort) wire.Presence {
	c.Helper()
	if len(c.sent) == 0 {
		c.Fatalf("silence, want %v to %v", t, to)
	}
	s := c.sent[0]
	c.sent = c.sent[1:]
	if s.Presence.Type != t || s.To != to {
		c.Fatalf("%v to %v, want %v to %v", s.Presence.Type, s.To, t, to)
	}
	return s.Presence
}

// wantOwn takes what we announced by ourselves since the last time.
func (c *talk) wantOwn(types ...wire.Type) []Send {
	c.Helper()
	own := c.own
	c.own = nil
	if !slices.EqualFunc(own, types, func(s Send, t wire.Type) bool { return s.Presence.Type == t }) {
		c.Fatalf("announced %d datagrams, want %v", len(own), types)
	}
	return own
}

func (c *talk) wantSilence() {
	c.Helper()
	if len(c.sent) > 0 {
		c.Fatalf("%v to %v, want silence", c.sent[0].Presence.Type, c.sent[0].To)
	}
}

// wantEvents takes the events since the last time, which must be all of o and of these kinds.
func (c *talk) wantEvents(o *other, kinds ...EventKind) {
	c.Helper()
	events := c.events
	c.events = nil
	got := []EventKind{}
	for _, e := range events {
		got = append(got, e.Kind)
		if e.Peer.ID != o.id() {
			c.Fatalf("event %v of %v, want %v", e.Kind, e.Peer.ID, o.id())
		}
	}
	if !slices.Equal(got, kinds) {
		c.Fatalf("events %v, want %v", got, kinds)
	}
}

func (c *talk) wantStatus(o *other, want Status) Peer {
	c.Helper()
	p, _ := c.d.Peer(o.id())
	if p.Status != want {
		c.Fatalf("status %v, want %v", p.Status, want)
	}
	return p
}

// meets is the whole handshake: HELLO, ANSWER, ACK.
func (o *other) meets() {
	o.c.Helper()
	o.says(wire.TypeHello)
	a := o.c.want(wire.TypeAnswer, o)
	o.tells(wire.TypeAck, a.Challenge)
	o.c.wantSilence()
	o.c.wantEvents(o, Appeared)
}
