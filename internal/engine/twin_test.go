package engine

import (
	"slices"
	"testing"
	"time"

	"bcast/discovery"
	"bcast/identity"
)

func (h *host) sees(t *testing.T, what string, id identity.DeviceID, instance identity.Instance) {
	t.Helper()
	p, known := h.Peer(id)
	if !known || p.Status != discovery.Here || !p.Proven || p.Instance != instance {
		t.Errorf("%s: %v as %v, proven %v; want it here as %v", what, p.Status, p.Instance, p.Proven, instance)
	}
}

// The original of a copied home has ended for the others once they met the copy, and comes back by itself when the copy
// is gone, with or without a goodbye.
func TestOriginalComesBackAfterItsCopy(t *testing.T) {
	for _, bye := range []bool{true, false} {
		c := newCable(t)
		a, b := c.host(1), c.host(1)
		c.wait(3 * time.Second)
		id, _, before := a.Own()
		copied := c.run(1, 1, 2)
		c.wait(3 * time.Second)
		_, _, twin := copied.Own()
		b.sees(t, "while the copy is here", id, twin)
		c.wait(time.Minute)
		b.sees(t, "they do not end each other", id, twin)
		if bye {
			copied.Do(copied.clock(), 3, Bye{})
			copied.settle()
		}
		copied.network = 9
		if bye {
			c.wait(time.Second)
			_, _, after := a.Own()
			b.sees(t, "it announces itself", id, after)
		}
		c.wait(time.Minute)
		_, _, after := a.Own()
		if after == before || after.Boot <= twin.Boot {
			t.Errorf("the original goes on as %v after %v, having been %v", after, twin, before)
		}
		b.sees(t, "after the copy", id, after)
		b.say("anybody there?")
		a.say("the original")
		c.wait(3 * time.Second)
		if !slices.Contains(b.shown, "the original") || !slices.Contains(a.shown, "anybody there?") {
			t.Errorf("a shows %q, b %q", a.shown, b.shown)
		}
		if bye {
			continue
		}
		copied.plug(1) // it slept
		c.wait(3 * time.Second)
		b.sees(t, "a copy that slept", id, after)
		a.Do(a.clock(), 3, Bye{})
		a.settle()
		a.network = 9
		c.wait(time.Minute)
		_, _, last := copied.Own()
		b.sees(t, "the copy after the original", id, last)
	}
}

// Recordings of another run of our key end nobody, and make us begin anew at most once.
func TestRecordingsOfATwinEndNobody(t *testing.T) {
	c := newCable(t)
	a, b := c.host(1), c.host(1)
	twin := c.run(2, 1, 7)
	c.hosts = c.hosts[:2] // nobody hears it, but who records
	var tape [][]byte
	for range 200 {
		c.wait(100 * time.Millisecond)
		twin.Advance(twin.clock())
		var out Output
		twin.Drain(&out)
		for _, s := range out.Send {
			if s.Type.Presence() {
				tape = append(tape, s.Data)
			}
		}
	}
	id, _, before := a.Own()
	if len(tape) < 5 {
		t.Fatalf("%d datagrams recorded", len(tape))
	}
	replay := func() {
		for _, data := range tape {
			for _, h := range []*host{a, b} {
				op, drop := h.Opener().Open(Datagram{
					Data: data, Size: len(data), From: twin.addr, Iface: 1, TTL: 255, Broadcast: true, OnLink: true,
				})
				if drop == "" {
					h.Receive(h.clock(), op)
				}
				h.settle()
			}
		}
	}
	replay()
	c.wait(5 * time.Second)
	b.sees(t, "a recording", id, before)
	for range 10 {
		replay()
		c.wait(time.Minute)
	}
	_, _, after := a.Own()
	b.sees(t, "recordings", id, after)
	if after.Boot != 8 {
		t.Errorf("after recordings of boot 7 it is boot %d", after.Boot)
	}
}
