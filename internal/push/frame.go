package push

import (
	"encoding/binary"
	"errors"
	"io"
	"math"

	"bcast/identity"
	"bcast/internal/seal"
	"bcast/internal/wire"
)

// Types of datagrams.
const (
	typeShard = 64
	typeNeed  = 65
	typeMark  = 66
)

const (
	namedSize   = wire.PrefixSize + 8 // and whose push it is
	gcmOverhead = 16
	nonceSize   = 12
	// DatagramSize is that of a datagram with a shard, and the largest of the others, in bytes.
	DatagramSize = shardOuter + shardSize + gcmOverhead
	shardOuter   = namedSize + 4 + 2
	controlOuter = namedSize + nonceSize
	// maxWanted is how many stripes a need tells of.
	maxWanted = 32
	// maxHolders is how many devices a mark tells of.
	maxHolders = 48
)

// Drop is why a datagram is refused, under the names of PROTOCOL.md section 8.
type Drop wire.Drop

func (d Drop) Error() string { return "push: refused as " + string(d) }

// DropOf is the drop that an error is; empty if it is none, but a failure of a Target or Source.
func DropOf(err error) Drop {
	drop, _ := errors.AsType[Drop](err)
	return drop
}

// Drops.
const (
	DropMalformed    = Drop(wire.DropMalformed)
	DropDamaged      = Drop(wire.DropDamaged)
	DropReplayed     = Drop(wire.DropReplayed)
	DropNothingNew   = Drop(wire.DropNothingNew)
	DropOwn          = Drop(wire.DropOwn)
	DropStranger     = Drop(wire.DropStranger)
	DropBadSignature = Drop(wire.DropBadSignature)
	DropOldInstance  = Drop(wire.DropOldInstance)
	DropQueueFull    = Drop(wire.DropQueueFull)
)

// ID tells which push a datagram is of.
func ID(datagram []byte) (id [8]byte, ok bool) {
	if _, version, ours := wire.Classify(datagram); !ours || version != wire.Version || len(datagram) < namedSize {
		return id, false
	}
	return [8]byte(datagram[wire.PrefixSize:namedSize]), true
}

func kind(datagram []byte) byte { return datagram[3] }

// IsNeed tells whether a datagram says to be a need.
func IsNeed(datagram []byte) bool { return kind(datagram) == typeNeed }

// IsMark tells whether a datagram says to be a mark.
func IsMark(datagram []byte) bool { return kind(datagram) == typeMark }

func appendOuter(dst []byte, kind byte, keys *seal.Push) []byte {
	prefix := wire.Prefix(wire.Type(kind))
	return append(append(dst, prefix[:]...), keys.ID[:]...)
}

// appendShard appends the datagram with a shard. Only its place makes its nonce: the same shard is the same datagram,
// whoever sends it.
func appendShard(dst []byte, keys *seal.Push, stripe, i int, data []byte) []byte {
	at := len(dst)
	dst = appendOuter(dst, typeShard, keys)
	dst = binary.BigEndian.AppendUint32(dst, uint32(stripe))
	dst = binary.BigEndian.AppendUint16(dst, uint16(i))
	var nonce [nonceSize]byte
	copy(nonce[:], dst[at+namedSize:])
	return keys.Shards.Seal(dst, nonce[:], data, dst[at:])
}

// shardPlace tells which shard of which stripe a datagram has.
func shardPlace(datagram []byte) (stripe, i int, err error) {
	if len(datagram) != DatagramSize {
		return 0, 0, DropMalformed
	}
	n := binary.BigEndian.Uint32(datagram[namedSize:])
	i = int(binary.BigEndian.Uint16(datagram[namedSize+4:]))
	if n > math.MaxInt32 || i >= allShards {
		return 0, 0, DropMalformed
	}
	return int(n), i, nil
}

// openShard opens a shard into dst, which has place for it, and holds nothing if the shard is refused.
func openShard(dst []byte, keys *seal.Push, datagram []byte) error {
	var nonce [nonceSize]byte
	copy(nonce[:], datagram[namedSize:shardOuter])
	if _, err := keys.Shards.Open(dst[:0], nonce[:], datagram[shardOuter:], datagram[:shardOuter]); err != nil {
		return DropDamaged
	}
	return nil
}

// State is what a receiver says of itself.
type State byte

const (
	Asking  State = iota // its user is asked
	Taking               // it gathers
	Whole                // it has the file, checked and under its name
	Refused              // it does not want it
	Failed               // it cannot take it
)

// Need is what a receiver has and lacks.
type Need struct {
	Key      identity.PublicKey
	Instance identity.Instance
	Counter  uint64
	State    State
	Ask      bool   // it asks its reader for what is wanted, by unicast
	Loss     uint16 // share of the shards that did not arrive lately, in 1/65535
	Heard    uint64 // number of the last mark heard
	Base     int    // all stripes before it are complete
	Wanted   []want // stripes that are not
}

type want struct {
	stripe int
	have   shardSet
}

// Mark is what the sender has sent.
type Mark struct {
	Number  uint64
	Base    int // stripes before it are not broadcast any more: who lacks one asks for it
	Top     int // stripes before it were broadcast
	Over    bool
	Takers  int // how many gather: they do not answer all at once
	Holders []Holding
}

// Holding is how far a receiver has come, for those that look for who can help.
type Holding struct {
	Device identity.DeviceID
	Base   int
}

func sealControl(kind byte, keys *seal.Push, rand io.Reader, plain []byte) ([]byte, error) {
	b := appendOuter(make([]byte, 0, DatagramSize), kind, keys)
	b = b[:controlOuter]
	if _, err := io.ReadFull(rand, b[namedSize:]); err != nil {
		return nil, err
	}
	return keys.Control.Seal(b, b[namedSize:controlOuter], plain, b), nil
}

func openControl(keys *seal.Push, datagram []byte) ([]byte, error) {
	if len(datagram) < controlOuter {
		return nil, DropMalformed
	}
	outer, sealed := datagram[:controlOuter], datagram[controlOuter:]
	plain, err := keys.Control.Open(nil, outer[namedSize:], sealed, outer)
	if err != nil {
		return nil, DropDamaged
	}
	return plain, nil
}

// signed is what a device signs of a frame: what kind it is of, of which push, and its bytes.
func signed(kind byte, keys *seal.Push, said []byte) []byte {
	message := append([]byte("bcast/1 push\x00"), kind)
	return append(append(message, keys.ID[:]...), said...)
}

const signatureSize = 64

func sealSigned(kind byte, keys *seal.Push, key *identity.Key, rand io.Reader, said []byte) ([]byte, error) {
	return sealControl(kind, keys, rand, append(said, key.Sign(signed(kind, keys, said))...))
}

// openSigned opens a signed frame; who signed it is yet to be checked.
func openSigned(keys *seal.Push, datagram []byte) (said, signature []byte, err error) {
	plain, err := openControl(keys, datagram)
	if err != nil {
		return nil, nil, err
	}
	if len(plain) < signatureSize {
		return nil, nil, DropMalformed
	}
	at := len(plain) - signatureSize
	return plain[:at], plain[at:], nil
}

func appendNeed(b []byte, n *Need) []byte {
	b = append(b, n.Key[:]...)
	b = identity.AppendInstance(b, n.Instance)
	b = binary.BigEndian.AppendUint64(b, n.Counter)
	b = append(b, byte(n.State), flag(n.Ask))
	b = binary.BigEndian.AppendUint16(b, n.Loss)
	b = binary.BigEndian.AppendUint64(b, n.Heard)
	b = binary.BigEndian.AppendUint32(b, uint32(n.Base))
	b = append(b, byte(len(n.Wanted)))
	for _, w := range n.Wanted {
		b = binary.BigEndian.AppendUint32(b, uint32(w.stripe))
		for _, word := range w.have {
			b = binary.BigEndian.AppendUint64(b, word)
		}
	}
	return b
}

func flag(set bool) byte {
	if set {
		return 1
	}
	return 0
}

const instanceSize = 12

// number reads a count of stripes, of which there are less than 2^31.
func number(f *wire.Fields) int {
	n := f.U32()
	f.FailIf(n > math.MaxInt32)
	return int(n)
}

func parseNeed(b []byte) (n Need, err error) {
	f := wire.NewFields(b)
	n.Key = identity.PublicKey(f.Take(len(n.Key)))
	n.Instance = identity.ParseInstance(f.Take(instanceSize))
	n.Counter, n.State, n.Ask = f.U64(), State(f.U8()), f.U8() != 0
	n.Loss, n.Heard, n.Base = f.U16(), f.U64(), number(&f)
	for range f.Count(maxWanted, 4+allShards/8) {
		w := want{stripe: number(&f)}
		for i := range w.have {
			w.have[i] = f.U64()
		}
		n.Wanted = append(n.Wanted, w)
	}
	if f.Failed() || n.State > Failed {
		return n, DropMalformed
	}
	return n, nil
}

func appendMark(b []byte, m *Mark) []byte {
	b = binary.BigEndian.AppendUint64(b, m.Number)
	b = binary.BigEndian.AppendUint32(b, uint32(m.Base))
	b = binary.BigEndian.AppendUint32(b, uint32(m.Top))
	b = append(b, flag(m.Over))
	b = binary.BigEndian.AppendUint16(b, uint16(m.Takers))
	b = append(b, byte(len(m.Holders)))
	for _, h := range m.Holders {
		b = append(b, h.Device[:]...)
		b = binary.BigEndian.AppendUint32(b, uint32(h.Base))
	}
	return b
}

func parseMark(b []byte) (m Mark, err error) {
	f := wire.NewFields(b)
	m.Number, m.Base, m.Top, m.Over, m.Takers = f.U64(), number(&f), number(&f), f.U8() != 0, int(f.U16())
	for range f.Count(maxHolders, len(identity.DeviceID{})+4) {
		h := Holding{Device: identity.DeviceID(f.Take(len(identity.DeviceID{})))}
		h.Base = number(&f)
		m.Holders = append(m.Holders, h)
	}
	if f.Failed() || m.Base > m.Top {
		return m, DropMalformed
	}
	return m, nil
}
