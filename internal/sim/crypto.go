package sim

import (
	"bytes"
	"crypto/cipher"
	"encoding/binary"
	"errors"
	"hash/crc32"

	"bcast/identity"
	"bcast/identity/identitytest"
	"bcast/internal/record"
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// signatures are quick ones, which nobody here forges: who lies in a run has a key of its own, and faults change bytes.
// In some runs they are real ones.
type signatures struct {
	real   bool
	known  map[signature]bool // of real ones: a broadcast is asked about by every receiver
	packet *packet            // that is being received: asked about by every receiver, too; nil: none
}

type signature struct {
	sig [identity.SignatureSize]byte
	sum [2]uint32 // of key and message
}

// maxSignatures bounds the memory; a signature asked about again after that is computed again.
const maxSignatures = 1 << 16

// signer is what signs for a key.
func (s *signatures) signer(key *identity.Key) identity.Signer {
	if s.real {
		return key
	}
	return identitytest.Quick{Key: key}
}

// verify is a record.Verifier.
func (s *signatures) verify(key identity.PublicKey, message, sig []byte) bool {
	if len(sig) != identity.SignatureSize {
		return false
	}
	if s.real {
		return s.judge(key, message, sig)
	}
	p := s.packet
	if p == nil {
		return identitytest.VerifyQuick(key, message, sig)
	}
	if p.sig == nil || !bytes.Equal(p.sig, sig) {
		p.sig, p.valid = sig, identitytest.VerifyQuick(key, message, sig)
	}
	return p.valid
}

// judge tells of a real signature.
func (s *signatures) judge(key identity.PublicKey, message, sig []byte) bool {
	q := signature{sig: [identity.SignatureSize]byte(sig)}
	q.sum[0], q.sum[1] = crc32.Checksum(key[:], castagnoli), crc32.Checksum(message, castagnoli)
	valid, known := s.known[q]
	if known {
		return valid
	}
	valid = key.Verify(message, sig)
	if len(s.known) >= maxSignatures {
		clear(s.known)
	}
	s.known[q] = valid
	return valid
}

var _ record.Verifier = (&signatures{}).verify

// checksum is an AEAD that hides nothing: the text as it is and a checksum that notices damage. What it opens shares
// the datagram's memory.
type checksum struct{ key uint32 }

const (
	checksumNonce = 24
	checksumSize  = 16
)

var errChecksum = errors.New("checksum differs")

func newChecksum(key []byte) (cipher.AEAD, error) {
	return checksum{crc32.Checksum(key, castagnoli)}, nil
}

func (checksum) NonceSize() int { return checksumNonce }
func (checksum) Overhead() int  { return checksumSize }

func (c checksum) sum(nonce, text, extra []byte) (sum [checksumSize]byte) {
	crc := crc32.Update(crc32.Update(crc32.Update(c.key, castagnoli, nonce), castagnoli, extra), castagnoli, text)
	binary.BigEndian.PutUint32(sum[:], crc)
	return sum
}

func (c checksum) Seal(dst, nonce, text, extra []byte) []byte {
	sum := c.sum(nonce, text, extra)
	return append(append(dst, text...), sum[:]...)
}

func (c checksum) Open(_, nonce, sealed, extra []byte) ([]byte, error) {
	end := len(sealed) - checksumSize
	if end < 0 {
		return nil, errChecksum
	}
	if sum := c.sum(nonce, sealed[:end], extra); !bytes.Equal(sum[:], sealed[end:]) {
		return nil, errChecksum
	}
	return sealed[:end:end], nil
}
