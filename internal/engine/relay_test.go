package engine

import (
	"bytes"
	"fmt"
	"net/netip"
	"slices"
	"testing"
	"time"

	"bcast/internal/wire"
)

// sixIface is the index of the interface that is the IPv6 of a host's one.
const sixIface = 2

// families are the interfaces of a host: its IPv4, its IPv6, or both.
func (h *host) families(four Interface) []Interface {
	if !h.six.IsValid() {
		return []Interface{four}
	}
	six := four
	six.Index, six.Addrs = sixIface, []netip.Addr{h.six.Addr().WithZone("")}
	if h.without {
		return []Interface{six}
	}
	four.Addrs = append(four.Addrs, six.Addrs...)
	four.Other, six.Other, six.Second = sixIface, four.Index, true
	return []Interface{four, six}
}

// hears tells whether what another host sent comes to this one. What who has both sends by IPv6 is for who has IPv6
// alone.
func (h *host) hears(from *host, s Send) bool {
	switch {
	case s.Iface != sixIface:
		return !h.without && (!s.To.IsValid() || s.To == h.addr)
	case s.To.IsValid():
		return s.To == h.six
	}
	return h.six.IsValid() && (from.without || h.without)
}

func (h *host) source(s Send) netip.AddrPort {
	if s.Iface == sixIface {
		return h.six
	}
	return h.addr
}

// mixed is a cable with hosts of IPv4, of IPv6, and of both.
func mixed(t *testing.T, fours, sixes, boths int) (c *cable, four, six, both []*host) {
	c = newCable(t)
	add := func(n int, with, without bool) (hosts []*host) {
		for range n {
			h := c.host(1)
			if with {
				h.six = netip.MustParseAddrPort(fmt.Sprintf("[fe80::%d%%e0]:27475", len(c.hosts)))
			}
			h.without = without
			h.plug(1)
			hosts = append(hosts, h)
		}
		return hosts
	}
	four, six, both = add(fours, false, false), add(sixes, true, true), add(boths, true, false)
	c.wait(10 * time.Second)
	for _, h := range c.hosts {
		h.shown, h.sent = nil, map[wire.Type]int{}
	}
	return c, four, six, both
}

// Who has both families passes on at once what others cannot hear, one of those who could and nobody twice; who has both
// is met by one of them.
func TestMixedRoom(t *testing.T) {
	c, four, six, both := mixed(t, 2, 2, 3)
	for _, h := range both {
		for _, o := range c.hosts {
			p, known := h.Peer(o.id)
			if o != h && (!known || !p.Proven || p.Addr.Addr().Is6() != o.without) {
				t.Errorf("%v is met at %v", o.addr, p.Addr)
			}
		}
	}
	said := []string{}
	for n, voice := range []*host{four[0], six[0], both[0], four[1], six[1]} {
		said = append(said, fmt.Sprint("post ", n))
		voice.say(said[n])
		c.wait(20 * time.Millisecond)
		for _, h := range c.hosts {
			if !slices.Equal(h.shown, said) {
				t.Errorf("20 ms after post %d %v shows %q", n, h.addr, h.shown)
			}
		}
		c.wait(5 * time.Second)
	}
	passed := 0
	for _, h := range both[1:] {
		if n := h.sent[wire.TypeRecord]; n > 0 {
			passed++
		}
	}
	if both[0].sent[wire.TypeRecord] > 2 { // by both families what it said itself
		passed++
	}
	if passed != 1 {
		t.Errorf("%d passed on what others said, want 1", passed)
	}
}

// Where all have IPv4 nothing goes by IPv6 but the announcements at the start.
func TestIPv6IsSilentWhereNobodyNeedsIt(t *testing.T) {
	c, _, _, both := mixed(t, 1, 0, 3)
	silent := func(h *host, s Send) {
		if s.Iface == sixIface {
			t.Errorf("%v sends %v by IPv6", h.addr, s.Type)
		}
	}
	c.tap = silent
	both[0].say("hello")
	c.wait(time.Minute)
	for _, h := range c.hosts {
		if !slices.Equal(h.shown, []string{"hello"}) {
			t.Errorf("%v shows %q", h.addr, h.shown)
		}
	}
}

// Who cannot be heard by all is no lever: what a member broadcasts is passed on once, what comes from an address that
// proved nothing not at all.
func TestADV_16_What_is_passed_on_is_what_a_member_broadcast(t *testing.T) {
	c, four, _, both := mixed(t, 1, 1, 2)
	var heard []Send
	c.tap = func(h *host, s Send) {
		if h == four[0] && s.Type == wire.TypeRecord && !s.To.IsValid() {
			heard = append(heard, s)
		}
	}
	four[0].say("once")
	c.wait(5 * time.Second)
	c.tap = nil
	passed := func() int { return both[0].sent[wire.TypeRecord] + both[1].sent[wire.TypeRecord] }
	if len(heard) == 0 || passed() != len(heard) {
		t.Fatalf("%d broadcasts, passed on %d times", len(heard), passed())
	}
	before := passed()
	for range 20 { // recorded, and said again by a stranger
		for _, h := range both {
			op, _ := h.Opener().Open(Datagram{
				Data: heard[0].Data, Size: len(heard[0].Data), From: netip.MustParseAddrPort("10.0.0.99:27475"), Iface: 1, TTL: 255,
				Broadcast: true, OnLink: true,
			})
			h.Receive(h.clock(), op)
			h.settle()
		}
	}
	if passed() != before {
		t.Errorf("a stranger had it passed on %d times", passed()-before)
	}
}

// A piece that is passed on is cut to what fits, and nothing of it is left out.
func TestCutPieces(t *testing.T) {
	data := bytes.Repeat([]byte("0123456789"), 130)
	for _, limit := range []int{512, 1382, 1400} {
		var whole []byte
		for _, f := range cut(wire.Frag{Record: [16]byte{7}, Total: 5000, Offset: 100, Data: data}, limit) {
			if f.Record != [16]byte{7} || f.Total != 5000 || int(f.Offset) != 100+len(whole) {
				t.Errorf("limit %d: %d bytes at %d of %d", limit, len(f.Data), f.Offset, f.Total)
			}
			if size := len(f.Data) + wire.FragOverhead + wire.SealedOverhead; size > limit {
				t.Errorf("limit %d: a datagram of %d bytes", limit, size)
			}
			whole = append(whole, f.Data...)
		}
		if !bytes.Equal(whole, data) {
			t.Errorf("limit %d: %d bytes are left of %d", limit, len(whole), len(data))
		}
	}
}
