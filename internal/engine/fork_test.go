package engine_test

import (
	"slices"
	"testing"

	"bcast/internal/engine"
	"bcast/internal/record"
	"bcast/internal/wire"
)

// A fork proves itself, or it is nothing.
func TestForkFrameIsChecked(t *testing.T) {
	g := newSegment(t)
	a, m := g.station(0), g.foe()
	one, two := m.sign(1, 1, 1, nil, "yes"), m.sign(1, 1, 1, nil, "no")
	next, denies := m.sign(1, 2, 2, one, "and"), m.sign(1, 2, 2, two, "but")
	broken := slices.Clone(two.Head())
	broken[2] ^= 1 // the signature
	for _, test := range []struct {
		name string
		a, b []byte
		want wire.Drop
	}{
		{"two of one number", one.Head(), two.Head(), ""},
		{"one that denies the other", one.Head(), denies.Head(), ""},
		{"the same twice", one.Head(), one.Head(), wire.DropMalformed},
		{"one after the other", one.Head(), next.Head(), wire.DropMalformed},
		{"another feed", one.Head(), m.sign(2, 1, 1, nil, "no").Head(), wire.DropMalformed},
		{"another author", one.Head(), g.foe().sign(1, 1, 1, nil, "no").Head(), wire.DropMalformed},
		{"the second not signed", one.Head(), broken, wire.DropBadSignature},
		{"the first not signed", broken, one.Head(), wire.DropBadSignature},
		{"a body", one.Head(), two.Bytes(), wire.DropMalformed},
		{"one head", one.Head(), nil, wire.DropMalformed},
	} {
		frame := wire.Fork{A: test.a, B: test.b}
		outer, err := m.room.Outer(wire.Prefix(frame.Type()), m.random)
		if err != nil {
			t.Fatal(err)
		}
		data := m.room.Seal(outer, wire.AppendFrame(nil, frame), 0)
		_, got := a.Opener().Open(engine.Datagram{Data: data, Size: len(data), From: m.addr, TTL: 255, OnLink: true})
		if got != test.want {
			t.Errorf("%s: %q, want %q", test.name, got, test.want)
		}
	}
}

func TestForkIsToldToTheFaces(t *testing.T) {
	g := newSegment(t)
	a, m := g.station(0), g.foe()
	one, two := m.sign(1, 1, 1, nil, "yes"), m.sign(1, 1, 1, nil, "no")
	for _, rec := range []*record.Record{one, two, two} {
		m.tell(a, wire.Record{Bytes: rec.Bytes()}, 0)
	}
	m.tell(a, wire.Fork{A: one.Head(), B: two.Head()}, 0)
	if !slices.Equal(a.forks, []record.ID{two.ID}) {
		t.Errorf("told of %v", a.forks)
	}
	a.wantShown("yes", "no")
}
