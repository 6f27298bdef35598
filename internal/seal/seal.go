// Package seal closes and opens room datagrams: the keys of a room, the tag that selects and commits to them, the AEAD,
// and the replay window.
//
// Its invariant: opening changes no state. It takes its randomness from a reader, knows no frame, and prints no secret.
//
// The outside of a sealed datagram is prefix ‖ nonce ‖ tag; all of it is associated data. The tag is an HMAC under a
// key of the room, so that one comparison per room finds the keys, tells noise from datagrams without decrypting, and
// binds the datagram to one key (an AEAD alone does not: partitioning oracles, Len, Grubbs, Ristenpart 2021).
package seal

import (
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"

	"golang.org/x/crypto/chacha20poly1305"

	"bcast/identity"
)

// Sizes in bytes of a sealed datagram's parts.
const (
	PrefixSize = 4
	NonceSize  = chacha20poly1305.NonceSizeX
	tagSize    = 16
	OuterSize  = PrefixSize + NonceSize + tagSize
	lengthSize = 2
	Overhead   = OuterSize + lengthSize + chacha20poly1305.Overhead

	datagramHint = 1408 // what a datagram takes, most of the time
)

// Secret is what makes a room: whoever has it reads the room. That of a public room follows from its name.
type Secret [32]byte

// String keeps the secret out of logs and error texts.
func (Secret) String() string { return "[redacted]" }

// GoString keeps the secret out of %#v.
func (Secret) GoString() string { return "[redacted]" }

// Format keeps the secret out of every other verb.
func (s Secret) Format(f fmt.State, _ rune) { io.WriteString(f, s.String()) }

// MarshalText keeps the secret out of JSON, and so out of JSON logs. Who stores a secret writes its bytes.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// PublicSecret is the secret of the public room of that name: no secret at all to who knows the name.
func PublicSecret(name identity.RoomName) Secret {
	return sha256.Sum256([]byte("bcast/1 public room\x00" + string(name)))
}

// RoomID is the id of the room that the secret made; it stays when the keys change.
func (s Secret) RoomID() [16]byte { return [16]byte(s.derive("room id", 0, 16)) }

func (s Secret) derive(label string, epoch uint32, size int) []byte {
	info := binary.BigEndian.AppendUint32([]byte("bcast/1 "+label+"\x00"), epoch)
	key, err := hkdf.Key(sha256.New, s[:], nil, string(info), size)
	if err != nil {
		panic(fmt.Sprintf("derive %s: %v", label, err)) // only a size beyond HKDF's can do that
	}
	return key
}

// NewAEAD makes an AEAD with nonces of NonceSize bytes and an overhead of 16 from a key of 32.
type NewAEAD func(key []byte) (cipher.AEAD, error)

// Room holds the keys of one room in one key epoch. It is immutable and safe on many goroutines.
type Room struct {
	ID        [16]byte
	tagMAC    MAC
	rangeKey  []byte
	streamKey []byte
	aead      cipher.AEAD
}

// Open derives the keys of a room. newAEAD is nil for XChaCha20-Poly1305; a simulator may give a cheaper one.
func Open(secret Secret, epoch uint32, newAEAD NewAEAD) (*Room, error) {
	if newAEAD == nil {
		newAEAD = chacha20poly1305.NewX
	}
	aead, err := newAEAD(secret.derive("datagram key", epoch, 32))
	if err != nil {
		return nil, fmt.Errorf("room keys: %w", err)
	}
	return &Room{
		ID: secret.RoomID(), tagMAC: NewMAC(secret.derive("tag key", epoch, 32)),
		rangeKey: secret.derive("range key", epoch, 32), streamKey: secret.derive("stream key", epoch, 32), aead: aead,
	}, nil
}

// Format keeps the keys out of logs and error texts, whatever the verb.
func (Room) Format(f fmt.State, _ rune) { io.WriteString(f, "[redacted]") }

// Outer begins a datagram: prefix, a fresh nonce from rand, and the tag of both. What is signed inside covers it.
func (r *Room) Outer(prefix [PrefixSize]byte, rand io.Reader) ([]byte, error) {
	b := make([]byte, PrefixSize+NonceSize, datagramHint)
	copy(b, prefix[:])
	if _, err := io.ReadFull(rand, b[PrefixSize:]); err != nil {
		return nil, fmt.Errorf("draw a nonce: %w", err)
	}
	tag := r.tagMAC.Sum(b)
	return append(b, tag[:tagSize]...), nil
}

// Seal closes a datagram begun by Outer, in its memory, padded with zeros to size bytes if it is shorter.
func (r *Room) Seal(outer, inner []byte, size int) []byte {
	length := max(lengthSize+len(inner), size-OuterSize-chacha20poly1305.Overhead)
	b := slices.Grow(outer[:OuterSize], length+chacha20poly1305.Overhead)
	plain := b[OuterSize : OuterSize+length]
	binary.BigEndian.PutUint16(plain, uint16(len(inner)))
	clear(plain[lengthSize+copy(plain[lengthSize:], inner):])
	return r.aead.Seal(b, b[PrefixSize:PrefixSize+NonceSize], plain, b)
}

// Owns tells whether the datagram was sealed with this room's keys, as far as its tag can tell.
func (r *Room) Owns(datagram []byte) bool {
	return len(datagram) >= OuterSize &&
		r.tagMAC.Equal(datagram[:PrefixSize+NonceSize], datagram[PrefixSize+NonceSize:OuterSize])
}

var (
	errSealed = errors.New("seal: the datagram is damaged or forged")
	errLength = errors.New("seal: the inside is longer than the datagram")
)

// Unseal opens a datagram that Owns and returns its inside.
func (r *Room) Unseal(datagram []byte) ([]byte, error) { return r.unseal(nil, datagram) }

// UnsealInPlace is Unseal in the memory of the datagram, which holds nothing any more if it is refused.
func (r *Room) UnsealInPlace(datagram []byte) ([]byte, error) {
	return r.unseal(datagram[min(OuterSize, len(datagram)):][:0], datagram)
}

func (r *Room) unseal(dst, datagram []byte) ([]byte, error) {
	if len(datagram) < Overhead {
		return nil, errSealed
	}
	nonce := datagram[PrefixSize : PrefixSize+NonceSize]
	plain, err := r.aead.Open(dst, nonce, datagram[OuterSize:], datagram[:OuterSize])
	if err != nil {
		return nil, errSealed
	}
	n := int(binary.BigEndian.Uint16(plain))
	if n > len(plain)-lengthSize {
		return nil, errLength
	}
	return plain[lengthSize : lengthSize+n : lengthSize+n], nil
}

// Fingerprint is a keyed hash of b: members can compare sets by it and an outsider can not steer it.
func (r *Room) Fingerprint(b []byte) [16]byte {
	m := hmac.New(sha256.New, r.rangeKey)
	m.Write(b)
	return [16]byte(m.Sum(nil)[:16])
}

// The ends of a stream, as they are in its proofs: who dialled, and who was dialled.
const (
	Dialler  = 1
	Acceptor = 2
)

// StreamProof shows that one end of a stream has the keys of the room. exporter is the TLS connection's: the proof is
// worth nothing on another one, nor is one end's at the other.
func (r *Room) StreamProof(end byte, exporter [32]byte, dialler, acceptor identity.DeviceID) [32]byte {
	m := hmac.New(sha256.New, r.streamKey)
	m.Write([]byte{end})
	m.Write(exporter[:])
	m.Write(dialler[:])
	m.Write(acceptor[:])
	return [32]byte(m.Sum(nil))
}
