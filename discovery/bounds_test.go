package discovery

import (
	"encoding/binary"
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"
	"time"

	"bcast/identity"
	"bcast/internal/fuzztest"
	"bcast/internal/wire"
)

func numbered(n int) (key identity.PublicKey, addr netip.AddrPort) {
	binary.BigEndian.PutUint32(key[:], uint32(n)+1)
	return key, netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, byte(n >> 16), byte(n >> 8), byte(n)}), 27475)
}

// "Strangers get at most 500 checks a second together, 50 per source; known peers first."
func TestAdmit(t *testing.T) {
	c := newTalk(t)
	bob := c.device("10.0.0.2:27475", false)
	bob.meets()
	granted := func(ask func(i int) bool) int {
		n := 0
		for i := range 1000 {
			if ask(i) {
				n++
			}
		}
		return n
	}
	one := netip.MustParseAddr("10.0.0.3")
	fromOne := func(i int) bool {
		key, _ := numbered(i)
		return c.d.Admit(c.now, key, netip.AddrPortFrom(one, uint16(i)))
	}
	fromMany := func(i int) bool {
		key, addr := numbered(i)
		return c.d.Admit(c.now, key, addr)
	}
	if n := granted(fromOne); n != sourceChecks {
		t.Errorf("one source gets %d checks, want %d", n, sourceChecks)
	}
	if n := granted(fromMany); n != strangerChecks-sourceChecks {
		t.Errorf("the others get %d checks, want %d", n, strangerChecks-sourceChecks)
	}
	if n := granted(func(int) bool { return c.d.Admit(c.now, bob.key, bob.addr) }); n != peerChecks {
		t.Errorf("a peer gets %d checks, want %d", n, peerChecks)
	}
	if n := len(c.d.checks.sources); n > strangerChecks {
		t.Errorf("%d sources remembered", n)
	}
	c.now += checkWindow
	if !c.d.Admit(c.now, bob.key, bob.addr) || granted(fromOne) != sourceChecks {
		t.Error("no new budget in the next second")
	}
	// A name for the peer's address is not the peer; and daemons of one host are several sources.
	c.now += checkWindow
	local := netip.MustParseAddr("127.0.0.1")
	if n := granted(func(i int) bool {
		key, _ := numbered(i)
		return c.d.Admit(c.now, key, netip.AddrPortFrom(local, uint16(i%4)))
	}); n != 4*sourceChecks {
		t.Errorf("four daemons on one host get %d checks", n)
	}
	if n := granted(func(i int) bool {
		key, _ := numbered(i)
		return c.d.Admit(c.now, key, bob.addr)
	}); n != sourceChecks {
		t.Errorf("strangers at a peer's address get %d checks", n)
	}
}

// fill enters n peers, with one datagram each: the echo of our HELLO.
func fill(c *talk, from, n int) wire.Drop {
	var drop wire.Drop
	for i := from; i < from+n; i++ {
		key, addr := numbered(i)
		p := &wire.Presence{Type: wire.TypeAnswer, Key: key, Instance: identity.Instance{Boot: 1, Nonce: 1}, Counter: 1}
		p.Addrs, p.NextBeat = []netip.Addr{addr.Addr()}, maxPromise
		p.Challenge, p.Echo = wire.Challenge{1}, c.d.links[0].questions[0].challenge
		drop = c.d.Receive(c.now, p, addr, 1, false)
	}
	c.d.Drain(&Output{})
	return drop
}

func TestTablesAreBounded(t *testing.T) {
	c := newBurst(t)
	if drop := fill(c, 0, maxPeers); drop != "" || len(c.d.peers) != maxPeers || c.d.Present() != maxPeers {
		t.Fatalf("%d peers, drop %q", len(c.d.peers), drop)
	}
	if drop := fill(c, maxPeers, 1); drop != wire.DropTableFull || len(c.d.peers) != maxPeers {
		t.Errorf("%d peers, drop %q", len(c.d.peers), drop)
	}
	for i, at := range []int{7, 3} { // 7 leaves first
		key, addr := numbered(at)
		bye := &wire.Presence{Type: wire.TypeBye, Key: key, Instance: identity.Instance{Boot: 1, Nonce: 1}, Counter: 2}
		bye.Addrs = []netip.Addr{addr.Addr()}
		c.d.Receive(c.now+time.Duration(i), bye, addr, 1, true)
	}
	if drop := fill(c, maxPeers, 1); drop != "" || len(c.d.peers) != maxPeers {
		t.Errorf("%d peers, drop %q", len(c.d.peers), drop)
	}
	gone, _ := numbered(7)
	kept, _ := numbered(3)
	if _, ok := c.d.Peer(gone.ID()); ok {
		t.Error("who left longest ago is not who was forgotten")
	}
	if _, ok := c.d.Peer(kept.ID()); !ok {
		t.Error("who left last was forgotten")
	}
	if !slices.IsSortedFunc(c.d.Peers(), func(a, b Peer) int { return a.ID.Compare(b.ID) }) {
		t.Error("peers are not in the order of their ids")
	}
}

func TestStrangersAreBounded(t *testing.T) {
	c := newTalk(t)
	for i := range 3 * maxStrangers {
		key, addr := numbered(i)
		p := &wire.Presence{Type: wire.TypeHello, Key: key, Instance: identity.Instance{Boot: 1}}
		p.Addrs, p.Challenge = []netip.Addr{addr.Addr()}, wire.Challenge{1}
		c.d.Receive(c.now, p, addr, 1, true)
	}
	c.drain()
	if len(c.d.strangers) != maxStrangers || len(c.sent) != 3*maxStrangers {
		t.Errorf("%d strangers, %d answers", len(c.d.strangers), len(c.sent))
	}
}

func TestPathsAndInstancesAreBounded(t *testing.T) {
	c := newTalk(t)
	bob := c.device("10.0.0.2:27475", false)
	for range 3 * maxPaths {
		bob.addr = netip.AddrPortFrom(bob.addr.Addr(), bob.addr.Port()+1)
		c.now += time.Millisecond
		bob.says(wire.TypeHello)
		answer := c.want(wire.TypeAnswer, bob)
		bob.tells(wire.TypeAck, answer.Challenge)
	}
	p := c.d.find(bob.id())
	if len(p.paths) != maxPaths || len(c.d.byAddr) != maxPaths || p.at.addr != bob.addr {
		t.Errorf("%d paths, %d addresses, at %v", len(p.paths), len(c.d.byAddr), p.at.addr)
	}
	for range 3 * maxEnded {
		bob.instance.Boot++
		bob.says(wire.TypeHello)
		answer := c.want(wire.TypeAnswer, bob)
		bob.tells(wire.TypeAck, answer.Challenge)
	}
	if len(p.ended) != maxEnded || len(p.paths) != 1 || len(c.d.byAddr) != 1 {
		t.Errorf("%d instances, %d paths, %d addresses", len(p.ended), len(p.paths), len(c.d.byAddr))
	}
}

// chaos feeds a Discovery what data says, and checks after each step what must hold whatever comes.
type chaos struct {
	t       *testing.T
	d       *Discovery
	now     time.Duration
	out     Output
	heard   map[netip.AddrPort]int // datagrams from, and to, addresses that never echoed what went to them alone
	told    map[netip.AddrPort]int
	proven  [4]bool          // which of the addresses did
	asked   []wire.Challenge // what went out lately
	counter uint64
}

func newChaos(t *testing.T) *chaos {
	c := &chaos{t: t, heard: map[netip.AddrPort]int{}, told: map[netip.AddrPort]int{}}
	c.d = New(Config{Self: identity.DeviceID{0x80}, Rand: rand.New(rand.NewPCG(1, 1)), Nick: "me"})
	c.d.SetInterfaces(0, []Interface{wired, radio})
	c.check()
	return c
}

// step takes an operation of four bytes: what, who, how, when.
func (c *chaos) step(what, who, how, when byte) {
	c.now += time.Duration(when) * time.Duration(when) * time.Millisecond / 4
	switch what % 16 {
	case 0:
		c.d.SetNick(c.now, identity.Nick([]byte{'a' + how%26}))
	case 1:
		c.d.SetInterfaces(c.now, [][]Interface{{wired, radio}, {wired}, {radio}, nil}[how%4])
	case 2:
		p := c.presence(who, how)
		c.d.Alive(c.now, p.Key, p.Instance, p.from, p.iface, how&1 > 0)
	case 3, 4:
		c.d.Advance(c.now)
	default:
		p := c.presence(who, how)
		p.Type = wire.Type(what%16) - 4 // 1 to 11: also types that nobody knows
		if p.Type > wire.TypeEcho {
			p.Type = wire.TypeAck
		}
		if c.d.Admit(c.now, p.Key, p.from) {
			c.heard[p.from]++
			c.d.Receive(c.now, p.Presence, p.from, p.iface, how&1 > 0)
		}
	}
	c.check()
}

type arrival struct {
	*wire.Presence
	from  netip.AddrPort
	iface int
}

// presence is of one of 8 keys with 4 instances, from one of 4 addresses; it may echo what was asked lately.
func (c *chaos) presence(who, how byte) arrival {
	c.counter++
	key, _ := numbered(int(who & 7))
	_, from := numbered(int(who >> 3 & 3))
	p := &wire.Presence{Key: key, Instance: identity.Instance{Boot: uint32(who>>5&3) + 1}, Counter: c.counter}
	p.Addrs, p.Challenge = []netip.Addr{from.Addr()}, wire.Challenge{1, byte(c.counter)}
	p.NextBeat = time.Duration(how>>1&7) * time.Second
	if back := int(how >> 4); back > 0 && back <= len(c.asked) {
		p.Echo = c.asked[len(c.asked)-back]
	}
	return arrival{p, from, 1 + int(who>>7)}
}

// check looks at what the last step sent, lets due work be done and looks again.
func (c *chaos) check() {
	c.inspect()
	c.d.Advance(c.now)
	c.inspect()
	if at := c.d.Deadline(); at <= c.now {
		c.t.Fatalf("due at %v after Advance at %v", at, c.now)
	}
	present := 0
	for _, p := range c.d.Peers() {
		if p.Status.present() {
			present++
		} else if at, ok := c.d.PeerAt(p.Addr); ok && at.ID == p.ID {
			c.t.Fatalf("%v is found at its address", p.Status)
		}
	}
	if present != c.d.Present() {
		c.t.Fatalf("%d present, said to be %d", present, c.d.Present())
	}
}

// inspect counts what goes to addresses that had not echoed what went to them alone, neither before it was sent nor after.
func (c *chaos) inspect() {
	c.out = Output{}
	c.d.Drain(&c.out)
	before := c.proven
	c.proven = [4]bool{}
	for i := range c.proven {
		_, addr := numbered(i)
		p, known := c.d.PeerAt(addr)
		c.proven[i] = known && p.Reached
	}
	for _, s := range c.out.Send {
		if !s.Presence.Challenge.IsZero() {
			c.asked = append(c.asked, s.Presence.Challenge)
		}
		if !s.To.IsValid() {
			continue
		}
		if i := s.To.Addr().As4()[3]; !before[i] && !c.proven[i] {
			c.told[s.To]++
		}
		if c.told[s.To] > c.heard[s.To] {
			c.t.Fatalf("%d datagrams to %v, which sent %d and proved nothing", c.told[s.To], s.To, c.heard[s.To])
		}
	}
	c.asked = c.asked[max(0, len(c.asked)-15):]
}

// TA14-017A (SSDP ×30.8). "All of a kind the same size so that no answer outweighs its question": to an address that did
// not echo what went to it alone goes at most one datagram for each that came, whatever comes.
func TestADV_16_No_answer_outweighs_its_question(t *testing.T) {
	r := rand.New(rand.NewPCG(4, 4))
	for range 20 {
		c := newChaos(t)
		for range 500 {
			c.step(byte(r.Uint32()), byte(r.Uint32()), byte(r.Uint32()), byte(r.Uint32())>>(r.Uint32()%8))
		}
	}
}

func FuzzDiscovery(f *testing.F) {
	f.Add([]byte{5, 1, 1, 1, 7, 1, 0x10, 1, 8, 1, 1, 255, 3, 0, 0, 255})
	f.Add([]byte{5, 9, 1, 0, 6, 9, 0x11, 1, 9, 9, 0, 9, 10, 9, 1, 0, 5, 9, 1, 1})
	f.Add([]byte{5, 1, 1, 0, 7, 1, 0x10, 1, 1, 0, 3, 1, 4, 0, 0, 200, 1, 0, 0, 1, 5, 129, 1, 1, 7, 129, 0x20, 1})
	f.Fuzz(func(t *testing.T, ops []byte) {
		ops = ops[:min(len(ops), 2000)]
		fuzztest.Within(t, len(ops), 8<<10, 256<<10, func() {
			c := newChaos(t)
			for ops := ops; len(ops) >= 4; ops = ops[4:] {
				c.step(ops[0], ops[1], ops[2], ops[3])
			}
		})
	})
}
