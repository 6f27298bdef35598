package engine_test

import (
	"testing"

	"bcast/internal/fuzztest"
	"bcast/internal/wire"
)

// FuzzOpen gives a member whatever another can seal: type and inside are the fuzzer's, prefix, tag and seal are right.
// It opens heads, records, pieces, proofs of forks and signed frames, and does what those say that prove themselves:
// what has to be signed by a member is FuzzMember's.
func FuzzOpen(f *testing.F) {
	const vectors = "../wire/testdata/vectors"
	seeds := 0
	for _, inside := range fuzztest.Golden(f, vectors, "inside") {
		for t := wire.TypeRecord; t <= wire.TypeBusy; t++ {
			if t.Known() && len(inside) > 2 {
				f.Add(byte(t), inside[2:])
				seeds++
			}
		}
	}
	m := newSegment(f).foe()
	a, b := m.sign(1, 1, 1, nil, "yes"), m.sign(1, 1, 2, nil, "no")
	for _, frame := range []wire.Frame{
		wire.Record{Bytes: a.Bytes()}, wire.Head{Bytes: a.Head()}, wire.Fork{A: a.Head(), B: b.Head()},
		wire.Frag{Record: a.ID, Total: uint16(len(a.Bytes())), Data: a.Bytes()},
	} {
		f.Add(byte(frame.Type()), wire.AppendFrame(nil, frame))
	}
	if seeds == 0 {
		f.Fatal("no seeds")
	}
	f.Fuzz(func(t *testing.T, kind byte, inside []byte) {
		if len(inside) > 1400 || !wire.Type(kind).Known() || wire.Type(kind).Presence() {
			return
		}
		g := newSegment(t)
		s, m := g.station(0), g.foe()
		outer, err := m.room.Outer(wire.Prefix(wire.Type(kind)), m.random)
		if err != nil {
			t.Fatal(err)
		}
		d := arriving(m.room.Seal(outer, inside, 0), m.addr)
		fuzztest.Within(t, len(d.Data), 16, 8<<10, func() { s.Opener().Open(d) })
		s.open(d)
	})
}
