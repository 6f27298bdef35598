package wire_test

import (
	"bytes"
	"testing"

	"bcast/internal/fuzztest"
	"bcast/internal/seal"
	"bcast/internal/wire"
)

func FuzzPresence(f *testing.F) {
	for _, b := range seedsOf(f, "datagram") {
		f.Add(b)
	}
	key := keyOf(f, 1)
	// What is built once is built now.
	wire.ParsePresence(wire.SealPresence(wire.Presence{Instance: aliceRun, Counter: 1, Claims: vectorClaims()}, key))
	f.Fuzz(func(t *testing.T, b []byte) {
		t.Helper()
		wire.Classify(b)
		before := bytes.Clone(b)
		var p *wire.Presence
		var err error
		fuzztest.Within(t, len(b), 8, 16<<10, func() { p, err = wire.ParsePresence(b) })
		if !bytes.Equal(b, before) {
			t.Fatal("the input was changed")
		}
		if err != nil {
			return
		}
		p.Verify(verify)
		first := wire.SealPresence(*p, key)
		back, err := wire.ParsePresence(first)
		if err != nil || !back.Verify(verify) {
			t.Fatalf("what was read is not what one may send: %v", err)
		}
		if again := wire.SealPresence(*back, key); !bytes.Equal(again, first) {
			t.Error("another datagram the second time")
		}
	})
}

// insides are the frames of the golden vectors by type.
func insides(f *testing.F, add func(t byte, b []byte)) {
	for _, v := range loadVectors(f) {
		for i, s := range v.sections {
			if s.kind != "inside" {
				continue
			}
			n := int(s.bytes[0])<<8 | int(s.bytes[1])
			add(v.sections[i-1].bytes[3], s.bytes[2:2+n])
		}
	}
}

func FuzzSigned(f *testing.F) {
	seeds := 0
	insides(f, func(t byte, b []byte) {
		if wire.Type(t).Signed() {
			f.Add(t, b)
			seeds++
		}
	})
	if seeds == 0 {
		f.Fatal("no signed frames in the golden vectors")
	}
	key, room, outer := keyOf(f, 1), roomOf(f, "lobby"), make([]byte, seal.OuterSize)
	f.Fuzz(func(t *testing.T, typ byte, b []byte) {
		var s *wire.Signed
		var err error
		fuzztest.Within(t, len(b), 8, 4<<10, func() { s, err = wire.ParseSigned(wire.Type(typ), b) })
		if err != nil {
			return
		}
		if s.Frame.Type() != wire.Type(typ) {
			t.Fatalf("a frame of type %v came of %d", s.Frame.Type(), typ)
		}
		s.Verify(verify, room.ID, outer)
		s.Sender.Key = key.Public()
		again := wire.AppendSigned(nil, s.Frame, s.Sender, key, room.ID, outer)
		if len(again) > len(b) || !bytes.Equal(again[32:len(again)-64], b[32:len(again)-64]) {
			t.Error("the fields have a second encoding")
		}
	})
}

func FuzzFrame(f *testing.F) {
	seeds := 0
	insides(f, func(t byte, b []byte) {
		if !wire.Type(t).Signed() {
			f.Add(t, b)
			seeds++
		}
	})
	if seeds == 0 {
		f.Fatal("no self-proving frames in the golden vectors")
	}
	f.Fuzz(func(t *testing.T, typ byte, b []byte) {
		var frame wire.Frame
		var err error
		fuzztest.Within(t, len(b), 0, 4<<10, func() { frame, err = wire.ParseFrame(wire.Type(typ), b) })
		if err != nil {
			return
		}
		if frame.Type() != wire.Type(typ) || !bytes.Equal(wire.AppendFrame(nil, frame), b) {
			t.Error("the frame has a second encoding")
		}
	})
}
