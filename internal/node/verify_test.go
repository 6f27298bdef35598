package node

import (
	"encoding/binary"
	"testing"

	"bcast/identity"
)

func TestRightSignaturesAreCheckedOnce(t *testing.T) {
	checks := 0
	s := newSignatures(func(_ identity.PublicKey, _, sig []byte) bool { checks++; return sig[0] == 1 }, nil)
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

// What one node found right its neighbour in the process takes for right; what one found wrong tells the other nothing.
func TestSharedSignaturesAreCheckedOnce(t *testing.T) {
	checks, right := 0, NewRight()
	verify := func(_ identity.PublicKey, _, sig []byte) bool { checks++; return sig[0] == 1 }
	sig := make([]byte, identity.SignatureSize)
	for _, first := range []byte{1, 0} {
		sig[0], checks = first, 0
		for range 2 {
			if newSignatures(verify, right).check(identity.PublicKey{}, []byte("m"), sig) != (first == 1) {
				t.Errorf("a signature that begins with %d is judged wrongly", first)
			}
		}
		if want := 2 - int(first); checks != want {
			t.Errorf("a signature that begins with %d was checked %d times, want %d", first, checks, want)
		}
	}
}

func TestRememberedSignaturesAreBounded(t *testing.T) {
	s := newSignatures(func(identity.PublicKey, []byte, []byte) bool { return true }, nil)
	sig := make([]byte, identity.SignatureSize)
	for i := range uint64(5 * maxRemembered) {
		s.check(identity.PublicKey{}, binary.BigEndian.AppendUint64(nil, i), sig)
	}
	if n := len(s.right.now) + len(s.right.older); n > 2*maxRemembered {
		t.Errorf("%d signatures remembered", n)
	}
}
