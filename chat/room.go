package chat

import (
	"math"
	"math/rand/v2"
	"slices"
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
	Key         identity.Signer
	RecvBuffer  int                   // ours, in bytes: what answers to us must fit
	Kept        record.Kept           // what the store has of the room; it goes on from there
	Resume      bool                  // nothing of our own feed can be missing in Kept: it goes on, else one begins
	Rand        *rand.Rand            // timing, and the epochs of own feeds: seeded from a secret
	Fingerprint func([]byte) [16]byte // keyed by the room
	Direct      identity.PublicKey    // of the only other member; zero: who joins is one
	// Rekey reads a rekey's data: of which epoch the keys are, and to whom it gives them. Nil: the room has no keys that
	// change, and a rekey in it shuts nobody out.
	Rekey   func(data []byte) (epoch uint32, named []identity.DeviceID, ok bool)
	Holds   func(data []byte) bool // whether the keys of that rekey are had already; nil: none are
	Invited func(data []byte) bool // whether an invite brought them
}

// Peer is what a Room knows of a device present on the link.
type Peer struct {
	ID         identity.DeviceID
	Instance   identity.Instance // its run
	RecvBuffer int
	Wifi       bool
	InRoom     bool // it says so in its presence; its join record may be on its way
	Open       bool // what is for it alone goes to all: no unicast is known to reach it
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
	Store  record.Batch
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
	Received  // Have of Members have the own post Record
	Signalled // Device does Signal at this moment
	Foretold  // Record waits behind a gap and brings keys without which that may never close
	Forked    // Device signed Record and, with the same number, Branch: from that on its posts are of a branch
	Synced    // Have of the Total records that Device has more than we came by a stream
)

// Event is one fact of the conversation.
type Event struct {
	Kind    EventKind
	Record  *record.Record // of Joined and Left nil, where a rekey or a return says so
	Branch  record.ID      // of the author's fork that the record is in; zero: none
	Index   int            // of Posts[0] in Record
	Posts   []record.Post  // of Posted: one after the other as Record has them; nobody writes to it
	Late    bool           // belongs above what was shown before
	Device  identity.DeviceID
	Nick    identity.Nick
	Was     identity.Nick
	Members int
	Have    int
	Missing []identity.DeviceID // of Received: who does not have it, at most MaxMissing of them
	Total   int
	Done    bool // of Synced: the last one; if Have is less than Total, it broke off
	Signal  SignalKind
	Text    string // of Signal
}

// Room is one room's conversation among those it shares a network with.
type Room struct {
	cfg   Config
	self  identity.DeviceID
	other identity.DeviceID // of a direct room: the other one
	feeds map[record.Chain]*feed
	short map[record.ShortFeed]*feed
	own   *feed
	full  bool // nothing in these tables makes place, and nothing changed by which it might

	doubted   bool          // somebody claims more of our own feed than we have: our next record begins a new one
	renewedAt time.Duration // when an own feed was last begun

	sum       sum           // over the claims of all feeds
	recent    []*feed       // feeds with a claim, the last changed last
	mine      []*feed       // the own ones of them
	named     []*feed       // all of them by short name
	changes   uint64        // of claims, counted
	changedAt time.Duration // when sum last changed
	heldBytes int

	present map[identity.DeviceID]Peer
	members map[identity.DeviceID]*member
	company company // the members present, counted

	link        Link
	profile     *profile
	limit       int
	limiter     identity.DeviceID
	asks        map[*feed]*ask
	ragged      []*feed       // those that may lack something, and maybe others
	askAt       time.Duration // before when none of them is due
	askRest     time.Duration // before when none is looked at: they are many
	answers     answers
	parts       assemblies
	bulk        bulk
	trees       map[record.Feed]*tree
	walkAt      time.Duration   // before when no walk is due
	looks       map[uint64]look // by token of a Load
	splits      []*fork         // that the store does not know of yet, in the order in which it has to
	splitting   *record.Split   // the one that it was told of
	splitAt     time.Duration   // when it is told again, after it refused
	untold      []*fork         // whose proof is to be broadcast
	tells       served          // how many may be now
	trickle     trickle
	tail        tail
	receipts    receipts
	ledger      ledger
	differing   map[identity.DeviceID]difference // whose digests differ from ours
	served      map[identity.DeviceID]*served    // what each member may still be sent of repairs
	credits     map[identity.DeviceID]*served    // and of wants that bring nothing
	openly      served                           // and how much for one member may go to all now
	wakes       served                           // and how many copies of what we say to members on Wi-Fi
	compared    time.Duration                    // when a comparison by ranges was last begun
	aroundAt    time.Duration                    // before when no others are asked what they have of a feed
	rekeys      []*rekey                         // the last ones, as they were stored
	postponed   []postponed                      // the last ones of who was shut out
	longOut     map[identity.DeviceID]uint32     // since which epoch those are shut out whom rekeys of before these did
	keyEpoch    uint32                           // of what we say
	enrolled    enrolment                        // our own last join
	lapsed      bool                             // it is not kept, or was undone by a rekey: it is to be said again
	signals     map[identity.DeviceID]signalled  // of members here
	signalledAt time.Duration                    // when we last sent one
	awayAt      time.Duration                    // when we say again that we are away; never: we are not
	awayText    string
	token       uint64
	topOrder    uint64  // of what was shown
	maxOrder    uint64  // of what was stored
	newest      []*feed // heads to cite as parents: changed by others since our last record
	out         Output
}

// Link is what the room's broadcasts travel over.
type Link struct {
	Wifi     bool
	Datagram int     // largest UDP payload, bytes
	Loss     float64 // share of broadcasts that do not arrive, as is to be expected (R14)
	Missed   float64 // share that did not arrive here, as counted: told in receipts
}

// New makes a room with what was kept of it and our own feed.
func New(now Now, cfg Config) *Room {
	r := &Room{
		cfg: cfg, self: cfg.Key.Public().ID(),
		feeds: map[record.Chain]*feed{}, short: map[record.ShortFeed]*feed{},
		present: map[identity.DeviceID]Peer{}, members: map[identity.DeviceID]*member{},
		longOut: map[identity.DeviceID]uint32{},
		company: company{small: map[identity.DeviceID]int{}},
		asks:    map[*feed]*ask{}, askAt: never,
		served: map[identity.DeviceID]*served{}, credits: map[identity.DeviceID]*served{}, compared: -time.Hour,
		signals: map[identity.DeviceID]signalled{}, signalledAt: -signalEach, awayAt: never,
		trees: map[record.Feed]*tree{}, walkAt: never, looks: map[uint64]look{}, splitAt: never,
		tells: served{tokens: maxTells, at: now.Mono}, openly: served{tokens: openMost, at: now.Mono},
		wakes: served{tokens: maxWakes, at: now.Mono},
	}
	r.answers.init()
	r.parts.init()
	r.receipts.init()
	r.ledger.init()
	r.bulk.init()
	r.SetLink(Link{Datagram: wire.MaxDatagram})
	r.pair()
	r.restore(now, &cfg.Kept)
	if !r.resumes(&cfg) {
		r.renew(now.Mono)
	}
	r.renewedAt = now.Mono - doubtEach
	r.trickle.reset(now.Mono, r.profile, cfg.Rand)
	return r
}

// resumes tells whether our own feed may be gone on with: the one that we wrote last, if all of it is kept and nobody
// forked it.
func (r *Room) resumes(cfg *Config) bool {
	own := cfg.Kept.Own
	return cfg.Resume && r.own != nil && own != nil && r.own.id == (record.Chain{Feed: *own}) && r.own.fork == nil &&
		!slices.ContainsFunc(cfg.Kept.Chains, func(c record.ChainState) bool {
			return c.Chain.Feed == *own && !c.Chain.Branch.IsZero()
		})
}

// Drain moves everything to be done to out, whose slices it sets.
func (r *Room) Drain(out *Output) {
	*out = r.out
	r.out = Output{}
}

// Deadline is when Advance is due next.
func (r *Room) Deadline() time.Duration {
	return min(r.askDeadline(), r.answers.deadline(), r.trickle.deadline(), r.tail.deadline(), r.receipts.deadline(),
		r.ledger.deadline(), r.awayAt, r.bulkDeadline(), r.forkDeadline())
}

// Advance does what has become due.
func (r *Room) Advance(now Now) {
	r.sendTail(now.Mono)
	r.sendAnswers(now.Mono)
	r.sendAsks(now.Mono)
	r.sendForks(now.Mono)
	r.sendReceipts(now.Mono)
	r.inquire(now.Mono)
	r.tellWatched(now.Mono)
	r.saveLevels(now.Mono)
	r.sendAway(now.Mono)
	r.lookBehind(now.Mono)
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
	r.regard(p.ID, func() { r.present[p.ID] = p })
	if !here || before != p {
		r.fit()
	}
	r.heardBy(p.ID, now.Wall)
	if !here {
		r.tellAuthor(now.Mono, p.ID)
	}
	if !was || before.Instance != p.Instance {
		r.inquireAgain(now.Mono, p.ID)
	}
	if !was && r.isMember(p.ID) {
		r.trickle.reset(now.Mono, r.profile, r.cfg.Rand)
		r.askAgain(now.Mono, p.ID)
		r.tellNewcomer(now.Mono)
	}
}

// Absent says that a device is not here any more.
func (r *Room) Absent(now Now, id identity.DeviceID) {
	if _, known := r.present[id]; !known {
		return
	}
	r.heardBy(id, now.Wall)
	r.regard(id, func() { delete(r.present, id) })
	r.agrees(id)
	delete(r.ledger.agreed, id)
	delete(r.served, id)
	delete(r.signals, id)
	r.receipts.leave(id)
	delete(r.bulk.failures, id)
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
	if r.company.wifi > 0 {
		r.profile = &wifi
	}
	small, lowest := 0, r.limit
	var limiter identity.DeviceID
	for id, buffer := range r.company.small {
		if buffer >= r.limit {
			continue
		}
		small++
		if buffer < lowest || buffer == lowest && id.Compare(limiter) < 0 {
			lowest, limiter = buffer, id
		}
	}
	if small*minorityShare >= r.company.able+1 {
		r.limit, r.limiter = lowest, limiter
	}
}

// Limit is the room's datagram limit in bytes and the member whose buffer sets it, if one does.
func (r *Room) Limit() (int, identity.DeviceID) { return r.limit, r.limiter }

// OnWifi tells whether we or a member here are on Wi-Fi, so that the room goes easy on the air.
func (r *Room) OnWifi() bool { return r.profile == &wifi }

// company is the members present, so that a crowd is not counted for each of whom it consists.
type company struct {
	all, wifi int
	able      int                       // whose buffers take the smallest datagram
	small     map[identity.DeviceID]int // buffers of these that do not take the largest
}

// regard carries out a change of whether a device is here, or a member, and keeps the company in step.
func (r *Room) regard(id identity.DeviceID, change func()) {
	_, counted := r.count(id, -1)
	delete(r.company.small, id)
	change()
	p, counts := r.count(id, 1)
	switch {
	case counts && !counted:
		r.tail.demand.meet(id, r.own.next-1)
	case counted && !counts:
		delete(r.tail.demand.asked, id)
	}
	if counts && p.RecvBuffer >= wire.MinDatagram && p.RecvBuffer < wire.MaxDatagram {
		r.company.small[id] = p.RecvBuffer
	}
}

// count adds one who counts, or takes it away.
func (r *Room) count(id identity.DeviceID, one int) (Peer, bool) {
	p, here := r.present[id]
	if !here || !r.isMember(id) {
		return p, false
	}
	r.company.all += one
	if p.Wifi {
		r.company.wifi += one
	}
	if p.RecvBuffer >= wire.MinDatagram {
		r.company.able += one
	}
	return p, true
}

// crowd is how many take part here now, we included.
func (r *Room) crowd() int { return 1 + r.company.all }

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

// Order is the highest that our next record follows: what is above is far off (R7).
func (r *Room) Order() uint64 { return r.maxOrder }

// Posts is how many records are stored without gaps, and how many are known of and missing.
func (r *Room) Posts() (stored, missing int) {
	for _, f := range r.feeds {
		stored += f.count()
		missing += f.missing()
	}
	return stored, missing
}
