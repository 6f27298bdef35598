package chat

import (
	"encoding/binary"
	"slices"
	"testing"
	"time"

	"bcast/identity"
	"bcast/internal/record"
	"bcast/internal/wire"
)

// fill has a room store the first record of many feeds of one author.
func (s *speaker) fill(feeds int) {
	s.t.Helper()
	key := newSpeaker(s.t, 99).cfg.Key
	body, err := record.EncodePosts([]record.Post{{Kind: record.KindText, Text: "x"}})
	if err != nil {
		s.t.Fatal(err)
	}
	for epoch := range uint64(feeds) {
		h := record.Header{Feed: record.Feed{Author: key.Public(), Epoch: epoch}, Seq: 1, Order: 1}
		s.Record(s.now, record.Sign(key, s.cfg.ID, []record.Draft{{Header: h, Body: body}})[0])
	}
	var out Output
	s.Drain(&out)
	s.Stored(s.now, out.Store, nil)
	s.Drain(&out)
}

// farAhead has a liar say, again and again, that a feed goes on far ahead, until nobody waits for what is before.
func (s *speaker) farAhead(p *party, liar *speaker, feed record.ShortFeed, low uint64) {
	for range 3 {
		claim := wire.FeedClaim{Feed: feed, Low: low, High: 1 << 62}
		s.Frame(s.now, liar.self, wire.Digest{Root: [32]byte{1}, Feeds: 1, Claims: []wire.FeedClaim{claim}})
		p.wait(anewAfter)
	}
}

// One signed datagram says that a member has the speaker's next posts from far ahead on, and nobody contradicts: they
// are not said yet. Each of them is taken all the same, when it is said, and when its author comes back with it.
func TestADV_claim_A_liar_silences_nobody(t *testing.T) {
	for _, low := range []uint64{5, 1 << 40, 1 << 62} {
		p := newParty(t, 3, 0)
		a, b, m := p.all[0], p.all[1], p.all[2]
		p.joined()
		a.say("one", false)
		p.wait(time.Second)
		b.farAhead(p, m, a.own.short, low)
		a.say("two", false)
		a.say("three", false)
		p.wait(200 * time.Millisecond)
		b.wantShown("A post that a liar says not to be there", "one", "two", "three")
		p.leave(a)
		b.hear(a, wire.Head{Bytes: a.say("four", false).Head()})
		b.farAhead(p, m, a.own.short, low+5)
		p.come(a, 1)
		p.wait(10 * time.Second)
		b.wantShown("A post of who comes back", "one", "two", "three", "four")
	}
}

// claimMany has a member claim feeds that nobody has.
func (s *speaker) claimMany(from *speaker, feeds int) {
	var claims []wire.FeedClaim
	for i := range uint64(feeds) {
		name := record.ShortFeed(binary.BigEndian.AppendUint64(nil, i+1))
		claims = append(claims, wire.FeedClaim{Feed: name, Low: 1, High: 1 << 62})
	}
	for some := range slices.Chunk(claims, wire.MaxClaims) {
		s.Frame(s.now, from.self, wire.Digest{Root: [32]byte{1}, Claims: some})
	}
}

// Who claims thousands of feeds has them looked at no more often than they cost.
func TestADV_claim_Thousands_of_gaps_cost_little(t *testing.T) {
	s, m := newSpeaker(t, 1), newSpeaker(t, 2)
	s.meet(m)
	s.claimMany(m, maxFeeds-100)
	looks := 0
	for end := s.now.Mono + time.Second; s.Deadline() < end; looks++ {
		s.now.Mono = max(s.now.Mono, s.Deadline())
		s.Advance(s.now)
		s.settle()
	}
	if looks > 150 {
		t.Errorf("looked at %d times in a second", looks)
	}
}

// Sums of what liars claim are not to overflow: then nobody would be pulled from.
func TestADV_claim_Heights_keep_nobody_from_streams(t *testing.T) {
	s, m := newSpeaker(t, 1), newSpeaker(t, 2)
	s.meet(m)
	s.claimMany(m, maxFeeds-100)
	s.look(0)
	if _, due := s.Pull(s.now, func(id identity.DeviceID) bool { return id == m.self }); !due {
		t.Error("no member is pulled from")
	}
}

// A comparison is to cost what there is once, however often its spans name the same.
func TestADV_claim_A_range_costs_one_look(t *testing.T) {
	s, m := newSpeaker(t, 1), newSpeaker(t, 2)
	s.meet(m)
	s.fill(500)
	hashed := 0
	fingerprint := s.cfg.Fingerprint
	s.cfg.Fingerprint = func(b []byte) [16]byte {
		hashed += len(b)
		return fingerprint(b)
	}
	one := wire.Span{To: everything.to}
	listed := wire.Span{To: everything.to, Listed: true}
	for _, spans := range [][]wire.Span{slices.Repeat([]wire.Span{one}, 32), slices.Repeat([]wire.Span{listed}, 32)} {
		hashed = 0
		s.hear(m, wire.Range{Spans: spans})
		if most := 2 * len(s.recent) * claimSize; hashed > most {
			t.Errorf("%d bytes hashed, want at most %d", hashed, most)
		}
	}
	if claims := s.take(wire.TypeDigest); len(claims) != 1 || len(claims[0].Frame.(wire.Digest).Claims) != digestClaims {
		t.Errorf("a list is answered by %d digests", len(claims))
	}
}

// In a room that has no place for another feed it costs little to say so. Once there is some it is found.
func TestADV_claim_A_full_room_refuses_cheaply(t *testing.T) {
	s, m := newSpeaker(t, 1), newSpeaker(t, 2)
	s.meet(m)
	s.fill(maxFeeds)
	began := time.Now()
	const claims = 5000
	for i := range uint64(claims) {
		s.claims(m, 7, 1+i, 1+i)
	}
	if took := time.Since(began); took > claims*20*time.Microsecond {
		t.Errorf("%d claims of a feed for which there is no place take %v", claims, took)
	}
	if s.feedNamed(record.ShortFeed{7}) != nil {
		t.Fatal("there is place")
	}
	feed := s.recent[0].id
	s.Floors(s.now, []record.Floor{{Chain: feed, Low: 2}})
	s.feeds[feed].hasPrev = false
	if s.feedNamed(record.ShortFeed{7}) == nil {
		t.Error("there is no place though nothing is left of a feed")
	}
}

// A fork costs its author one datagram and the store a transaction: those that wait for it are few.
func TestADV_fork_Few_wait_for_the_store(t *testing.T) {
	s, m := newSpeaker(t, 1), newSpeaker(t, 2)
	s.meet(m)
	var heads []*record.Record
	for n := range byte(100) {
		f := newForger(t, 100+n)
		trunk := f.line(nil, "trunk", 3)
		for _, rec := range trunk {
			s.Record(s.now, rec)
		}
		heads = append(heads, f.after(trunk[1], "other"))
	}
	s.settle()
	for _, head := range heads {
		s.Head(s.now, s.parseHead(head.Head()))
	}
	if n := len(s.splits); n == 0 || n > maxSplits {
		t.Errorf("%d splits wait, want at most %d", n, maxSplits)
	}
	s.settle()
	for _, head := range heads {
		s.hear(m, wire.Head{Bytes: head.Head()})
	}
	if n := len(s.trees); n != len(heads) {
		t.Errorf("%d of %d forks are known in the end", n, len(heads))
	}
}

// The last number that there is may be the first of a feed.
func TestADV_19_A_feed_may_begin_at_the_last_number(t *testing.T) {
	for _, seq := range []uint64{1<<62 - 1, 1 << 62} {
		s, m := newSpeaker(t, 1), newSpeaker(t, 2)
		s.meet(m)
		feed := record.Feed{Author: m.cfg.Key.Public(), Epoch: 1}
		claim := wire.FeedClaim{Feed: feed.Short(), Low: seq, High: 1 << 62}
		s.hear(m, wire.Digest{Root: [32]byte{1}, Feeds: 1, Claims: []wire.FeedClaim{claim}})
		body, err := record.EncodePosts([]record.Post{{Kind: record.KindText, Text: "last"}})
		if err != nil {
			t.Fatal(err)
		}
		h := record.Header{Feed: feed, Seq: seq, Order: 1}
		rec := record.Sign(m.cfg.Key, s.cfg.ID, []record.Draft{{Header: h, Body: body}})[0]
		s.hear(m, wire.Record{Bytes: rec.Bytes()})
		s.wantShown("A record of the last number", "last")
	}
}
