package engine

import (
	"net/netip"

	"bcast/chat"
	"bcast/discovery"
	"bcast/identity"
	"bcast/internal/record"
	"bcast/internal/wire"
)

// Output is what the engine wants done. The order of the fields is the order in which to do it: what is to be stored is
// kept and confirmed by Stored before anything that Stored hands out is sent.
type Output struct {
	Keep    []record.Scope // what a scope is; before anything of it is stored. Nothing waits for it
	Store   []Store
	Load    []Load
	Send    []Send
	Streams []StreamOp // nothing of a datagram's waits for a stream, and nothing of a stream's for a datagram
	Replies []Reply
	Events  []Event
	Forget  []ScopeID // what was stored of these is not needed any more
}

// IsEmpty tells whether there is nothing to do.
func (o *Output) IsEmpty() bool {
	return len(o.Keep)+len(o.Store)+len(o.Load)+len(o.Send)+len(o.Streams)+len(o.Replies)+len(o.Events)+
		len(o.Forget) == 0
}

// ScopeID names one room on one set of networks: the unit of storing.
type ScopeID uint64

// Store asks to keep a batch; Stored answers it by Token.
type Store struct {
	Token uint64
	record.Batch
}

// Load asks for records of a scope; Loaded brings them by Token.
type Load struct {
	Token  uint64
	Scope  ScopeID
	Ranges []record.Span
	IDs    []record.ID
}

// Send is one datagram. A zero To is the broadcast address of interface Iface, or, if Limited, 255.255.255.255.
type Send struct {
	Data    []byte
	To      netip.AddrPort
	Iface   int
	Limited bool
	Type    wire.Type
	Rest    int // datagrams that follow with the same record: a pause between them would look like a loss
}

// Reply answers the Do with the same Token.
type Reply struct {
	Token   uint64
	Err     error
	Record  record.ID // of Say
	Members int       // when it was said, away or here
	Have    int       // of those, known to hold it
	New     bool      // of Join: it was not joined before
	Answer  Answer    // of Ask
}

// EventKind says which field of an Event is set.
type EventKind uint8

const (
	RoomEvent EventKind = iota + 1
	PeerEvent
	CutEvent
	TwinEvent     // our own key speaks from another instance: a copied home
	InstanceEvent // we go on as another Instance, for others took the copy for us; the next run must be later
	StoreEvent    // the store failed with Err, or, without one, works again
	KeysEvent     // Room has new Keys: remember them
	ShutOutEvent  // a rekey of Room shut us out
	MissedEvent   // Peer, a member of Room, has not its keys: whoever rekeyed did not know of it
	RivalEvent    // Chat is a rekey of Room that was said at once with ours or the one we follow: the room is in two
	KnockEvent    // Peer says something in a direct room that we have not opened; it says it again
)

// Event is one fact for the faces. What is large and rare is pointed to: at full speed there are many, of posts.
type Event struct {
	Kind EventKind
	Room identity.RoomName
	Chat chat.Event
	Peer *discovery.Peer // of a PeerEvent or a KnockEvent
	Cut  *Cut            // of a CutEvent
	Err  error
	Keys *Keys // of a KeysEvent: all but Secret

	Instance identity.Instance
}

// Cut tells of datagrams of one source that the receive buffer cut: how many, and the sizes of the last.
type Cut struct {
	From     netip.AddrPort
	Peer     identity.DeviceID // if the address is proven
	Nick     identity.Nick
	Room     identity.RoomName // if so much of it arrived
	Received int
	Size     int
	Count    int
}
