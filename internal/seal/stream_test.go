package seal

import (
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"slices"
	"testing"

	"bcast/identity"
)

// The proof as PROTOCOL.md writes it, from the secret on.
func TestStreamProofAsWritten(t *testing.T) {
	secret := PublicSecret("lobby")
	key, err := hkdf.Key(sha256.New, secret[:], nil, "bcast/1 stream key\x00\x00\x00\x00\x03", 32)
	if err != nil {
		t.Fatal(err)
	}
	exporter, dialler, acceptor := [32]byte{1}, identity.DeviceID{2}, identity.DeviceID{3}
	m := hmac.New(sha256.New, key)
	m.Write(slices.Concat([]byte{1}, exporter[:], dialler[:], acceptor[:]))
	if got := openRoom(t, "lobby", 3).StreamProof(Dialler, exporter, dialler, acceptor); !hmac.Equal(got[:], m.Sum(nil)) {
		t.Errorf("proof %x, want %x", got, m.Sum(nil))
	}
}

// A proof is worth something for one room, key epoch, connection, pair of devices and end only.
func TestStreamProofIsBound(t *testing.T) {
	lobby := openRoom(t, "lobby", 0)
	x, a, b := [32]byte{1}, identity.DeviceID{2}, identity.DeviceID{3}
	right := lobby.StreamProof(Dialler, x, a, b)
	for name, other := range map[string][32]byte{
		"room":       openRoom(t, "kitchen", 0).StreamProof(Dialler, x, a, b),
		"key epoch":  openRoom(t, "lobby", 1).StreamProof(Dialler, x, a, b),
		"end":        lobby.StreamProof(Acceptor, x, a, b),
		"connection": lobby.StreamProof(Dialler, [32]byte{9}, a, b),
		"direction":  lobby.StreamProof(Dialler, x, b, a),
		"acceptor":   lobby.StreamProof(Dialler, x, a, identity.DeviceID{9}),
	} {
		if other == right {
			t.Errorf("the proof is good for another %s, too", name)
		}
	}
}
