package engine

import (
	"slices"
	"testing"
	"time"

	"bcast/chat"
	"bcast/identity"
	"bcast/internal/record"
	"bcast/internal/wire"
)

func (h *host) ack(text string) record.Entry {
	h.Do(h.clock(), 2, Say{Room: lobby, Posts: []record.Post{{Kind: record.KindText, Text: text}}, Ack: true})
	h.settle()
	kept := h.kept[uint64(h.Serving(lobby)[0])]
	return kept[len(kept)-1]
}

func TestLedgerOfHosts(t *testing.T) {
	c := newCable(t)
	a, b, off := c.host(1), c.host(1), c.host(1)
	c.wait(3 * time.Second)
	off.plug(3)
	c.wait(20 * time.Second)
	said := a.ack("hello")
	c.wait(3 * time.Second)
	roster, have, known := a.Ledger(lobby, said)
	if !known || len(roster) != 2 || !slices.Equal(have, []identity.DeviceID{b.id}) {
		t.Fatalf("roster %v, have %v, known %v", roster, have, known)
	}
	off.plug(1)
	c.wait(10 * time.Second)
	if _, have, _ = a.Ledger(lobby, said); len(have) != 2 {
		t.Errorf("after it came back: have %v", have)
	}
	b.network, off.network = 5, 5
	a.plug(1) // as long as nobody is heard it is a network of its own
	moment := a.ack("meanwhile")
	b.network, off.network = 1, 1
	c.wait(10 * time.Second)
	if _, _, known = a.Ledger(lobby, moment); !known || len(a.Scopes(lobby)) != 1 {
		t.Errorf("what was said meanwhile has a roster: %v; %d scopes", known, len(a.Scopes(lobby)))
	}
	if _, _, known = a.Ledger("elsewhere", said); known {
		t.Error("a room that is not joined has a ledger")
	}
}

// A receipt brings what its sender says to miss, and beats tell what is missed of it.
func TestWhoLosesWhat(t *testing.T) {
	c := newCable(t)
	a, b, lossy := c.host(1), c.host(1), c.host(1)
	for range 3 {
		c.host(1)
	}
	c.wait(time.Second)
	if p, _ := a.PeerAt(b.addr); p.Missed >= 0 || p.Misses > 0 {
		t.Errorf("known before anything was counted or said: %+v", p)
	}
	for i := range 300 {
		lossy.network = byte(1 + i%3/2)
		c.wait(300 * time.Millisecond)
	}
	lossy.network = 1
	a.ack("hello")
	c.wait(2 * time.Second)
	if p, _ := a.PeerAt(b.addr); p.Missed != 0 || p.Misses != 0 {
		t.Errorf("b loses nothing: missed of it %v, it misses %v", p.Missed, p.Misses)
	}
	if p, _ := a.PeerAt(lossy.addr); p.Missed < 0.1 || p.Misses < 0.2 || p.Misses > 0.6 {
		t.Errorf("one loses a third: missed of it %v, it misses %v", p.Missed, p.Misses)
	}
}

// On two networks at once a post is said twice. It counts once: against those of the first, wherever they have it.
func TestLedgerOfAPostSaidInTwoScopes(t *testing.T) {
	c := newCable(t)
	a := c.host(1)
	second := Interface{Index: 2, Addrs: a.ifaces[0].Addrs, MTU: 1500, Networks: []NetworkID{{99}}}
	a.SetInterfaces(a.clock(), append(slices.Clone(a.ifaces), second))
	a.settle()
	r := a.rooms[lobby]
	peer := chat.Peer{ID: identity.DeviceID{7}, RecvBuffer: 65535, InRoom: true}
	for _, s := range r.scopes {
		s.chat.Present(a.clock(), peer)
	}
	said := a.ack("on both")
	other := a.kept[uint64(r.scopes[1].id)]
	copied := other[len(other)-1]
	if copied.ID == said.ID || copied.Header.Wall != said.Header.Wall {
		t.Fatal("not said in two scopes")
	}
	r.scopes[1].chat.Frame(a.clock(), peer.ID, wire.Receipt{Stored: []wire.FeedClaim{{
		Feed: copied.Chain().Short(), Low: 1, High: copied.Header.Seq, Head: [4]byte(copied.ID[:4]),
	}}})
	a.settleOut(a.clock())
	var out Output
	a.Drain(&out)
	i := slices.IndexFunc(out.Events, func(ev Event) bool { return ev.Chat.Kind == chat.Received })
	if i < 0 {
		t.Fatal("nothing is told")
	}
	if ev := out.Events[i].Chat; ev.Record.ID != said.ID || ev.Members != 1 || ev.Have != 1 || len(ev.Missing) != 0 {
		t.Errorf("told %d of %d, missing %v", ev.Have, ev.Members, ev.Missing)
	}
	for _, entry := range []record.Entry{said, copied} {
		roster, have, known := a.Ledger(lobby, entry)
		if !known || len(roster) != 1 || !slices.Equal(have, roster) {
			t.Errorf("roster %v, have %v", roster, have)
		}
	}
	for range 3 * maxSaid {
		a.ack("more")
	}
	if len(r.said) != maxSaid {
		t.Errorf("%d posts remembered", len(r.said))
	}
}

// What members told is kept before the process ends.
func TestByeSavesLevels(t *testing.T) {
	c := newCable(t)
	a, _ := c.host(1), c.host(1)
	c.wait(3 * time.Second)
	said := a.ack("last words")
	c.wait(100 * time.Millisecond)
	a.Do(a.clock(), 3, Bye{})
	var out Output
	a.Drain(&out)
	for _, s := range out.Store {
		for _, l := range s.Levels {
			if l.Chain == said.Chain() && l.High == said.Header.Seq {
				return
			}
		}
	}
	t.Error("what was told is lost")
}
