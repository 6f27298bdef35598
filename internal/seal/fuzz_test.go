package seal

import (
	"bytes"
	"testing"

	"bcast/internal/fuzztest"
)

func FuzzUnseal(f *testing.F) {
	for _, b := range fuzztest.Golden(f, "../wire/testdata/vectors", "datagram") {
		f.Add(b)
	}
	room := openRoom(f, "lobby", 0)
	room.Owns(make([]byte, Overhead)) // what is built once is built now
	f.Fuzz(func(t *testing.T, b []byte) {
		before := bytes.Clone(b)
		var owned bool
		var inner []byte
		var err error
		fuzztest.Within(t, len(b), 2, 4<<10, func() {
			owned = room.Owns(b)
			inner, err = room.Unseal(b)
		})
		if !bytes.Equal(b, before) {
			t.Fatal("the input was changed")
		}
		if err != nil {
			return
		}
		if !owned || len(inner) > len(b)-Overhead {
			t.Fatalf("owned %v, %d bytes inside %d", owned, len(inner), len(b))
		}
		again := room.Seal(bytes.Clone(b[:OuterSize]), inner, len(b))
		if !bytes.Equal(again, b) {
			t.Error("sealed again it is another datagram") // only a member that does not pad with zeros makes one
		}
	})
}
