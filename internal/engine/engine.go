package engine

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/netip"
	"slices"
	"time"

	"bcast/chat"
	"bcast/discovery"
	"bcast/identity"
	"bcast/internal/record"
	"bcast/internal/seal"
	"bcast/internal/wire"
)

// Limits: each with what happens when it is reached.
const (
	maxRooms   = 256              // Join fails: every datagram is tried against the tag of each
	maxScopes  = 64               // of one room; the network left longest ago is forgotten
	maxKnown   = 2048             // members of a scope by whom its network is known again; later ones do not count
	maxWindows = 4096             // replay windows; those of strangers are forgotten together
	maxSent    = 256              // datagrams that a CUT can still name
	maxStoring = 1024             // own posts on their way to the store; Say answers ErrBusy
	maxBacklog = 16 << 20         // bytes on their way to the store; records of others are refused, and come again
	retryStore = 10 * time.Second // after the store failed, until it is tried again
	cutsEach   = time.Second / 10 // between two CUTs
)

// Errors that a Reply carries.
var (
	ErrNotJoined = errors.New("room not joined")
	ErrBusy      = errors.New("too many posts are waiting to be stored")
	ErrRooms     = fmt.Errorf("more than %d rooms", maxRooms)
	ErrReadOnly  = errors.New("nothing can be stored now")
)

// Now is the time the engine is told.
type Now = chat.Now

// Config makes an Engine.
type Config struct {
	Key         *identity.Key
	Signer      identity.Signer // signs for Key; nil: Key itself
	Instance    identity.Instance
	Nick        identity.Nick
	RecvBuffer  int // bytes; below 512 the engine only watches
	UnicastPort uint16
	StreamPort  uint16
	Random      io.Reader  // keys and nonces
	Timing      *rand.Rand // jitter, challenges, epochs; seeded from a secret
	Verify      record.Verifier
	Prove       Prover       // of datagrams that prove themselves; nil: Verify, without a budget
	NewAEAD     seal.NewAEAD // nil: XChaCha20-Poly1305
	Broadcast   int          // bytes a second; 0: by the kind of link
	// Share gives the record that is kept in place of one that was opened and is right: where many engines are in one
	// process, each has what all have. Nil: that record.
	Share func(*record.Record) *record.Record
	// OpenInPlace lets Open decrypt where a datagram lies what Receive copies or forgets, if nobody else needs its bytes.
	OpenInPlace bool
}

// NetworkID tells networks apart, so that a room's history does not follow a laptop from one into another.
type NetworkID [16]byte

// Interface is one network interface in use. Networks are the names of the network it is on; any of them will do to
// know it again. The first changes whenever the link may lead elsewhere than before.
//
// Other is the interface by which the same wire is reached by the other family of addresses, 0 if there is none. Of the
// two the Second one is that of IPv6: what is broadcast there is for those who have IPv6 alone.
type Interface struct {
	Index    int
	Addrs    []netip.Addr
	MTU      int // of IPv4; of IPv6 as much less as its header is longer
	Wifi     bool
	Networks []NetworkID
	Other    int
	Second   bool
}

// Engine is one participant.
type Engine struct {
	cfg       Config
	id        identity.DeviceID
	discovery *discovery.Discovery
	ifaces    []Interface
	rooms     map[identity.RoomName]*room
	ordered   []*room // the same, by name
	opener    *Opener
	nonces    *nonces
	windows   map[speaker]*seal.Window
	counter   uint64
	sent      sentLog
	budget    budget
	cutAt     time.Duration // before which no CUT is sent
	cuts      cuts
	loss      float64 // of broadcasts, as the rooms were told
	ownHeard  map[int]time.Duration
	saying    map[record.ID]uint64  // token of the Do that waits for it to be stored
	said      []Reply               // to those whose posts are stored, while too much waits to be broadcast
	storing   map[uint64]storing    // by token of a Store
	backlog   int                   // bytes of records in it
	shares    shares                // the same by author
	loading   map[uint64]*scope     // by token of a Load
	absorbing map[uint64]absorption // what a Load brings goes into this scope
	emptied   []absorption          // what was to be brought is on its way to the store
	lastToken uint64
	streams   []*stream                    // by when they began
	pulling   *stream                      // the one of them that we pull by
	dialled   uint64                       // the id of the next stream that we dial, less one
	serving   map[uint64]*stream           // by token of a Load
	knocks    map[identity.DeviceID]*knock // of who may open a direct room with us
	knockAt   time.Duration                // before which no keys are derived for another one
	twin      twin
	asking    []asking
	failed    error         // of the store, lately
	retryAt   time.Duration // when it is tried again
	// unsure are the scopes in which an own record was refused. The store's next process may find it there.
	unsure map[ScopeID]bool
	out    Output
}

// speaker is one run of a device: what a replay window is for.
type speaker struct {
	id       identity.DeviceID
	instance identity.Instance
}

// New makes a participant that is on no network and in no room.
func New(now Now, cfg Config) (*Engine, error) {
	n, err := newNonces(cfg.Random)
	if err != nil {
		return nil, err
	}
	if cfg.Signer == nil {
		cfg.Signer = cfg.Key
	}
	e := &Engine{
		cfg: cfg, id: cfg.Key.ID(), nonces: n,
		rooms: map[identity.RoomName]*room{}, windows: map[speaker]*seal.Window{}, ownHeard: map[int]time.Duration{},
		saying: map[record.ID]uint64{}, storing: map[uint64]storing{},
		loading: map[uint64]*scope{}, absorbing: map[uint64]absorption{}, serving: map[uint64]*stream{},
		shares: shares{bytes: map[identity.PublicKey]int{}},
		knocks: map[identity.DeviceID]*knock{}, unsure: map[ScopeID]bool{},
		twin: twin{gone: never},
	}
	e.discovery = discovery.New(discovery.Config{
		Self: e.id, Rand: cfg.Timing, Nick: cfg.Nick,
		UnicastPort: cfg.UnicastPort, StreamPort: cfg.StreamPort, RecvBuffer: cfg.RecvBuffer,
	})
	e.loss = e.discovery.Loss()
	if e.cfg.Prove == nil {
		e.cfg.Prove = unbudgeted(cfg.Verify)
	}
	e.sent.init()
	e.budget.init(now.Mono, cfg.Broadcast)
	e.refreshOpener()
	return e, nil
}

// Watching tells that the receive buffer is too small to take part.
func (e *Engine) Watching() bool { return e.cfg.RecvBuffer < wire.MinDatagram }

// Opener is the part of receiving that needs no state but the room keys. It is immutable; after a Join or Leave there
// is a new one.
func (e *Engine) Opener() *Opener { return e.opener }

// SetInterfaces says which interfaces there are now. Each change is announced.
func (e *Engine) SetInterfaces(now Now, ifaces []Interface) {
	e.ifaces = ifaces
	if len(ifaces) > 0 { // else what was spent stays spent
		e.fitBudget(now)
	}
	own := make([]discovery.Interface, len(ifaces))
	for i, f := range ifaces {
		own[i] = discovery.Interface{Index: f.Index, Addrs: f.Addrs, Wifi: f.Wifi, Second: f.Second}
		if len(f.Networks) > 0 {
			own[i].Network = f.Networks[0]
		}
	}
	e.discovery.SetInterfaces(now.Mono, own) // first: who was proven elsewhere is nobody here
	for _, r := range e.ordered {
		e.settle(now, r)
	}
	e.settleOut(now)
}

// Deadline is when Advance is due next.
func (e *Engine) Deadline() time.Duration {
	at := min(e.discovery.Deadline(), e.budget.deadline(), e.streamDeadline(), e.cuts.deadline(), e.twin.gone,
		e.askDeadline())
	for _, r := range e.ordered {
		at = min(at, r.rekeyDeadline())
		for _, s := range r.scopes {
			at = min(at, s.chat.Deadline())
		}
	}
	return at
}

// Advance does what has become due.
func (e *Engine) Advance(now Now) {
	e.outlive(now)
	e.discovery.Advance(now.Mono)
	for _, r := range e.ordered {
		if r.changesKeys() {
			e.sayRekeys(now, r)
			e.seek(now, r)
		}
		for _, s := range r.scopes {
			if s.chat.Deadline() <= now.Mono {
				s.chat.Advance(now)
			}
		}
	}
	e.endOverdue(now)
	e.showCuts(now.Mono)
	e.giveUpAsking(now)
	e.settleOut(now)
}

// storing is a batch on its way to the store.
type storing struct {
	scope *scope
	batch record.Batch
	bytes int
}

// Stored says that what Output.Store handed out under token is kept, and which records were given up for it; or why it
// is not. Then the engine reads and serves, and takes nothing that would have to be kept, until it tries again.
func (e *Engine) Stored(now Now, token uint64, floors []record.Floor, err error) {
	st, known := e.storing[token]
	if !known {
		return
	}
	delete(e.storing, token)
	e.backlog -= st.bytes
	for _, rec := range st.batch.Records {
		e.shares.remove(rec.Header.Feed.Author, len(rec.Bytes()))
	}
	if err != nil {
		if e.failed == nil {
			e.out.Events = append(e.out.Events, Event{Kind: StoreEvent, Err: err})
		}
		e.failed, e.retryAt = err, now.Mono+retryStore
		if st.batch.Own != nil {
			e.unsure[st.scope.id] = true
		}
		st.scope.chat.Refused(now, st.batch)
		e.keepEmptied(st.scope)
		e.keepAgain(st.scope)
	} else {
		if e.failed != nil {
			e.out.Events = append(e.out.Events, Event{Kind: StoreEvent})
		}
		e.failed = nil
		st.scope.chat.Stored(now, st.batch, floors)
		e.rejoin(now, st.scope)
	}
	for _, rec := range st.batch.Records {
		e.farewell(now, st.scope, rec.ID)
		if err != nil {
			e.reply(rec.ID, Reply{Err: fmt.Errorf("%w: %w", ErrReadOnly, err)})
			continue
		}
		members, have := st.scope.chat.Tally(rec)
		e.reply(rec.ID, Reply{Record: rec.ID, Members: members, Have: have})
	}
	e.settleOut(now)
}

// readOnly is why nothing can be kept now; nil if it can, or is to be tried again.
func (e *Engine) readOnly(now Now) error {
	if e.failed != nil && now.Mono < e.retryAt {
		return fmt.Errorf("%w: %w", ErrReadOnly, e.failed)
	}
	return nil
}

// StoreFailure is why the store does not keep anything now, nil if it does.
func (e *Engine) StoreFailure() error { return e.failed }

// Given says what the store gave up by itself.
func (e *Engine) Given(now Now, scope ScopeID, floors []record.Floor) {
	for _, r := range e.ordered {
		for _, s := range r.scopes {
			if s.id == scope {
				s.chat.Floors(now, floors)
				e.rejoin(now, s)
			}
		}
	}
	e.settleOut(now)
}

// Loaded brings what Output.Load asked for under token.
func (e *Engine) Loaded(now Now, token uint64, records []record.Entry) {
	if a := e.absorbing[token]; a.into != nil {
		e.absorbed(now, token, a, records)
	} else if s := e.loading[token]; s != nil {
		delete(e.loading, token)
		s.chat.Loaded(now, s.loads[token], records)
		delete(s.loads, token)
	} else if st := e.serving[token]; st != nil {
		delete(e.serving, token)
		e.fetched(now, st, records)
	}
	e.settleOut(now)
}

// Drain moves everything to be done to out.
func (e *Engine) Drain(out *Output) {
	*out = e.out
	e.out = Output{}
}

// settleOut collects what the last call made discovery and the rooms want, until nothing new comes of it.
func (e *Engine) settleOut(now Now) {
	e.takeDiscovery(now)
	for _, r := range e.ordered {
		for _, s := range r.scopes {
			e.takeChat(now, r, s)
		}
	}
	e.forgetEmptied()
	e.pullOn(now)
	e.flush(now)
}

// enter and forget keep the table of rooms, its order, and the opener in step.
func (e *Engine) enter(r *room) {
	e.rooms[r.name] = r
	i, _ := slices.BinarySearchFunc(e.ordered, r, byRoomName)
	e.ordered = slices.Insert(e.ordered, i, r)
	e.refreshOpener()
}

func (e *Engine) forget(r *room) {
	delete(e.rooms, r.name)
	e.ordered = slices.DeleteFunc(e.ordered, func(o *room) bool { return o == r })
	e.refreshOpener()
}

func byRoomName(a, b *room) int { return cmp.Compare(a.name, b.name) }

func (e *Engine) token() uint64 {
	e.lastToken++
	return e.lastToken
}
