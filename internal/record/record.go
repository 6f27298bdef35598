package record

import (
	"crypto/sha256"
	"errors"
	"fmt"

	"bcast/identity"
)

// MaxHead bounds proof and header in bytes, MaxSize a whole record.
const (
	MaxHead = 2 + 6*len(node{}) + identity.SignatureSize + headerSize + MaxParents*len(ID{})
	MaxSize = MaxHead + MaxBody
)

// Record is one record as it was received or made. It is immutable: nobody writes to it or to its slices.
type Record struct {
	Header Header
	ID     ID
	Body   []byte // deterministic CBOR, see Posts; nil in a head

	bytes  []byte // the encoding as received
	signed []byte // what the author signed: the flight's root and count
	sig    []byte
	plain  bool   // Body is as decodePlain takes it, with posts of these kinds
	kinds  uint32 // a bit each
}

// Bytes is the record as it goes over the wire and into a store: proof, header, body.
func (r *Record) Bytes() []byte { return r.bytes }

// Head is the record without its body: the author's proof of its chain up to here.
func (r *Record) Head() []byte { return r.bytes[: len(r.bytes)-len(r.Body) : len(r.bytes)-len(r.Body)] }

// IsHead tells that the record came without its body.
func (r *Record) IsHead() bool { return r.Body == nil }

// Parse reads a whole record of a room: every byte of b. It checks shape and body hash, not the signature. The record
// keeps b.
func Parse(room RoomID, b []byte) (*Record, error) {
	r, rest, err := parse(room, b)
	if err != nil {
		return nil, err
	}
	if len(rest) != int(r.Header.BodyLength) {
		return nil, fmt.Errorf("record: %d bytes of body, the header says %d", len(rest), r.Header.BodyLength)
	}
	if sha256.Sum256(rest) != r.Header.BodyHash {
		return nil, errors.New("record: the body is not the one that was signed")
	}
	r.Body = rest
	r.kinds, r.plain = kindsOf(rest)
	return r, nil
}

// ParseHead reads a record without its body: every byte of b.
func ParseHead(room RoomID, b []byte) (*Record, error) {
	r, rest, err := parse(room, b)
	if err != nil {
		return nil, err
	}
	if len(rest) != 0 {
		return nil, errors.New("record: a head with a body")
	}
	return r, nil
}

// ParseHeadPrefix reads a head from the front of b and returns what follows it.
func ParseHeadPrefix(room RoomID, b []byte) (r *Record, rest []byte, err error) {
	if r, rest, err = parse(room, b); err != nil {
		return nil, nil, err
	}
	r.bytes = r.bytes[:len(b)-len(rest)]
	return r, rest, nil
}

func parse(room RoomID, b []byte) (r *Record, rest []byte, err error) {
	if len(b) < 2 {
		return nil, nil, errShort
	}
	index, count := int(b[0]), int(b[1])
	if count < 1 || count > MaxFlight || index >= count {
		return nil, nil, fmt.Errorf("record: %d of a flight of %d", index, count)
	}
	steps := pathLength(index, count)
	pathEnd := 2 + steps*len(node{})
	sigEnd := pathEnd + identity.SignatureSize
	if len(b) < sigEnd {
		return nil, nil, errShort
	}
	header, size, err := parseHeader(b[sigEnd:])
	if err != nil {
		return nil, nil, err
	}
	path := make([]node, steps)
	for i := range path {
		path[i] = node(b[2+i*len(node{}):][:len(node{})])
	}
	l := leafOf(room, b[sigEnd:sigEnd+size])
	r = &Record{
		Header: header, ID: ID(l[:len(ID{})]), bytes: b,
		signed: signedBytes(climb(l, index, count, path), count), sig: b[pathEnd:sigEnd],
	}
	return r, b[sigEnd+size:], nil
}

// Verifier tells whether sig is key's signature of message. The real one is identity.PublicKey.Verify; a simulator may
// remember answers.
type Verifier func(key identity.PublicKey, message, sig []byte) bool

// Verify tells whether the author signed the flight that r is in.
func (r *Record) Verify(verify Verifier) bool { return verify(r.Header.Feed.Author, r.signed, r.sig) }

// SignatureKey tells two records of one flight share a signature: it is equal for them and for no others.
func (r *Record) SignatureKey() [32]byte {
	h := sha256.New()
	h.Write(r.Header.Feed.Author[:])
	h.Write(r.signed)
	h.Write(r.sig)
	return [32]byte(h.Sum(nil))
}

// Compare is the room's display order: (order, id), a function of the records alone, the same on every member.
func Compare(a, b *Record) int {
	if a.Header.Order != b.Header.Order {
		if a.Header.Order < b.Header.Order {
			return -1
		}
		return 1
	}
	return compareID(a.ID, b.ID)
}
