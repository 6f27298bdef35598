// Package wire turns frames into bytes and bytes into frames: the presence datagrams that are readable on the link, and
// the insides of sealed room datagrams.
//
// Its invariant: a length is checked against what is left before memory is taken or a byte is read, so no input makes
// it panic or take more than a small multiple of the input's size. It checks shape only; signatures are the caller's.
//
// The formats are PROTOCOL.md, sections "Datagrams" and "Frames".
package wire

// Version is the protocol version in every datagram.
const Version = 1

// Datagram sizes in bytes of UDP payload.
const (
	MaxDatagram = 1400 // sent by us; what is received may be larger
	MinDatagram = 512  // every room can carry this much, and all of presence is exactly this
	MaxUDP      = 65507
)

// Type says what a datagram is. Unknown types are ignored, each range in the way of its kind, so that later versions
// can add to them.
type Type uint8

// The presence plane: 1 to 31. Signed, readable on the link, MinDatagram bytes each.
const (
	TypeHello  Type = iota + 1 // here I am: at start and on every change
	TypeAnswer                 // to a stranger's HELLO: echoes its challenge and brings an own one
	TypeAck                    // to an ANSWER: echoes its challenge
	TypeBeat                   // still here
	TypeProbe                  // are you still there? Answered by a broadcast BEAT
	TypeBye                    // this instance ends for good
	TypeEcho                   // reserved for the doctor's reverse probe
)

// Room frames that prove themselves: 32 to 47. They trust no sender and are idempotent.
const (
	TypeRecord Type = iota + 32 // one whole record
	TypeFrag                    // a slice of one
	TypeHead                    // the header of an author's last record, with its proof
	TypeFork                    // two heads of one author that cannot both be honest
)

// Room frames signed by their sender: 48 to 63.
const (
	TypeDigest  Type = iota + 48 // what I have stored, in short
	TypeRange                    // the same, range by range, where digests cannot tell
	TypeWant                     // please send
	TypeReceipt                  // I have stored up to here
	TypeCut                      // my buffer cut this datagram of yours
	TypeSignal                   // typing, away: never stored
	TypeBusy                     // not now
)

var typeNames = map[Type]string{
	TypeHello: "hello", TypeAnswer: "answer", TypeAck: "ack", TypeBeat: "beat", TypeProbe: "probe", TypeBye: "bye",
	TypeEcho: "echo", TypeRecord: "record", TypeFrag: "frag", TypeHead: "head", TypeFork: "fork",
	TypeDigest: "digest", TypeRange: "range", TypeWant: "want", TypeReceipt: "receipt", TypeCut: "cut",
	TypeSignal: "signal", TypeBusy: "busy",
}

// String is the type's name in status and logs.
func (t Type) String() string {
	if name, ok := typeNames[t]; ok {
		return name
	}
	return "unknown"
}

// Known tells whether this version gives the type a meaning.
func (t Type) Known() bool { _, ok := typeNames[t]; return ok }

// Presence tells whether the type is of the presence plane.
func (t Type) Presence() bool { return t >= 1 && t <= 31 }

// Signed tells whether the type is a room frame signed by its sender.
func (t Type) Signed() bool { return t >= 48 && t <= 63 }

// PrefixSize is the length in bytes of what every datagram begins with: magic, version, type.
const PrefixSize = 4

// Prefix is the front of every datagram of type t.
func Prefix(t Type) [PrefixSize]byte { return [PrefixSize]byte{'b', 'c', Version, byte(t)} }

// Classify reads a datagram's prefix. ok is false when it is none of bcast's; version is given so that a newer one can
// be told from noise.
func Classify(b []byte) (t Type, version byte, ok bool) {
	if len(b) < PrefixSize || b[0] != 'b' || b[1] != 'c' {
		return 0, 0, false
	}
	return Type(b[3]), b[2], true
}
