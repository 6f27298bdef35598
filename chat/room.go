package chat

import (
	"math"
	"math/rand/v2"
	"time"

	"bcast/identity"
	"bcast/internal/record"
	"bcast/internal/wire"
)

// Now is the time a Room is told: Mono drives timers, Wall is only written into records, for it may jump.
type Now struct {
	Mono time.Duration
	Wall time.Time
}

// never is the deadline of what is not due.
const never = time.Duration(math.MaxInt64)

// Config makes a Room.
type Config struct {
	ID          record.RoomID
	Key         *identity.Key
	RecvBuffer  int        // ours, in bytes: what answers to us must fit
	Epoch       uint64     // of our own feed: fresh random bits unless the store continues one
	Rand        *rand.Rand // timing only
	Verify      record.Verifier
	Fingerprint func([]byte) [16]byte // keyed by the room
}

// Peer is what a Room knows of a device present on the link.
type Peer struct {
	ID         identity.DeviceID
	RecvBuffer int
	Wifi       bool
	InRoom     bool // it says so in its presence; its join record may be on its way
}

// Destination classes order what waits for the broadcast budget: what was just said goes first.
const (
	Fresh Class = iota
	Repair
	Control
)

// Class says why something is sent.
type Class uint8

// Send is one frame to be sealed and sent. A zero To is everyone.
type Send struct {
	To     identity.DeviceID
	Class  Class
	Frame  wire.Frame
	Record record.ID // what it carries, if it carries a record or a part of one
}

// Load asks the store for records of this room; Loaded answers it by Token.
type Load struct {
	Token  uint64
	Ranges []record.Span
	IDs    []record.ID
}

// Output is what a Room wants done, in this order: what is stored must be kept before Stored is called, and what
// Stored then hands out may be sent.
type Output struct {
	Store  []*record.Record
	Load   []Load
	Send   []Send
	Events []Event
}

// EventKind says what happened.
type EventKind uint8

const (
	Posted EventKind = iota + 1
	Joined
	Left
	Renamed
	Received // Have of Members hold the own post Record
)

// Event is one fact of the conversation.
type Event struct {
	Kind    EventKind
	Record  *record.Record
	Index   int
	Post    record.Post
	Late    bool // belongs above what was shown before
	Device  identity.DeviceID
	Nick    identity.Nick
	Was     identity.Nick
	Members int
	Have    int
}

// Room is one room's conversation among those it shares a network with.
type Room struct {
	cfg   Config
	self  identity.DeviceID
	feeds map[record.Feed]*feed
	short map[record.ShortFeed]*feed
	own   *feed

	sum       sum           // over the claims of all feeds
	recent    []*feed       // feeds with a claim, the last changed last
	changedAt time.Duration // when sum last changed
	heldBytes int

	present map[identity.DeviceID]Peer
	members map[identity.DeviceID]*member

	link      Link
	profile   *profile
	limit     int
	limiter   identity.DeviceID
	asks      map[*feed]*ask
	answers   answers
	parts     assemblies
	trickle   trickle
	tail      tail
	receipts  map[*feed]time.Duration // when to tell the author of each what is stored of it
	awaited   []*awaited
	levels    map[identity.DeviceID]uint64     // how far each member has our own feed
	differing map[identity.DeviceID]difference // whose digests differ from ours
	served    map[identity.DeviceID]*served    // what each member may still be sent of repairs
	compared  time.Duration                    // when a comparison by ranges was last begun
	token     uint64
	topOrder  uint64  // of what was shown
	maxOrder  uint64  // of what was stored
	newest    []*feed // heads to cite as parents: changed by others since our last record
	out       Output
}

// Link is what the room's broadcasts travel over.
type Link struct {
	Wifi     bool
	Datagram int     // largest UDP payload, bytes
	Loss     float64 // share of broadcasts that do not arrive, as measured
}

// New makes a room with our own feed and nothing in it.
func New(now Now, cfg Config) *Room {
	r := &Room{
		cfg: cfg, self: cfg.Key.ID(),
		feeds: map[record.Feed]*feed{}, short: map[record.ShortFeed]*feed{},
		present: map[identity.DeviceID]Peer{}, members: map[identity.DeviceID]*member{},
		asks: map[*feed]*ask{}, receipts: map[*feed]time.Duration{},
		levels: map[identity.DeviceID]uint64{}, differing: map[identity.DeviceID]difference{},
		served: map[identity.DeviceID]*served{}, compared: -time.Hour,
	}
	r.answers.init()
	r.parts.init()
	r.own = r.feedOf(record.Feed{Author: cfg.Key.Public(), Epoch: cfg.Epoch})
	r.own.next = 1
	r.SetLink(Link{Datagram: wire.MaxDatagram})
	r.trickle.reset(now.Mono, r.profile, cfg.Rand)
	return r
}

// Drain moves everything to be done to out, whose slices it sets.
func (r *Room) Drain(out *Output) {
	*out = r.out
	r.out = Output{}
}

// Deadline is when Advance is due next.
func (r *Room) Deadline() time.Duration {
	return min(r.askDeadline(), r.answers.deadline(), r.trickle.deadline(), r.tail.deadline(), r.receiptDeadline())
}

// Advance does what has become due.
func (r *Room) Advance(now Now) {
	r.sendTail(now.Mono)
	r.sendAnswers(now.Mono)
	r.sendAsks(now.Mono)
	r.sendReceipts(now.Mono)
	if r.trickle.advance(now.Mono, r.profile, r.cfg.Rand) {
		r.sendDigest()
	}
}

// SetLink says what the room's broadcasts travel over now.
func (r *Room) SetLink(link Link) {
	same := r.link.Wifi == link.Wifi && r.link.Datagram == link.Datagram
	if r.link = link; !same {
		r.fit()
	}
}

// Present says that a device is here, or that what is known of it changed.
func (r *Room) Present(now Now, p Peer) {
	before, here := r.present[p.ID]
	was := here && r.isMember(p.ID)
	r.present[p.ID] = p
	if !here || before != p {
		r.fit()
	}
	if m := r.members[p.ID]; m != nil {
		m.heard = now.Wall
	}
	if !was && r.isMember(p.ID) {
		r.trickle.reset(now.Mono, r.profile, r.cfg.Rand)
		r.askAgain(now.Mono)
	}
}

// Absent says that a device is not here any more.
func (r *Room) Absent(now Now, id identity.DeviceID) {
	if _, known := r.present[id]; !known {
		return
	}
	delete(r.present, id)
	delete(r.differing, id)
	delete(r.served, id)
	for _, f := range r.short {
		f.forgetHolder(id)
	}
	r.fit()
}

// fit sets timing and the datagram limit by the members present (R30): the smallest buffer counts, unless those below
// 1400 bytes are a minority, which gets unicast copies in pieces.
func (r *Room) fit() {
	r.profile = &wired
	r.limit, r.limiter = min(wire.MaxDatagram, max(r.link.Datagram, wire.MinDatagram)), identity.DeviceID{}
	if r.link.Wifi {
		r.profile = &wifi
	}
	small, all, lowest := 0, 1, r.limit
	var limiter identity.DeviceID
	for id, p := range r.present {
		if !r.isMember(id) {
			continue
		}
		if p.Wifi {
			r.profile = &wifi
		}
		if p.RecvBuffer < wire.MinDatagram {
			continue
		}
		all++
		if p.RecvBuffer >= r.limit {
			continue
		}
		small++
		if p.RecvBuffer < lowest || p.RecvBuffer == lowest && id.Compare(limiter) < 0 {
			lowest, limiter = p.RecvBuffer, id
		}
	}
	if small*minorityShare >= all {
		r.limit, r.limiter = lowest, limiter
	}
}

// Limit is the room's datagram limit in bytes and the member whose buffer sets it, if one does.
func (r *Room) Limit() (int, identity.DeviceID) { return r.limit, r.limiter }

// OnWifi tells whether we or a member here are on Wi-Fi, so that the room goes easy on the air.
func (r *Room) OnWifi() bool { return r.profile == &wifi }

// crowd is how many take part here now, we included.
func (r *Room) crowd() int {
	n := 1
	for id := range r.present {
		if r.isMember(id) {
			n++
		}
	}
	return n
}

func (r *Room) send(to identity.DeviceID, class Class, f wire.Frame) {
	r.out.Send = append(r.out.Send, Send{To: to, Class: class, Frame: f})
}

// jitter is a random time below d.
func (r *Room) jitter(d time.Duration) time.Duration {
	if d <= 0 {
		return 0
	}
	return time.Duration(r.cfg.Rand.Int64N(int64(d)))
}

// Posts is how many records are stored without gaps, and how many are known of and missing.
func (r *Room) Posts() (stored, missing int) {
	for _, f := range r.feeds {
		stored += f.count()
		missing += f.missing()
	}
	return stored, missing
}
