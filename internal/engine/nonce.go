package engine

import (
	"crypto/hmac"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"

	"bcast/internal/seal"
)

var errSignature = errors.New("not signed by whom it says")

// nonces draws nonces that only we recognise as ours: 16 random bytes and 8 of their HMAC under a key of this run.
// Broadcasts come back to their sender; this tells them without state, and tells nobody else anything.
type nonces struct {
	random io.Reader
	key    [32]byte
}

const nonceRandom = 16

func newNonces(random io.Reader) (*nonces, error) {
	n := &nonces{random: random}
	if _, err := io.ReadFull(random, n.key[:]); err != nil {
		return nil, fmt.Errorf("draw a nonce key: %w", err)
	}
	return n, nil
}

// Read fills b, which must be a whole nonce.
func (n *nonces) Read(b []byte) (int, error) {
	if len(b) != seal.NonceSize {
		return 0, errors.New("nonces are drawn whole")
	}
	if _, err := io.ReadFull(n.random, b[:nonceRandom]); err != nil {
		return 0, err
	}
	copy(b[nonceRandom:], n.mark(b[:nonceRandom]))
	return len(b), nil
}

func (n *nonces) own(nonce []byte) bool {
	return hmac.Equal(nonce[nonceRandom:], n.mark(nonce[:nonceRandom]))
}

func (n *nonces) mark(random []byte) []byte {
	m := hmac.New(sha256.New, n.key[:])
	m.Write(random)
	return m.Sum(nil)[:seal.NonceSize-nonceRandom]
}
