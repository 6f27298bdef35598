package node

import (
	"crypto/sha256"
	"net/netip"
	"sync"
	"time"

	"bcast/discovery"
	"bcast/identity"
	"bcast/internal/record"
	"bcast/internal/wire"
)

// maxRemembered is how many checked signatures each of two generations holds: the older one is dropped when the newer
// is full. A record comes again in repeats, HEADs and answers, and a check takes 51 µs, a look-up less than one.
const maxRemembered = 4096

// signatures remembers which signatures were found right. Wrong ones are not remembered, for there is no end of them,
// but counted: who sends many is not listened to for the rest of a second.
type signatures struct {
	verify record.Verifier

	mu         sync.Mutex
	now, older map[[sha256.Size]byte]struct{}
	wrong      wrong
}

func newSignatures(verify record.Verifier) *signatures {
	return &signatures{verify: verify, now: map[[sha256.Size]byte]struct{}{}, wrong: newWrong()}
}

// prove is an engine.Prover. What is known to be right passes whoever sends it.
func (s *signatures) prove(from netip.AddrPort, key identity.PublicKey, message, sig []byte) wire.Drop {
	if s.known(nameOf(key, message, sig)) {
		return ""
	}
	if !s.affords(from) {
		return wire.DropBudget
	}
	if s.check(key, message, sig) {
		return ""
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.wrong.count(from)
	return wire.DropBadSignature
}

func (s *signatures) affords(from netip.AddrPort) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.wrong.affords(from, time.Now())
}

// follow notes where a peer is known to answer: from there it has a budget of its own.
func (s *signatures) follow(p discovery.Peer) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.wrong.follow(p)
}

// check is a record.Verifier.
func (s *signatures) check(key identity.PublicKey, message, sig []byte) bool {
	name := nameOf(key, message, sig)
	if s.known(name) {
		return true
	}
	if !s.verify(key, message, sig) {
		return false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.now) >= maxRemembered {
		s.now, s.older = map[[sha256.Size]byte]struct{}{}, s.now
	}
	s.now[name] = struct{}{}
	return true
}

func (s *signatures) known(name [sha256.Size]byte) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, ok := s.now[name]; ok {
		return true
	}
	_, ok := s.older[name]
	return ok
}

// nameOf binds all three: key and signature have fixed lengths, so that no other three give the same bytes.
func nameOf(key identity.PublicKey, message, sig []byte) [sha256.Size]byte {
	h := sha256.New()
	h.Write(key[:])
	h.Write(sig)
	h.Write(message)
	return [sha256.Size]byte(h.Sum(nil))
}
