package wire_test

import (
	"testing"

	"bcast/identity"
	"bcast/internal/record"
	"bcast/internal/wire"
)

// What there is most of: pieces of records and whole ones at full speed, receipts and wants beside them, a digest now
// and then, and the presence of everyone.
func BenchmarkFrames(b *testing.B) {
	key := keyOf(b, 1)
	claims := make([]wire.FeedClaim, 10)
	for i := range claims {
		claims[i] = wire.FeedClaim{Feed: [8]byte{byte(i)}, Low: 1, High: 1000}
	}
	for _, test := range []struct {
		name  string
		frame wire.Frame
	}{
		{"frag", wire.Frag{Record: [16]byte{1}, Total: 13_000, Offset: 2600, Data: make([]byte, 1300)}},
		{"record", wire.Record{Bytes: make([]byte, 500)}},
		{"want", wire.Want{Limit: 1400, Ranges: []wire.SeqRange{{Feed: [8]byte{1}, From: 7, To: 9}}}},
		{"receipt", wire.Receipt{Stored: claims[:1]}},
		{"digest", wire.Digest{Claims: claims}},
	} {
		var inner []byte
		signed := test.frame.Type().Signed()
		if signed {
			inner = wire.AppendSigned(nil, test.frame, wire.Sender{Key: key.Public(), Instance: aliceRun, Counter: 1},
				key, record.RoomID{}, nil)
		} else {
			inner = wire.AppendFrame(nil, test.frame)
		}
		b.Run("append "+test.name, func(b *testing.B) {
			b.ReportAllocs()
			buf := make([]byte, 0, len(inner))
			for b.Loop() {
				buf = wire.AppendFrame(buf[:0], test.frame)
			}
		})
		b.Run("parse "+test.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				var err error
				if signed {
					_, err = wire.ParseSigned(test.frame.Type(), inner)
				} else {
					_, err = wire.ParseFrame(test.frame.Type(), inner)
				}
				if err != nil {
					b.Fatal(err)
				}
			}
		})
	}
	presence := wire.SealPresence(wire.Presence{
		Type: wire.TypeBeat, Key: key.Public(), Instance: identity.Instance{Boot: 1}, Counter: 1,
		Claims: wire.Claims{Nick: "alice", RecvBuffer: 65535, UnicastPort: 27475},
	}, key)
	b.Run("parse beat", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := wire.ParsePresence(presence); err != nil {
				b.Fatal(err)
			}
		}
	})
}
