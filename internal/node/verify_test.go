package node

import (
	"encoding/binary"
	"testing"

	"bcast/identity"
)

func TestRightSignaturesAreCheckedOnce(t *testing.T) {
	checks := 0
	s := newSignatures(func(_ identity.PublicKey, _, sig []byte) bool { checks++; return sig[0] == 1 })
	good, bad := make([]byte, identity.SignatureSize), make([]byte, identity.SignatureSize)
	good[0] = 1
	for range 3 {
		if !s.check(identity.PublicKey{}, []byte("m"), good) {
			t.Fatal("a right signature was refused")
		}
	}
	if checks != 1 {
		t.Errorf("checked %d times", checks)
	}
	if s.check(identity.PublicKey{1}, []byte("m"), bad) || s.check(identity.PublicKey{}, []byte("other"), bad) ||
		s.check(identity.PublicKey{}, []byte("m"), bad) {
		t.Error("a wrong signature passed")
	}
	if checks != 4 {
		t.Errorf("a wrong signature was remembered: %d checks", checks)
	}
}

func TestRememberedSignaturesAreBounded(t *testing.T) {
	s := newSignatures(func(identity.PublicKey, []byte, []byte) bool { return true })
	sig := make([]byte, identity.SignatureSize)
	for i := range uint64(5 * maxRemembered) {
		s.check(identity.PublicKey{}, binary.BigEndian.AppendUint64(nil, i), sig)
	}
	if n := len(s.now) + len(s.older); n > 2*maxRemembered {
		t.Errorf("%d signatures remembered", n)
	}
}
