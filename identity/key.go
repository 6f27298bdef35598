package identity

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
)

// SignatureSize is the length of a signature in bytes (RFC 8032).
const SignatureSize = ed25519.SignatureSize

// Tag lengths in characters. A tag is for eyes: it tells two devices with one nick apart.
const (
	tagLen     = 4
	longTagLen = 8
)

// DeviceID names a device: the first 16 bytes of the SHA-256 of its public key.
type DeviceID [16]byte

// IsZero tells whether id names nobody. As a destination the zero id means everyone.
func (id DeviceID) IsZero() bool { return id == DeviceID{} }

// String is the whole id: 26 characters of base32.
func (id DeviceID) String() string { return EncodeID(id[:]) }

// Tag is the short form shown behind a nick: alice-k7f2.
func (id DeviceID) Tag() string { return id.String()[:tagLen] }

// LongTag is the form shown when two devices with one nick share a Tag.
func (id DeviceID) LongTag() string { return id.String()[:longTagLen] }

// Compare orders ids by their bytes.
func (id DeviceID) Compare(other DeviceID) int { return bytes.Compare(id[:], other[:]) }

// ParseDeviceID reads what String wrote.
func ParseDeviceID(s string) (DeviceID, error) {
	var id DeviceID
	b, err := idEncoding.DecodeString(s)
	if err == nil && len(b) == len(id) {
		copy(id[:], b)
	}
	if id.String() != s { // the decoder ignores line ends and the last character's spare bits: two texts, one id
		return DeviceID{}, fmt.Errorf("device id %q: want %d characters of base32", s, idEncoding.EncodedLen(len(id)))
	}
	return id, nil
}

// PublicKey is a device's Ed25519 public key (RFC 8032).
type PublicKey [ed25519.PublicKeySize]byte

// ID is the device the key belongs to.
func (p PublicKey) ID() DeviceID {
	sum := sha256.Sum256(p[:])
	return DeviceID(sum[:16])
}

// Verify tells whether sig is p's signature of message.
func (p PublicKey) Verify(message, sig []byte) bool {
	return len(sig) == SignatureSize && ed25519.Verify(p[:], message, sig)
}

// Signer signs for a device: its Key, or in a test what costs less.
type Signer interface {
	Public() PublicKey
	Sign(message []byte) []byte
}

// Key is a device's secret key. It signs and is never printed.
type Key struct {
	private ed25519.PrivateKey
	public  PublicKey
}

// NewKey makes a key from the randomness of rand.
func NewKey(rand io.Reader) (*Key, error) {
	seed := make([]byte, ed25519.SeedSize)
	if _, err := io.ReadFull(rand, seed); err != nil {
		return nil, fmt.Errorf("make a device key: %w", err)
	}
	return KeyFromSeed(seed)
}

// KeyFromSeed is the key that Seed wrote. An all-zero seed is refused: it is what a lost or emptied file reads as.
func KeyFromSeed(seed []byte) (*Key, error) {
	if len(seed) != ed25519.SeedSize {
		return nil, fmt.Errorf("device key: %d bytes, want %d", len(seed), ed25519.SeedSize)
	}
	if bytes.Count(seed, []byte{0}) == len(seed) {
		return nil, errors.New("device key: all zero")
	}
	private := ed25519.NewKeyFromSeed(seed)
	k := &Key{private: private}
	copy(k.public[:], private.Public().(ed25519.PublicKey))
	return k, nil
}

// Seed is the 32 bytes that KeyFromSeed reads. They are the secret.
func (k *Key) Seed() []byte { return bytes.Clone(k.private.Seed()) }

// Public is the key's public half.
func (k *Key) Public() PublicKey { return k.public }

// ID is the device this key makes its holder.
func (k *Key) ID() DeviceID { return k.public.ID() }

// Sign signs message (Ed25519, deterministic).
func (k *Key) Sign(message []byte) []byte { return ed25519.Sign(k.private, message) }

// String keeps the key out of logs and error texts. It and its two companions have value receivers, so that a copied
// Key tells as little as a pointer to one.
func (Key) String() string { return "[redacted]" }

// GoString keeps the key out of %#v.
func (k Key) GoString() string { return k.String() }

// Format keeps the key out of every other verb.
func (k Key) Format(f fmt.State, _ rune) { io.WriteString(f, k.String()) }
