package engine_test

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
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

// rekeyPost is what a station says to give a secret to those named, in the room that began with another one.
func (s *station) rekeyPost(first seal.Secret, epoch uint32, secret seal.Secret, to ...*station) record.Post {
	s.seg.t.Helper()
	var keys []identity.PublicKey
	for _, o := range to {
		keys = append(keys, o.key.Public())
	}
	random := strings.NewReader(strings.Repeat("random", 1000))
	bodies, _, err := seal.SealRekey(random, first.RoomID(), epoch, s.key.Public(), secret, keys)
	if err != nil {
		s.seg.t.Fatal(err)
	}
	return record.Post{Kind: record.KindRekey, Data: bodies[0]}
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

// hasMember tells whether another one is a member of the private room here.
func (s *station) hasMember(o *station) bool {
	for _, r := range s.Rooms(s.clock()) {
		if r.Name == crew {
			return slices.ContainsFunc(r.Members, func(m chat.Member) bool { return m.ID == o.key.ID() })
		}
	}
	return false
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
	if a.hasMember(c) {
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
		a.Do(a.clock(), 3, engine.Say{Room: crew, Posts: []record.Post{a.rekeyPost(crewSecret, 1, seal.Secret{9}, of)}})
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

// Who was away for more rekeys than a ring has keys for is told the new ones, too, whatever it had.
func TestMemberThatMissedManyRekeys(t *testing.T) {
	for _, had := range []int{0, 2} {
		g := newSegment(t)
		a, b, c := g.station(0), g.station(0), g.station(0)
		enter(a, b, c)
		for n := range 12 {
			c.off = n >= had
			if err := a.rekey(); err != nil {
				t.Fatal(err)
			}
			g.wait(20 * time.Second)
		}
		a.tell("said meanwhile")
		c.off = false
		g.wait(3 * time.Minute)
		if c.epoch() != 12 {
			t.Fatalf("away since epoch %d: epoch %d", had, c.epoch())
		}
		c.wantShown("said meanwhile")
		c.tell("back")
		b.wantShown("back")
	}
}

// Who is shut out cannot answer with keys of its own, nor use up the epochs; once it knows, it is told so.
func TestShutOutMemberRekeysNothing(t *testing.T) {
	g := newSegment(t)
	a, b, c := g.station(0), g.station(0), g.station(0)
	enter(a, b, c)
	c.off = true
	if err := a.rekey(c); err != nil {
		t.Fatal(err)
	}
	g.wait(time.Second)
	if err := c.rekey(); err != nil {
		t.Fatal(err)
	}
	c.off = false
	g.wait(20 * time.Second)
	if err := c.rekey(); !errors.Is(err, engine.ErrOut) {
		t.Errorf("who is shut out rekeys: %v", err)
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
	post := b.rekeyPost(crewSecret, 1<<32-1, seal.Secret{9}, a, b)
	b.Do(b.clock(), 3, engine.Say{Room: crew, Posts: []record.Post{post}})
	b.settle()
	g.wait(time.Second)
	if a.epoch() != 0 {
		t.Errorf("epoch %d", a.epoch())
	}
}

// What a rekey seals to us costs a key agreement and a write of our own files: one record brings one.
func TestADV_rekey_A_record_is_one_rekey(t *testing.T) {
	g := newSegment(t)
	a, b := g.station(0), g.station(0)
	enter(a, b)
	posts := []record.Post{{Kind: record.KindText, Text: "before"}}
	for epoch := uint32(1); epoch <= 40; epoch++ {
		posts = append(posts, b.rekeyPost(crewSecret, epoch, seal.Secret{byte(epoch)}, a))
	}
	posts = append(posts, record.Post{Kind: record.KindText, Text: "after"})
	b.Do(b.clock(), 3, engine.Say{Room: crew, Posts: posts})
	b.settle()
	g.wait(time.Second)
	if a.wantShown("before", "after"); a.epoch() != 1 {
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

// restart has a station know of the private room what the next process would: what is kept, and the home's keys.
func (s *station) restart(home engine.Keys) {
	kept, scope := record.Kept{}, s.kept[uint64(s.Scopes(crew)[0])]
	ends := map[record.Chain]record.ChainState{}
	for _, e := range scope {
		ends[e.Chain()] = record.ChainState{Chain: e.Chain(), Low: 1, High: e.Header.Seq, Head: e.Record}
		if posts, err := record.DecodePosts(e.Body); err == nil && posts[0].Kind != record.KindText {
			kept.Standing = append(kept.Standing, e)
		}
	}
	for _, c := range ends {
		kept.Chains = append(kept.Chains, c)
	}
	off := s.off
	s.off = true // nobody hears it leave
	s.Do(s.clock(), 8, engine.Leave{Room: crew})
	s.settle()
	s.off = off
	s.kept[4711] = scope
	s.Do(s.clock(), 9, engine.Join{
		Room: crew, Keys: &home, Kept: []engine.KeptScope{{Scope: record.Scope{ID: 4711}, Kept: kept}},
	})
	s.settle()
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
	b.restart(engine.Keys{Secret: crewSecret})
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
	c.invitedBy(a)
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
	c.restart(engine.Keys{Secret: crewSecret, Epoch: c.keys.Epoch, EpochSecret: c.keys.EpochSecret})
	g.wait(3 * time.Second)
	if err := say(); err != nil {
		t.Errorf("after a restart: %v", err)
	}
}

// Who was shut out is so after a restart of the others, too.
func TestShutOutAfterARestart(t *testing.T) {
	g := newSegment(t)
	a, b, c := g.station(0), g.station(0), g.station(0)
	enter(a, b, c)
	if err := a.rekey(c); err != nil {
		t.Fatal(err)
	}
	g.wait(15 * time.Second)
	b.restart(engine.Keys{Secret: crewSecret})
	g.wait(3 * time.Second)
	if b.hasMember(c) || !b.hasMember(a) || b.epoch() != 1 {
		t.Errorf("members %v, %v, epoch %d", b.hasMember(c), b.hasMember(a), b.epoch())
	}
	if err := b.rekey(); err != nil {
		t.Fatal(err)
	}
	g.wait(15 * time.Second)
	a.tell("among us")
	b.wantShown("among us")
	if c.shows("among us") {
		t.Error("who is shut out reads on")
	}
}

// segmentWith is a segment with so many stations that are off: those that follow draw other secrets.
func segmentWith(t *testing.T, off int) *segment {
	g := newSegment(t)
	for range off {
		g.station(0).off = true
	}
	return g
}

// shownBy counts who shows a text of those named.
func shownBy(text string, stations ...*station) (n int) {
	for _, s := range stations {
		if s.shows(text) {
			n++
		}
	}
	return n
}

// Whose join is said to come last of all, because its clock is thousands of years ahead, is shut out like any other, for
// the next rekey, too.
func TestADV_rekey_A_join_from_the_future_keeps_nobody_in(t *testing.T) {
	g := newSegment(t)
	a, b, c := g.station(0), g.station(0), g.station(0)
	enter(a, b, c)
	c.years = 2500 // beyond 2^46 ms: nobody's order follows it
	if err := c.try(engine.Say{Room: crew, Posts: []record.Post{{Kind: record.KindJoin, Nick: "c"}}}); err != nil {
		t.Fatal(err)
	}
	g.wait(time.Second)
	for _, by := range []func() error{func() error { return a.rekey(c) }, func() error { return b.rekey() }} {
		if err := by(); err != nil {
			t.Fatal(err)
		}
		g.wait(2 * time.Second)
	}
	a.tell("among us")
	b.wantShown("among us")
	if c.shows("among us") || a.epoch() != 2 || b.epoch() != 2 {
		t.Errorf("epochs %d, %d; who is shut out shows %q", a.epoch(), b.epoch(), c.shown)
	}
}

// Of two rekeys at once the one that shuts somebody out decides, whatever the commitments.
func TestADV_rekey_Of_two_at_once_the_stricter_decides(t *testing.T) {
	for n := range 5 {
		g := segmentWith(t, n)
		a, b, c, d := g.station(0), g.station(0), g.station(0), g.station(0)
		enter(a, b, c, d)
		if err := errors.Join(a.rekey(c), b.rekey()); err != nil {
			t.Fatal(err)
		}
		g.wait(15 * time.Second)
		wantAmong(t, fmt.Sprint(n), []*station{a, b, d}, c)
	}
}

// Who is about to be shut out, and rekeys before that is known everywhere, wins nothing by it.
func TestADV_rekey_Who_is_being_shut_out_wins_nothing(t *testing.T) {
	for n := range 5 {
		g := segmentWith(t, n)
		a, b, c := g.station(0), g.station(0), g.station(0)
		enter(a, b, c)
		a.off = true
		if err := c.rekey(); err != nil {
			t.Fatal(err)
		}
		g.wait(time.Second)
		a.off, c.off = false, true
		if err := a.rekey(c); err != nil {
			t.Fatal(err)
		}
		g.wait(30 * time.Second)
		c.off = false
		g.wait(30 * time.Second)
		wantAmong(t, fmt.Sprint(n), []*station{a, b}, c)
	}
}

// wantAmong has each of those who are in say something, and checks that all of them show it and who is out does not.
func wantAmong(t *testing.T, when string, in []*station, out ...*station) {
	t.Helper()
	said := func(s *station) string { return fmt.Sprint(when, ", said by ", s.addr) }
	for _, s := range in {
		s.tell(said(s))
	}
	in[0].seg.wait(10 * time.Second)
	for _, s := range in {
		if has, leaks := shownBy(said(s), in...), shownBy(said(s), out...); has != len(in) || leaks != 0 {
			t.Errorf("%q is shown by %d of %d members and %d of %d shut out", said(s), has, len(in), leaks, len(out))
		}
	}
}

// Whose join is not kept any more is a member all the same, to who comes later, and gets the keys of a rekey.
func TestMemberWhoseJoinWasGivenUp(t *testing.T) {
	g := newSegment(t)
	a, b := g.station(20), g.station(20)
	enter(a, b)
	for n := range 60 {
		a.tell(fmt.Sprint(n))
	}
	join := slices.IndexFunc(a.kept[uint64(a.Scopes(crew)[0])], func(e record.Entry) bool {
		posts, err := e.Posts()
		return err == nil && posts[0].Kind == record.KindJoin && e.Header.Feed.Author == a.key.Public()
	})
	if join < 0 {
		t.Error("the join is kept no more, and was not said again")
	}
	c := g.station(0)
	enter(c)
	if !c.hasMember(a) || !c.hasMember(b) {
		t.Errorf("members: %v, %v", c.hasMember(a), c.hasMember(b))
	}
	if err := c.rekey(); err != nil {
		t.Fatal(err)
	}
	g.wait(15 * time.Second)
	c.tell("under new keys")
	a.wantShown("under new keys")
	b.wantShown("under new keys")
}

// A device that names a public room in its presence is no member of a private one of that name.
func TestADV_rekey_A_public_namesake_makes_no_member(t *testing.T) {
	g := newSegment(t)
	a, b, c := g.station(0), g.station(0), g.station(0)
	enter(a, b)
	c.Do(c.clock(), 1, engine.Join{Room: crew})
	c.settle()
	g.wait(3 * time.Second)
	if !a.hasMember(b) || a.hasMember(c) {
		t.Errorf("members: %v, %v", a.hasMember(b), a.hasMember(c))
	}
}

// What is no private room has no keys that change: a post that says so shuts nobody out of it.
func TestADV_rekey_Nobody_is_shut_out_of_a_public_room(t *testing.T) {
	g := newSegment(t)
	a, b, c := g.station(0), g.station(0), g.station(0)
	g.wait(3 * time.Second)
	post := c.rekeyPost(seal.PublicSecret(square), 1, seal.Secret{9}, c)
	post.Text = a.key.ID().String()
	if err := c.try(engine.Say{Room: square, Posts: []record.Post{post}}); err != nil {
		t.Fatal(err)
	}
	g.wait(3 * time.Second)
	if room := b.Rooms(b.clock())[0]; len(room.Members) != 3 || room.Epoch != 0 {
		t.Errorf("%d members, epoch %d", len(room.Members), room.Epoch)
	}
}

// What was said before a rekey, while a member was away, is behind a gap for it, which members fill under the new keys
// alone: it takes them from the rekey before that is stored.
func TestKeysComeBeforeWhatWasMissed(t *testing.T) {
	g := newSegment(t)
	a, b, c := g.station(0), g.station(0), g.station(0)
	enter(a, b, c)
	c.off = true
	for n := range 5 {
		a.tell(fmt.Sprint("before ", n))
	}
	if err := a.rekey(); err != nil {
		t.Fatal(err)
	}
	g.wait(15 * time.Minute)
	a.tell("after")
	c.off = false
	g.wait(2 * time.Minute)
	c.wantShown("before 0", "before 4", "after")
	if c.keys.Epoch != 1 {
		t.Errorf("the home knows epoch %d", c.keys.Epoch)
	}
}

// A rekey for many is larger than a datagram, whenever it is said.
func TestRekeyOfManyGoesInPieces(t *testing.T) {
	g := newSegment(t)
	var all []*station
	for range 14 {
		all = append(all, g.station(0))
	}
	enter(all...)
	away := all[len(all)-1]
	away.off = true
	if err := all[0].rekey(); err != nil {
		t.Fatal(err)
	}
	g.wait(time.Minute)
	away.off = false
	g.wait(2 * time.Minute)
	for _, s := range all {
		if s.epoch() != 1 {
			t.Errorf("%v: epoch %d", s.addr, s.epoch())
		}
	}
	if n, _ := g.sentCount(func(s engine.Send) bool { return len(s.Data) > wire.MaxDatagram }); n > 0 {
		t.Errorf("%d datagrams are too large", n)
	}
}

// Who rekeys without knowing of a member shuts it out by accident. Those who know of it are told, and nobody else lets it
// in: it may be somebody who found an invite of before.
func TestMemberThatARekeyDidNotKnowOf(t *testing.T) {
	g := newSegment(t)
	a, b, c, thief := g.station(0), g.station(0), g.station(0), g.station(0)
	enter(a, b)
	a.off = true
	enter(c)
	if err := a.rekey(); err != nil {
		t.Fatal(err)
	}
	g.wait(20 * time.Minute)
	a.off = false
	g.wait(3 * time.Minute)
	enter(thief)
	g.wait(3 * time.Minute)
	a.tell("what c does not read")
	b.wantShown("what c does not read")
	if shownBy("what c does not read", c, thief) != 0 || len(b.missed) != 1 || b.missed[0] != c.key.ID() {
		t.Errorf("shown by %d of two, told of %v", shownBy("what c does not read", c, thief), b.missed)
	}
	if err := b.rekey(); err != nil {
		t.Fatal(err)
	}
	g.wait(2 * time.Minute)
	a.tell("what c reads")
	c.wantShown("what c reads")
	if thief.shows("what c reads") {
		t.Error("an invite of before lets in")
	}
}

// A member of which no record is kept, known by what it says alone, is named by a rekey, and told the keys by who knows no
// more of it than that.
func TestMemberWithoutRecordsIsNamed(t *testing.T) {
	g := newSegment(t)
	a, b := g.station(0), g.station(0)
	enter(a, b)
	forget := func() {
		scope := uint64(a.Scopes(crew)[0])
		a.kept[scope] = slices.DeleteFunc(a.kept[scope], func(e record.Entry) bool {
			return e.Header.Feed.Author == b.key.Public()
		})
		a.restart(engine.Keys{Secret: crewSecret})
	}
	forget()
	for n := 0; !a.hasMember(b) && n < 10_000; n++ {
		g.wait(100 * time.Microsecond)
	}
	if n := len(a.kept[4711]); n > 2 {
		t.Fatalf("%d records are there already", n)
	}
	b.off = true
	if err := a.rekey(); err != nil {
		t.Fatal(err)
	}
	g.wait(20 * time.Minute)
	forget()
	b.off = false
	g.wait(3 * time.Minute)
	if b.epoch() != 1 {
		t.Errorf("epoch %d", b.epoch())
	}
}

// Whatever members rekey without having heard of each other, and whoever is away or starts anew: who was never shut out
// ends up with the same keys, and who was reads nothing said then.
func TestRekeysInAnyOrder(t *testing.T) {
	for seed := range uint64(3) {
		random := rand.New(rand.NewPCG(seed, 0))
		g := segmentWith(t, int(seed))
		var all []*station
		for range 6 {
			all = append(all, g.station(0))
		}
		enter(all...)
		in := slices.Clone(all)
		for round := range 3 {
			alone := random.IntN(2) == 0 // nobody hears anybody, or some are away
			for _, s := range all {
				s.off = alone || random.IntN(3) == 0
			}
			g.wait(10 * time.Second)
			out := in[len(in)-1]
			in = in[:len(in)-1]
			for i, s := range in {
				switch {
				case i == 0:
					s.off = alone
					if err := s.rekey(out); err != nil {
						t.Fatal(err)
					}
				case s.off == alone && random.IntN(2) == 0:
					s.tell(fmt.Sprint("before keys of ", i))
					if err := s.rekey(); err != nil {
						t.Fatal(err)
					}
				}
				g.wait(15 * time.Second)
			}
			if again := in[1+random.IntN(len(in)-1)]; random.IntN(2) == 0 {
				again.restart(engine.Keys{Secret: crewSecret})
			}
			for _, s := range all {
				s.off = false
			}
			g.wait(3 * time.Minute)
			wantAmong(t, fmt.Sprintf("seed %d, round %d", seed, round), in, all[len(in):]...)
		}
	}
}

// Whoever comes later hears of rekeys in any order: one counts though its author was shut out by a later one.
func TestADV_rekey_Of_who_was_shut_out_later_it_counts(t *testing.T) {
	for seed := range 6 {
		g := segmentWith(t, seed)
		a, b, c, d, late := g.station(0), g.station(0), g.station(0), g.station(0), g.station(0)
		enter(a, b, c, d)
		for _, step := range []struct{ by, out *station }{{c, d}, {b, c}} {
			if err := step.by.rekey(step.out); err != nil {
				t.Fatal(err)
			}
			g.wait(15 * time.Second)
		}
		late.invitedBy(b)
		g.wait(time.Minute)
		if late.hasMember(d) || late.hasMember(c) || !late.hasMember(a) {
			t.Errorf("seed %d: members: %v and %v, whom others shut out, %v", seed, late.hasMember(d), late.hasMember(c),
				late.hasMember(a))
		}
	}
}

// Whom a rekey shut out that many followed is so for who comes later, too, whatever is heard of first.
func TestADV_rekey_Many_let_nobody_in_again(t *testing.T) {
	for seed := range 4 {
		g := segmentWith(t, seed)
		a, b, c, late := g.station(0), g.station(0), g.station(0), g.station(0)
		enter(a, b, c)
		for n := range 10 {
			out := []*station{c}[:max(1-n, 0)]
			if err := a.rekey(out...); err != nil {
				t.Fatal(err)
			}
			g.wait(15 * time.Second)
		}
		late.invitedBy(b)
		g.wait(time.Minute)
		if late.hasMember(c) || !late.hasMember(a) {
			t.Errorf("seed %d: members: %v, who is shut out, and %v", seed, late.hasMember(c), late.hasMember(a))
		}
	}
}

// Who was shut out and came back is a member like any other: its rekeys count for who starts anew, and who comes later.
func TestADV_rekey_Of_who_came_back_it_counts(t *testing.T) {
	for seed := range 6 {
		g := segmentWith(t, seed)
		a, b, c, late := g.station(0), g.station(0), g.station(0), g.station(0)
		enter(a, b, c)
		if err := a.rekey(b); err != nil {
			t.Fatal(err)
		}
		g.wait(15 * time.Second)
		b.invitedBy(a)
		g.wait(5 * time.Second)
		if err := b.rekey(c); err != nil {
			t.Fatal(err)
		}
		g.wait(15 * time.Second)
		invite := engine.Keys{Secret: crewSecret, Epoch: 2, EpochSecret: a.keys.EpochSecret}
		a.restart(invite)
		late.invitedBy(b)
		g.wait(time.Minute)
		invite.Invited = invite.EpochSecret
		late.restart(invite)
		g.wait(time.Minute)
		for _, s := range []*station{a, b, late} {
			if s.hasMember(c) || s.epoch() != 2 {
				t.Errorf("seed %d: %v: a member shut out: %v; epoch %d", seed, s.addr, s.hasMember(c), s.epoch())
			}
		}
	}
}

// Who comes back and rekeys before others heard it speak: they take its keys once they do.
func TestRekeyAtOnceOfWhoCameBack(t *testing.T) {
	for _, quick := range []bool{true, false} {
		g := newSegment(t)
		a, b, c := g.station(0), g.station(0), g.station(0)
		enter(a, b, c)
		if err := a.rekey(b); err != nil {
			t.Fatal(err)
		}
		g.wait(15 * time.Second)
		c.off = !quick // it misses what b says at once
		b.invitedBy(a)
		g.wait(50 * time.Millisecond)
		c.off = false
		if err := b.rekey(); err != nil {
			t.Fatal(err)
		}
		if g.wait(time.Second); quick && (a.epoch() != 2 || c.epoch() != 2) {
			t.Errorf("epochs %d and %d after a second", a.epoch(), c.epoch())
		}
		g.wait(3 * time.Minute)
		b.tell("among us again")
		for _, s := range []*station{a, c} {
			s.wantShown("among us again")
			if s.epoch() != 2 || s.keys.Epoch != 2 {
				t.Errorf("quick %v, %v: epoch %d, at home %d", quick, s.addr, s.epoch(), s.keys.Epoch)
			}
		}
	}
}

// What the faces show of who is a member follows a rekey, and a return, each once.
func TestRekeyTellsWhoIsAMember(t *testing.T) {
	g := newSegment(t)
	a, b, c := g.station(0), g.station(0), g.station(0)
	enter(a, b, c)
	for _, want := range []chat.EventKind{chat.Left, chat.Joined} {
		a.changes, b.changes = nil, nil
		if want == chat.Left {
			if err := a.rekey(c); err != nil {
				t.Fatal(err)
			}
		} else {
			c.invitedBy(a)
		}
		g.wait(2 * time.Minute)
		for _, s := range []*station{a, b} {
			if len(s.changes) != 1 || s.changes[0].Kind != want || s.changes[0].Device != c.key.ID() ||
				s.hasMember(c) != (want == chat.Joined) {
				t.Errorf("%v: want %v of one, got %v", s.addr, want, s.changes)
			}
		}
	}
}

// Members that rekey apart and shut out different ones split the room. They are told so, and one more rekey mends it.
func TestRekeysThatSplitTheRoom(t *testing.T) {
	g := newSegment(t)
	a, b, c, d := g.station(0), g.station(0), g.station(0), g.station(0)
	enter(a, b, c, d)
	for _, step := range []struct{ by, out, other *station }{{a, c, b}, {b, d, a}} {
		step.by.off, step.other.off = false, true
		if err := step.by.rekey(step.out); err != nil {
			t.Fatal(err)
		}
		g.wait(20 * time.Second)
	}
	a.off, b.off = false, false
	g.wait(3 * time.Minute)
	if a.rivals != 1 || b.rivals != 1 {
		t.Errorf("told %d and %d times that the room is in two", a.rivals, b.rivals)
	}
	if err := b.rekey(); err != nil {
		t.Fatal(err)
	}
	g.wait(3 * time.Minute)
	a.tell("one room again")
	b.wantShown("one room again")
	if n := shownBy("one room again", c, d); n != 0 {
		t.Errorf("%d of two shut out show it", n)
	}
}

// invitedBy joins the private room by an invite of another one's.
func (s *station) invitedBy(o *station) {
	invite := engine.Keys{
		Secret: crewSecret, Epoch: o.keys.Epoch, EpochSecret: o.keys.EpochSecret, Invited: o.keys.EpochSecret,
	}
	s.Do(s.clock(), 6, engine.Join{Room: crew, Keys: &invite})
	s.settle()
}
