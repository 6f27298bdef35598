package chat

import (
	"encoding/binary"
	"math/rand/v2"
	"testing"
	"time"

	"bcast/internal/wire"
)

// A member that claims what nobody has, of ever new feeds, makes others send it no more than a few wants a minute; who
// has what it claims is asked as fast as ever.
func TestFalseClaimsCostFewWants(t *testing.T) {
	for _, renewed := range []bool{true, false} {
		a, liar, c := newSpeaker(t, 1), newSpeaker(t, 2), newSpeaker(t, 3)
		a.meet(liar, c)
		rng := rand.New(rand.NewPCG(1, 1))
		claims := make([]wire.FeedClaim, digestClaims)
		wants := 0
		count := func() {
			for _, s := range a.take(wire.TypeWant) {
				if s.To == liar.self {
					wants++
				}
			}
		}
		const minutes = 2
		for i := range minutes * 120 {
			for j := range claims {
				if renewed || i == 0 {
					claims[j] = wire.FeedClaim{Feed: [8]byte{0: byte(j), 7: byte(rng.Uint64() % 30)}, Low: 1, High: 1 << 40}
				}
			}
			a.hear(liar, wire.Digest{Root: [32]byte{byte(i)}, Feeds: digestClaims, Claims: claims})
			a.wait(500 * time.Millisecond)
			count()
		}
		if most := 64 + minutes*15 + 1; wants > most {
			t.Errorf("new feeds %v: %d wants in %d minutes, want at most %d", renewed, wants, minutes, most)
		}
		first, second := c.say("1", false), c.say("2", false)
		a.hear(c, whole(second))
		a.wait(100 * time.Millisecond)
		asked := 0
		for _, s := range a.take(wire.TypeWant) {
			if s.To == c.self {
				asked++
			}
		}
		if asked == 0 {
			t.Error("who has something is not asked for it at once")
		}
		a.hear(c, whole(first))
		a.wantShown("what others say comes", "1", "2")
	}
}

// A holder that answers one in two is asked on and on; and the liars beside it are asked rarely.
func TestWhoAnswersIsAskedOn(t *testing.T) {
	a, author, honest := newSpeaker(t, 1), newSpeaker(t, 2), newSpeaker(t, 3)
	a.meet(honest)
	var liars []*speaker
	for n := range 5 {
		liars = append(liars, newSpeaker(t, byte(10+n)))
	}
	a.meet(liars...)
	var last wire.FeedClaim
	for n := range 20 {
		rec := author.say("x", false)
		honest.hear(author, whole(rec))
		last = wire.FeedClaim{Feed: author.own.short, Low: 1, High: uint64(n + 1), Head: [4]byte(rec.ID[:4])}
	}
	claim := wire.Digest{Root: [32]byte{1}, Feeds: 1, Claims: []wire.FeedClaim{last}}
	for _, s := range append(liars, honest) {
		a.hear(s, claim)
	}
	asked := map[bool]int{}
	for step := 0; len(a.shown()) < 20 && step < 6000; step++ {
		a.wait(10 * time.Millisecond)
		for _, s := range a.take(wire.TypeWant) {
			asked[s.To == honest.self]++
			if s.To == honest.self && asked[true]%2 == 0 {
				for _, r := range s.Frame.(wire.Want).Ranges {
					a.hear(author, whole(author.kept[r.From-1].Record))
				}
			}
		}
	}
	if got := len(a.shown()); got != 20 {
		t.Errorf("%d of 20 came, after %d wants to who has them and %d to liars", got, asked[true], asked[false])
	}
}

// spend has a member claim feeds that nobody has until it is sent no more wants, and on and on after that.
func (s *speaker) spend(liar *speaker, rng *rand.Rand, d time.Duration) {
	s.t.Helper()
	for end := s.now.Mono + d; s.now.Mono < end; s.wait(500 * time.Millisecond) {
		claims := make([]wire.FeedClaim, digestClaims)
		for i := range claims {
			claims[i] = wire.FeedClaim{Low: 1, High: 1 << 40}
			binary.BigEndian.PutUint64(claims[i].Feed[:], rng.Uint64()>>16)
		}
		s.hear(liar, wire.Digest{Root: [32]byte{byte(rng.Uint64())}, Feeds: 1 << 20, Claims: claims})
	}
}

// asks counts the wants that a member was sent.
func (s *speaker) asks(of *speaker) (n int) {
	for _, send := range s.take(wire.TypeWant) {
		if send.To == of.self {
			n++
		}
	}
	return n
}

// Who claims what nobody has until it is sent no more wants does not keep those from being asked that have something of
// what it claims.
func TestWhoIsSentNoMoreWantsHoldsNobodyUp(t *testing.T) {
	a, liar, author := newSpeaker(t, 1), newSpeaker(t, 2), newSpeaker(t, 3)
	a.meet(liar, author)
	rng := rand.New(rand.NewPCG(1, 1))
	a.spend(liar, rng, 2*time.Minute)
	a.hear(author, whole(author.say("1", false)))
	more := wire.FeedClaim{Feed: author.own.short, Low: 1, High: 1 << 40}
	a.hear(liar, wire.Digest{Root: [32]byte{1}, Feeds: 1 << 20, Claims: []wire.FeedClaim{more}})
	a.spend(liar, rng, 4*time.Second)
	a.asks(author)
	author.say("2", false) // it is lost
	a.hear(author, wire.Digest{Root: [32]byte{2}, Feeds: 1, Claims: []wire.FeedClaim{author.own.wireClaim()}})
	if a.spend(liar, rng, 4*time.Second); a.asks(author) == 0 {
		t.Error("the author is not asked for what it says")
	}
}

// What a member claimed of a feed and its author did not give does not slow down the asking for what the author signed
// since.
func TestSignedIsAskedForSoon(t *testing.T) {
	a, liar, author := newSpeaker(t, 1), newSpeaker(t, 2), newSpeaker(t, 3)
	a.meet(liar, author)
	a.hear(author, whole(author.say("1", false)))
	more := wire.FeedClaim{Feed: author.own.short, Low: 1, High: 1 << 40}
	a.hear(liar, wire.Digest{Root: [32]byte{1}, Feeds: 1 << 20, Claims: []wire.FeedClaim{more}})
	a.wait(5 * time.Minute)
	for n := range 3 {
		a.asks(author)
		rec := author.say("lost", false)
		for range 2 {
			a.hear(author, headOf(rec))
			a.wait(50 * time.Millisecond)
		}
		if a.asks(author) == 0 {
			t.Fatalf("the author is not asked for record %d, which it signed", rec.Header.Seq)
		}
		if a.hear(author, whole(rec)); n == 1 {
			a.wait(5 * time.Minute)
		}
	}
}

// What was to be asked for and came by itself is due no more when something else is to be asked for (seed 846).
func TestWhatCameIsDueNoMore(t *testing.T) {
	a, b := newSpeaker(t, 1), newSpeaker(t, 2)
	a.meet(b)
	for range 2 {
		late, next := b.say("late", false), b.say("next", false)
		a.hear(b, whole(next))
		if at := a.askDeadline(); at < a.now.Mono || at == never {
			t.Errorf("at %v due at %v", a.now.Mono, at)
		}
		a.hear(b, whole(late))
		a.wait(10 * time.Second)
	}
}

// An author that hears nothing is left alone for long. Who then says to have what is missing, and was not asked yet, is
// asked soon and not when the author's time is over.
func TestWhoComesUpWithItIsAskedSoon(t *testing.T) {
	a, author, holder := newSpeaker(t, 1), newSpeaker(t, 2), newSpeaker(t, 3)
	a.meet(author, holder)
	author.say("lost", false)
	next := whole(author.say("next", false))
	a.hear(author, next)
	a.wait(5 * time.Minute)
	a.asks(holder)
	has := wire.Digest{Root: [32]byte{1}, Feeds: 9, Claims: []wire.FeedClaim{author.own.wireClaim()}}
	a.hear(holder, has)
	if a.wait(100 * time.Millisecond); a.asks(holder) == 0 {
		t.Error("who says to have it is not asked")
	}
	for range 600 {
		a.hear(holder, has)
		a.wait(100 * time.Millisecond)
	}
	if n := a.asks(holder); n > 30 {
		t.Errorf("asked %d times within a minute, and gives nothing", n)
	}
}

// A want that crosses its answer is late: what went to its sender does not go there again at once, but does when the
// answer got lost and the sender asks again, as soon as it may.
func TestALateWantIsNotAnsweredAgain(t *testing.T) {
	a, b := newSpeaker(t, 1), newSpeaker(t, 2)
	a.meet(b)
	rec := a.say("1", false)
	a.wait(3 * time.Second)
	a.sent = nil
	w := wire.Want{Limit: 1400, Ranges: []wire.SeqRange{{Feed: rec.Header.Feed.Short(), From: 1, To: 1}}}
	a.hear(b, w)
	a.wait(2 * time.Millisecond)
	a.want("one asker", wire.TypeRecord, 1)
	a.hear(b, w)
	a.wait(2 * time.Millisecond)
	a.want("its want was late", wire.TypeRecord, 0)
	a.wait(wired.wantAgain - 4*time.Millisecond)
	a.hear(b, w)
	a.wait(2 * time.Millisecond)
	a.want("its answer got lost", wire.TypeRecord, 1)
}
