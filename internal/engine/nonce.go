package engine

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/subtle"
	"errors"
	"fmt"
	"io"

	"bcast/internal/seal"
)

// nonces draws nonces that only we recognise as ours: 16 random bytes and 8 of what AES makes of them under a key of
// this run. Broadcasts come back to their sender; this tells them without state, and tells nobody else anything. It is
// asked of every datagram that comes, so it is to take no longer than to look at one: a tenth of an HMAC.
type nonces struct {
	random io.Reader
	block  cipher.Block
}

const nonceRandom = aes.BlockSize

func newNonces(random io.Reader) (*nonces, error) {
	var key [32]byte
	if _, err := io.ReadFull(random, key[:]); err != nil {
		return nil, fmt.Errorf("draw a nonce key: %w", err)
	}
	block, err := aes.NewCipher(key[:])
	if err != nil {
		return nil, fmt.Errorf("take a nonce key: %w", err)
	}
	return &nonces{random: random, block: block}, nil
}

// Read fills b, which must be a whole nonce.
func (n *nonces) Read(b []byte) (int, error) {
	if len(b) != seal.NonceSize {
		return 0, errors.New("nonces are drawn whole")
	}
	if _, err := io.ReadFull(n.random, b[:nonceRandom]); err != nil {
		return 0, err
	}
	mark := n.mark(b)
	copy(b[nonceRandom:], mark[:])
	return len(b), nil
}

func (n *nonces) mark(nonce []byte) (mark [nonceRandom]byte) {
	copy(mark[:], nonce)
	n.block.Encrypt(mark[:], mark[:])
	return mark
}

func (n *nonces) own(nonce []byte) bool {
	mark := n.mark(nonce)
	return subtle.ConstantTimeCompare(mark[:len(nonce)-nonceRandom], nonce[nonceRandom:]) == 1
}
