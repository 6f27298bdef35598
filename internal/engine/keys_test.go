package engine_test

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"bcast/chat"
	"bcast/identity"
	"bcast/internal/engine"
	"bcast/internal/record"
	"bcast/internal/seal"
	"bcast/internal/wire"
)

const crew identity.RoomName = "crew"

var crewSecret = seal.Secret{7, 7, 7}

// enter makes stations members of the private room.
func enter(stations ...*station) {
	for _, s := range stations {
		s.Do(s.clock(), 1, engine.Join{Room: crew, Keys: &engine.Keys{Secret: crewSecret}})
		s.settle()
	}
	stations[0].seg.wait(3 * time.Second)
}

func (s *station) tell(text string) {
	s.Do(s.clock(), 2, engine.Say{Room: crew, Posts: []record.Post{{Kind: record.KindText, Text: text}}})
	s.settle()
	s.seg.wait(time.Second)
}

func (s *station) rekey(without ...*station) error {
	var ids []identity.DeviceID
	for _, o := range without {
		ids = append(ids, o.key.ID())
	}
	return s.try(engine.Rekey{Room: crew, Without: ids})
}

// try has the engine carry out a command, and returns what it refuses at once.
func (s *station) try(c engine.Command) error {
	const token = 77
	s.Do(s.clock(), token, c)
	var out engine.Output
	s.Drain(&out)
	for _, r := range out.Replies {
		if r.Token == token {
			return r.Err
		}
	}
	s.put(&out)
	s.settle()
	return nil
}

// put does what settle would do with an output that is drained already.
func (s *station) put(out *engine.Output) {
	for _, st := range out.Store {
		s.Stored(s.clock(), st.Token, s.append(st), nil)
	}
	for _, send := range out.Send {
		s.seg.queue = append(s.seg.queue, flying{from: s.addr, send: send})
	}
}

func (s *station) epoch() uint32 {
	for _, r := range s.Rooms(s.clock()) {
		if r.Name == crew {
			return r.Epoch
		}
	}
	return 99
}

func (s *station) shows(text string) bool { return slices.Contains(s.shown, text) }

// Traffic analysis: neither presence nor a datagram shows a private room or what is said in it.
//
// A private room: who has the secret reads it, nobody else does, and nobody learns that it is there.
func TestADV_traffic_Nothing_names_a_private_room(t *testing.T) {
	g := newSegment(t)
	a, b, c := g.station(0), g.station(0), g.station(0)
	enter(a, b)
	g.sent = nil
	a.tell("the treasure is under the oak")
	a.wantShown("the treasure is under the oak")
	b.wantShown("the treasure is under the oak")
	if c.shows("the treasure is under the oak") {
		t.Error("who is not in the room reads it")
	}
	for _, s := range g.sent {
		if bytes.Contains(s.Data, []byte("treasure")) || bytes.Contains(s.Data, []byte(crew)) {
			t.Errorf("a datagram of type %v shows the post or the room", s.Type)
		}
	}
	if p, _ := c.Peer(a.key.ID()); slices.Contains(p.Rooms, crew) {
		t.Error("presence tells of the private room")
	}
}

func TestRekeyShutsOut(t *testing.T) {
	g := newSegment(t)
	a, b, c := g.station(0), g.station(0), g.station(0)
	enter(a, b, c)
	a.tell("before")
	if err := a.rekey(c); err != nil {
		t.Fatal(err)
	}
	g.wait(2 * time.Second)
	a.tell("after, by a")
	b.tell("after, by b")
	c.tell("by who is out")
	for _, s := range []*station{a, b} {
		s.wantShown("before", "after, by a", "after, by b")
		if s.epoch() != 1 || s.shows("by who is out") {
			t.Errorf("%v: epoch %d, shows what the shut out one says: %v", s.addr, s.epoch(), s.shows("by who is out"))
		}
	}
	if !c.shows("before") || c.shows("after, by a") || c.shows("after, by b") {
		t.Errorf("who is shut out shows %q", c.shown)
	}
	members := a.Rooms(a.clock())[0].Members
	if slices.ContainsFunc(members, func(m chat.Member) bool { return m.ID == c.key.ID() }) {
		t.Error("who is shut out is a member")
	}
}

// A member that was away during the rekey, however long, gets the keys when it comes back.
// Of a rekey the record alone goes under the keys of before, five times; its heads go under the new ones.
func TestARekeyAloneGoesUnderTheKeysOfBefore(t *testing.T) {
	g := newSegment(t)
	a, b := g.station(0), g.station(0)
	enter(a, b)
	before, err := seal.Open(crewSecret, 0, nil)
	if err != nil {
		t.Fatal(err)
	}
	g.sent = nil
	if err := a.rekey(); err != nil {
		t.Fatal(err)
	}
	g.wait(time.Minute)
	old, heads := 0, 0
	for _, s := range g.sent {
		switch {
		case !before.Owns(s.Data):
			if s.Type == wire.TypeHead {
				heads++
			}
		case s.Type == wire.TypeRecord:
			old++
		default:
			t.Errorf("a datagram of type %v under the keys of before", s.Type)
		}
	}
	if old != 5 || heads == 0 {
		t.Errorf("the rekey was sent %d times under the keys of before, heads %d times under the new", old, heads)
	}
}

// What a rekey of many members says in several records is said again of each, also of those that are for others alone.
func TestEachRecordOfARekeyIsSaidAgain(t *testing.T) {
	g := newSegment(t)
	a, b := g.station(0), g.station(0)
	enter(a, b)
	before, err := seal.Open(crewSecret, 0, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, of := range []*station{a, b} {
		bodies, _, err := seal.SealRekey(strings.NewReader(strings.Repeat("random", 1000)), crewSecret.RoomID(), 1,
			a.key.Public(), seal.Secret{9}, []identity.PublicKey{of.key.Public()})
		if err != nil {
			t.Fatal(err)
		}
		a.Do(a.clock(), 3, engine.Say{Room: crew, Posts: []record.Post{{Kind: record.KindRekey, Data: bodies[0]}}})
	}
	a.settle()
	g.sent = nil
	g.wait(10 * time.Second)
	again := 0
	for _, s := range g.sent {
		if s.Type == wire.TypeRecord && before.Owns(s.Data) {
			again++
		}
	}
	if again < 8 || a.epoch() != 1 || b.epoch() != 1 {
		t.Errorf("said again %d times under the keys of before; epochs %d and %d", again, a.epoch(), b.epoch())
	}
}

func TestAbsentMemberGetsTheNewKeys(t *testing.T) {
	for _, away := range []time.Duration{time.Minute, 15 * time.Minute} {
		g := newSegment(t)
		a, b, c := g.station(0), g.station(0), g.station(0)
		enter(a, b, c)
		c.off = true
		g.wait(time.Minute)
		if err := a.rekey(); err != nil {
			t.Fatal(err)
		}
		g.wait(away)
		a.tell("said meanwhile")
		c.off = false
		g.wait(2 * time.Minute)
		if c.epoch() != 1 {
			t.Fatalf("away for %v: epoch %d", away, c.epoch())
		}
		c.wantShown("said meanwhile")
		c.tell("back")
		b.wantShown("back")
	}
}

// Who is shut out cannot answer with keys of its own, nor use up the epochs.
func TestShutOutMemberRekeysNothing(t *testing.T) {
	g := newSegment(t)
	a, b, c := g.station(0), g.station(0), g.station(0)
	enter(a, b, c)
	if err := a.rekey(c); err != nil {
		t.Fatal(err)
	}
	g.wait(time.Second)
	if err := c.rekey(); err != nil {
		t.Fatal(err)
	}
	g.wait(20 * time.Second)
	a.tell("still among us")
	b.wantShown("still among us")
	if c.shows("still among us") || a.epoch() != 1 || b.epoch() != 1 {
		t.Errorf("epochs %d and %d; the shut out one shows %q", a.epoch(), b.epoch(), c.shown)
	}
}

func TestEpochsFarAheadAreRefused(t *testing.T) {
	g := newSegment(t)
	a, b := g.station(0), g.station(0)
	enter(a, b)
	keys := []identity.PublicKey{a.key.Public(), b.key.Public()}
	ring, err := seal.NewRing(crewSecret, nil)
	if err != nil {
		t.Fatal(err)
	}
	bodies, _, err := seal.SealRekey(strings.NewReader(strings.Repeat("random", 1000)), ring.RoomID(), 1<<32-1,
		b.key.Public(), seal.Secret{9}, keys)
	if err != nil {
		t.Fatal(err)
	}
	b.Do(b.clock(), 3, engine.Say{Room: crew, Posts: []record.Post{{Kind: record.KindRekey, Data: bodies[0]}}})
	b.settle()
	g.wait(time.Second)
	if a.epoch() != 0 {
		t.Errorf("epoch %d", a.epoch())
	}
}

func TestRekeyRefuses(t *testing.T) {
	g := newSegment(t)
	a, b := g.station(0), g.station(0)
	enter(a)
	for what, c := range map[string]struct {
		command engine.Rekey
		want    error
	}{
		"a public room":    {engine.Rekey{Room: square}, engine.ErrPublic},
		"a room elsewhere": {engine.Rekey{Room: "other"}, engine.ErrNotJoined},
		"oneself":          {engine.Rekey{Room: crew, Without: []identity.DeviceID{a.key.ID()}}, engine.ErrOnlySelf},
		"who is no member": {engine.Rekey{Room: crew, Without: []identity.DeviceID{b.key.ID()}}, engine.ErrShutOut},
	} {
		a.Do(a.clock(), 5, c.command)
		var out engine.Output
		a.Drain(&out)
		if len(out.Replies) != 1 || !errors.Is(out.Replies[0].Err, c.want) {
			t.Errorf("%s: %v", what, out.Replies)
		}
	}
}

// The next process has the keys from the records kept alone.
func TestKeysComeBackFromTheStore(t *testing.T) {
	g := newSegment(t)
	a, b := g.station(0), g.station(0)
	enter(a, b)
	for n := range 3 {
		if err := a.rekey(); err != nil {
			t.Fatal(err)
		}
		g.wait(time.Second)
		a.tell(fmt.Sprint("under keys ", n+1))
	}
	scope := b.Scopes(crew)[0]
	kept := record.Kept{}
	ends := map[record.Chain]record.ChainState{}
	for _, e := range b.kept[uint64(scope)] {
		ends[e.Chain()] = record.ChainState{Chain: e.Chain(), Low: 1, High: e.Header.Seq, Head: e.Record}
		if posts, err := record.DecodePosts(e.Body); err == nil && posts[0].Kind != record.KindText {
			kept.Standing = append(kept.Standing, e)
		}
	}
	for _, c := range ends {
		kept.Chains = append(kept.Chains, c)
	}
	b.Do(b.clock(), 8, engine.Leave{Room: crew})
	b.settle()
	b.Do(b.clock(), 9, engine.Join{
		Room: crew, Keys: &engine.Keys{Secret: crewSecret},
		Kept: []engine.KeptScope{{Scope: record.Scope{ID: 4711}, Kept: kept}},
	})
	b.settle()
	if b.epoch() != 3 {
		t.Errorf("epoch %d", b.epoch())
	}
	g.wait(3 * time.Second)
	a.tell("heard again")
	b.wantShown("heard again")
}

// Who was shut out is told so when it speaks, and is a member again with an invite of after the rekey.
func TestWhoWasShutOutComesBack(t *testing.T) {
	g := newSegment(t)
	a, b, c := g.station(0), g.station(0), g.station(0)
	enter(a, b, c)
	if err := a.rekey(c); err != nil {
		t.Fatal(err)
	}
	g.wait(2 * time.Second)
	say := func() error {
		return c.try(engine.Say{Room: crew, Posts: []record.Post{{Kind: record.KindText, Text: "again"}}})
	}
	if err := say(); !errors.Is(err, engine.ErrOut) {
		t.Errorf("who is shut out says something: %v", err)
	}
	invite := a.keys
	invite.Secret = crewSecret
	c.Do(c.clock(), 6, engine.Join{Room: crew, Keys: &invite})
	c.settle()
	g.wait(2 * time.Second)
	if err := say(); err != nil {
		t.Error(err)
	}
	g.wait(3 * time.Second)
	for _, s := range []*station{a, b} {
		s.wantShown("again")
		if members := s.Rooms(s.clock())[0].Members; len(members) != 3 {
			t.Errorf("%v: members %v", s.addr, members)
		}
	}
	a.tell("welcome back")
	c.wantShown("welcome back")
}
