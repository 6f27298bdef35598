package chat

import (
	"slices"
	"testing"
	"time"

	"bcast/identity"
	"bcast/internal/record"
	"bcast/internal/wire"
)

func anyone(identity.DeviceID) bool { return true }

// claims says that a member has a feed from low to high.
func (s *speaker) claims(from *speaker, feed byte, low, high uint64) {
	s.Frame(s.now, from.self, wire.Digest{
		Root: [32]byte{feed}, Claims: []wire.FeedClaim{{Feed: record.ShortFeed{feed}, Low: low, High: high}},
	})
	s.settle()
}

// look lets so much time pass that a room notices how far it is behind.
func (s *speaker) look(d time.Duration) {
	s.wait(d)
	s.Advance(s.now)
	s.settle()
}

func TestPullIsDue(t *testing.T) {
	tests := []struct {
		name    string
		missing uint64
		after   time.Duration
		due     bool
	}{
		{"what loss makes", 64, 3 * time.Second, false},
		{"much, for a moment", 200, 500 * time.Millisecond, false},
		{"much, for a second", 65, 1600 * time.Millisecond, true},
		{"very much, at once", 257, 0, true},
	}
	for _, test := range tests {
		s, other := newSpeaker(t, 1), newSpeaker(t, 2)
		s.meet(other)
		s.claims(other, 7, 1, test.missing)
		s.look(test.after)
		from, due := s.Pull(s.now, anyone)
		if due != test.due || due && from != other.self {
			t.Errorf("%s: due %t from %v", test.name, due, from)
		}
	}
}

// Who can be reached, failed least often and has at least half of what is missing is chosen, author or not.
func TestPullSource(t *testing.T) {
	s := newSpeaker(t, 1)
	much, half, little, away := newSpeaker(t, 2), newSpeaker(t, 3), newSpeaker(t, 4), newSpeaker(t, 5)
	s.meet(much, half, little)
	behind := func() {
		s.claims(much, 7, 1, 1000)
		s.claims(half, 7, 1, 600)
		s.claims(little, 7, 1, 100)
		s.claims(away, 7, 1, 1000)
		s.look(0)
	}
	chosen := map[identity.DeviceID]int{}
	for range 40 {
		behind()
		from, due := s.Pull(s.now, anyone)
		if !due {
			t.Fatal("not due")
		}
		chosen[from]++
		s.PullLater(s.now, 0)
		s.wait(pullCheck)
	}
	if chosen[much.self] == 0 || chosen[half.self] == 0 || len(chosen) != 2 {
		t.Errorf("chosen %v", chosen)
	}
	for range 10 {
		behind()
		from, _ := s.Pull(s.now, func(id identity.DeviceID) bool { return id == little.self })
		if from != little.self {
			t.Errorf("%v was chosen and cannot be reached", from)
		}
		s.PullLater(s.now, 0)
		s.wait(pullCheck)
	}
	behind()
	s.Pull(s.now, func(id identity.DeviceID) bool { return id == much.self })
	s.PullBroken(s.now)
	s.wait(pullAgain + pullAgain/4 + time.Second)
	for range 20 {
		behind()
		if from, due := s.Pull(s.now, anyone); due && from == much.self {
			t.Error("a member that failed was chosen before one that did not")
		}
		s.PullLater(s.now, 0)
		s.wait(pullCheck)
	}
}

// A member that fails is left alone for longer each time.
func TestPullBacksOff(t *testing.T) {
	s, other := newSpeaker(t, 1), newSpeaker(t, 2)
	s.meet(other)
	waits := []time.Duration{}
	for range 3 {
		begun := s.now.Mono
		for {
			s.claims(other, 7, 1, 1000)
			s.look(pullCheck)
			if _, due := s.Pull(s.now, anyone); due {
				break
			}
		}
		waits = append(waits, s.now.Mono-begun)
		s.PullBroken(s.now)
	}
	if waits[1] < pullAgain || waits[2] < 2*pullAgain || waits[2] > 3*pullAgain {
		t.Errorf("pulled again after %v", waits)
	}
}

// With few chains all are claimed; with more than are missing, those that lack something are named.
func TestPullClaimsFollowTheDifference(t *testing.T) {
	s, other := newSpeaker(t, 1), newSpeaker(t, 2)
	s.meet(other)
	s.say("one of ours", false)
	s.claims(other, 7, 1, 1000)
	claims := s.PullClaims()
	if !claims.All || len(claims.Claims) != 1 {
		t.Errorf("claims %+v of one chain stored", claims)
	}
	for i := range 1500 {
		f := s.feedNamed(record.ShortFeed{9, byte(i), byte(i >> 8)})
		s.claim(s.now, f, func() { f.low, f.high, f.next = 1, 1, 2 })
	}
	claims = s.PullClaims()
	if claims.All || len(claims.Claims) != 1 || claims.Claims[0] != (wire.FeedClaim{Feed: record.ShortFeed{7}}) {
		t.Errorf("%d claims, all %t, with 1,500 chains and one that lacks something", len(claims.Claims), claims.All)
	}
	s.claims(other, 7, 1, 5000)
	if claims = s.PullClaims(); !claims.All || len(claims.Claims) != 1501 {
		t.Errorf("%d claims, all %t, with more missing than chains", len(claims.Claims), claims.All)
	}
}

// What a pull covers is not asked for by datagram, until it ends.
func TestPullKeepsDatagramsQuiet(t *testing.T) {
	s, other := newSpeaker(t, 1), newSpeaker(t, 2)
	s.meet(other)
	s.claims(other, 7, 1, 1000)
	s.look(0)
	if _, due := s.Pull(s.now, anyone); !due {
		t.Fatal("not due")
	}
	s.take(wire.TypeWant)
	s.Offered(s.now, wire.Offer{Claims: []wire.FeedClaim{{Feed: record.ShortFeed{7}, Low: 1, High: 1000}}})
	if take := s.NextTake(s.now); len(take.Ranges) != 1 || take.Ranges[0].To != takeRecords {
		t.Fatalf("takes %v", take)
	}
	s.claims(other, 7, 1, 1001)
	s.Room.askAgain(s.now.Mono, identity.DeviceID{})
	s.wait(3 * time.Second)
	if n := len(s.take(wire.TypeWant)); n != 0 {
		t.Errorf("%d WANTs beside the pull", n)
	}
	s.PullBroken(s.now)
	s.wait(time.Second)
	if len(s.take(wire.TypeWant)) == 0 {
		t.Error("nothing is asked for after the pull broke")
	}
}

// A holder whose chain begins above the gap has nothing that could be taken, unless nobody has more.
func TestPullOverAFloor(t *testing.T) {
	s, other, third := newSpeaker(t, 1), newSpeaker(t, 2), newSpeaker(t, 3)
	s.meet(other, third)
	s.claims(third, 7, 1, 1000)
	s.claims(other, 7, 1, 1000)
	f := s.short[record.ShortFeed{7}]
	f.next, f.prev, f.hasPrev = 11, record.ID{1}, true
	s.look(0)
	if _, due := s.Pull(s.now, anyone); !due {
		t.Fatal("not due")
	}
	s.Offered(s.now, wire.Offer{Claims: []wire.FeedClaim{{Feed: f.short, Low: 500, High: 1000}}})
	if take := s.NextTake(s.now); len(take.Ranges) != 0 {
		t.Errorf("takes %v, which cannot follow", take)
	}
}

// What is offered is what the other lacks, and what is served is what we have.
func TestOfferAndSpans(t *testing.T) {
	s := newSpeaker(t, 1)
	chain := func(n byte) record.Chain { return record.Chain{Feed: record.Feed{Epoch: uint64(n)}} }
	for n, high := range map[byte]uint64{1: 10, 2: 20, 3: 30} {
		f := s.feedOf(chain(n))
		s.claim(s.now, f, func() { f.low, f.high = 5, high })
	}
	names := func(all bool, claims ...wire.FeedClaim) []uint64 {
		var highs []uint64
		for _, c := range s.Offer(wire.StreamClaims{All: all, Claims: claims}).Claims {
			highs = append(highs, c.High)
		}
		slices.Sort(highs)
		return highs
	}
	one, two := chain(1).Short(), chain(2).Short()
	for name, test := range map[string]struct{ got, want []uint64 }{
		"to who has nothing":          {names(true), []uint64{10, 20, 30}},
		"to who has one of them":      {names(true, wire.FeedClaim{Feed: one, Low: 1, High: 10}), []uint64{20, 30}},
		"to who names one":            {names(false, wire.FeedClaim{Feed: two}), []uint64{20}},
		"to who has more of it":       {names(false, wire.FeedClaim{Feed: two, Low: 1, High: 99}), nil},
		"to who names what is not":    {names(false, wire.FeedClaim{Feed: [8]byte{9}}), nil},
		"to who names nothing at all": {names(false), nil},
	} {
		if !slices.Equal(test.got, test.want) {
			t.Errorf("%s: offered chains up to %v, want %v", name, test.got, test.want)
		}
	}
	got := s.Spans(wire.Take{Ranges: []wire.SeqRange{
		{Feed: two, From: 1, To: 1 << 60}, {Feed: one, From: 11, To: 12}, {Feed: [8]byte{9}, From: 1, To: 2}, {Feed: one, From: 9, To: 6},
	}})
	if want := []record.Span{{Chain: chain(2), From: 5, To: 20}}; !slices.Equal(got, want) {
		t.Errorf("serves %v, want %v", got, want)
	}
}

// A member that leaves is forgotten with its failures: it comes back as a new run.
func TestPullForgetsWhoLeft(t *testing.T) {
	s, other := newSpeaker(t, 1), newSpeaker(t, 2)
	s.meet(other)
	s.claims(other, 7, 1, 1000)
	s.look(0)
	s.Pull(s.now, anyone)
	s.PullBroken(s.now)
	s.Absent(s.now, other.self)
	if len(s.bulk.failures) != 0 {
		t.Error("failures of who is not here")
	}
}

// A claim of more than there can be does not keep anybody from pulling what there is.
func TestPullDespiteEndlessClaims(t *testing.T) {
	s, liar := newSpeaker(t, 1), newSpeaker(t, 2)
	s.meet(liar)
	for feed := range byte(4) {
		s.claims(liar, 7+feed, 1, 1<<62)
	}
	s.look(0)
	if _, due := s.Pull(s.now, anyone); !due {
		t.Fatal("nothing seems to be missing")
	}
	var offer wire.Offer
	for feed := range byte(4) {
		offer.Claims = append(offer.Claims, wire.FeedClaim{Feed: record.ShortFeed{7 + feed}, Low: 1, High: 1 << 62})
	}
	s.Offered(s.now, offer)
	s.NextTake(s.now)
	s.settle()
	if e := s.events[len(s.events)-1]; e.Kind != Synced || e.Have != 0 || e.Total <= 0 {
		t.Errorf("told %d of %d", e.Have, e.Total)
	}
	for range 3 {
		if take := s.NextTake(s.now); len(take.Ranges) != 1 {
			t.Fatalf("takes %v, want one chain after another", take)
		}
	}
	if take := s.NextTake(s.now); len(take.Ranges) != 0 {
		t.Errorf("takes %v though nothing ever came", take)
	}
}
