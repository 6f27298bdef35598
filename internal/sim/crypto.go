package sim

import (
	"bytes"
	"crypto/cipher"
	"encoding/binary"
	"errors"
	"hash/crc32"

	"bcast/identity"
	"bcast/internal/record"
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// signatures answers a question about a signature once and then from memory: a broadcast is asked about by every
// receiver.
type signatures struct {
	keys   map[identity.PublicKey]*identity.Key // of all devices; nil: really verify
	known  map[signature]bool
	packet *packet                               // that is being received: asked about by every receiver; nil: none
	fresh  map[[identity.SignatureSize]byte]bool // made by an engine, not yet asked about
}

// believe takes a signature that an engine has just put on the air as right for what it is put on, which spares the
// costliest part of a run. Who asks about it first, of a datagram that arrived as it was sent, binds it to that
// message.
func (s *signatures) believe(sig []byte) {
	if s.keys != nil && len(sig) == identity.SignatureSize {
		s.fresh[[identity.SignatureSize]byte(sig)] = true
	}
}

type signature struct {
	sig [identity.SignatureSize]byte
	sum [2]uint32 // of key and message
}

// maxSignatures bounds the memory; a signature asked about again after that is computed again.
const maxSignatures = 1 << 16

// verify is a record.Verifier. Ed25519 signs deterministically (RFC 8032), so that signing again, which costs half of
// verifying, tells the same of an honest device's signature.
func (s *signatures) verify(key identity.PublicKey, message, sig []byte) bool {
	if len(sig) != identity.SignatureSize {
		return false
	}
	if p := s.packet; p != nil && s.keys != nil {
		if p.sig == nil || !bytes.Equal(p.sig, sig) {
			p.sig, p.valid = sig, s.judge(key, message, sig)
		}
		return p.valid
	}
	return s.judge(key, message, sig)
}

func (s *signatures) judge(key identity.PublicKey, message, sig []byte) bool {
	q := signature{sig: [identity.SignatureSize]byte(sig)}
	q.sum[0], q.sum[1] = crc32.Checksum(key[:], castagnoli), crc32.Checksum(message, castagnoli)
	valid, known := s.known[q]
	if known {
		return valid
	}
	if s.fresh[q.sig] && s.packet != nil && !s.packet.damaged {
		delete(s.fresh, q.sig)
		valid = true
	} else if k := s.keys[key]; k != nil {
		valid = bytes.Equal(k.Sign(message), sig)
	} else {
		valid = key.Verify(message, sig)
	}
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
