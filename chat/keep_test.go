package chat

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"bcast/identity"
	"bcast/internal/record"
	"bcast/internal/wire"
)

// keptOf is what a store has of a speaker's records, up to the first n.
func keptOf(s *speaker, n int) record.Kept {
	var kept record.Kept
	ends := map[record.Chain]record.ChainState{}
	for i, e := range s.kept[:n] {
		c := ends[e.Chain()]
		if c.Low == 0 || e.Anew {
			c = record.ChainState{Chain: e.Chain(), Low: e.Header.Seq}
		}
		c.High, c.Head, c.Heard = e.Header.Seq, e.Record, start.Add(time.Duration(i)).UnixNano()
		ends[e.Chain()] = c
		kept.Order = max(kept.Order, e.Header.Order)
		if e.Header.Feed.Author == s.cfg.Key.Public() {
			kept.Own = &e.Header.Feed
		}
		if posts, err := record.DecodePosts(e.Body); err == nil && membership(posts[0].Kind) {
			kept.Standing = append(kept.Standing, e)
		}
	}
	for _, c := range ends {
		kept.Chains = append(kept.Chains, c)
	}
	slices.SortFunc(kept.Chains, func(a, b record.ChainState) int { return a.Chain.Compare(b.Chain) })
	kept.Rosters, kept.Levels, kept.Heads = s.roster, s.levels, s.heads
	return kept
}

// again is the next process of a speaker, whose store kept its first n records.
func (s *speaker) again(n int, resume bool) *speaker {
	next := &speaker{t: s.t, now: s.now, kept: slices.Clone(s.kept[:n]), roster: s.roster, levels: s.levels, heads: s.heads}
	cfg := s.cfg
	cfg.Kept, cfg.Resume, cfg.Rand = keptOf(s, n), resume, rand.New(rand.NewChaCha8([32]byte{99, byte(s.now.Mono)}))
	next.Room = New(next.now, cfg)
	next.settle()
	return next
}

func (s *speaker) post(kind record.Kind, p record.Post) {
	s.t.Helper()
	p.Kind = kind
	if _, err := s.Say(s.now, []record.Post{p}, false); err != nil {
		s.t.Fatal(err)
	}
	s.settle()
}

func TestConversationGoesOn(t *testing.T) {
	a, b := newSpeaker(t, 1), newSpeaker(t, 2)
	a.meet(b)
	a.post(record.KindJoin, record.Post{Nick: "alice"})
	b.post(record.KindJoin, record.Post{Nick: "bob"})
	for _, e := range b.kept {
		a.hear(b, whole(e.Record))
	}
	a.say("one", false)
	feed := a.own.id
	next := a.again(len(a.kept), true)
	if next.own.id != feed || next.sum != a.sum || len(next.events) != 0 {
		t.Errorf("own feed %v, want %v; %d events", next.own.id, feed, len(next.events))
	}
	if !next.Joined() || next.Nick(b.self) != "bob" || next.maxOrder != a.maxOrder {
		t.Errorf("joined %v, bob is %q, order %d of %d",
			next.Joined(), next.Nick(b.self), next.maxOrder, a.maxOrder)
	}
	two := next.say("two", false)
	if two.Header.Feed != feed.Feed || two.Header.Seq != 3 || two.Header.Prev != a.own.head {
		t.Errorf("the next record is %d after %v", two.Header.Seq, two.Header.Prev)
	}
	next.hear(b, whole(b.kept[0].Record)) // long known
	next.wantShown("I3", "two")
}

func TestNewFeedCitesTheOld(t *testing.T) {
	a := newSpeaker(t, 1)
	one := a.say("one", false)
	next := a.again(1, false)
	two := next.say("two", false)
	if two.Header.Feed == one.Header.Feed || two.Header.Seq != 1 || two.Header.Prev != one.ID {
		t.Errorf("record %d of feed %d after %v", two.Header.Seq, two.Header.Feed.Epoch, two.Header.Prev)
	}
}

// A restored home: the others have records of ours that we do not know. What we say next gets no number twice, and what
// is missing comes back.
// Who was copied asks for what the copy said in its name like for anything else, before it says anything itself.
func TestWordsOfACopyAreAskedFor(t *testing.T) {
	a, b := newSpeaker(t, 1), newSpeaker(t, 2)
	one := a.say("one", false)
	copied := a.again(len(a.kept), true)
	two := copied.say("two", false)
	b.hear(a, whole(one))
	b.hear(a, whole(two))
	a.meet(b)
	a.sent, b.sent = nil, nil
	talk(5*time.Second, a, b)
	if a.sum != b.sum || len(a.shown()) != 2 {
		t.Errorf("%d shown, want 2", len(a.shown()))
	}
	if three := a.say("three", false); three.Header.Feed == one.Header.Feed {
		t.Error("goes on in the feed that the copy went on with")
	}
}

func TestOwnFeedHeardBeyondItsHead(t *testing.T) {
	for name, tell := range map[string]func(next, b *speaker, last *record.Record){
		"a record":       func(next, b *speaker, last *record.Record) { next.hear(b, whole(last)) },
		"a head":         func(next, b *speaker, last *record.Record) { next.hear(b, headOf(last)) },
		"a claim":        func(next, b *speaker, _ *record.Record) { b.sendDigest() },
		"our key is two": func(next, _ *speaker, _ *record.Record) { next.Doubt() },
	} {
		a, b := newSpeaker(t, 1), newSpeaker(t, 2)
		a.meet(b)
		a.say("one", false)
		a.say("two", false)
		last := a.say("three", false)
		for _, e := range a.kept {
			b.hear(a, whole(e.Record))
		}
		next := a.again(1, true)
		next.meet(b)
		b.sent = nil
		tell(next, b, last)
		b.settle()
		for _, d := range b.take(wire.TypeDigest) {
			next.hear(b, d.Frame)
		}
		said := next.say("four", false)
		if said.Header.Feed == last.Header.Feed {
			t.Errorf("%s: number %d of the old feed is used again", name, said.Header.Seq)
		}
	}
}

// Who claims without end that our feed is longer costs us no feed each time.
func TestClaimsCostFewFeeds(t *testing.T) {
	a, b := newSpeaker(t, 1), newSpeaker(t, 2)
	a.meet(b)
	feeds := map[record.Feed]bool{}
	for n := range 20 {
		feeds[a.say("x", false).Header.Feed] = true
		a.hear(b, wire.Digest{Root: [32]byte{byte(n)}, Feeds: 1, Claims: []wire.FeedClaim{
			{Feed: a.own.short, Low: 1, High: 1 << 40},
		}})
		a.wait(time.Minute)
	}
	if len(feeds) > 4 {
		t.Errorf("%d feeds in 20 minutes", len(feeds))
	}
}

// A store that refuses: nothing is claimed, sent or shown, the record is asked for again, and our own number is not
// used a second time.
func TestStoreRefuses(t *testing.T) {
	a, b := newSpeaker(t, 1), newSpeaker(t, 2)
	a.meet(b)
	one, two := b.say("one", false), b.say("two", false)
	refuse := func() {
		t.Helper()
		var out Output
		a.Drain(&out)
		if out.Store.IsEmpty() || len(out.Send)+len(out.Events) > 0 {
			t.Fatalf("%d sent, %d shown before it is stored", len(out.Send), len(out.Events))
		}
		a.Refused(a.now, out.Store)
	}
	a.Record(a.now, one)
	refuse()
	a.settle()
	if stored, missing := a.Posts(); stored != 0 || missing != 1 {
		t.Errorf("%d stored, %d missing", stored, missing)
	}
	a.hear(b, whole(two))
	a.hear(b, whole(one))
	a.wantShown("after the store works again", "one", "two")
	if _, err := a.Say(a.now, []record.Post{{Kind: record.KindText, Text: "mine"}}, false); err != nil {
		t.Fatal(err)
	}
	first := a.own.id
	refuse()
	a.settle()
	if said := a.say("mine again", false); said.Header.Feed == first.Feed {
		t.Error("the number of a record that may be stored is used again")
	}
	if _, missing := a.Posts(); missing != 0 {
		t.Errorf("%d missing: nobody ever had our own record", missing)
	}
}

func TestAdoptTakesAFeedFromItsMiddle(t *testing.T) {
	a, b := newSpeaker(t, 1), newSpeaker(t, 2)
	for _, s := range []string{"1", "2", "3", "4"} {
		b.say(s, false)
	}
	for _, e := range b.kept[1:] {
		a.Adopt(a.now, e.Record)
		a.settle()
	}
	a.wantShown("from the second on", "2", "3", "4")
}

func TestSignals(t *testing.T) {
	a, b := newSpeaker(t, 1), newSpeaker(t, 2)
	a.meet(b)
	a.post(record.KindJoin, record.Post{Nick: "alice"})
	b.hear(a, whole(a.kept[0].Record))
	signals := func() (said []SignalKind) {
		for _, e := range b.events {
			if e.Kind == Signalled && e.Device == a.self && e.Nick == "alice" {
				said = append(said, e.Signal)
			}
		}
		return said
	}
	a.Signal(a.now, Typing, "")
	a.Signal(a.now, Typing, "") // at once again: not sent
	a.settle()
	for _, s := range a.want("typing", wire.TypeSignal, 1) {
		b.hear(a, s.Frame)
	}
	a.Signal(a.now, Away, "lunch")
	a.settle()
	a.wait(5 * time.Minute)
	again := a.take(wire.TypeSignal)
	if len(again) < 4 || len(again) > 7 {
		t.Errorf("away is said %d times in five minutes", len(again))
	}
	for _, s := range again {
		b.now.Mono += time.Minute
		b.hear(a, s.Frame)
	}
	if text, away := b.IsAway(a.self); !away || text != "lunch" {
		t.Errorf("away %v: %q", away, text)
	}
	a.Signal(a.now, Back, "")
	a.settle()
	for _, s := range a.want("back", wire.TypeSignal, 1) {
		b.hear(a, s.Frame)
	}
	a.wait(5 * time.Minute)
	a.want("nothing more", wire.TypeSignal, 0)
	if got := signals(); !slices.Equal(got, []SignalKind{Typing, Away, Back}) {
		t.Errorf("signals %v", got)
	}
	stranger := identity.DeviceID{9}
	b.Frame(b.now, stranger, wire.Signal{Kind: uint8(Typing)})
	b.settle()
	if len(signals()) != 3 || len(b.signals) > 1 {
		t.Error("who is no member signals")
	}
}

// What came back from others of an old feed of ours is not what we go on with, nor is a feed that has a fork, nor one
// of which the store does not tell.
func TestOnlyTheFeedWrittenLastGoesOn(t *testing.T) {
	a, b := newSpeaker(t, 1), newSpeaker(t, 2)
	a.meet(b)
	old := a.say("in the old feed", false)
	second := a.again(1, false)
	current := second.say("in the current feed", false)
	second.kept = append(second.kept, second.kept[0]) // what came back later of the old one
	for name, c := range map[string]struct {
		change func(*record.Kept)
		want   bool
	}{
		"as it is":       {func(*record.Kept) {}, true},
		"nobody is sure": {func(k *record.Kept) { k.Own = nil }, false},
		"another one":    {func(k *record.Kept) { k.Own = &record.Feed{Author: old.Header.Feed.Author, Epoch: 1} }, false},
		"the old is back": {func(k *record.Kept) {
			for i := range k.Chains {
				if k.Chains[i].Chain.Feed == old.Header.Feed {
					k.Chains[i].Heard = start.Add(time.Hour).UnixNano()
				}
			}
		}, true},
		"it has a fork": {func(k *record.Kept) {
			branch := k.Chains[0]
			branch.Chain = record.Chain{Feed: current.Header.Feed, Branch: current.ID}
			k.Chains = append(k.Chains, branch)
		}, false},
	} {
		cfg := second.cfg
		cfg.Resume, cfg.Rand = true, rand.New(rand.NewChaCha8([32]byte{42}))
		cfg.Kept = keptOf(second, 2)
		cfg.Kept.Own = &record.Feed{Author: current.Header.Feed.Author, Epoch: current.Header.Feed.Epoch}
		c.change(&cfg.Kept)
		next := New(second.now, cfg)
		if goesOn := next.own.id.Feed == current.Header.Feed; goesOn != c.want {
			t.Errorf("%s: goes on %v", name, goesOn)
		}
		if next.own.id.Feed == old.Header.Feed {
			t.Errorf("%s: goes on with the old feed", name)
		}
	}
}
