package discovery

import (
	"container/heap"
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"
	"time"

	"bcast/identity"
	"bcast/internal/wire"
)

// lan connects Discovery values by a link that loses and delays, in virtual time. It does what the engine does around
// them: fills in who speaks, and drops what is for another instance.
type lan struct {
	now     time.Duration
	rand    *rand.Rand
	loss    float64
	hosts   []*host
	air     flight
	sent    int
	order   int
	journal uint64 // hash over everything sent and told
	trace   bool
}

type host struct {
	lan      *lan
	d        *Discovery
	key      identity.PublicKey
	instance identity.Instance
	addr     netip.AddrPort
	counter  uint64
	down     bool
	deaf     bool // to unicast
	events   []Event
	out      Output
}

type delivery struct {
	at        time.Duration
	order     int
	to        *host
	from      netip.AddrPort
	presence  *wire.Presence
	broadcast bool
}

type flight []delivery

func (f flight) Len() int      { return len(f) }
func (f flight) Swap(i, j int) { f[i], f[j] = f[j], f[i] }
func (f flight) Less(i, j int) bool {
	return f[i].at < f[j].at || f[i].at == f[j].at && f[i].order < f[j].order
}
func (f *flight) Push(x any) { *f = append(*f, x.(delivery)) }
func (f *flight) Pop() any {
	last := (*f)[len(*f)-1]
	*f = (*f)[:len(*f)-1]
	return last
}

func newLAN(seed uint64, loss float64) *lan {
	return &lan{rand: rand.New(rand.NewPCG(seed, 1)), loss: loss}
}

// start adds a host and plugs it in.
func (l *lan) start(wifi bool) *host {
	n := len(l.hosts) + 1
	h := &host{lan: l, addr: netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 77, byte(n >> 8), byte(n)}), 27475)}
	for i := range h.key {
		h.key[i] = byte(l.rand.Uint32())
	}
	l.hosts = append(l.hosts, h)
	h.boot(1, wifi)
	return h
}

// boot begins an instance.
func (h *host) boot(count uint32, wifi bool) {
	h.instance = identity.Instance{Boot: count, Nonce: h.lan.rand.Uint64()}
	h.counter, h.events, h.down = 0, nil, false
	h.d = New(Config{
		Self: h.key.ID(), Rand: rand.New(rand.NewPCG(h.lan.rand.Uint64(), 2)),
		Nick: identity.Nick(fmt.Sprint("host", h.addr.Addr())), UnicastPort: h.addr.Port(), RecvBuffer: 65535,
	})
	h.d.SetInterfaces(h.lan.now, []Interface{{Index: 1, Addrs: []netip.Addr{h.addr.Addr()}, Wifi: wifi}})
	h.drain()
}

func (h *host) drain() {
	h.out = Output{Send: h.out.Send[:0], Events: h.out.Events[:0]}
	h.d.Drain(&h.out)
	h.events = append(h.events, h.out.Events...)
	for i := range h.out.Send {
		s := &h.out.Send[i]
		h.counter++
		p := s.Presence
		p.Key, p.Instance, p.Counter = h.key, h.instance, h.counter
		p.NextBeat = p.NextBeat.Truncate(time.Millisecond)
		h.lan.carry(h, s, &p)
	}
}

func (l *lan) carry(from *host, s *Send, p *wire.Presence) {
	l.sent++
	if l.trace {
		sum := fnv.New64a()
		fmt.Fprintf(sum, "%d %d %v %v %v %+v", l.journal, l.now, from.addr, s.To, s.Iface, *p)
		l.journal = sum.Sum64()
	}
	for _, h := range l.hosts {
		open := !s.To.IsValid()
		if h == from || h.down || !open && (s.To != h.addr || h.deaf) || l.rand.Float64() < l.loss {
			continue
		}
		if !p.To.IsZero() && p.To != h.instance {
			continue
		}
		l.order++
		delay := 100*time.Microsecond + time.Duration(l.rand.Int64N(int64(400*time.Microsecond)))
		heap.Push(&l.air, delivery{l.now + delay, l.order, h, from.addr, p, open})
	}
}

// step does what comes next, if that is before end.
func (l *lan) step(end time.Duration) bool {
	next, who := end, (*host)(nil)
	for _, h := range l.hosts {
		if at := h.d.Deadline(); !h.down && at < next {
			next, who = at, h
		}
	}
	if len(l.air) > 0 && l.air[0].at <= next && l.air[0].at < end {
		m := heap.Pop(&l.air).(delivery)
		l.now = max(l.now, m.at)
		if !m.to.down {
			m.to.d.Receive(l.now, m.presence, m.from, 1, m.broadcast)
			m.to.drain()
		}
		return true
	}
	if who == nil {
		l.now = end
		return false
	}
	l.now = max(l.now, next)
	who.d.Advance(l.now)
	who.drain()
	return true
}

func (l *lan) run(d time.Duration) {
	for end := l.now + d; l.step(end); {
	}
}

// runUntil runs until ok holds, at most for d, and tells how long it took.
func (l *lan) runUntil(d time.Duration, ok func() bool) (time.Duration, bool) {
	start := l.now
	for end := l.now + d; !ok(); {
		if !l.step(end) {
			return l.now - start, ok()
		}
	}
	return l.now - start, true
}

// level tells whether all hosts that are up have one another as here.
func (l *lan) level() bool {
	up := 0
	for _, h := range l.hosts {
		if !h.down {
			up++
		}
	}
	return !slices.ContainsFunc(l.hosts, func(h *host) bool { return !h.down && h.d.Present() != up-1 })
}

func (h *host) count(kind EventKind) int {
	n := 0
	for _, e := range h.events {
		if e.Kind == kind {
			n++
		}
	}
	return n
}

func (l *lan) count(kind EventKind) int {
	n := 0
	for _, h := range l.hosts {
		n += h.count(kind)
	}
	return n
}

func (l *lan) startAll(n int, wifi bool) {
	for range n {
		l.start(wifi)
	}
}

func TestHostsStartedTogetherFindEachOther(t *testing.T) {
	for _, c := range []struct {
		hosts  int
		loss   float64
		within time.Duration
	}{
		{2, 0, 25 * time.Millisecond},
		{10, 0, 25 * time.Millisecond},
		{10, 0.1, 300 * time.Millisecond},
		{10, 0.3, time.Second},
		{40, 0, 25 * time.Millisecond},
	} {
		for seed := range uint64(3) {
			l := newLAN(seed, c.loss)
			l.startAll(c.hosts, false)
			took, ok := l.runUntil(20*time.Second, l.level)
			if !ok || took > c.within {
				t.Errorf("%d hosts at %.0f %% loss, seed %d: level %v after %v, want %v",
					c.hosts, 100*c.loss, seed, ok, took, c.within)
			}
		}
	}
}

// Of a pair that starts together one asks and the other answers, and later the other way round, to be sure: four
// datagrams, and not more when nothing gets lost.
func TestStartCostsFourUnicastsAPair(t *testing.T) {
	const hosts = 10
	l := newLAN(1, 0)
	l.startAll(hosts, false)
	l.run(2500 * time.Millisecond)
	hellos, beats, pairs := 5*hosts, hosts, hosts*(hosts-1)/2
	if most := hellos + beats + 4*pairs; l.sent > most {
		t.Errorf("%d datagrams, want at most %d", l.sent, most)
	}
}

// BEAT every max(4 s, N/8 s) wired, max(8 s, N/4 s) on Wi-Fi.
func TestSteadyTrafficIsFlat(t *testing.T) {
	for _, c := range []struct {
		hosts int
		wifi  bool
		rate  float64 // datagrams a second of all together
	}{
		{2, false, 0.5}, {10, false, 2.5}, {32, false, 8}, {48, false, 8},
		{10, true, 1.25}, {40, true, 4},
	} {
		l := newLAN(7, 0)
		l.startAll(c.hosts, c.wifi)
		l.run(30 * time.Second)
		const span = 60
		before := l.sent
		l.run(span * time.Second)
		if rate := float64(l.sent-before) / span; rate < 0.9*c.rate || rate > 1.05*c.rate {
			t.Errorf("%d hosts, wifi %v: %.2f datagrams/s, want %.2f", c.hosts, c.wifi, rate, c.rate)
		}
		if l.count(Suspected) > 0 {
			t.Errorf("%d hosts, wifi %v: %d suspected without loss", c.hosts, c.wifi, l.count(Suspected))
		}
	}
}

// A crash is seen within 5 s without loss (N ≤ 32), 8 s at 30 %.
func TestCrashIsSeen(t *testing.T) {
	for _, c := range []struct {
		hosts  int
		loss   float64
		wifi   bool
		up     time.Duration // when it crashes, earliest
		within time.Duration
	}{
		{10, 0, false, 10 * time.Second, 5 * time.Second},
		{32, 0, false, 10 * time.Second, 5 * time.Second},
		{2, 0, false, 30 * time.Second, 5 * time.Second},
		{10, 0.3, false, 10 * time.Second, 8 * time.Second},
		{10, 0, true, 30 * time.Second, 10700 * time.Millisecond}, // 8.2 + 0.4 + 0.1 + 1.9 s, and a little
	} {
		for seed := range uint64(5) {
			l := newLAN(seed, c.loss)
			l.startAll(c.hosts, c.wifi)
			l.run(c.up + time.Duration(seed)*977*time.Millisecond)
			victim := l.hosts[0]
			victim.down = true
			took, _ := l.runUntil(20*time.Second, l.level)
			if took > c.within {
				t.Errorf("%d hosts, loss %.1f, seed %d: seen after %v, want %v", c.hosts, c.loss, seed, took, c.within)
			}
			// Back at once when restarted.
			victim.boot(2, c.wifi)
			if took, ok := l.runUntil(3*time.Second, l.level); !ok || c.loss == 0 && took > 25*time.Millisecond {
				t.Errorf("%d hosts, loss %.1f, seed %d: back %v after %v", c.hosts, c.loss, seed, ok, took)
			}
		}
	}
}

// Ten hosts at 30 % loss for an hour: at most one false "lost" together.
func TestLossyHour(t *testing.T) {
	const seed = 0
	l := newLAN(seed, 0.3)
	l.startAll(10, false)
	l.run(time.Hour)
	if lost := l.count(Vanished); lost > 1 {
		t.Errorf("seed %d: %d lost, and all were there", seed, lost)
	}
	for _, h := range l.hosts {
		if p := h.d.Loss(); p < 0.15 || p > 0.45 {
			t.Errorf("seed %d: %v estimates a loss of %.2f", seed, h.addr, p)
		}
		for _, p := range h.d.Peers() {
			if p.Missed <= 0 || p.Missed > 0.7 || p.Misses >= 0 {
				t.Errorf("seed %d: %v missed %.2f of %v, which says to miss %.2f", seed, h.addr, p.Missed, p.Addr, p.Misses)
			}
		}
		for _, e := range h.events {
			if e.Peer.UnicastBlocked {
				t.Fatalf("seed %d: unicast to %v taken for blocked at %v", seed, e.Peer.Addr, e.Peer.LastSeen)
			}
		}
	}
	if rate := float64(l.sent) / 3600; rate > 16 {
		t.Errorf("seed %d: %.1f datagrams/s", seed, rate)
	}
}

func TestSameSeedSameOutput(t *testing.T) {
	run := func(seed uint64) uint64 {
		l := newLAN(seed, 0.2)
		l.trace = true
		l.startAll(8, false)
		l.run(20 * time.Second)
		l.hosts[2].d.SetNick(l.now, "other")
		l.hosts[2].drain()
		l.hosts[3].down = true
		l.run(20 * time.Second)
		return l.journal
	}
	if a, b := run(5), run(5); a != b {
		t.Errorf("one seed, two outputs: %x and %x", a, b)
	}
	if a, b := run(5), run(6); a == b {
		t.Error("the journal does not depend on the seed")
	}
}

// A peer whose unicast fails while its broadcasts arrive is answered by broadcast, shown as blocked, and not lost.
func TestDeafToUnicast(t *testing.T) {
	l := newLAN(3, 0)
	l.startAll(3, false)
	deaf := l.hosts[0]
	deaf.deaf = true
	if took, ok := l.runUntil(15*time.Second, l.level); !ok {
		t.Fatalf("not level after %v", took)
	}
	l.run(20 * time.Second)
	for _, h := range l.hosts[1:] {
		if p, _ := h.d.Peer(deaf.key.ID()); !p.UnicastBlocked || p.Status != Here {
			t.Errorf("%v: blocked %v, %v; want blocked and here", h.addr, p.UnicastBlocked, p.Status)
		}
		if h.count(Vanished) > 0 {
			t.Errorf("%v lost somebody", h.addr)
		}
	}
	deaf.deaf = false
	l.run(unicastRetry + 10*time.Second)
	for _, h := range l.hosts[1:] {
		if p, _ := h.d.Peer(deaf.key.ID()); p.UnicastBlocked {
			t.Errorf("%v: still blocked", h.addr)
		}
	}
}

// An access point that isolates its stations passes broadcasts only, both ways.
func TestIsolatedStations(t *testing.T) {
	l := newLAN(3, 0)
	l.startAll(4, true)
	for _, h := range l.hosts {
		h.deaf = true
	}
	if took, ok := l.runUntil(40*time.Second, l.level); !ok {
		t.Fatalf("not level after %v", took)
	}
	l.run(5 * time.Minute)
	for _, h := range l.hosts {
		for _, p := range h.d.Peers() {
			if !p.UnicastBlocked || p.Status != Here {
				t.Errorf("%v has %v: blocked %v, %v", h.addr, p.Addr, p.UnicastBlocked, p.Status)
			}
		}
	}
	if n := l.count(Vanished); n > 0 {
		t.Errorf("%d lost", n)
	}
}

// A process that slept does not take everybody for lost, and is level again at once.
func TestResume(t *testing.T) {
	l := newLAN(9, 0)
	l.startAll(5, false)
	l.run(20 * time.Second)
	sleeper := l.hosts[0]
	sleeper.down = true
	l.run(30 * time.Second)
	sleeper.down = false
	sleeper.d.Advance(l.now)
	sleeper.drain()
	if n := sleeper.count(Suspected) + sleeper.count(Vanished); n > 0 {
		t.Errorf("suspects %d others of its own sleep", n)
	}
	if took, ok := l.runUntil(2*time.Second, l.level); !ok {
		t.Errorf("not level after %v", took)
	}
	l.run(10 * time.Second)
	if n := sleeper.count(Suspected); n > 0 {
		t.Errorf("suspects %d later", n)
	}
}
