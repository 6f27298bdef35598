package engine_test

import (
	"slices"
	"testing"
	"time"

	"bcast/identity"
	"bcast/internal/engine"
	"bcast/internal/record"
	"bcast/internal/seal"
	"bcast/internal/wire"
)

// directly opens the room of two at s.
func (s *station) directly(with *station) {
	s.seg.t.Helper()
	secret, err := seal.DirectSecret(s.key.Key, with.key.Public())
	if err != nil {
		s.seg.t.Fatal(err)
	}
	s.Do(s.clock(), 1, engine.Join{
		Room: engine.DirectRoom(with.key.ID()), Keys: &engine.Keys{Secret: secret},
		Direct: &engine.Direct{Key: with.key.Public()},
	})
	s.settle()
	s.seg.wait(time.Second)
}

// whisper says something to one station and returns what became of it.
func (s *station) whisper(to *station, text string) {
	s.Do(s.clock(), 3, engine.Say{
		Room: engine.DirectRoom(to.key.ID()), Posts: []record.Post{{Kind: record.KindText, Text: text}},
	})
	s.settle()
	s.seg.wait(3 * time.Second)
}

func (s *station) direct(with *station) *engine.RoomState {
	for _, r := range s.Rooms(s.clock()) {
		if r.Direct == with.key.ID() {
			return &r
		}
	}
	return nil
}

func TestDirectRoom(t *testing.T) {
	g := newSegment(t)
	a, b, c := g.station(0), g.station(0), g.station(0)
	g.wait(3 * time.Second)
	a.directly(b)
	if b.knock != nil {
		t.Error("opening a direct room shows at the other one before anything is said in it")
	}
	g.sent = nil
	a.whisper(b, "between us")
	if !slices.Equal(slices.Compact(b.knock), []identity.DeviceID{a.key.ID()}) {
		t.Fatalf("knocks at b: %v", b.knock)
	}
	for _, s := range g.sent {
		if !s.Type.Presence() && s.Type != wire.TypeDigest && s.To != b.addr {
			t.Errorf("a datagram of type %v goes to %v", s.Type, s.To)
		}
	}
	if b.shows("between us") || c.knock != nil {
		t.Error("somebody reads who has not opened the room, or is not spoken to")
	}
	b.knock = nil
	b.directly(a)
	b.wantShown("between us")
	b.whisper(a, "quite")
	a.wantShown("quite")
	members := a.direct(b).Members
	if len(members) != 2 || b.knock != nil || a.knock != nil || c.knock != nil || c.shows("quite") {
		t.Errorf("members %v, knocks %v %v %v", members, a.knock, b.knock, c.knock)
	}
	if p, _ := c.Peer(a.key.ID()); len(p.Rooms) != 1 {
		t.Errorf("presence names %q", p.Rooms)
	}
	if a.Nick(engine.DirectRoom(b.key.ID()), b.key.ID()) != "host2" {
		t.Error("the other one has no nick")
	}
}

// Who left the room is not brought back by what the other says of its state, but by what it says.
func TestDirectRoomOnceLeftStaysClosed(t *testing.T) {
	g := newSegment(t)
	a, b := g.station(0), g.station(0)
	g.wait(3 * time.Second)
	a.directly(b)
	b.directly(a)
	a.whisper(b, "one")
	b.Do(b.clock(), 1, engine.Leave{Room: engine.DirectRoom(a.key.ID())})
	b.settle()
	g.wait(3 * time.Minute)
	if b.knock != nil || len(a.direct(b).Members) != 2 {
		t.Errorf("knocks %v, members %v", b.knock, a.direct(b).Members)
	}
	a.whisper(b, "two")
	if b.knock == nil {
		t.Fatal("b does not learn that something was said")
	}
	b.directly(a)
	b.wantShown("two")
}

// What is said to who is away comes when it is back.
func TestDirectPostWaitsForTheOther(t *testing.T) {
	g := newSegment(t)
	a, b := g.station(0), g.station(0)
	g.wait(3 * time.Second)
	a.directly(b)
	b.off = true
	g.wait(30 * time.Second)
	a.whisper(b, "while you were away")
	b.off = false
	g.wait(10 * time.Second)
	if b.knock == nil {
		t.Fatal("b does not learn that something was said")
	}
	b.directly(a)
	b.wantShown("while you were away")
	members, have := 0, 0
	for _, e := range a.kept[uint64(a.direct(b).Scopes[0])] {
		_, who, _ := a.Ledger(engine.DirectRoom(b.key.ID()), e)
		members, have = members+1, have+len(who)
	}
	if members != 1 || have != 1 {
		t.Errorf("%d own records, held by %d", members, have)
	}
}

// Who stole one of the two keys can make datagrams of the room, and writes in nobody's name with them.
func TestDirectRoomTakesTwoAuthors(t *testing.T) {
	g := newSegment(t)
	a, b, thief := g.station(0), g.station(0), g.station(0)
	g.wait(3 * time.Second)
	a.directly(b)
	b.directly(a)
	secret, err := seal.DirectSecret(a.key.Key, b.key.Public())
	if err != nil {
		t.Fatal(err)
	}
	thief.Do(thief.clock(), 1, engine.Join{Room: crew, Keys: &engine.Keys{Secret: secret}})
	thief.settle()
	thief.tell("I am the third")
	g.wait(30 * time.Second)
	for _, s := range []*station{a, b} {
		if s.shows("I am the third") {
			t.Errorf("%v shows what a third one says", s.addr)
		}
	}
	if a.direct(b).Stored != 0 || len(b.direct(a).Members) != 2 {
		t.Errorf("%d posts of others stored, members %v", a.direct(b).Stored, b.direct(a).Members)
	}
	a.whisper(b, "still between us")
	b.wantShown("still between us")
	a.Do(a.clock(), 9, engine.Rekey{Room: engine.DirectRoom(b.key.ID())})
	var out engine.Output
	if a.Drain(&out); len(out.Replies) != 1 || out.Replies[0].Err != engine.ErrDirect {
		t.Errorf("a rekey: %v", out.Replies)
	}
}

// The keys of a direct room follow from its two devices, whatever one of them says: no rekey shuts the other one out of
// it, or leads away from what both can derive.
func TestDirectRoomIsNotRekeyed(t *testing.T) {
	g := newSegment(t)
	a, b := g.station(0), g.station(0)
	g.wait(3 * time.Second)
	a.directly(b)
	b.directly(a)
	secret, err := seal.DirectSecret(a.key.Key, b.key.Public())
	if err != nil {
		t.Fatal(err)
	}
	post := b.rekeyPost(secret, 1, seal.Secret{9}, a, b)
	out := post
	out.Text = a.key.ID().String()
	b.Do(b.clock(), 3, engine.Say{Room: engine.DirectRoom(a.key.ID()), Posts: []record.Post{post, out}})
	b.settle()
	g.wait(3 * time.Second)
	for _, r := range []*engine.RoomState{a.direct(b), b.direct(a)} {
		if r.Out || r.Epoch != 0 || r.Stored != 1 {
			t.Errorf("shut out %t, epoch %d, %d posts stored", r.Out, r.Epoch, r.Stored)
		}
	}
}

// A knock needs the key of the device that is where it comes from, and is for who is spoken to alone.
func TestKnocksProveThemselves(t *testing.T) {
	g := newSegment(t)
	a, b, c := g.station(0), g.station(0), g.station(0)
	g.wait(3 * time.Second)
	ring, err := seal.NewRing(seal.Secret{9}, nil)
	if err != nil {
		t.Fatal(err)
	}
	for range 100 { // garbage for b from the address of a, and once more what a said to c
		outer, _ := ring.Current().Outer(wire.Prefix(wire.TypeRecord), nonceReader{})
		data := ring.Current().Seal(outer, []byte("x"), 256)
		g.queue = append(g.queue, flying{from: a.addr, send: engine.Send{Data: data, To: b.addr, Type: wire.TypeRecord}})
	}
	g.pump()
	a.directly(c)
	g.sent = nil
	a.whisper(c, "for c")
	for _, s := range g.sent {
		if s.To == c.addr {
			s.To = b.addr
			g.queue = append(g.queue, flying{from: a.addr, send: s})
		}
	}
	g.pump()
	if b.knock != nil {
		t.Errorf("knocks %v", b.knock)
	}
}

type nonceReader struct{}

func (nonceReader) Read(b []byte) (int, error) { return len(b), nil }
