package identity

import (
	"crypto/ecdh"
	"crypto/sha512"
	"fmt"
	"io"
)

// Agreement is a device key turned to agreeing on secrets: the X25519 key (RFC 7748) with the same secret scalar, so
// that a device is reached by the one key everybody knows it by. It is an ecdh.KeyExchanger, gives out no secret bytes
// and is never printed.
type Agreement struct{ private *ecdh.PrivateKey }

// Agreement is the key's X25519 half: the first 32 bytes of SHA-512(seed), which are the scalar of Ed25519, too (RFC
// 8032, 5.1.5; X25519 clamps them the same way). What it agrees on is bound to a purpose by who uses it.
func (k *Key) Agreement() Agreement {
	scalar := sha512.Sum512(k.private.Seed())
	private, err := ecdh.X25519().NewPrivateKey(scalar[:32])
	if err != nil {
		panic(fmt.Sprintf("agreement key: %v", err)) // only another length than 32 can do that
	}
	return Agreement{private}
}

// PublicKey is the X25519 public key: the Montgomery form of the device's Ed25519 key.
func (a Agreement) PublicKey() *ecdh.PublicKey { return a.private.PublicKey() }

// Curve is X25519.
func (a Agreement) Curve() ecdh.Curve { return a.private.Curve() }

// ECDH is the secret shared with the holder of the other key. A key of small order, with which everybody shares the
// same secret, is an error.
func (a Agreement) ECDH(other *ecdh.PublicKey) ([]byte, error) { return a.private.ECDH(other) }

// Format keeps the key out of logs and error texts, whatever the verb.
func (Agreement) Format(f fmt.State, _ rune) { io.WriteString(f, "[redacted]") }

// MarshalText keeps the key out of JSON, and so out of JSON logs.
func (Agreement) MarshalText() ([]byte, error) { return []byte("[redacted]"), nil }
