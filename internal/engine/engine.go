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
	maxScopes  = 8                // of one room; the network left longest ago is forgotten
	maxKnown   = 2048             // members of a scope by whom its network is known again; later ones do not count
	maxWindows = 4096             // replay windows; those of strangers are forgotten together
	maxSent    = 256              // datagrams that a CUT can still name
	maxStoring = 1024             // own posts on their way to the store; Say answers ErrBusy
	cutsEach   = time.Second / 10 // between two CUTs
)

// Errors that a Reply carries.
var (
	ErrNotJoined = errors.New("room not joined")
	ErrBusy      = errors.New("too many posts are waiting to be stored")
	ErrRooms     = fmt.Errorf("more than %d rooms", maxRooms)
)

// Now is the time the engine is told.
type Now = chat.Now

// Config makes an Engine.
type Config struct {
	Key         *identity.Key
	Instance    identity.Instance
	Nick        identity.Nick
	RecvBuffer  int // bytes; below 512 the engine only watches
	UnicastPort uint16
	StreamPort  uint16
	Random      io.Reader  // keys and nonces
	Timing      *rand.Rand // jitter, challenges, epochs; seeded from a secret
	Verify      record.Verifier
	NewAEAD     seal.NewAEAD // nil: XChaCha20-Poly1305
	Broadcast   int          // bytes a second; 0: by the kind of link
}

// NetworkID tells networks apart, so that a room's history does not follow a laptop from one into another.
type NetworkID [16]byte

// Interface is one network interface in use. Networks are the names of the network it is on; any of them will do to
// know it again. The first changes whenever the link may lead elsewhere than before.
type Interface struct {
	Index    int
	Addrs    []netip.Addr
	MTU      int
	Wifi     bool
	Networks []NetworkID
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
	ownHeard  map[int]time.Duration
	saying    map[record.ID]uint64  // token of the Do that waits for it to be stored
	storing   map[uint64]*scope     // by token of a Store
	loading   map[uint64]*scope     // by token of a Load
	absorbing map[uint64]absorption // what a Load brings goes into this scope
	lastToken uint64
	readOnly  error
	out       Output
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
	e := &Engine{
		cfg: cfg, id: cfg.Key.ID(), nonces: n,
		rooms: map[identity.RoomName]*room{}, windows: map[speaker]*seal.Window{}, ownHeard: map[int]time.Duration{},
		saying: map[record.ID]uint64{}, storing: map[uint64]*scope{},
		loading: map[uint64]*scope{}, absorbing: map[uint64]absorption{},
	}
	e.discovery = discovery.New(discovery.Config{
		Self: e.id, Instance: cfg.Instance, Rand: cfg.Timing, Nick: cfg.Nick,
		UnicastPort: cfg.UnicastPort, StreamPort: cfg.StreamPort, RecvBuffer: cfg.RecvBuffer,
	})
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
		own[i] = discovery.Interface{Index: f.Index, Addrs: f.Addrs, Wifi: f.Wifi}
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
	at := min(e.discovery.Deadline(), e.budget.deadline())
	for _, r := range e.ordered {
		for _, s := range r.scopes {
			at = min(at, s.chat.Deadline())
		}
	}
	return at
}

// Advance does what has become due.
func (e *Engine) Advance(now Now) {
	e.discovery.Advance(now.Mono)
	for _, r := range e.ordered {
		for _, s := range r.scopes {
			if s.chat.Deadline() <= now.Mono {
				s.chat.Advance(now)
			}
		}
	}
	e.settleOut(now)
}

// Stored says that what Output.Store handed out under token is kept, and which records were given up for it.
func (e *Engine) Stored(now Now, token uint64, records []*record.Record, floors []record.Floor, err error) {
	s := e.storing[token]
	delete(e.storing, token)
	if s == nil {
		return
	}
	if err != nil {
		e.readOnly = err
		for _, rec := range records {
			e.reply(rec.ID, Reply{Err: err})
		}
		return
	}
	s.chat.Stored(now, records, floors)
	for _, rec := range records {
		members, have := s.chat.Await(rec.ID)
		e.reply(rec.ID, Reply{Record: rec.ID, Members: members, Have: have})
	}
	e.settleOut(now)
}

// Loaded brings what Output.Load asked for under token.
func (e *Engine) Loaded(now Now, token uint64, records []*record.Record) {
	if a := e.absorbing[token]; a.into != nil {
		delete(e.absorbing, token)
		for _, rec := range records {
			a.into.chat.Record(now, rec)
		}
		e.out.Forget = append(e.out.Forget, a.from)
	} else if s := e.loading[token]; s != nil {
		delete(e.loading, token)
		s.chat.Loaded(now, s.loads[token], records)
		delete(s.loads, token)
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
