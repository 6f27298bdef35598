package record

import (
	"encoding/binary"
	"errors"
	"unicode/utf8"
)

// Offer is the data of a post of KindOffer: a file by its hash, which says what it is wherever it comes from.
type Offer struct {
	Hash  [32]byte // BLAKE3
	Size  int64    // bytes
	Flags uint8    // OfferPushed; the others are kept
	Name  string   // what its author calls it: a file's name may be less than this takes
}

// OfferPushed in an offer's flags tells that its author also sends the file to all by broadcast.
const OfferPushed = 1

const (
	// MaxOfferSize is the largest file that is offered, in bytes.
	MaxOfferSize = 1 << 44
	// maxOfferName is the longest name of one, in bytes.
	maxOfferName = 255

	offerHead = 32 + 8 + 1 // hash, size, flags; the name is the rest
)

var errOffer = errors.New("offer: malformed")

// AppendOffer appends the data of an offer.
func AppendOffer(b []byte, o Offer) []byte {
	b = append(b, o.Hash[:]...)
	b = binary.BigEndian.AppendUint64(b, uint64(o.Size))
	b = append(b, o.Flags)
	return append(b, o.Name...)
}

// ParseOffer reads what AppendOffer wrote. What it refuses is no offer: it shows nothing.
func ParseOffer(b []byte) (o Offer, err error) {
	if len(b) <= offerHead || len(b) > offerHead+maxOfferName || !utf8.Valid(b[offerHead:]) {
		return o, errOffer
	}
	size := binary.BigEndian.Uint64(b[32:])
	if size > MaxOfferSize {
		return o, errOffer
	}
	return Offer{Hash: [32]byte(b), Size: int64(size), Flags: b[40], Name: string(b[offerHead:])}, nil
}
