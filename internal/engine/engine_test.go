package engine

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"
	"time"

	"bcast/chat"
	"bcast/identity"
	"bcast/internal/record"
)

// cable is an Ethernet segment without loss or delay: a conversation of engines reads join, say, plug, wait, shown.
type cable struct {
	t     *testing.T
	now   time.Duration
	hosts []*host
	sends int // datagrams on the way in this moment: a loop would never end
}

// host is an engine with a store that keeps everything at once.
type host struct {
	*Engine
	cable   *cable
	network byte // hosts hear those of the same network
	wifi    bool
	link    byte // how often the carrier came
	addr    netip.AddrPort
	kept    map[ScopeID][]*record.Record
	shown   []string
}

const lobby identity.RoomName = "lobby"

func newCable(t *testing.T) *cable { return &cable{t: t} }

// host starts a device on a network, in the lobby.
func (c *cable) host(network byte) *host {
	c.t.Helper()
	n := byte(len(c.hosts) + 1)
	random := rand.NewChaCha8([32]byte{n})
	key, err := identity.NewKey(random)
	if err != nil {
		c.t.Fatal(err)
	}
	h := &host{
		cable: c, network: network, kept: map[ScopeID][]*record.Record{},
		addr: netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 0, 0, n}), 27475),
	}
	h.Engine, err = New(h.clock(), Config{
		Key: key, Instance: identity.Instance{Boot: 1, Nonce: uint64(n)}, Nick: identity.Nick(fmt.Sprintf("host%d", n)),
		RecvBuffer: 65535, UnicastPort: 27475, Random: random, Timing: rand.New(random), Verify: identity.PublicKey.Verify,
	})
	if err != nil {
		c.t.Fatal(err)
	}
	c.hosts = append(c.hosts, h)
	h.plug(network)
	h.Do(h.clock(), 1, Join{Room: lobby})
	h.settle()
	return h
}

func (h *host) clock() Now {
	return Now{Mono: h.cable.now, Wall: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC).Add(h.cable.now)}
}

// plug brings the carrier back, on this network or another, with the address as it was.
func (h *host) plug(network byte) {
	h.network = network
	h.link++
	h.SetInterfaces(h.clock(), []Interface{{
		Index: 1, Addrs: []netip.Addr{h.addr.Addr()}, MTU: 1500, Wifi: h.wifi,
		Networks: []NetworkID{{byte(h.addr.Addr().As4()[3]), h.link}},
	}})
	h.settle()
}

func (h *host) say(text string) {
	h.Do(h.clock(), 2, Say{Room: lobby, Posts: []record.Post{{Kind: record.KindText, Text: text}}})
	h.settle()
}

// settle does what the engine wants, and delivers what it sends.
func (h *host) settle() {
	for {
		var out Output
		h.Drain(&out)
		if len(out.Store)+len(out.Load)+len(out.Send)+len(out.Events) == 0 {
			return
		}
		for _, s := range out.Store {
			h.kept[s.Scope] = append(h.kept[s.Scope], s.Records...)
			h.Stored(h.clock(), s.Token, s.Records, nil, nil)
		}
		for _, l := range out.Load {
			h.Loaded(h.clock(), l.Token, h.load(l))
		}
		for _, s := range out.Send {
			h.cable.carry(h, s)
		}
		for _, e := range out.Events {
			if e.Kind == RoomEvent && e.Chat.Kind == chat.Posted {
				h.shown = append(h.shown, e.Chat.Post.Text)
			}
		}
	}
}

func (h *host) load(l Load) []*record.Record {
	return slices.DeleteFunc(slices.Clone(h.kept[l.Scope]), func(rec *record.Record) bool {
		in := func(s record.Span) bool {
			return s.Feed == rec.Header.Feed && s.From <= rec.Header.Seq && rec.Header.Seq <= s.To
		}
		return !slices.ContainsFunc(l.Ranges, in) && !slices.Contains(l.IDs, rec.ID)
	})
}

func (c *cable) carry(from *host, s Send) {
	c.sends++
	if c.sends > 10_000 {
		c.t.Fatal("ten thousand datagrams in one moment")
	}
	for _, h := range c.hosts {
		if h == from || h.network != from.network || s.To.IsValid() && s.To != h.addr {
			continue
		}
		op, drop := h.Opener().Open(Datagram{
			Data: s.Data, Size: len(s.Data), From: from.addr, Iface: 1, TTL: 255, Broadcast: !s.To.IsValid(), OnLink: true,
		})
		if drop == "" {
			h.Receive(h.clock(), op)
		}
		h.settle()
	}
}

// wait lets time pass.
func (c *cable) wait(d time.Duration) {
	for end := c.now + d; ; {
		next, due := end, (*host)(nil)
		for _, h := range c.hosts {
			if at := h.Deadline(); at < next {
				next, due = at, h
			}
		}
		c.now, c.sends = max(c.now, next), 0
		if due == nil {
			return
		}
		due.Advance(due.clock())
		due.settle()
	}
}

// A carrier that was away for a moment makes a network of its own until a member proves the contrary. Then the old
// conversation goes on, and nothing is shown twice.
func TestCarrierBackShowsNothingTwice(t *testing.T) {
	c := newCable(t)
	a, b := c.host(1), c.host(1)
	c.wait(3 * time.Second)
	a.say("one")
	b.say("two")
	c.wait(3 * time.Second)
	serving := a.Serving(lobby)
	a.plug(1)
	c.wait(2 * time.Second)
	if now := a.Serving(lobby); !slices.Equal(now, serving) {
		t.Errorf("serves %v two seconds after the carrier came back, want %v", now, serving)
	}
	b.say("three")
	a.say("four")
	c.wait(3 * time.Second)
	for _, h := range c.hosts {
		if want := []string{"one", "two", "three", "four"}; !slices.Equal(h.shown, want) {
			t.Errorf("%v shows %q, want %q", h.addr, h.shown, want)
		}
	}
}

// "A public room's history belongs to the networks where it was heard" (N1): the same address, the same room name,
// other people.
func TestOtherNetworkHearsNothing(t *testing.T) {
	c := newCable(t)
	a, b := c.host(1), c.host(1)
	stranger := c.host(2)
	c.wait(3 * time.Second)
	b.say("among ourselves")
	a.say("of course")
	c.wait(3 * time.Second)
	a.plug(2)
	c.wait(10 * time.Second)
	stranger.say("who are you?")
	c.wait(3 * time.Second)
	if want := []string{"who are you?"}; !slices.Equal(stranger.shown, want) {
		t.Errorf("strangers see %q, want %q", stranger.shown, want)
	}
	for _, m := range stranger.Rooms(stranger.clock())[0].Members {
		if m.ID == b.id {
			t.Error("strangers know who the others were")
		}
	}
	a.plug(1)
	c.wait(10 * time.Second)
	b.say("back?")
	c.wait(3 * time.Second)
	if want := []string{"among ourselves", "of course", "who are you?", "back?"}; !slices.Equal(a.shown, want) {
		t.Errorf("the traveller sees %q, want %q", a.shown, want)
	}
	if want := []string{"among ourselves", "of course", "back?"}; !slices.Equal(b.shown, want) {
		t.Errorf("those at home see %q, want %q", b.shown, want)
	}
}

// One acquaintance does not make a café the office (N2): a phone goes where its laptop goes.
func TestCompanionDoesNotCarryTheNetworkAlong(t *testing.T) {
	c := newCable(t)
	laptop, phone := c.host(1), c.host(1)
	for range 4 {
		c.host(1)
	}
	stranger := c.host(2)
	c.wait(3 * time.Second)
	laptop.say("among ourselves")
	c.wait(3 * time.Second)
	laptop.plug(2)
	phone.plug(2)
	c.wait(20 * time.Second)
	laptop.say("in the café")
	c.wait(3 * time.Second)
	if want := []string{"in the café"}; !slices.Equal(stranger.shown, want) {
		t.Errorf("strangers see %q, want %q", stranger.shown, want)
	}
	laptop.plug(1)
	c.wait(10 * time.Second)
	colleague := c.hosts[2]
	if want := []string{"among ourselves"}; !slices.Equal(colleague.shown, want) {
		t.Errorf("a colleague sees %q, want %q", colleague.shown, want)
	}
	laptop.say("back")
	c.wait(3 * time.Second)
	if want := []string{"among ourselves", "back"}; !slices.Equal(colleague.shown, want) {
		t.Errorf("a colleague sees %q, want %q", colleague.shown, want)
	}
}

// A member on Wi-Fi puts the wired ones on its budget (R31), until it is gone.
func TestWifiMemberSetsTheBudget(t *testing.T) {
	c := newCable(t)
	a, b := c.host(1), c.host(1)
	c.wait(3 * time.Second)
	if a.budget.rate != wiredRate {
		t.Fatalf("%v bytes a second among the wired", a.budget.rate)
	}
	b.wifi = true
	b.plug(1)
	c.wait(3 * time.Second)
	if a.budget.rate != wifiRate {
		t.Errorf("%v bytes a second with a member on Wi-Fi", a.budget.rate)
	}
	b.Do(b.clock(), 3, Bye{})
	b.settle()
	if a.budget.rate != wiredRate {
		t.Errorf("%v bytes a second after it left", a.budget.rate)
	}
}

// What was broadcast stays spent when the last interface goes and comes back.
func TestBudgetOutlastsTheInterface(t *testing.T) {
	c := newCable(t)
	h := c.host(1)
	radio := []Interface{{Index: 1, Addrs: []netip.Addr{h.addr.Addr()}, MTU: 1500, Wifi: true, Networks: []NetworkID{{1}}}}
	h.SetInterfaces(h.clock(), radio)
	h.budget.spend(wifiBurst)
	spent := h.budget.tokens
	h.SetInterfaces(h.clock(), nil)
	c.now += 100 * time.Millisecond
	h.SetInterfaces(h.clock(), radio)
	if most := spent + wifiRate/10 + 1; h.budget.tokens > most {
		t.Errorf("%.0f bytes may be sent after a tenth of a second, want at most %.0f", h.budget.tokens, most)
	}
}
