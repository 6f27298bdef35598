package discovery

import (
	"net/netip"
	"slices"
	"sort"
	"time"

	"bcast/identity"
	"bcast/internal/wire"
)

// Status is what is believed of a peer.
type Status uint8

// The states of a device that was ever proven:
//
//	          echo                late BEAT             no answer
//	(unknown) ────▶ Here ───────────────────▶ Suspect ────────────▶ Lost
//	                ▲ ▲  ◀─────────────────── │                      │
//	                │ │    anything signed    │ BYE                  │
//	                │ └──── echo ─────────────┼──────────────────────┘
//	                └────── echo of a new ─── Left
//	                        instance
const (
	Here    Status = iota + 1 // proven, and heard when it was to be heard
	Suspect                   // its BEAT is late; it is being asked
	Lost                      // it did not answer
	Left                      // it said goodbye
)

var statusNames = [...]string{Here: "here", Suspect: "suspect", Lost: "lost", Left: "left"}

// String is the status as scripts see it.
func (s Status) String() string {
	if int(s) < len(statusNames) && s >= Here {
		return statusNames[s]
	}
	return "unknown"
}

// present tells whether the device counts as taking part.
func (s Status) present() bool { return s == Here || s == Suspect }

// Peer is another device as it is known at one moment. Times are on the caller's monotonic clock; the ones at which
// nothing has happened yet are negative.
type Peer struct {
	ID             identity.DeviceID
	Key            identity.PublicKey
	Instance       identity.Instance
	Nick           identity.Nick
	Addr           netip.AddrPort // proven; of a lost or left device the last one
	Iface          int            // index of the interface by which Addr is reached
	Proven         bool           // Addr is proven on the network that the interface is on now
	Reached        bool           // it echoed there what was sent to it alone
	Status         Status
	FirstSeen      time.Duration // first proven
	LastSeen       time.Duration // anything signed
	LastBroadcast  time.Duration
	LastUnicast    time.Duration
	RTT            time.Duration // last challenge sent and echoed by unicast; 0 before
	RecvBuffer     int           // bytes
	Watch, Wifi    bool
	Version        uint8
	Rooms          []identity.RoomName
	Services       []wire.Service
	UnicastBlocked bool    // its broadcasts arrive, our unicast does not
	StreamPort     uint16  // 0: none
	Missed         float64 // share of its BEATs that did not arrive here; below 0: none was counted yet
	Misses         float64 // share of all BEATs that it says to miss; below 0: it has not said
}

// Present tells whether the device is here, or suspected not to be, at an address that it proved.
func (p Peer) Present() bool { return p.Proven && p.Status.present() }

// never is a time before every other.
const never time.Duration = -1

// place is where a datagram came from and by which interface.
type place struct {
	iface int
	addr  netip.AddrPort
}

// path is a place that a device was heard at, and what passed between it and us there.
type path struct {
	place
	heard time.Duration // last datagram from it
	late  time.Duration // the next BEAT is late from then on

	theirs wire.Challenge // their latest, which an ANSWER echoes

	echoed    time.Duration  // when we last echoed it to all
	asked     wire.Challenge // ours, last sent to this place alone
	askedAt   time.Duration
	askedOnce bool // so that its echo measures the way there and back

	answered time.Duration // last ANSWER
	waiting  bool          // it has not been acknowledged
	failed   int           // ANSWERs and rounds of PROBEs in a row that were not
	reached  bool          // they echoed what went to them alone: the place is theirs, and they have proven us too
	credit   int           // datagrams heard from here and not answered: until it is reached, none may go out for nothing
	blocked  bool          // our unicast does not reach them
}

// fail counts an unanswered ANSWER or round of PROBEs.
func (t *path) fail() {
	t.waiting = false
	t.failed++
}

// giveUpWaiting counts the last ANSWER as failed if its ACK is overdue.
func (t *path) giveUpWaiting(now time.Duration) {
	if t.waiting && now >= t.answered+answerWait {
		t.fail()
	}
}

// peer is a device that was proven at least once.
type peer struct {
	id       identity.DeviceID
	key      identity.PublicKey
	instance identity.Instance
	ended    []identity.Instance // past ones, oldest first
	claims   wire.Claims         // of the highest counter
	counter  uint64
	status   Status

	paths   []*path // none unless present
	at      place   // the one in use; the last one if there is none
	blocked bool    // of that one

	firstSeen, lastSeen, lastBroadcast, lastUnicast, rtt time.Duration

	expect  time.Duration // suspicion begins then, if it is silent
	beats   loss
	shares  loss // the same, for longer
	misses  float64
	checks  window
	echoes  allowance
	probing probing

	lookAt time.Duration // when it is to be looked at
	slot   int           // its place in the agenda, from 1 on; 0: none
}

func (p *peer) path(at place) *path {
	for _, t := range p.paths {
		if t.place == at {
			return t
		}
	}
	return nil
}

// speaksFrom tells whether the peer has proven addr on any interface.
func (p *peer) speaksFrom(addr netip.AddrPort) bool {
	return slices.ContainsFunc(p.paths, func(t *path) bool { return t.addr == addr })
}

// hears tells whether the peer takes part on an interface.
func (p *peer) hears(iface int) bool {
	return p.status.present() && slices.ContainsFunc(p.paths, func(t *path) bool { return t.iface == iface })
}

func (d *Discovery) snapshot(p *peer) Peer {
	t := p.path(p.at)
	return Peer{
		ID: p.id, Key: p.key, Instance: p.instance, Nick: p.claims.Nick, Addr: p.at.addr, Iface: p.at.iface,
		Proven: t != nil, Reached: t != nil && t.reached, Status: p.status, FirstSeen: p.firstSeen, LastSeen: p.lastSeen,
		LastBroadcast: p.lastBroadcast, LastUnicast: p.lastUnicast, RTT: p.rtt, RecvBuffer: int(p.claims.RecvBuffer),
		Watch: p.claims.Watch || p.claims.RecvBuffer < watchBelow, Wifi: p.claims.Wifi, Version: p.claims.MaxVersion,
		Rooms: p.claims.Rooms, Services: p.claims.Services, UnicastBlocked: p.blocked, StreamPort: p.claims.StreamPort,
		Missed: p.shares.share(), Misses: p.misses,
	}
}

func (d *Discovery) lossOf(p *peer) float64 { return p.beats.estimate(d.mean()) }

func (d *Discovery) tell(kind EventKind, p *peer) {
	d.out.Events = append(d.out.Events, Event{Kind: kind, Peer: d.snapshot(p)})
}

// Peers is every device that was ever proven, in the order of their ids.
func (d *Discovery) Peers() []Peer {
	peers := make([]Peer, 0, len(d.peers))
	for _, p := range d.peers {
		peers = append(peers, d.snapshot(p))
	}
	return peers
}

// Peer is the device with this id, if it was ever proven.
func (d *Discovery) Peer(id identity.DeviceID) (Peer, bool) {
	if p := d.find(id); p != nil {
		return d.snapshot(p), true
	}
	return Peer{}, false
}

// Places are the addresses that a device has proven where it is heard now, the one in use among them.
func (d *Discovery) Places(id identity.DeviceID) (all []netip.Addr) {
	p := d.find(id)
	if p == nil {
		return nil
	}
	for _, t := range p.paths {
		all = append(all, t.addr.Addr().Unmap())
	}
	return all
}

// PeerAt is the present device that proved this address last.
func (d *Discovery) PeerAt(addr netip.AddrPort) (Peer, bool) {
	if p := d.byAddr[unmap(addr)]; p != nil {
		return d.snapshot(p), true
	}
	return Peer{}, false
}

// Present counts the peers here or suspected.
func (d *Discovery) Present() int { return d.present }

// search is where a device is in the table, or would be.
func (d *Discovery) search(id identity.DeviceID) int {
	return sort.Search(len(d.peers), func(i int) bool { return d.peers[i].id.Compare(id) >= 0 })
}

func (d *Discovery) find(id identity.DeviceID) *peer {
	if i := d.search(id); i < len(d.peers) && d.peers[i].id == id {
		return d.peers[i]
	}
	return nil
}

// add makes room for a device and enters it; nil if all in the table are present.
func (d *Discovery) add(id identity.DeviceID, key identity.PublicKey) *peer {
	if len(d.peers) >= maxPeers && !d.forget() {
		return nil
	}
	p := &peer{id: id, key: key, lastBroadcast: never, lastUnicast: never, misses: -1}
	d.peers = slices.Insert(d.peers, d.search(id), p)
	return p
}

// forget removes who was lost or left longest ago.
func (d *Discovery) forget() bool {
	oldest := -1
	for i, p := range d.peers {
		if !p.status.present() && (oldest < 0 || p.lastSeen < d.peers[oldest].lastSeen) {
			oldest = i
		}
	}
	if oldest < 0 {
		return false
	}
	d.peers = slices.Delete(d.peers, oldest, oldest+1)
	return true
}

func (d *Discovery) setStatus(p *peer, s Status) {
	switch {
	case s.present() && !p.status.present():
		d.present++
	case !s.present() && p.status.present():
		d.present--
	}
	d.reckon(p, func() { p.status = s })
}

// addPath enters a proven place and makes it the one in use.
func (d *Discovery) addPath(p *peer, t *path) {
	if len(p.paths) >= maxPaths {
		silent := slices.MinFunc(p.paths, func(a, b *path) int { return int(a.heard - b.heard) })
		d.dropPath(p, silent)
	}
	if p.paths = append(p.paths, t); len(p.paths) == 2 {
		d.several++
	}
	if t.addr.Addr().Is6() {
		d.sixes++
	}
	p.at, p.blocked = t.place, t.blocked
	d.name(p, t)
}

// name has an address name a peer. One that echoes there is not to be pushed away by who only says to be there.
func (d *Discovery) name(p *peer, t *path) {
	if owner := d.byAddr[t.addr]; owner == nil || t.reached || !owner.speaksFrom(t.addr) {
		d.byAddr[t.addr] = p
	}
}

// dropPath forgets a proven place. Its address goes on naming whoever else has proven it.
func (d *Discovery) dropPath(p *peer, t *path) {
	if p.paths = slices.DeleteFunc(p.paths, func(other *path) bool { return other == t }); len(p.paths) == 1 {
		d.several--
	}
	if t.addr.Addr().Is6() {
		d.sixes--
	}
	if d.byAddr[t.addr] != p || p.speaksFrom(t.addr) {
		return
	}
	delete(d.byAddr, t.addr)
	if i := slices.IndexFunc(d.peers, func(other *peer) bool { return other.speaksFrom(t.addr) }); i >= 0 {
		d.byAddr[t.addr] = d.peers[i]
	}
}

// dropPaths ends all that was proven of a peer's addresses.
func (d *Discovery) dropPaths(p *peer) {
	for len(p.paths) > 0 {
		d.dropPath(p, p.paths[0])
	}
}

// choose moves a peer to the path heard last if the one in use is gone or overdue. It tells whether it moved.
func (d *Discovery) choose(now time.Duration, p *peer) bool {
	current := p.path(p.at)
	if len(p.paths) == 0 || current != nil && now < current.late {
		return false
	}
	best := p.paths[0]
	for _, t := range p.paths[1:] {
		if t.heard > best.heard {
			best = t
		}
	}
	if best.place == p.at {
		return false
	}
	p.at, p.blocked = best.place, best.blocked
	return true
}

// follow moves a peer to a path that it proved before and speaks from again, twice within a moment, while nothing comes
// by the one in use: it went back to an old address, and is not to be sought at the other until its BEAT is late. Of
// BEATs no two come so soon: who has two interfaces does not move with each. It tells whether the peer moved.
func (d *Discovery) follow(p *peer, t *path, m *heard) bool {
	current := p.path(p.at)
	if current == nil || current == t || current.heard >= t.heard || m.now >= t.heard+strangeFor {
		return false
	}
	p.at, p.blocked = t.place, t.blocked
	return true
}

// end remembers an instance as one whose datagrams are refused.
func (p *peer) end(instance identity.Instance) {
	if slices.Contains(p.ended, instance) {
		return
	}
	if len(p.ended) >= maxEnded {
		p.ended = slices.Delete(p.ended, 0, 1)
	}
	p.ended = append(p.ended, instance)
}
