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

// Right remembers which signatures were found right. Nodes of one process may share one: what all of them hear is then
// checked once.
type Right struct {
	mu         sync.Mutex
	now, older map[[sha256.Size]byte]struct{}
}

// NewRight returns a Right that remembers none.
func NewRight() *Right { return &Right{now: map[[sha256.Size]byte]struct{}{}} }

func (r *Right) add(name [sha256.Size]byte) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.now) >= maxRemembered {
		r.now, r.older = map[[sha256.Size]byte]struct{}{}, r.now
	}
	r.now[name] = struct{}{}
}

func (r *Right) has(name [sha256.Size]byte) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if _, ok := r.now[name]; ok {
		return true
	}
	_, ok := r.older[name]
	return ok
}

// signatures judges signatures. Wrong ones are not remembered, for there is no end of them, but counted: who sends many
// is not listened to for the rest of a second.
type signatures struct {
	verify record.Verifier
	right  *Right

	mu    sync.Mutex
	wrong wrong
}

func newSignatures(verify record.Verifier, right *Right) *signatures {
	if right == nil {
		right = NewRight()
	}
	return &signatures{verify: verify, right: right, wrong: newWrong()}
}

// prove is an engine.Prover. What is known to be right passes whoever sends it.
func (s *signatures) prove(from netip.AddrPort, key identity.PublicKey, message, sig []byte) wire.Drop {
	name := nameOf(key, message, sig)
	switch {
	case s.right.has(name):
		return ""
	case !s.affords(from):
		return wire.DropBudget
	case s.verify(key, message, sig):
		s.right.add(name)
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
	if s.right.has(name) {
		return true
	}
	if !s.verify(key, message, sig) {
		return false
	}
	s.right.add(name)
	return true
}

// nameOf binds all three: key and signature have fixed lengths, so that no other three give the same bytes.
func nameOf(key identity.PublicKey, message, sig []byte) [sha256.Size]byte {
	h := sha256.New()
	h.Write(key[:])
	h.Write(sig)
	h.Write(message)
	return [sha256.Size]byte(h.Sum(nil))
}
