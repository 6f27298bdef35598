package chat

import (
	"math/rand/v2"
	"testing"

	"bcast/identity"
	"bcast/internal/record"
)

// BenchmarkDeadline asks a room in which a hundred feeds were doubted when something is due, as is done after each
// datagram.
func BenchmarkDeadline(b *testing.B) {
	random := rand.NewChaCha8([32]byte{1})
	key, err := identity.NewKey(random)
	if err != nil {
		b.Fatal(err)
	}
	r := New(Now{Wall: start}, Config{
		ID: record.RoomID{1}, Key: key, Rand: rand.New(random), Fingerprint: func([]byte) [16]byte { return [16]byte{} },
	})
	for epoch := range uint64(100) {
		r.treeOf(record.Feed{Author: key.Public(), Epoch: epoch})
	}
	for b.Loop() {
		r.Deadline()
	}
}
