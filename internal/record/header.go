package record

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"bcast/identity"
)

// Limits of a record. MaxBody leaves room for one post of MaxText beside its CBOR; a whole record of that size still
// fits 48 fragments at the smallest datagram limit.
const (
	Version     = 1
	MaxParents  = 4
	MaxBody     = 17 << 10
	MaxText     = 16 << 10
	MaxReaction = 64        // a sign or a word: a longer one is kept and not shown
	MaxOrder    = 1<<47 - 1 // milliseconds: the year 6429; more is malformed, not merely wrong
	headerSize  = 121       // without parents
)

// Flags of a header. The others are reserved: kept, and ignored.
const (
	FlagAckWanted = 1 << iota
	FlagEphemeral
)

// RoomID names a room for ever, also after its keys changed. It is hashed into every record and never sent.
type RoomID [16]byte

// ID names a record: the first half of its leaf hash.
type ID [16]byte

// IsZero tells whether id names nothing.
func (id ID) IsZero() bool { return id == ID{} }

// String is the id as people and scripts see it: 26 characters of base32.
func (id ID) String() string { return identity.EncodeID(id[:]) }

// Feed names one author's chain of records: a key and the epoch the author chose when it could not be sure to go on
// with an older one.
type Feed struct {
	Author identity.PublicKey
	Epoch  uint64
}

// ShortFeed names a feed in digests and requests: the first 8 bytes of SHA-256(author ‖ epoch).
type ShortFeed [8]byte

// Short is the feed's name on the wire.
func (f Feed) Short() ShortFeed {
	sum := sha256.Sum256(binary.BigEndian.AppendUint64(f.Author[:len(f.Author):len(f.Author)], f.Epoch))
	return ShortFeed(sum[:8])
}

// Header is what an author signs of a record. The body is bound by its hash, so that a header proves the chain even
// where the body was deleted.
type Header struct {
	Flags      byte
	KeyEpoch   uint32 // of the room's key, counted by rekeys
	Feed       Feed
	Seq        uint64 // from 1 in each feed
	Prev       ID     // the record before in this feed; at seq 1 the head of the author's previous epoch, or zero
	Order      uint64 // milliseconds; max(own clock, 1 + order of prev and parents): what display order goes by
	Wall       int64  // the author's clock in nanoseconds since 1970: shown, never used for order
	BodyLength uint16
	BodyHash   [32]byte
	Parents    []ID // heads of other feeds that the author had seen
}

const (
	// PlainOrder is above all orders that are followed, whatever was before: the year 2527, in milliseconds.
	PlainOrder = 1 << 44
	orderStep  = 1 << 16
)

// Follow is the highest order that records of ours follow once one with this order is stored, if highest was it before
// (PROTOCOL.md R7). One that is far off is not followed: it would use up the order of all that come after it. Neither
// would many, each a little above the one before, unless they were a thousand million.
func Follow(highest, order uint64) uint64 {
	if order < PlainOrder || order <= highest+orderStep {
		return max(highest, order)
	}
	return highest
}

// Time is the author's clock when it wrote the record.
func (h *Header) Time() time.Time { return time.Unix(0, h.Wall).UTC() }

// Append appends the header's bytes to dst.
func (h *Header) Append(dst []byte) []byte {
	dst = append(dst, Version, h.Flags)
	dst = binary.BigEndian.AppendUint32(dst, h.KeyEpoch)
	dst = append(dst, h.Feed.Author[:]...)
	dst = binary.BigEndian.AppendUint64(dst, h.Feed.Epoch)
	dst = binary.BigEndian.AppendUint64(dst, h.Seq)
	dst = append(dst, h.Prev[:]...)
	dst = binary.BigEndian.AppendUint64(dst, h.Order)
	dst = binary.BigEndian.AppendUint64(dst, uint64(h.Wall))
	dst = binary.BigEndian.AppendUint16(dst, h.BodyLength)
	dst = append(dst, h.BodyHash[:]...)
	dst = append(dst, byte(len(h.Parents)))
	for _, p := range h.Parents {
		dst = append(dst, p[:]...)
	}
	return dst
}

var errShort = errors.New("record: cut short")

// parseHeader reads a header from the front of b and returns it with its length in bytes.
func parseHeader(b []byte) (Header, int, error) {
	var h Header
	if len(b) < headerSize {
		return h, 0, errShort
	}
	if b[0] != Version {
		return h, 0, fmt.Errorf("record: version %d", b[0])
	}
	h.Flags = b[1]
	h.KeyEpoch = binary.BigEndian.Uint32(b[2:])
	h.Feed = Feed{Author: identity.PublicKey(b[6:38]), Epoch: binary.BigEndian.Uint64(b[38:])}
	h.Seq = binary.BigEndian.Uint64(b[46:])
	h.Prev = ID(b[54:70])
	h.Order = binary.BigEndian.Uint64(b[70:])
	h.Wall = int64(binary.BigEndian.Uint64(b[78:]))
	h.BodyLength = binary.BigEndian.Uint16(b[86:])
	h.BodyHash = [32]byte(b[88:120])
	parents := int(b[120])
	size := headerSize + parents*len(ID{})
	switch {
	case parents > MaxParents:
		return h, 0, fmt.Errorf("record: %d parents, at most %d", parents, MaxParents)
	case len(b) < size:
		return h, 0, errShort
	case h.Seq == 0 || h.Seq > 1<<62:
		return h, 0, errors.New("record: sequence number out of range")
	case h.Order > MaxOrder:
		return h, 0, errors.New("record: order out of range")
	case h.BodyLength > MaxBody:
		return h, 0, fmt.Errorf("record: body of %d bytes, at most %d", h.BodyLength, MaxBody)
	}
	for p := b[headerSize:size]; len(p) > 0; p = p[len(ID{}):] {
		h.Parents = append(h.Parents, ID(p[:len(ID{})]))
	}
	return h, size, nil
}
