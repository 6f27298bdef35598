package seal

import (
	"crypto/hmac"
	"crypto/sha256"
	"fmt"
	"io"
)

// MAC is HMAC-SHA-256 under one key (RFC 2104) of what is at most 64 bytes long, as the front of a datagram is: key and
// message are hashed in one go on the stack, which is quicker than to go on from a copy of the hash of the key. It is
// immutable and safe on many goroutines.
type MAC struct{ inner, outer [sha256.BlockSize]byte }

// NewMAC makes a MAC of a key of at most 64 bytes, the block of SHA-256.
func NewMAC(key []byte) MAC {
	if len(key) > sha256.BlockSize {
		panic("seal: a key longer than the block of its hash")
	}
	var m MAC
	copy(m.inner[:], key)
	copy(m.outer[:], key)
	for i := range m.inner {
		m.inner[i] ^= 0x36
		m.outer[i] ^= 0x5c
	}
	return m
}

// Format keeps the key out of logs and error texts, whatever the verb.
func (MAC) Format(f fmt.State, _ rune) { io.WriteString(f, "[redacted]") }

// Sum is the MAC of b, of at most 64 bytes.
func (m MAC) Sum(b []byte) (sum [sha256.Size]byte) {
	var block [2 * sha256.BlockSize]byte
	n := copy(block[:], m.inner[:])
	if copy(block[n:], b) < len(b) {
		panic("seal: a MAC of more than a block")
	}
	sum = sha256.Sum256(block[:n+len(b)])
	copy(block[:], m.outer[:])
	copy(block[n:], sum[:])
	return sha256.Sum256(block[:n+len(sum)])
}

// Equal tells whether mac is the front of the MAC of b, in a time that tells nothing of either.
func (m MAC) Equal(b, mac []byte) bool {
	sum := m.Sum(b)
	return hmac.Equal(mac, sum[:len(mac)])
}
