package chat

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"bcast/identity"
	"bcast/internal/record"
	"bcast/internal/wire"
)

// speaker is a room under test and what it said: a conversation reads hear, want, wantIdle, wait.
type speaker struct {
	*Room
	t      *testing.T
	now    Now
	kept   []record.Entry // its store, with the two below
	roster []record.Roster
	levels []record.Level
	heads  []*record.Record
	sent   []Send // not yet looked at
	events []Event
}

var start = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

// unsigned is a key whose signatures are none: a room verifies nothing, who gives it records has done that.
type unsigned struct{ *identity.Key }

func (unsigned) Sign([]byte) []byte { return make([]byte, identity.SignatureSize) }

func newSpeaker(t *testing.T, n byte) *speaker {
	t.Helper()
	random := rand.NewChaCha8([32]byte{n})
	key, err := identity.NewKey(random)
	if err != nil {
		t.Fatal(err)
	}
	s := &speaker{t: t, now: Now{Mono: time.Second, Wall: start}}
	s.Room = New(s.now, Config{
		ID: record.RoomID{1}, Key: unsigned{key}, RecvBuffer: 65535, Rand: rand.New(random),
		Fingerprint: func(b []byte) [16]byte { sum := sha256.Sum256(b); return [16]byte(sum[:16]) },
	})
	return s
}

// settle does what the room wants, as a node with a memory store would.
func (s *speaker) settle() {
	for {
		var out Output
		s.Drain(&out)
		if out.Store.IsEmpty() && len(out.Load)+len(out.Send)+len(out.Events) == 0 {
			return
		}
		s.sent = append(s.sent, out.Send...)
		s.events = append(s.events, out.Events...)
		if !out.Store.IsEmpty() {
			s.keep(out.Store)
			s.Stored(s.now, out.Store, nil)
		}
		for _, l := range out.Load {
			s.Loaded(s.now, l.Token, s.load(l))
		}
	}
}

// keep does what a store does with a batch.
func (s *speaker) keep(b record.Batch) {
	s.t.Helper()
	for _, split := range b.Splits {
		s.heads = append(s.heads, split.Heads...)
		for i := range s.kept {
			if e := &s.kept[i]; e.Chain() == split.Chain && e.Header.Seq >= split.At {
				e.Branch = split.Branch
			}
		}
	}
	s.roster = append(s.roster, b.Rosters...)
	s.levels = append(s.levels, b.Levels...)
	for _, e := range b.Records {
		next := e.Header.Seq
		for _, k := range s.kept {
			if k.Chain() != e.Chain() {
				continue
			}
			if next = k.Header.Seq + 1; k.Header.Seq == e.Header.Seq && k.ID != e.ID {
				s.t.Errorf("number %d is taken", e.Header.Seq)
			}
		}
		if e.Header.Seq > next && !e.Anew {
			s.t.Errorf("number %d comes after %d", e.Header.Seq, next-1)
		}
		s.kept = append(s.kept, e)
	}
}

func (s *speaker) load(l Load) []record.Entry {
	var found []record.Entry
	for _, rec := range s.kept {
		h := rec.Header
		in := func(span record.Span) bool {
			return span.Chain == rec.Chain() && span.From <= h.Seq && h.Seq <= span.To
		}
		if slices.ContainsFunc(l.Ranges, in) || slices.Contains(l.IDs, rec.ID) {
			found = append(found, rec)
		}
	}
	return found
}

// wait lets time pass, doing on the way what becomes due.
func (s *speaker) wait(d time.Duration) {
	for end := s.now.Mono + d; ; {
		next := min(max(s.Deadline(), s.now.Mono), end) // what is overdue is done now
		s.now.Wall = s.now.Wall.Add(next - s.now.Mono)
		s.now.Mono = next
		if next == end {
			return
		}
		s.Advance(s.now)
		s.settle()
	}
}

func (s *speaker) say(text string, ack bool) *record.Record {
	s.t.Helper()
	if _, err := s.Say(s.now, []record.Post{{Kind: record.KindText, Text: text}}, ack); err != nil {
		s.t.Fatal(err)
	}
	s.settle()
	return s.kept[len(s.kept)-1].Record
}

// meet makes two speakers members of the same room, present to each other.
func (s *speaker) meet(others ...*speaker) {
	for _, o := range others {
		s.Present(s.now, Peer{ID: o.self, RecvBuffer: o.cfg.RecvBuffer, InRoom: true})
		o.Present(o.now, Peer{ID: s.self, RecvBuffer: s.cfg.RecvBuffer, InRoom: true})
	}
}

// hear delivers a frame as the engine would.
func (s *speaker) hear(from *speaker, f wire.Frame) {
	s.t.Helper()
	switch f := f.(type) {
	case wire.Record:
		rec, err := record.Parse(s.cfg.ID, f.Bytes)
		if err != nil {
			s.t.Fatal(err)
		}
		s.Record(s.now, rec)
	case wire.Head:
		s.Head(s.now, s.parseHead(f.Bytes))
	case wire.Frag:
		head, _, err := record.ParseHeadPrefix(s.cfg.ID, bytes.Clone(f.Data))
		if f.Offset != 0 || err != nil || head.ID != record.ID(f.Record) {
			head = nil
		}
		s.Frag(s.now, f, head)
	case wire.Fork:
		s.Fork(s.now, s.parseHead(f.A), s.parseHead(f.B))
	default:
		s.Frame(s.now, from.self, f)
	}
	s.settle()
}

func (s *speaker) parseHead(b []byte) *record.Record {
	s.t.Helper()
	rec, err := record.ParseHead(s.cfg.ID, b)
	if err != nil {
		s.t.Fatal(err)
	}
	return rec
}

// take returns and forgets what was sent of one kind.
func (s *speaker) take(kind wire.Type) []Send {
	var taken []Send
	s.sent = slices.DeleteFunc(s.sent, func(send Send) bool {
		if send.Frame.Type() == kind {
			taken = append(taken, send)
			return true
		}
		return false
	})
	return taken
}

// want takes exactly n frames of one kind.
func (s *speaker) want(rule string, kind wire.Type, n int) []Send {
	s.t.Helper()
	taken := s.take(kind)
	if len(taken) != n {
		s.t.Fatalf("%s: sent %d of %s, want %d", rule, len(taken), kind, n)
	}
	return taken
}

func (s *speaker) shown() []string {
	var texts []string
	for _, e := range s.events {
		if e.Kind == Posted {
			for _, p := range e.Posts {
				texts = append(texts, p.Text)
			}
		}
	}
	return texts
}

func (s *speaker) wantShown(rule string, texts ...string) {
	s.t.Helper()
	if got := s.shown(); !slices.Equal(got, texts) {
		s.t.Fatalf("%s: shown %q, want %q", rule, got, texts)
	}
}

func whole(rec *record.Record) wire.Frame  { return wire.Record{Bytes: rec.Bytes()} }
func headOf(rec *record.Record) wire.Frame { return wire.Head{Bytes: rec.Head()} }

func TestOwnPostIsShownStoredAndSentOnce(t *testing.T) {
	a := newSpeaker(t, 1)
	rec := a.say("hello", false)
	a.wantShown("an own post", "hello")
	send := a.want("an own post", wire.TypeRecord, 1)[0]
	if !send.To.IsZero() || send.Class != Fresh || send.Record != rec.ID {
		t.Errorf("sent %+v", send)
	}
	a.wait(2 * time.Second)
	a.want("HEADs after the last record of a burst", wire.TypeHead, len(wired.heads))
	a.want("no loss, no repeat", wire.TypeRecord, 0)
}

func TestNothingIsSentBeforeItIsStored(t *testing.T) {
	a := newSpeaker(t, 1)
	if _, err := a.Say(a.now, []record.Post{{Kind: record.KindText, Text: "x"}}, false); err != nil {
		t.Fatal(err)
	}
	var out Output
	a.Drain(&out)
	if len(out.Store.Records) != 1 || len(out.Send) != 0 || len(out.Events) != 0 {
		t.Fatalf("before Stored: %d to store, %d sent, %d shown", len(out.Store.Records), len(out.Send), len(out.Events))
	}
	if d := (wire.Digest{Root: a.sum.bytes()}); d.Root != [32]byte{} {
		t.Error("claimed before it was stored")
	}
	a.Stored(a.now, out.Store, nil)
	a.Drain(&out)
	if len(out.Send) != 1 || len(out.Events) != 1 {
		t.Errorf("after Stored: %d sent, %d shown", len(out.Send), len(out.Events))
	}
}

func TestRecordsComeInAnyOrderAndTwice(t *testing.T) {
	a, b := newSpeaker(t, 1), newSpeaker(t, 2)
	var recs []*record.Record
	for i := range 5 {
		recs = append(recs, a.say(fmt.Sprint(i), false))
	}
	for _, i := range []int{3, 1, 3, 0, 4, 1, 2, 2, 0} {
		b.hear(a, whole(recs[i]))
	}
	b.wantShown("each once, in the feed's order", "0", "1", "2", "3", "4")
	if stored, missing := b.Posts(); stored != 5 || missing != 0 {
		t.Errorf("stored %d, missing %d", stored, missing)
	}
}

func TestGapIsAskedOfTheAuthorAndClosed(t *testing.T) {
	a, b := newSpeaker(t, 1), newSpeaker(t, 2)
	a.meet(b)
	one, two, three := a.say("1", false), a.say("2", false), a.say("3", false)
	b.hear(a, whole(one))
	b.hear(a, whole(three))
	b.wantShown("what follows a gap waits", "1")
	b.want("reordering is no loss", wire.TypeWant, 0)
	b.wait(4 * time.Millisecond)
	ask := b.want("a gap", wire.TypeWant, 1)[0]
	w := ask.Frame.(wire.Want)
	if ask.To != a.self || len(w.Ranges) != 1 || w.Ranges[0].From != 2 || w.Ranges[0].To != 2 || w.Limit != 1400 {
		t.Fatalf("asked %v for %+v", ask.To, w)
	}
	a.sent = nil
	a.hear(b, w)
	a.wait(2 * time.Millisecond)
	answer := a.want("one asker is answered by unicast", wire.TypeRecord, 1)[0]
	if answer.To != b.self || answer.Class != Repair || answer.Record != two.ID {
		t.Fatalf("answered %+v", answer)
	}
	b.hear(a, answer.Frame)
	b.wantShown("the gap is closed", "1", "2", "3")
	b.wait(5 * time.Second)
	b.want("nothing is missing", wire.TypeWant, 0)
}

// A record in pieces that came too far ahead of a gap is asked for when its turn comes.
func TestRefusedPiecesAreAskedForAgain(t *testing.T) {
	a, b := newSpeaker(t, 1), newSpeaker(t, 2)
	a.meet(b)
	b.Record(b.now, a.say("first", false))
	lost := a.say("lost", false)
	a.sent = nil
	for b.heldBytes+record.MaxSize < maxFeedBytes {
		b.Record(b.now, a.say(strings.Repeat("x", record.MaxText), false))
	}
	b.settle()
	a.sent = nil
	a.say(strings.Repeat("y", record.MaxText), false)
	last := a.say(strings.Repeat("z", record.MaxText), false)
	for _, s := range a.take(wire.TypeFrag) {
		b.hear(a, s.Frame)
	}
	if b.feeds[a.own.id].held.at(last.Header.Seq) != nil {
		t.Fatal("nothing is refused")
	}
	b.hear(a, whole(lost))
	b.sent = nil
	b.wait(time.Second)
	asked := false
	for _, s := range b.take(wire.TypeWant) {
		for _, w := range s.Frame.(wire.Want).Ranges {
			asked = asked || w.From <= last.Header.Seq && last.Header.Seq <= w.To
		}
	}
	if !asked {
		t.Error("what was refused is not asked for")
	}
}

func TestHeadTellsOfTheLastRecord(t *testing.T) {
	a, b := newSpeaker(t, 1), newSpeaker(t, 2)
	a.meet(b)
	b.hear(a, whole(a.say("1", false)))
	b.hear(a, headOf(a.say("2", false)))
	b.wait(4 * time.Millisecond)
	b.want("the tail of a burst was lost", wire.TypeWant, 1)
}

func TestAskingGoesOnWhileSomebodyHasIt(t *testing.T) {
	a, b, c := newSpeaker(t, 1), newSpeaker(t, 2), newSpeaker(t, 3)
	b.meet(a, c)
	rec := a.say("1", false)
	b.hear(a, headOf(rec))
	c.hear(a, whole(rec))
	c.wait(time.Second)
	b.hear(c, c.want("a change is told", wire.TypeDigest, 1)[0].Frame)
	b.wait(10 * time.Second)
	asked := map[identity.DeviceID]int{}
	for _, s := range b.take(wire.TypeWant) {
		asked[s.To]++
	}
	if asked[a.self] < 3 || asked[c.self] < 3 {
		t.Errorf("asked the author %d and the holder %d times in 10 s", asked[a.self], asked[c.self])
	}
	b.Absent(b.now, a.self)
	b.Absent(b.now, c.self)
	b.wait(2 * time.Second)
	b.take(wire.TypeWant)
	b.wait(time.Minute)
	b.want("nobody here has it", wire.TypeWant, 0)
	c.Present(c.now, Peer{ID: b.self, InRoom: true})
	b.Present(b.now, Peer{ID: c.self, RecvBuffer: 65535, InRoom: true})
	b.hear(c, wire.Digest{Root: c.sum.bytes(), Feeds: 1, Claims: []wire.FeedClaim{c.feeds[record.Chain{Feed: rec.Header.Feed}].wireClaim()}})
	b.wait(time.Second)
	if len(b.take(wire.TypeWant)) == 0 {
		t.Error("a holder came back and was not asked")
	}
}

func TestSeveralAskersGetOneBroadcast(t *testing.T) {
	a, b, c := newSpeaker(t, 1), newSpeaker(t, 2), newSpeaker(t, 3)
	a.meet(b, c)
	rec := a.say("1", false)
	a.wait(3 * time.Second)
	a.sent = nil
	w := wire.Want{Limit: 1400, Ranges: []wire.SeqRange{{Feed: rec.Header.Feed.Short(), From: 1, To: 1}}}
	a.hear(b, w)
	a.hear(c, w)
	a.hear(c, w)
	a.wait(5 * time.Millisecond)
	if s := a.want("two askers", wire.TypeRecord, 1)[0]; !s.To.IsZero() {
		t.Errorf("sent to %v", s.To)
	}
	a.hear(b, w)
	a.wait(3 * time.Millisecond)
	a.want("hold-off after a broadcast", wire.TypeRecord, 0)
	a.wait(10 * time.Millisecond)
	a.hear(b, w)
	a.wait(3 * time.Millisecond)
	a.want("after the hold-off", wire.TypeRecord, 1)
}

func TestRepeatsPayOnlyUnderLoss(t *testing.T) {
	a := newSpeaker(t, 1)
	for n := byte(2); n <= 10; n++ {
		a.Present(a.now, Peer{ID: newSpeaker(t, n).self, RecvBuffer: 65535, InRoom: true})
	}
	for _, test := range []struct {
		loss float64
		want int
	}{{0.01, 1}, {0.1, 3}, {0.3, 5}} {
		a.SetLink(Link{Datagram: 1400, Loss: test.loss})
		a.say("x", false)
		a.wait(3 * time.Second)
		a.want(fmt.Sprintf("loss %v, nine receivers", test.loss), wire.TypeRecord, test.want)
	}
}

// Beats that are late on a busy host look like loss: where nobody asks for what was said nothing is repeated.
func TestNothingIsRepeatedThatNobodyAsksFor(t *testing.T) {
	a, b := newSpeaker(t, 1), newSpeaker(t, 2)
	a.meet(b)
	for n := byte(3); n <= 10; n++ {
		a.Present(a.now, Peer{ID: newSpeaker(t, n).self, RecvBuffer: 65535, InRoom: true})
	}
	a.SetLink(Link{Datagram: 1400, Loss: 0.1})
	say := func(rule string, copies int) {
		t.Helper()
		a.say("x", false)
		a.wait(20 * time.Millisecond)
		a.want(rule, wire.TypeRecord, copies)
	}
	for range quietRecords {
		say("beats tell of loss", 3)
	}
	say("and nobody missed anything", 1)
	a.hear(b, wire.Want{Limit: 1400, Ranges: []wire.SeqRange{{Feed: a.own.short, From: 1, To: 1}}})
	a.wait(20 * time.Millisecond)
	a.take(wire.TypeRecord)
	say("what is old is asked for by who is new", 1)
	a.hear(b, wire.Want{Limit: 1400, Ranges: []wire.SeqRange{{Feed: a.own.short, From: a.own.high, To: a.own.high}}})
	a.wait(20 * time.Millisecond)
	a.take(wire.TypeRecord)
	say("somebody missed what was just said", 3)
}

// Where nothing gets lost an author that goes on talking sends no HEADs that its next record makes needless.
func TestNoHeadsBetweenRecordsThatFollowEachOther(t *testing.T) {
	a, b := newSpeaker(t, 1), newSpeaker(t, 2)
	a.meet(b)
	talk := func(rule string, each time.Duration, heads int) {
		t.Helper()
		a.say("x", false)
		a.wait(each)
		a.take(wire.TypeHead)
		a.say("x", false)
		a.wait(each)
		a.want(rule, wire.TypeHead, heads)
	}
	talk("nobody knows yet whether records get lost", 20*time.Millisecond, 1)
	for range quietRecords {
		a.say("x", false)
		a.wait(20 * time.Millisecond)
	}
	a.take(wire.TypeHead)
	talk("the next record is due before", 20*time.Millisecond, 0)
	talk("the second would come before the next record", 50*time.Millisecond, 0)
	talk("it waits for no record that is further off", 79*time.Millisecond, 2)
	a.say("the last", false)
	a.wait(3 * time.Second)
	a.want("behind the last record as ever", wire.TypeHead, 5)
	a.hear(b, wire.Want{Limit: 1400, Ranges: []wire.SeqRange{{Feed: a.own.short, From: a.own.high, To: a.own.high}}})
	talk("somebody missed one", 19*time.Millisecond, 1)
	c := newSpeaker(t, 3)
	for n := byte(3); n <= 5; n++ {
		a.Present(a.now, Peer{ID: newSpeaker(t, n).self, RecvBuffer: 65535, InRoom: true})
	}
	miss := func(who *speaker) {
		a.hear(who, wire.Want{Limit: 1400, Ranges: []wire.SeqRange{{Feed: a.own.short, From: a.own.high, To: a.own.high}}})
	}
	for range quietRecords {
		a.say("x", false)
		miss(b)
		a.wait(20 * time.Millisecond)
	}
	talk("always the same one of five misses them", 20*time.Millisecond, 0)
	miss(c)
	talk("another one missed one", 19*time.Millisecond, 1)
}

// What follows a record fast tells of its loss: then the last alone is repeated.
func TestNothingIsRepeatedThatMuchFollows(t *testing.T) {
	a := newSpeaker(t, 1)
	for n := byte(2); n <= 10; n++ {
		a.Present(a.now, Peer{ID: newSpeaker(t, n).self, RecvBuffer: 65535, InRoom: true})
	}
	a.SetLink(Link{Datagram: 1400, Loss: 0.1})
	pack := []record.Post{{Kind: record.KindText, Text: strings.Repeat("x", maxFollowing)}}
	if _, err := a.SayAll(a.now, [][]record.Post{pack, pack, pack}, false); err != nil {
		t.Fatal(err)
	}
	a.settle()
	each := len(a.take(wire.TypeFrag)) / 3
	a.wait(3 * time.Second)
	a.want("two repeats of the last record", wire.TypeFrag, 2*each)
}

func TestLongPostTravelsInPieces(t *testing.T) {
	for _, limit := range []int{512, 600, 1400} {
		a, b := newSpeaker(t, 1), newSpeaker(t, 2)
		a.meet(b)
		a.SetLink(Link{Datagram: limit})
		text := strings.Repeat("é", record.MaxText/2)
		a.say(text, false)
		pieces := a.take(wire.TypeFrag)
		if len(pieces) < 2 || len(pieces) > wire.MaxFragments {
			t.Fatalf("limit %d: %d pieces", limit, len(pieces))
		}
		lost := len(pieces) / 2
		for i := len(pieces) - 1; i >= 0; i-- {
			f := pieces[i].Frame.(wire.Frag)
			if size := wire.SealedOverhead + wire.FragOverhead + len(f.Data); size > limit {
				t.Fatalf("limit %d: a piece of %d bytes", limit, size)
			}
			if i != lost {
				b.hear(a, f)
				b.hear(a, f)
			}
		}
		b.wantShown("a piece is missing")
		b.wait(4 * time.Millisecond)
		w := b.want("the first piece names the record", wire.TypeWant, 1)[0].Frame.(wire.Want)
		if len(w.Parts) != 1 || len(w.Ranges) != 0 {
			t.Fatalf("limit %d: asked for %+v", limit, w)
		}
		a.take(wire.TypeFrag)
		a.hear(b, w)
		a.wait(2 * time.Millisecond)
		for _, s := range a.want("only what is missing", wire.TypeFrag, 1) {
			b.hear(a, s.Frame)
		}
		b.wantShown("whole", text)
		a.hear(b, wire.Want{Limit: 1400, Ranges: []wire.SeqRange{{Feed: a.own.short, From: 1, To: 1}}})
		a.wait(2 * time.Millisecond)
		for _, s := range a.want("what the link carries, whatever the asker takes", wire.TypeFrag, len(pieces)) {
			if size := wire.SealedOverhead + wire.FragOverhead + len(s.Frame.(wire.Frag).Data); size > limit {
				t.Fatalf("limit %d: asked for, a piece of %d bytes", limit, size)
			}
		}
	}
}

func TestFalsePieceIsThrownAwayAndAskedAnew(t *testing.T) {
	a, b := newSpeaker(t, 1), newSpeaker(t, 2)
	a.meet(b)
	a.say(strings.Repeat("x", 3000), false)
	pieces := a.take(wire.TypeFrag)
	for i, s := range pieces {
		f := s.Frame.(wire.Frag)
		if i == 1 {
			f.Data = slices.Repeat([]byte{7}, len(f.Data))
		}
		b.hear(a, f)
	}
	b.wantShown("a mixed record proves nothing")
	b.wait(4 * time.Millisecond)
	a.hear(b, b.want("asked anew", wire.TypeWant, 1)[0].Frame)
	a.wait(2 * time.Millisecond)
	for _, s := range a.take(wire.TypeFrag) {
		b.hear(a, s.Frame)
	}
	b.wantShown("then whole", strings.Repeat("x", 3000))
}

func TestDigestFindsWhatEverythingElseMissed(t *testing.T) {
	a, b := newSpeaker(t, 1), newSpeaker(t, 2)
	a.say("1", false)
	a.say("2", false)
	a.wait(10 * time.Second)
	a.sent = nil
	a.meet(b) // b comes late
	a.wait(time.Second)
	d := a.want("a newcomer gets a digest", wire.TypeDigest, 1)[0]
	if !d.To.IsZero() {
		t.Error("by unicast")
	}
	b.wait(2 * time.Second)
	b.hear(a, d.Frame)
	b.wait(4 * time.Millisecond)
	a.hear(b, b.want("what the claims show", wire.TypeWant, 1)[0].Frame)
	a.wait(2 * time.Millisecond)
	for _, s := range a.take(wire.TypeRecord) {
		b.hear(a, s.Frame)
	}
	b.wantShown("level", "1", "2")
	if a.sum != b.sum {
		t.Error("equal sets, unequal sums")
	}
}

func TestQuietRoomIsQuiet(t *testing.T) {
	a, b := newSpeaker(t, 1), newSpeaker(t, 2)
	a.meet(b)
	rec := a.say("1", false)
	b.hear(a, whole(rec))
	a.wait(5 * time.Minute)
	a.sent = nil
	a.wait(10 * time.Minute)
	if n := len(a.sent); n < 8 || n > 20 {
		t.Errorf("%d frames in ten quiet minutes, want a digest about every 64 s", n)
	}
}

func TestEqualDigestsSilenceEachOther(t *testing.T) {
	a, b, c := newSpeaker(t, 1), newSpeaker(t, 2), newSpeaker(t, 3)
	a.meet(b, c)
	a.say("1", false)
	a.wait(5 * time.Minute)
	equal := wire.Digest{Root: a.sum.bytes(), Feeds: 1}
	a.sent = nil
	for range 40 {
		a.hear(b, equal)
		a.hear(c, equal)
		a.wait(15 * time.Second)
	}
	a.want("two others said it", wire.TypeDigest, 0)
}

func TestManyFeedsAreComparedByRanges(t *testing.T) {
	a, b := newSpeaker(t, 1), newSpeaker(t, 2)
	for n := range byte(60) {
		c := newSpeaker(t, 10+n)
		rec := c.say("from "+fmt.Sprint(n), false)
		a.hear(c, whole(rec))
		if n != 30 {
			b.hear(c, whole(rec))
		}
	}
	a.wait(5 * time.Second)
	b.wait(5 * time.Second)
	a.meet(b)
	a.sent, b.sent = nil, nil
	sent := 0
	for range 100 {
		a.wait(100 * time.Millisecond)
		b.wait(100 * time.Millisecond)
		from := slices.Clone(a.sent)
		a.sent = nil
		for _, s := range from {
			b.hear(a, s.Frame)
		}
		back := slices.Clone(b.sent)
		b.sent = nil
		for _, s := range back {
			a.hear(b, s.Frame)
		}
		sent += len(from) + len(back)
	}
	if a.sum != b.sum {
		t.Fatal("60 feeds, one missing: not level after 10 s")
	}
	if sent > 40 {
		t.Errorf("%d frames to find one of 60 feeds", sent)
	}
}

func TestOldFeedBeginsWhereItCanBeHad(t *testing.T) {
	a, b := newSpeaker(t, 1), newSpeaker(t, 2)
	a.meet(b)
	var recs []*record.Record
	for i := range 6 {
		recs = append(recs, a.say(fmt.Sprint(i+1), false))
	}
	a.wait(3 * time.Second)
	a.kept = a.kept[3:]
	a.Floors(a.now, []record.Floor{{Chain: a.own.id, Low: 4}})
	a.sent = nil
	b.hear(a, whole(recs[5]))
	b.wantShown("where the feed begins is not known yet")
	b.wait(4 * time.Millisecond)
	a.hear(b, b.want("the rest", wire.TypeWant, 1)[0].Frame)
	a.wait(2 * time.Millisecond)
	for _, s := range a.sent {
		b.hear(a, s.Frame)
	}
	b.wantShown("from the first there is", "4", "5", "6")
	b.wait(5 * time.Second)
	b.want("what nobody has is not asked for", wire.TypeWant, 0)
}

func TestOneOrderForAll(t *testing.T) {
	a, b := newSpeaker(t, 1), newSpeaker(t, 2)
	b.now.Wall = start.Add(-time.Hour) // a clock that is wrong
	one := a.say("question", false)
	b.hear(a, whole(one))
	two := b.say("answer", false)
	if record.Compare(one, two) >= 0 {
		t.Error("an answer stands above its question")
	}
	if len(two.Header.Parents) != 1 || two.Header.Parents[0] != one.ID {
		t.Errorf("parents %v", two.Header.Parents)
	}
	a.hear(b, whole(two))
	late := newSpeaker(t, 3)
	late.now.Wall = start.Add(-24 * time.Hour)
	a.hear(late, whole(late.say("long ago", false)))
	last := a.events[len(a.events)-1]
	if !last.Late || a.events[0].Late {
		t.Error("what belongs above the end of the screen is late, the rest is not")
	}
}

// A member whose record has the highest order that there is, or that is followed, leaves the others their order: what is
// said later stands below what was said before.
func TestADV_order_One_record_uses_up_no_order(t *testing.T) {
	for _, order := range []uint64{1<<46 - 1, 1 << 46, record.PlainOrder - 1, record.MaxOrder} {
		a, b, c := newSpeaker(t, 1), newSpeaker(t, 2), newSpeaker(t, 3)
		c.now.Wall = time.UnixMilli(int64(order))
		far := c.say("from the future", false)
		if far.Header.Order != order {
			t.Fatalf("order %d", far.Header.Order)
		}
		a.hear(c, whole(far))
		b.hear(c, whole(far))
		var last *record.Record
		for n := range 20 {
			from, to := a, b
			if n%2 == 1 {
				from, to = b, a
			}
			rec := from.say(fmt.Sprint(n), false)
			if to.hear(from, whole(rec)); last != nil && rec.Header.Order <= last.Header.Order {
				t.Errorf("after %d: %d, then %d", order, last.Header.Order, rec.Header.Order)
			}
			last = rec
		}
	}
}

// What one record says is told in its order: who is a member, and the keys, apart from what is there to read.
func TestOneRecordTellsInItsOrder(t *testing.T) {
	a, b := newSpeaker(t, 1), newSpeaker(t, 2)
	a.meet(b)
	posts := []record.Post{
		{Kind: record.KindText, Text: "one"}, {Kind: record.KindJoin, Nick: "alice"}, {Kind: record.KindText, Text: "two"},
		{Kind: record.KindTopic, Text: "three"}, {Kind: record.KindRekey, Text: "x"}, {Kind: record.KindText, Text: "four"},
	}
	if _, err := a.Say(a.now, posts, false); err != nil {
		t.Fatal(err)
	}
	a.settle()
	b.hear(a, whole(a.kept[len(a.kept)-1].Record))
	var told []string
	for _, e := range b.events {
		text := fmt.Sprintf("%d at %d by %q:", e.Kind, e.Index, e.Nick)
		for i, p := range e.Posts {
			if p.Kind != posts[e.Index+i].Kind {
				t.Errorf("post %d is not of its kind", e.Index+i)
			}
			text += " " + p.Text
		}
		told = append(told, text)
	}
	want := []string{
		`1 at 0 by "": one`, `2 at 0 by "alice":`, `1 at 2 by "alice": two three`, `1 at 4 by "alice": x`,
		`1 at 5 by "alice": four`,
	}
	if !slices.Equal(told, want) {
		t.Errorf("told %q, want %q", told, want)
	}
}

func TestMembersComeAndGo(t *testing.T) {
	a, b := newSpeaker(t, 1), newSpeaker(t, 2)
	say := func(p record.Post) {
		t.Helper()
		if _, err := a.Say(a.now, []record.Post{p}, false); err != nil {
			t.Fatal(err)
		}
		a.settle()
		b.hear(a, whole(a.kept[len(a.kept)-1].Record))
	}
	say(record.Post{Kind: record.KindJoin, Nick: "alice"})
	say(record.Post{Kind: record.KindNick, Nick: "alicia"})
	say(record.Post{Kind: record.KindLeave})
	var got []string
	for _, e := range b.events {
		got = append(got, fmt.Sprint(e.Kind, e.Nick, e.Was))
	}
	want := []string{fmt.Sprint(Joined, "alice", ""), fmt.Sprint(Renamed, "alicia", "alice"), fmt.Sprint(Left, "alicia", "alicia")}
	if !slices.Equal(got, want) {
		t.Errorf("told %v, want %v", got, want)
	}
	if m := b.Members(b.now); len(m) != 0 {
		t.Errorf("members %v after the leave", m)
	}
	say(record.Post{Kind: record.KindJoin, Nick: "alice"})
	if m := b.Members(b.now); len(m) != 1 || m[0].Nick != "alice" {
		t.Errorf("members %v", m)
	}
	b.now.Wall = b.now.Wall.Add(8 * 24 * time.Hour)
	if m := b.Members(b.now); len(m) != 0 {
		t.Error("a member for ever")
	}
}

func TestDatagramLimitFollowsProvenMembers(t *testing.T) {
	a := newSpeaker(t, 1)
	peer := func(n byte, buffer int, inRoom bool) identity.DeviceID {
		id := newSpeaker(t, n).self
		a.Present(a.now, Peer{ID: id, RecvBuffer: buffer, InRoom: inRoom})
		return id
	}
	check := func(rule string, want int) {
		t.Helper()
		if got, _ := a.Limit(); got != want {
			t.Errorf("%s: limit %d, want %d", rule, got, want)
		}
	}
	check("alone", 1400)
	small := peer(2, 600, true)
	check("half of two", 600)
	if _, by := a.Limit(); by != small {
		t.Error("the limit does not say whose it is")
	}
	peer(3, 65535, true)
	peer(4, 65535, true)
	check("a quarter", 600)
	peer(5, 65535, true)
	check("a minority under a quarter", 1400)
	peer(6, 512, false)
	peer(7, 512, false)
	check("who is not in the room does not count", 1400)
	peer(8, 100, true)
	check("who only watches does not count", 1400)
	a.Absent(a.now, small)
	check("gone", 1400)

	a.sent = nil
	small = peer(2, 600, true)
	a.say(strings.Repeat("x", 900), false)
	a.want("the others get it whole", wire.TypeRecord, 1)
	for _, s := range a.want("the minority in pieces", wire.TypeFrag, 3) {
		if s.To != small {
			t.Errorf("pieces to %v", s.To)
		}
	}
}

func TestCutRecordIsSentAgainInPieces(t *testing.T) {
	a, b := newSpeaker(t, 1), newSpeaker(t, 2)
	a.meet(b)
	rec := a.say(strings.Repeat("x", 900), false)
	a.sent = nil
	a.Again(rec.ID, b.self, 600)
	a.wait(time.Millisecond)
	for _, s := range a.want("after a CUT", wire.TypeFrag, 3) {
		if f := s.Frame.(wire.Frag); s.To != b.self || wire.SealedOverhead+wire.FragOverhead+len(f.Data) > 600 {
			t.Errorf("a piece of %d to %v", len(f.Data), s.To)
		}
	}
}

func TestHeldRecordsAreBounded(t *testing.T) {
	a, b := newSpeaker(t, 1), newSpeaker(t, 2)
	a.meet(b)
	a.say("first", false)
	short := slices.Repeat([][]record.Post{{{Kind: record.KindText, Text: "x"}}}, 2*maxAhead)
	if _, err := a.SayAll(a.now, short, false); err != nil {
		t.Fatal(err)
	}
	a.settle()
	for _, e := range a.kept[1:] {
		b.Record(b.now, e.Record)
	}
	b.settle()
	if held := len(b.feeds[a.own.id].held); held > maxAhead {
		t.Errorf("%d records held", held)
	}
	if b.heldBytes > maxHeldBytes {
		t.Errorf("%d bytes held", b.heldBytes)
	}
	pack, before := []record.Post{{Kind: record.KindText, Text: strings.Repeat("x", record.MaxText)}}, len(a.kept)
	for range 2 * maxFeedBytes / record.MaxText {
		if _, err := a.SayAll(a.now, [][]record.Post{pack}, false); err != nil {
			t.Fatal(err)
		}
	}
	a.settle()
	c := newSpeaker(t, 3)
	c.meet(a)
	for i, e := range a.kept {
		if i != before {
			c.Record(c.now, e.Record)
		}
	}
	if f := c.feeds[a.own.id]; c.heldBytes > maxFeedBytes || c.heldBytes < maxFeedBytes-record.MaxSize {
		t.Errorf("%d bytes of a fast author held, in %d records", c.heldBytes, len(f.held))
	}
	for i := range 3 * maxAssemblies {
		b.Frag(b.now, wire.Frag{Record: [16]byte{byte(i), byte(i >> 8)}, Total: 17000, Offset: 1, Data: []byte{1}}, nil)
	}
	if n := len(b.parts.byName); n > maxAssemblies {
		t.Errorf("%d assemblies", n)
	}
}

func TestOneHeadStandsForAllThatAreOverdue(t *testing.T) {
	a := newSpeaker(t, 1)
	a.say("then the process is stopped", false)
	a.now.Mono += 20 * time.Second
	a.Advance(a.now)
	a.settle()
	a.want("HEADs of a process that slept", wire.TypeHead, 1)
	if at := a.Deadline(); at <= a.now.Mono {
		t.Errorf("due at %v after Advance at %v", at, a.now.Mono)
	}
}
