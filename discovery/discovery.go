package discovery

import (
	"encoding/binary"
	"math"
	"math/rand/v2"
	"net/netip"
	"slices"
	"time"

	"bcast/identity"
	"bcast/internal/wire"
)

// Config is what a Discovery is told of its device.
type Config struct {
	Self identity.DeviceID
	// Rand gives jitter and challenges: outside of tests a ChaCha8 with a seed from crypto/rand, because who can
	// predict a challenge can echo it unheard.
	Rand        *rand.Rand
	Nick        identity.Nick
	UnicastPort uint16
	StreamPort  uint16 // 0: none
	RecvBuffer  int    // bytes
	Rooms       []identity.RoomName
	Services    []wire.Service
}

// Interface is a network interface to take part on. Addrs are its own addresses, the first wire.MaxAddrs of which are
// announced; a datagram sent by it must have one of those as its source. Network is another value whenever the link
// may lead to another network than before: what was proven on the interface is then to be proven again.
//
// Second marks one by which all are reached that another interface does not reach, and nobody else: while nobody was
// met there no beats are sent by it.
type Interface struct {
	Index   int
	Addrs   []netip.Addr
	Wifi    bool
	Second  bool
	Network [16]byte
}

// Send is a datagram to be signed and sent: Type, To and Claims are set. A zero To is a broadcast on Iface, to its
// directed address or, if Limited, to 255.255.255.255.
type Send struct {
	Presence wire.Presence
	Iface    int
	To       netip.AddrPort
	Limited  bool
}

// EventKind says what has happened to a peer.
type EventKind uint8

// What can happen to a peer.
const (
	Appeared  EventKind = iota + 1 // first proven, back after it was lost or had left, or a new instance
	Changed                        // what it says of itself, its address, unicast; or suspected no longer
	Suspected                      // its BEAT is late
	Vanished                       // now Lost: it did not answer
	Departed                       // now Left: it said goodbye
)

// Event is one change of one peer, with the peer as it is after it.
type Event struct {
	Kind EventKind
	Peer Peer
}

// Output is what is to be done, in order.
type Output struct {
	Send    []Send
	Answers []Answer
	Events  []Event
}

// Discovery is one device's view of the link. The zero value is not usable; call New. It is not safe for use by
// several goroutines.
type Discovery struct {
	cfg       Config
	links     []*link                  // by interface index
	peers     []*peer                  // by id
	byAddr    map[netip.AddrPort]*peer // looked up, never ranged over
	agenda    agenda
	strangers []*stranger // longest silent first
	present   int
	sixes     int // proven places of IPv6
	several   int // peers that proved more than one place
	pooled    loss
	shares    []float64     // of BEATs missed, of each peer that counts for the median, sorted
	expected  float64       // Loss; below zero: to be found anew
	lag       time.Duration // from an ANSWER to its echo, lately
	checks    budget
	asks      []ask     // oldest first
	echoes    allowance // of all peers together
	out       Output
	wake      time.Duration // nothing is due before; often earlier than the next that is
	gone      bool          // Bye was called
}

// forever is the deadline when nothing is due.
const forever time.Duration = math.MaxInt64

// New is a Discovery that has heard nobody and announces nothing before SetInterfaces.
func New(cfg Config) *Discovery {
	cfg.Rooms, cfg.Services = slices.Clone(cfg.Rooms), slices.Clone(cfg.Services)
	return &Discovery{
		cfg: cfg, wake: forever, expected: -1,
		byAddr: map[netip.AddrPort]*peer{},
		checks: budget{sources: map[netip.AddrPort]int{}},
	}
}

// SetInterfaces says where to take part. The first call and every one that changes something starts an announcement on
// all of them; what was proven on an interface that is gone is no longer.
func (d *Discovery) SetInterfaces(now time.Duration, ifaces []Interface) {
	d.catchUp(now)
	ifaces = slices.Clone(ifaces)
	slices.SortFunc(ifaces, func(a, b Interface) int { return a.Index - b.Index })
	if slices.EqualFunc(d.links, ifaces, func(l *link, i Interface) bool { return l.Interface.equal(i) }) {
		return
	}
	links := make([]*link, 0, len(ifaces))
	var moved []int
	for _, i := range ifaces {
		l := d.link(i.Index)
		switch {
		case l == nil:
			l = &link{lastHello: never}
			l.beat = now + between(d.cfg.Rand, i.interval(1)/2, i.interval(1))
		case l.Network != i.Network:
			l.questions = [challengesKept]question{} // what was read on the old network proves nothing here
			moved = append(moved, i.Index)
		}
		l.Interface = i
		l.Addrs = slices.Clone(i.Addrs)
		links = append(links, l)
	}
	d.links = links
	d.dropGone(now, moved)
	d.announce(now)
}

// dropGone forgets the places on interfaces that are no longer there or have moved.
func (d *Discovery) dropGone(now time.Duration, moved []int) {
	gone := func(at place) bool { return d.link(at.iface) == nil || slices.Contains(moved, at.iface) }
	d.strangers = slices.DeleteFunc(d.strangers, func(s *stranger) bool { return gone(s.place) })
	for _, p := range d.peers {
		proven := len(p.paths) > 0
		for _, t := range slices.Clone(p.paths) {
			if gone(t.place) {
				d.dropPath(p, t)
			}
		}
		if chose := d.choose(now, p); p.status.present() && (chose || proven && len(p.paths) == 0) {
			d.tell(Changed, p)
		}
	}
}

// SetNick changes the name that is announced, and announces it.
func (d *Discovery) SetNick(now time.Duration, nick identity.Nick) {
	d.catchUp(now)
	if nick != d.cfg.Nick {
		d.cfg.Nick = nick
		d.announce(now)
	}
}

// SetRooms changes the public rooms that are announced, and announces them.
func (d *Discovery) SetRooms(now time.Duration, rooms []identity.RoomName) {
	d.catchUp(now)
	if !slices.Equal(rooms, d.cfg.Rooms) {
		d.cfg.Rooms = slices.Clone(rooms)
		d.announce(now)
	}
}

// SetServices changes what is said to be offered here, and announces it.
func (d *Discovery) SetServices(now time.Duration, services []wire.Service) {
	d.catchUp(now)
	if !slices.EqualFunc(services, d.cfg.Services, wire.Service.Equal) {
		d.cfg.Services = slices.Clone(services)
		d.announce(now)
	}
}

// Announce says again who we are, as at the start.
func (d *Discovery) Announce(now time.Duration) {
	d.catchUp(now)
	d.announce(now)
}

// Bye says on every interface that this instance ends. Nothing is announced, answered or expected after it; a second
// call says it again, for links that lose datagrams.
func (d *Discovery) Bye(now time.Duration) {
	d.gone, d.wake = true, forever
	for _, l := range d.links {
		d.out.Send = append(d.out.Send, Send{Iface: l.Index, Presence: wire.Presence{
			Type: wire.TypeBye, Claims: d.claims(now, l),
		}})
	}
}

// Deadline is when Advance is to be called; math.MaxInt64 when nothing is due. It is cheap.
func (d *Discovery) Deadline() time.Duration { return d.wake }

// Advance does what is due.
func (d *Discovery) Advance(now time.Duration) {
	d.catchUp(now)
	if d.gone || now < d.wake {
		return
	}
	d.wake = forever
	for _, l := range d.links {
		d.advanceLink(now, l)
	}
	for _, s := range d.strangers {
		d.advanceStranger(now, s)
	}
	d.advancePaths(now)
	for _, p := range d.duePeers(now) {
		if p.status.present() {
			d.advancePeer(now, p)
		}
	}
	d.dueNext()
}

// due says that Advance has something to do at t.
func (d *Discovery) due(t time.Duration) {
	if !d.gone {
		d.wake = min(d.wake, t)
	}
}

// catchUp notices that the process slept: nothing was heard because nobody listened. Peers get a fresh window to be
// heard in, and the announcement makes those that gave us up prove themselves, and us, again.
func (d *Discovery) catchUp(now time.Duration) {
	if d.wake == forever || now <= d.wake+resumeJump {
		return
	}
	d.wake = now
	for _, p := range d.peers {
		if p.status.present() {
			d.excuse(now, p)
		}
	}
	for _, l := range d.links {
		l.beat = max(l.beat, now+helloGap)
	}
	d.announce(now)
}

// Drain moves what is to be done to the end of out.
func (d *Discovery) Drain(out *Output) {
	out.Send = append(out.Send, d.out.Send...)
	out.Answers = append(out.Answers, d.out.Answers...)
	out.Events = append(out.Events, d.out.Events...)
	clear(d.out.Send)
	clear(d.out.Events)
	d.out = Output{Send: d.out.Send[:0], Events: d.out.Events[:0]}
}

// Loss estimates which share of broadcasts does not arrive. What decides how a peer is probed is the mean always: there
// caution costs little.
func (d *Discovery) Loss() float64 {
	if d.expected < 0 {
		d.expected = d.middle().estimate(lossPrior)
	}
	return d.expected
}

// Missed is the share of BEATs that did not arrive here, as counted.
func (d *Discovery) Missed() float64 { return max(d.middle().share(), 0) }

// mean is the share of all peers' BEATs that do not arrive here.
func (d *Discovery) mean() float64 { return d.pooled.estimate(lossPrior) }

// Misses notes which share of all BEATs a device says to miss.
func (d *Discovery) Misses(id identity.DeviceID, share float64) {
	if p := d.find(id); p != nil {
		p.misses = share
	}
}

// challenge is a question that only who reads it can echo.
func (d *Discovery) challenge() wire.Challenge {
	var c wire.Challenge
	binary.BigEndian.PutUint64(c[:8], d.cfg.Rand.Uint64())
	binary.BigEndian.PutUint64(c[8:], d.cfg.Rand.Uint64()|1) // never zero, which says that there is none
	return c
}

// between draws evenly from [low, high).
func between(r *rand.Rand, low, high time.Duration) time.Duration {
	if high <= low {
		return low
	}
	return low + time.Duration(r.Int64N(int64(high-low)))
}
