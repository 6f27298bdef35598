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
	Store   []Store
	Load    []Load
	Send    []Send
	Replies []Reply
	Events  []Event
	Forget  []ScopeID // what was stored of these is not needed any more
}

// ScopeID names one room on one set of networks: the unit of storing.
type ScopeID uint64

// Store asks to keep records, in order; Stored confirms them by Token.
type Store struct {
	Token   uint64
	Scope   ScopeID
	Records []*record.Record
}

// Load asks for records of a scope; Loaded brings them by Token.
type Load struct {
	Token  uint64
	Scope  ScopeID
	Ranges []record.Span
	IDs    []record.ID
}

// Send is one datagram. A zero To is the broadcast address of interface Iface.
type Send struct {
	Data  []byte
	To    netip.AddrPort
	Iface int
	Type  wire.Type
}

// Reply answers the Do with the same Token.
type Reply struct {
	Token   uint64
	Err     error
	Record  record.ID // of Say
	Members int       // here when it was said
	Have    int       // of those, known to hold it
	New     bool      // of Join: it was not joined before
}

// EventKind says which field of an Event is set.
type EventKind uint8

const (
	RoomEvent EventKind = iota + 1
	PeerEvent
	CutEvent
	TwinEvent // our own key speaks from another instance: a copied home
)

// Event is one fact for the faces.
type Event struct {
	Kind EventKind
	Room identity.RoomName
	Chat chat.Event
	Peer discovery.Peer
	Cut  Cut
}

// Cut tells of a datagram that the receive buffer cut.
type Cut struct {
	From     netip.AddrPort
	Peer     identity.DeviceID // if the address is proven
	Nick     identity.Nick
	Room     identity.RoomName // if so much of it arrived
	Received int
	Size     int
}
