package seal

import (
	"bytes"
	"crypto/hpke"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"

	"golang.org/x/crypto/chacha20poly1305"

	"bcast/identity"
)

// MaxRecipients is how many members one rekey body names. It makes a body no longer than the longest text of a post;
// for more members there are more bodies, each of use by itself.
const MaxRecipients = 170

const (
	commitSize  = 16
	rekeyHeader = 4 + commitSize + 2
	idSize      = len(identity.DeviceID{})
	sealedSize  = encSize + len(Secret{}) + chacha20poly1305.Overhead
	entrySize   = idSize + sealedSize
)

// commitment is a hash that tells two secrets apart and tells nothing of them.
func (s Secret) commitment() [32]byte {
	return sha256.Sum256([]byte("bcast/1 rekey commit\x00" + string(s[:])))
}

// rekeyInfo binds a sealed secret to its place: nobody can hand on what an author sealed for another room, epoch or
// member.
func rekeyInfo(room [16]byte, epoch uint32, author, recipient identity.PublicKey) []byte {
	b := append([]byte("bcast/1 rekey\x00"), room[:]...)
	b = binary.BigEndian.AppendUint32(b, epoch)
	b = append(b, author[:]...)
	return append(b, recipient[:]...)
}

// SealRekey seals the secret of a new key epoch to each of the members that stay; name the author among them. Members
// whose keys nothing can be sealed to get nothing and are returned as left: one of them must not keep a room from
// shutting out another. Each body is a post of its own.
func SealRekey(random io.Reader, room [16]byte, epoch uint32, author identity.PublicKey, secret Secret,
	members []identity.PublicKey) (bodies [][]byte, left []identity.DeviceID, err error) {
	if epoch == 0 || secret == (Secret{}) {
		return nil, nil, errRekeySecret
	}
	var entries [][]byte
	for _, m := range sortedByID(members) {
		to, err := agreementKey(m)
		if err != nil {
			left = append(left, m.ID())
			continue
		}
		sealed, err := sealHPKE(random, to, rekeyInfo(room, epoch, author, m), secret[:])
		if err != nil {
			return nil, nil, fmt.Errorf("rekey for %s: %w", m.ID(), err)
		}
		id := m.ID()
		entries = append(entries, append(id[:], sealed...))
	}
	commit := secret.commitment()
	for part := range slices.Chunk(entries, MaxRecipients) {
		b := binary.BigEndian.AppendUint32(nil, epoch)
		b = append(b, commit[:commitSize]...)
		b = binary.BigEndian.AppendUint16(b, uint16(len(part)))
		bodies = append(bodies, append(b, bytes.Join(part, nil)...))
	}
	return bodies, left, nil
}

// sortedByID puts the keys in the order of a body, each once.
func sortedByID(keys []identity.PublicKey) []identity.PublicKey {
	sorted := slices.Clone(keys)
	slices.SortFunc(sorted, func(a, b identity.PublicKey) int { return a.ID().Compare(b.ID()) })
	return slices.Compact(sorted)
}

var (
	errRekey       = errors.New("rekey: malformed")
	errRekeySecret = errors.New("rekey: an empty secret or key epoch 0")
	errRekeySealed = errors.New("rekey: what is sealed for this device does not open")
	errRekeyCommit = errors.New("rekey: the secret is not the one that was promised to all")
)

// OpenRekey reads the body of a rekey that author signed, and opens the new epoch's secret if it is sealed to key. That
// ok is false means that this body does not name the device: another of the same epoch may.
//
// All whom an author names get the same secret, or none: it counts only if it is the one that the body commits to.
func OpenRekey(key *identity.Key, room [16]byte, author identity.PublicKey, body []byte) (
	epoch uint32, secret Secret, ok bool, err error) {
	epoch, commit, entries, err := parseRekey(body)
	if err != nil {
		return 0, Secret{}, false, err
	}
	at, found := find(entries, key.ID())
	if !found {
		return epoch, Secret{}, false, nil
	}
	private, err := hpke.NewDHKEMPrivateKey(key.Agreement())
	if err != nil {
		return 0, Secret{}, false, fmt.Errorf("rekey: %w", err)
	}
	sealed := entries[at*entrySize+idSize:][:sealedSize]
	plain, err := hpke.Open(private, hpke.HKDFSHA256(), hpke.ChaCha20Poly1305(),
		rekeyInfo(room, epoch, author, key.Public()), sealed)
	if err != nil || len(plain) != len(secret) {
		return 0, Secret{}, false, errRekeySealed
	}
	secret = Secret(plain)
	if sum := secret.commitment(); subtle.ConstantTimeCompare(sum[:commitSize], commit) == 0 {
		return 0, Secret{}, false, errRekeyCommit
	}
	if secret == (Secret{}) {
		return 0, Secret{}, false, errRekeySecret
	}
	return epoch, secret, true, nil
}

// ReadRekey tells of the body of a rekey, without opening anything, of which epoch its secret is and to whom it is
// sealed.
func ReadRekey(body []byte) (epoch uint32, named []identity.DeviceID, ok bool) {
	epoch, _, entries, err := parseRekey(body)
	for entry := range slices.Chunk(entries, entrySize) {
		named = append(named, identity.DeviceID(entry[:idSize]))
	}
	return epoch, named, err == nil
}

// Promises tells whether a secret is the one that a rekey's body promises.
func Promises(body []byte, s Secret) bool {
	_, promised, _, err := parseRekey(body)
	commit := s.commitment()
	return err == nil && bytes.Equal(promised, commit[:commitSize])
}

// parseRekey checks a body's shape: the count is that of the entries, and their ids ascend, so that nobody is named
// twice and there is one encoding.
func parseRekey(b []byte) (epoch uint32, commit, entries []byte, err error) {
	if len(b) < rekeyHeader {
		return 0, nil, nil, errRekey
	}
	epoch, commit, entries = binary.BigEndian.Uint32(b), b[4:4+commitSize], b[rekeyHeader:]
	count := int(binary.BigEndian.Uint16(b[4+commitSize:]))
	if epoch == 0 || count == 0 || count > MaxRecipients || len(entries) != count*entrySize {
		return 0, nil, nil, errRekey
	}
	for i := range count - 1 {
		if bytes.Compare(entries[i*entrySize:][:idSize], entries[(i+1)*entrySize:][:idSize]) >= 0 {
			return 0, nil, nil, errRekey
		}
	}
	return epoch, commit, entries, nil
}

// find is the index of id's entry.
func find(entries []byte, id identity.DeviceID) (int, bool) {
	for i := range len(entries) / entrySize {
		if order := bytes.Compare(entries[i*entrySize:][:idSize], id[:]); order >= 0 {
			return i, order == 0
		}
	}
	return 0, false
}
