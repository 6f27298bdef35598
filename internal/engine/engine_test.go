package engine

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"
	"time"

	"bcast/chat"
	"bcast/identity"
	"bcast/identity/identitytest"
	"bcast/internal/record"
	"bcast/internal/wire"
)

// cable is an Ethernet segment without loss or delay: a conversation of engines reads join, say, plug, wait, shown.
type cable struct {
	t     testing.TB
	now   time.Duration
	hosts []*host
	sends int // datagrams on the way in this moment: a loop would never end
	tap   func(*host, Send)
	Ring
	streams
}

// host is an engine with a store that keeps everything at once.
type host struct {
	*Engine
	cable   *cable
	network byte // hosts hear those of the same network
	wifi    bool
	link    byte // how often the carrier came
	addr    netip.AddrPort
	six     netip.AddrPort // of IPv6; invalid: it has none
	without bool           // it has no IPv4
	kept    map[uint64][]record.Entry
	shown   []string
	sent    map[wire.Type]int
	synced  []chat.Event
	disk    error   // of its store now
	slow    bool    // its store keeps nothing yet
	queued  []Store // by a slow store
	forgot  []ScopeID
	replied int    // to how many Do
	mute    bool   // its store brings nothing yet
	unread  []Load // of a mute store
}

const lobby identity.RoomName = "lobby"

func newCable(t testing.TB) *cable { return &cable{t: t, Ring: NewRing()} }

// Ring verifies signatures and remembers what it found. Of the keys that it has it knows quick ones, and those that
// Ed25519 makes: it signs deterministically (RFC 8032), so that signing again tells the same in half the time.
type Ring struct {
	keys  map[identity.PublicKey]*identity.Key
	found map[[sha256.Size]byte]bool
}

func NewRing() Ring {
	return Ring{keys: map[identity.PublicKey]*identity.Key{}, found: map[[sha256.Size]byte]bool{}}
}

// Add takes a key, and returns what signs quickly for it.
func (r *Ring) Add(key *identity.Key) identitytest.Quick {
	r.keys[key.Public()] = key
	return identitytest.Quick{Key: key}
}

func (r *Ring) Verify(key identity.PublicKey, message, sig []byte) bool {
	name := sha256.Sum256(slices.Concat(key[:], sig, message))
	right, known := r.found[name]
	if !known {
		if own := r.keys[key]; own != nil {
			right = identitytest.VerifyQuick(key, message, sig) || bytes.Equal(own.Sign(message), sig)
		} else {
			right = key.Verify(message, sig)
		}
		r.found[name] = right
	}
	return right
}

// host starts a device on a network, in the lobby.
func (c *cable) host(network byte) *host {
	c.t.Helper()
	return c.run(network, byte(len(c.hosts)+1), 1)
}

// run starts a process of the device whose key is made of a seed; of one with a copied home there may be two.
func (c *cable) run(network, seed byte, boot uint32) *host {
	c.t.Helper()
	n := byte(len(c.hosts) + 1)
	random := rand.NewChaCha8([32]byte{seed})
	key, err := identity.NewKey(random)
	if err != nil {
		c.t.Fatal(err)
	}
	h := &host{
		cable: c, network: network, kept: map[uint64][]record.Entry{}, sent: map[wire.Type]int{},
		addr: netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 0, 0, n}), 27475),
	}
	random = rand.NewChaCha8([32]byte{seed, byte(boot)})
	h.Engine, err = New(h.clock(), Config{
		Key: key, Signer: c.Add(key), Instance: identity.Instance{Boot: boot, Nonce: uint64(n)}, Nick: identity.Nick(fmt.Sprintf("host%d", n)),
		RecvBuffer: 65535, UnicastPort: 27475, StreamPort: 27475, Random: random, Timing: rand.New(random),
		Verify: c.verifyPast,
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
	four := Interface{
		Index: 1, Addrs: []netip.Addr{h.addr.Addr()}, MTU: 1500, Wifi: h.wifi,
		Networks: []NetworkID{{byte(h.addr.Addr().As4()[3]), h.link}},
	}
	h.SetInterfaces(h.clock(), h.families(four))
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
		if out.IsEmpty() {
			return
		}
		for _, s := range out.Store {
			if h.disk != nil {
				h.Stored(h.clock(), s.Token, nil, h.disk)
				continue
			}
			if h.slow {
				h.queued = append(h.queued, s)
				continue
			}
			h.kept[s.Scope] = append(h.kept[s.Scope], s.Records...)
			h.Stored(h.clock(), s.Token, nil, nil)
		}
		for _, l := range out.Load {
			if h.mute {
				h.unread = append(h.unread, l)
				continue
			}
			h.Loaded(h.clock(), l.Token, h.load(l))
		}
		for _, s := range out.Send {
			h.cable.carry(h, s)
		}
		h.forgot = append(h.forgot, out.Forget...)
		h.replied += len(out.Replies)
		for _, op := range out.Streams {
			h.cable.operate(h, op)
		}
		for _, e := range out.Events {
			if e.Kind == RoomEvent && e.Chat.Kind == chat.Synced {
				h.synced = append(h.synced, e.Chat)
			}
			if e.Kind == RoomEvent && e.Chat.Kind == chat.Posted {
				for _, p := range e.Chat.Posts {
					h.shown = append(h.shown, p.Text)
				}
			}
		}
	}
}

func (h *host) load(l Load) []record.Entry {
	return slices.DeleteFunc(slices.Clone(h.kept[uint64(l.Scope)]), func(rec record.Entry) bool {
		in := func(s record.Span) bool {
			return s.Chain == rec.Chain() && s.From <= rec.Header.Seq && rec.Header.Seq <= s.To
		}
		return !slices.ContainsFunc(l.Ranges, in) && !slices.Contains(l.IDs, rec.ID)
	})
}

func (c *cable) carry(from *host, s Send) {
	if s.Type != 0 && s.Type == c.lost {
		return
	}
	from.sent[s.Type]++
	if c.tap != nil {
		c.tap(from, s)
	}
	c.sends++
	c.datagrams += len(s.Data)
	if c.sends > 10_000 {
		c.t.Fatal("ten thousand datagrams in one moment")
	}
	for _, h := range c.hosts {
		if h == from || h.network != from.network || !h.hears(from, s) {
			continue
		}
		op, drop := h.Opener().Open(Datagram{
			Data: s.Data, Size: len(s.Data), From: from.source(s), Iface: s.Iface, TTL: 255, Broadcast: !s.To.IsValid(),
			OnLink: true,
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
		c.flow()
	}
}

// What was said on a network that proves to be a known one is forgotten there only when it is kept with the rest.
func TestWhatIsTakenOverIsNotLost(t *testing.T) {
	for _, full := range []bool{false, true} {
		c := newCable(t)
		a, b := c.host(1), c.host(1)
		c.wait(3 * time.Second)
		a.say("one")
		c.wait(3 * time.Second)
		c.hosts = []*host{a}
		a.plug(1)
		a.say("alone")
		c.wait(time.Second)
		c.hosts = []*host{a, b}
		if full {
			a.disk = errors.New("no space left")
		} else {
			a.slow = true
		}
		c.wait(3 * time.Second)
		if len(a.forgot) > 0 {
			t.Errorf("disk full %v: forgotten before it is kept elsewhere", full)
		}
		a.slow = false
		for _, s := range a.queued {
			a.kept[s.Scope] = append(a.kept[s.Scope], s.Records...)
			a.Stored(a.clock(), s.Token, nil, nil)
		}
		a.settle()
		if !full && len(a.forgot) != 1 {
			t.Errorf("%d scopes forgotten, want 1", len(a.forgot))
		}
	}
}

// Who leaves a room while one scope is taken into another loses neither: the store still has both.
func TestLeavingKeepsWhatIsNotYetTakenOver(t *testing.T) {
	for _, forget := range []bool{false, true} {
		c := newCable(t)
		a, b := c.host(1), c.host(1)
		c.wait(3 * time.Second)
		c.hosts = []*host{a}
		a.plug(1)
		a.say("alone")
		c.hosts = []*host{a, b}
		a.mute = true
		c.wait(3 * time.Second)
		if len(a.unread) != 1 || len(a.Scopes(lobby)) != 1 {
			t.Fatalf("%d loads, %d scopes", len(a.unread), len(a.Scopes(lobby)))
		}
		a.Do(a.clock(), 3, Leave{Room: lobby, Forget: forget})
		a.settle()
		for len(a.unread) > 0 {
			l := a.unread[0]
			a.unread = a.unread[1:]
			a.Loaded(a.clock(), l.Token, a.load(l))
			a.settle()
		}
		if want := map[bool]int{true: 2}[forget]; len(a.forgot) != want {
			t.Errorf("forget %v: %d scopes forgotten, want %d", forget, len(a.forgot), want)
		}
	}
}

// A scope may end that another is still on its way into: both go where it goes.
func TestWhatIsOnItsWayIntoAScopeThatEndsGoesOn(t *testing.T) {
	c := newCable(t)
	a, b := c.host(1), c.host(1)
	c.wait(3 * time.Second)
	home := a.Scopes(lobby)
	a.plug(2)
	d := c.host(2)
	c.wait(3 * time.Second)
	a.say("with another")
	c.hosts = []*host{a}
	a.plug(2)
	a.say("alone")
	a.mute = true
	c.hosts = []*host{a, d}
	c.wait(3 * time.Second)
	c.hosts = []*host{a, b, d}
	b.plug(2)
	c.wait(3 * time.Second)
	a.mute = false
	for _, l := range a.unread {
		a.Loaded(a.clock(), l.Token, a.load(l))
		a.settle()
	}
	if now := a.Scopes(lobby); !slices.Equal(now, home) || len(a.forgot) != 2 {
		t.Errorf("scopes %v, want %v; %d forgotten", now, home, len(a.forgot))
	}
	for _, text := range []string{"with another", "alone"} {
		if !a.keeps(home[0], text) {
			t.Errorf("%q is lost", text)
		}
	}
}

// keeps tells whether a scope in the store has a post.
func (h *host) keeps(scope ScopeID, text string) bool {
	return slices.ContainsFunc(h.kept[uint64(scope)], func(e record.Entry) bool {
		return bytes.Contains(e.Bytes(), []byte(text))
	})
}

// again starts the device's next process, from what its store has of the lobby.
func (h *host) again(kept []KeptScope) {
	h.cable.t.Helper()
	cfg, ifaces := h.cfg, h.ifaces
	cfg.Instance.Boot++
	var err error
	if h.Engine, err = New(h.clock(), cfg); err != nil {
		h.cable.t.Fatal(err)
	}
	h.SetInterfaces(h.clock(), ifaces)
	h.Do(h.clock(), 1, Join{Room: lobby, Kept: kept, Resume: true})
	h.settle()
}

// A record that the store refused may be found by the next process: who leaves and comes back in this one does not say
// its number again, though the store does not have it.
func TestRefusedNumberIsNotSaidAgain(t *testing.T) {
	for _, refused := range []bool{false, true} {
		a := newCable(t).host(1)
		a.say("kept")
		feed := a.kept[uint64(a.Scopes(lobby)[0])][0].Header.Feed
		kept := a.stored()
		kept[0].Own = &feed
		if refused {
			a.disk = errors.New("input/output error")
			a.say("refused")
			a.disk = nil
			a.cable.wait(time.Minute)
		}
		a.Do(a.clock(), 3, Leave{Room: lobby})
		a.cable.wait(time.Minute)
		a.Do(a.clock(), 4, Join{Room: lobby, Kept: kept, Resume: true})
		a.settle()
		a.say("again")
		all := a.kept[kept[0].ID]
		if last := all[len(all)-1].Header; (last.Feed == feed) == refused {
			t.Errorf("refused %v: then number %d of feed %x", refused, last.Seq, last.Feed.Epoch)
		}
	}
}

// stored is what the store has of the lobby, the scope that began first first.
func (h *host) stored() (all []KeptScope) {
	scopes := slices.SortedFunc(slices.Values(h.rooms[lobby].scopes), func(a, b *scope) int {
		return int(a.born) - int(b.born)
	})
	for _, s := range scopes {
		k := KeptScope{Scope: s.kept}
		for c, high := range s.chains {
			tip := h.load(Load{Scope: s.id, Ranges: []record.Span{{Chain: c, From: high, To: high}}})
			k.Chains = append(k.Chains, record.ChainState{Chain: c, Low: 1, High: high, Head: tip[0].Record})
		}
		all = append(all, k)
	}
	return all
}

// A process dies before all of one scope was in the other: the store knows two of one network. What is in either of
// them is served.
func TestNetworkOfTwoScopesIsOfOne(t *testing.T) {
	c := newCable(t)
	a, b := c.host(1), c.host(1)
	c.wait(3 * time.Second)
	a.say("one")
	c.wait(3 * time.Second)
	c.hosts = []*host{a}
	a.plug(1)
	a.say("alone")
	kept := a.stored()
	if len(kept) != 2 {
		t.Fatalf("%d scopes", len(kept))
	}
	kept[0].Networks = append(kept[0].Networks, kept[1].Networks...)
	a.again(kept)
	c.hosts = []*host{a, b}
	c.wait(5 * time.Second)
	a.say("three")
	c.wait(3 * time.Second)
	if want := []string{"one", "alone", "three"}; !slices.Equal(b.shown, want) {
		t.Errorf("the other shows %q, want %q", b.shown, want)
	}
	if now := a.Scopes(lobby); len(now) != 1 || !slices.Equal(a.forgot, []ScopeID{ScopeID(kept[1].ID)}) {
		t.Errorf("%d scopes; forgot %v", len(now), a.forgot)
	}
}

// A gateway that is known only a while after the link came makes the network a known one then (N2).
func TestGatewayIsKnownLater(t *testing.T) {
	c := newCable(t)
	a := c.host(1)
	gateway := NetworkID{1, 2, 3}
	named := func() {
		i := a.ifaces[0]
		i.Networks = append(slices.Clone(i.Networks), gateway)
		a.SetInterfaces(a.clock(), []Interface{i})
		a.settle()
	}
	named()
	before := a.Scopes(lobby)
	a.plug(1)
	a.say("no gateway yet")
	named()
	if now := a.Scopes(lobby); !slices.Equal(now, before) {
		t.Fatalf("scopes %v, want %v", now, before)
	}
	if !a.keeps(before[0], "no gateway yet") {
		t.Error("what was said before is not taken over")
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

// What is said together shares few records, in pieces of one size; its one Reply comes when all is kept.
func TestSayManyPosts(t *testing.T) {
	c := newCable(t)
	a, b := c.host(1), c.host(1)
	c.wait(time.Second)
	before := len(b.shown)
	posts := make([]record.Post, 100)
	for i := range posts {
		posts[i] = record.Post{Kind: record.KindText, Text: fmt.Sprintf("%0200d", i)}
	}
	a.slow = true
	a.Do(a.clock(), 7, Say{Room: lobby, Posts: posts, Ack: true})
	var out Output
	a.Drain(&out)
	if len(out.Store) != 1 || len(out.Store[0].Records) != 2 || len(out.Replies) != 0 {
		t.Fatalf("%d batches of %d records, %d replies", len(out.Store), len(out.Store[0].Records), len(out.Replies))
	}
	a.Stored(a.clock(), out.Store[0].Token, nil, nil)
	a.Drain(&out)
	if len(out.Replies) != 1 || out.Replies[0].Token != 7 || out.Replies[0].Members != 1 {
		t.Fatalf("replies %+v", out.Replies)
	}
	clear(b.sent)
	for i, s := range out.Send {
		if last := i == len(out.Send)-1; s.Type != wire.TypeFrag || len(s.Data) != 1400 && !last {
			t.Errorf("%d of %d: a %s of %d bytes", i, len(out.Send), s.Type, len(s.Data))
		}
		c.wait(time.Millisecond / 2) // as a busy host takes them
		c.carry(a, s)
	}
	c.wait(10 * time.Millisecond)
	if asked := b.sent[wire.TypeWant]; asked > 0 {
		t.Errorf("asked %d times for what was on its way", asked)
	}
	if got := b.shown[before:]; len(got) != len(posts) || got[99] != posts[99].Text {
		t.Errorf("%d posts shown of %d", len(got), len(posts))
	}
}

// The loss that is guessed at the start is forgotten once beats tell otherwise, though nobody comes or goes: where
// nothing gets lost a post goes out once.
func TestNothingIsRepeatedWhereNothingIsLost(t *testing.T) {
	c := newCable(t)
	for range 10 {
		c.host(1)
	}
	c.wait(30 * time.Second)
	a := c.hosts[0]
	clear(a.sent)
	a.say("once")
	c.wait(time.Second)
	if n := a.sent[wire.TypeRecord]; n != 1 {
		t.Errorf("sent %d times", n)
	}
}

// Who says more than the budget carries, and waits for the replies, is slowed to it: nothing waits until it is dropped,
// so that nobody has to ask for it.
func TestSayIsSlowedToTheBudget(t *testing.T) {
	c := newCable(t)
	a, b := c.host(1), c.host(1)
	c.wait(time.Second)
	const rate, count = 40_000, 600
	a.Do(a.clock(), 7, SetBudget{Broadcast: rate})
	clear(b.sent)
	before, began := len(b.shown), c.now
	for n := range count {
		replied := a.replied
		a.say(fmt.Sprint(n))
		for late := c.now + time.Minute; a.replied == replied && c.now < late; {
			c.wait(20 * time.Millisecond)
		}
		if a.replied == replied {
			t.Fatalf("nobody is told that post %d was said", n)
		}
	}
	took := c.now - began
	c.wait(3 * time.Second)
	if asked := b.sent[wire.TypeWant]; asked > 0 || took < time.Second || took > 10*time.Second {
		t.Errorf("said in %v, asked %d times for what was not sent", took, asked)
	}
	if got := len(b.shown) - before; got != count {
		t.Errorf("%d posts shown of %d", got, count)
	}
}

// A measurement lifts the budget, and gives it back.
func TestSetBudget(t *testing.T) {
	c := newCable(t)
	h := c.host(1)
	h.Do(h.clock(), 5, SetBudget{Broadcast: math.MaxInt32})
	h.budget.spend(1 << 30)
	c.now += time.Second
	if _, ok := h.budget.next(h.clock().Mono); ok || h.budget.tokens < 0 {
		t.Errorf("%v tokens with the budget lifted", h.budget.tokens)
	}
	h.Do(h.clock(), 6, SetBudget{})
	if h.budget.rate != wiredRate || h.budget.tokens > wiredBurst {
		t.Errorf("rate %v, %v tokens afterwards", h.budget.rate, h.budget.tokens)
	}
}
