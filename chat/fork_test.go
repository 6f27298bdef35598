package chat

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"bcast/internal/record"
	"bcast/internal/wire"
)

// forger is an author that signs whatever chain it likes.
type forger struct{ *speaker }

func newForger(t *testing.T, n byte) *forger { return &forger{newSpeaker(t, n)} }

// after signs the record that follows prev, the first one if that is nil.
func (f *forger) after(prev *record.Record, text string) *record.Record {
	f.t.Helper()
	h := record.Header{Feed: f.own.id.Feed, Seq: 1, Order: uint64(start.UnixMilli()), Wall: start.UnixNano()}
	if prev != nil {
		h.Seq, h.Prev = prev.Header.Seq+1, prev.ID
		h.Order = prev.Header.Order + 1
	}
	body, err := record.EncodePosts([]record.Post{{Kind: record.KindText, Text: text}})
	if err != nil {
		f.t.Fatal(err)
	}
	return record.Sign(f.cfg.Key, f.cfg.ID, []record.Draft{{Header: h, Body: body}})[0]
}

// line signs n records after prev, each saying name and its number.
func (f *forger) line(prev *record.Record, name string, n int) []*record.Record {
	var all []*record.Record
	for range n {
		seq := uint64(1)
		if prev != nil {
			seq = prev.Header.Seq + 1
		}
		prev = f.after(prev, fmt.Sprint(name, seq))
		all = append(all, prev)
	}
	return all
}

func (s *speaker) hearAll(from *speaker, records ...*record.Record) {
	s.t.Helper()
	for _, rec := range records {
		s.hear(from, whole(rec))
	}
}

// branches are the chains that are followed of a feed: from, to and the first text of each branch.
func (s *speaker) chains(f *forger) map[record.Chain]string {
	found := map[record.Chain]string{}
	for _, c := range s.chainsOf(f.own.id.Feed) {
		if c.high != 0 {
			found[c.id] = fmt.Sprintf("%d-%d", c.low, c.high)
		}
	}
	return found
}

func (s *speaker) wantChains(rule string, f *forger, want map[record.Chain]string) {
	s.t.Helper()
	if got := s.chains(f); !maps.Equal(got, want) {
		s.t.Fatalf("%s: chains %v, want %v", rule, named(got), named(want))
	}
	for id, c := range s.feeds {
		if id != c.id || s.short[c.short] != c {
			s.t.Errorf("%s: tables out of step at %v", rule, id)
		}
	}
	var all sum
	for _, c := range s.recent {
		all.add(c)
	}
	if all != s.sum {
		s.t.Errorf("%s: the sum is not that of the claims", rule)
	}
	s.wantStored(rule, f)
	s.wantEnds(rule, f)
}

// wantEnds checks that every branch begins where a chain ends that knows it.
func (s *speaker) wantEnds(rule string, f *forger) {
	s.t.Helper()
	all := s.chainsOf(f.own.id.Feed)
	for _, b := range all {
		ends := func(c *feed) bool { return c.fork != nil && c.fork == b.root && c.next == b.first }
		if b.first != 0 && !slices.ContainsFunc(all, ends) {
			s.t.Errorf("%s: branch %v begins where no chain ends", rule, b.id.Branch)
		}
	}
}

// named is what a person can read of chains.
func named(chains map[record.Chain]string) []string {
	var all []string
	for c, span := range chains {
		all = append(all, c.Branch.String()[:4]+" "+span)
	}
	slices.Sort(all)
	return all
}

// wantStored checks that the store has what is claimed, where it is claimed to be.
func (s *speaker) wantStored(rule string, f *forger) {
	s.t.Helper()
	for _, c := range s.chainsOf(f.own.id.Feed) {
		if c.high == 0 {
			continue
		}
		got := s.load(Load{Ranges: []record.Span{{Chain: c.id, From: c.low, To: c.high}}})
		if len(got) != c.count() {
			s.t.Errorf("%s: %d of %d records of %v stored", rule, len(got), c.count(), c.id.Branch)
		}
	}
}

func chain(f *forger, first *record.Record) record.Chain {
	c := record.Chain{Feed: f.own.id.Feed}
	if first != nil {
		c.Branch = first.ID
	}
	return c
}

// talk delivers what the speakers send each other for a time.
func talk(d time.Duration, all ...*speaker) (frames int) {
	for range d / (50 * time.Millisecond) {
		for _, s := range all {
			s.wait(50 * time.Millisecond)
		}
		for _, from := range all {
			sent := slices.Clone(from.sent)
			from.sent = nil
			frames += len(sent)
			for _, send := range sent {
				for _, to := range all {
					if to != from && (send.To.IsZero() || send.To == to.self) {
						to.hear(from, send.Frame)
					}
				}
			}
		}
	}
	return frames
}

func countForked(s *speaker) int {
	n := 0
	for _, e := range s.events {
		if e.Kind == Forked {
			n++
		}
	}
	return n
}

func TestForkIsFoundInRecordsAlreadyHad(t *testing.T) {
	for _, test := range []struct {
		name string
		at   int // how many records before the fork
		own  int // how many after it
	}{{"at the first", 0, 1}, {"just said", 3, 1}, {"remembered", 3, 20}, {"asked of the store", 3, 3 * trailKeep}} {
		t.Run(test.name, func(t *testing.T) {
			a, b := newForger(t, 1), newSpeaker(t, 2)
			trunk := a.line(nil, "t", test.at)
			var last *record.Record
			if test.at > 0 {
				last = trunk[test.at-1]
			}
			one, two := a.line(last, "a", test.own), a.line(last, "b", 2)
			b.hearAll(a.speaker, trunk...)
			b.hearAll(a.speaker, one...)
			if b.hearAll(a.speaker, two[0]); countForked(b) != 1 {
				t.Fatalf("%d forks told", countForked(b))
			}
			b.hearAll(a.speaker, two[1], two[0], one[0])
			want := map[record.Chain]string{
				chain(a, one[0]): fmt.Sprintf("%d-%d", test.at+1, test.at+test.own),
				chain(a, two[0]): fmt.Sprintf("%d-%d", test.at+1, test.at+2),
			}
			if test.at > 0 {
				want[chain(a, nil)] = fmt.Sprintf("1-%d", test.at)
			}
			b.wantChains("both branches", a, want)
			last, event := nil, b.events[slices.IndexFunc(b.events, func(e Event) bool { return e.Kind == Forked })]
			if event.Record.ID != two[0].ID || event.Branch != one[0].ID || event.Device != a.self {
				t.Errorf("told %+v", event)
			}
			if shown := len(b.shown()); shown != test.at+test.own+2 {
				t.Errorf("%d shown", shown)
			}
			if e := b.events[len(b.events)-1]; e.Branch != two[0].ID {
				t.Error("what is shown from a branch does not say so")
			}
		})
	}
}

func TestBranchIsFollowedBackToTheFork(t *testing.T) {
	for _, length := range []int{2, 10, 300} {
		a, b, c := newForger(t, 1), newSpeaker(t, 2), newSpeaker(t, 3)
		b.meet(c)
		trunk := a.line(nil, "t", 5)
		one, two := a.line(trunk[4], "a", length), a.line(trunk[4], "b", length)
		b.hearAll(a.speaker, trunk...)
		b.hearAll(a.speaker, one...)
		c.hearAll(a.speaker, trunk...)
		c.hearAll(a.speaker, two...)
		b.sent, c.sent = nil, nil
		stray := a.after(two[length-1], "and so on") // follows none of ours
		c.hear(a.speaker, whole(stray))
		c.sent = nil
		b.hear(a.speaker, whole(stray))
		if frames := talk(20*time.Second, b, c); frames > 80+5*length {
			t.Errorf("%d frames for %d records", frames, 2*length)
		}
		want := map[record.Chain]string{
			chain(a, nil): "1-5", chain(a, one[0]): fmt.Sprintf("6-%d", 5+length),
			chain(a, two[0]): fmt.Sprintf("6-%d", 6+length),
		}
		b.wantChains("by a stray", a, want)
		c.wantChains("by a stray of the other", a, want)
		if b.sum != c.sum {
			t.Error("equal sets, unequal sums")
		}
	}
}

func TestClaimOfAnotherHeadShowsTheFork(t *testing.T) {
	for _, more := range []int{0, 7, 3 * trailKeep} {
		a, b, c := newForger(t, 1), newSpeaker(t, 2), newSpeaker(t, 3)
		b.meet(c)
		trunk := a.line(nil, "t", 5)
		one, two := a.line(trunk[4], "a", 4+more), a.line(trunk[4], "b", 4)
		b.hearAll(a.speaker, append(slices.Clone(trunk), one...)...)
		c.hearAll(a.speaker, append(slices.Clone(trunk), two...)...)
		frames := talk(20*time.Second, b, c)
		want := map[record.Chain]string{
			chain(a, nil): "1-5", chain(a, one[0]): fmt.Sprintf("6-%d", 9+more), chain(a, two[0]): "6-9",
		}
		b.wantChains("by claims", a, want)
		c.wantChains("by claims", a, want)
		if b.sum != c.sum || countForked(b) != 1 || countForked(c) != 1 {
			t.Errorf("equal sets, unequal sums, or told %d and %d times", countForked(b), countForked(c))
		}
		if frames > 120+5*more {
			t.Errorf("%d frames for %d records", frames, 4+more)
		}
	}
}

// treeOfForks is a feed that forked twice, the second time in a branch: three branches of two numbers each.
func treeOfForks(a *forger) (all []*record.Record, want map[record.Chain]string) {
	trunk := a.line(nil, "t", 2)
	one, two := a.line(trunk[1], "a", 4), a.line(trunk[1], "b", 3)
	nested := a.line(one[1], "c", 2)
	all = slices.Concat(trunk, one, two, nested)
	return all, map[record.Chain]string{
		chain(a, nil): "1-2", chain(a, one[0]): "3-4", chain(a, two[0]): "3-5", chain(a, one[2]): "5-6",
		chain(a, nested[0]): "5-6",
	}
}

func TestAllOrdersEndAlike(t *testing.T) {
	a := newForger(t, 1)
	all, want := treeOfForks(a)
	rng := rand.New(rand.NewPCG(1, 2))
	var sums []sum
	for round := range 200 {
		b := newSpeaker(t, 2)
		rng.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
		for range 3 { // what was dropped comes again
			b.hearAll(a.speaker, all...)
		}
		b.wantChains(fmt.Sprint("round ", round), a, want)
		sums = append(sums, b.sum)
		if n := len(b.shown()); n != len(all) {
			t.Fatalf("round %d: %d of %d shown", round, n, len(all))
		}
		if b.heldBytes != 0 {
			t.Fatalf("round %d: %d bytes held", round, b.heldBytes)
		}
	}
	if len(slices.Compact(sums)) != 1 {
		t.Error("equal sets, unequal sums")
	}
}

func TestThreeMembersAgree(t *testing.T) {
	a := newForger(t, 1)
	all, want := treeOfForks(a)
	for order := range 6 {
		members := []*speaker{newSpeaker(t, 2), newSpeaker(t, 3), newSpeaker(t, 4)}
		members[0].meet(members[1], members[2])
		members[1].meet(members[2])
		// each saw one line through the tree, and not that there are others
		lines := [][]*record.Record{all[:6], slices.Concat(all[:2], all[6:9]), slices.Concat(all[:4], all[9:])}
		for i, m := range members {
			line := lines[(i+order)%3]
			if order >= 3 {
				line = lines[(order-i)%3]
			}
			m.hearAll(a.speaker, line...)
			m.sent = nil
		}
		talk(40*time.Second, members...)
		for _, m := range members {
			m.wantChains(fmt.Sprint("order ", order), a, want)
			if m.sum != members[0].sum || countForked(m) != 2 {
				t.Errorf("order %d: unequal sums, or %d forks told", order, countForked(m))
			}
		}
	}
}

func TestProofIsToldOnceAndToWhoNeedsIt(t *testing.T) {
	a, b, c := newForger(t, 1), newSpeaker(t, 2), newSpeaker(t, 3)
	b.meet(c)
	trunk := a.line(nil, "t", 3)
	one, two := a.line(trunk[2], "a", 2), a.line(trunk[2], "b", 2)
	b.hearAll(a.speaker, slices.Concat(trunk, one, two)...)
	b.wait(3 * time.Second)
	proof := b.want("a fork just proven", wire.TypeFork, 1)[0]
	if !proof.To.IsZero() {
		t.Error("told to one only")
	}
	b.hear(c, wire.Digest{Claims: []wire.FeedClaim{{Feed: chain(a, nil).Short(), Low: 1, High: 5, Head: [4]byte{1}}}})
	b.hear(c, wire.Digest{Claims: []wire.FeedClaim{{Feed: chain(a, nil).Short(), Low: 1, High: 9, Head: [4]byte{2}}}})
	if sent := b.want("who does not know it", wire.TypeFork, 1)[0]; sent.To != c.self {
		t.Errorf("told to %v", sent.To)
	}
	b.wait(5 * time.Second)
	b.want("once is enough", wire.TypeFork, 0)

	c.hearAll(a.speaker, trunk...)
	c.hearAll(a.speaker, one...)
	for range 3 {
		c.hear(b, proof.Frame)
	}
	if countForked(c) != 1 {
		t.Errorf("a proof told %d times", countForked(c))
	}
	c.wantChains("by the proof alone", a, map[record.Chain]string{chain(a, nil): "1-3", chain(a, one[0]): "4-5"})
	c.wait(time.Second)
	c.want("the others have heard it", wire.TypeFork, 0)
	c.take(wire.TypeWant)
	c.hearAll(a.speaker, two...)
	c.wantChains("then its branch", a, map[record.Chain]string{
		chain(a, nil): "1-3", chain(a, one[0]): "4-5", chain(a, two[0]): "4-5",
	})
}

func TestProofOfWhatIsAheadCutsTheFeedThere(t *testing.T) {
	a, b := newForger(t, 1), newSpeaker(t, 2)
	trunk := a.line(nil, "t", 3)
	one, two := a.line(trunk[2], "a", 2), a.line(trunk[2], "b", 2)
	b.hearAll(a.speaker, trunk...)
	b.hear(a.speaker, wire.Fork{A: one[0].Head(), B: two[0].Head()})
	b.hearAll(a.speaker, one[1], two[1], two[0], one[0])
	b.wantChains("known before it was had", a, map[record.Chain]string{
		chain(a, nil): "1-3", chain(a, one[0]): "4-5", chain(a, two[0]): "4-5",
	})
}

func TestHonestHeadsProveNothing(t *testing.T) {
	a, b := newForger(t, 1), newSpeaker(t, 2)
	line := a.line(nil, "t", 6)
	b.hearAll(a.speaker, line[:4]...)
	for _, f := range []wire.Fork{
		{A: line[1].Head(), B: line[1].Head()}, {A: line[1].Head(), B: line[2].Head()},
		{A: line[4].Head(), B: line[5].Head()}, {A: newForger(t, 3).after(nil, "x").Head(), B: line[0].Head()},
	} {
		b.hear(a.speaker, f)
	}
	b.hearAll(a.speaker, line...)
	b.wantChains("one line", a, map[record.Chain]string{chain(a, nil): "1-6"})
	if countForked(b) != 0 || len(b.trees) != 0 {
		t.Errorf("%d forks told, %d trees", countForked(b), len(b.trees))
	}
}

func TestLiarMakesNoForkAndNoEndlessAsking(t *testing.T) {
	a, b, liar := newForger(t, 1), newSpeaker(t, 2), newSpeaker(t, 3)
	b.meet(liar)
	b.hearAll(a.speaker, a.line(nil, "t", 8)...)
	b.wait(3 * time.Second)
	b.sent = nil
	for range 100 {
		b.hear(liar, wire.Digest{Claims: []wire.FeedClaim{
			{Feed: chain(a, nil).Short(), Low: 1, High: 5, Head: [4]byte{1}},
		}})
		b.wait(200 * time.Millisecond)
	}
	if n := len(b.take(wire.TypeWant)); n == 0 || n > 2*maxWalkTries {
		t.Errorf("asked %d times", n)
	}
	b.wantChains("a claim proves nothing", a, map[record.Chain]string{chain(a, nil): "1-8"})
}

func TestLiarAboutManyFeedsIsAskedLittle(t *testing.T) {
	b, liar := newSpeaker(t, 2), newSpeaker(t, 3)
	b.meet(liar)
	var claims []wire.FeedClaim
	for n := range byte(48) {
		a := newForger(t, 20+n)
		b.hear(a.speaker, whole(a.after(nil, "x")))
		claims = append(claims, wire.FeedClaim{Feed: chain(a, nil).Short(), Low: 1, High: 1, Head: [4]byte{1}})
	}
	b.wait(3 * time.Second)
	b.sent = nil
	b.hear(liar, wire.Digest{Claims: claims})
	b.wait(time.Second)
	if n := len(b.take(wire.TypeWant)); n == 0 || n > maxWalks*maxWalkTries {
		t.Errorf("asked %d times in a second", n)
	}
}

func TestOwnFeedForkedByACopy(t *testing.T) {
	a := newForger(t, 1)
	own := a.say("one", false)
	first := a.own.id
	twin := newForger(t, 1)
	other := twin.after(nil, "not me")
	a.hear(twin.speaker, whole(other))
	if a.own.id.Branch != own.ID {
		t.Errorf("own feed %v", a.own.id)
	}
	next := a.say("two", false)
	if next.Header.Feed == first.Feed || next.Header.Prev != own.ID {
		t.Errorf("went on in %v after %v", next.Header.Feed, next.Header.Prev)
	}
	twinFeed := &forger{a.speaker}
	if got := len(a.chainsOf(first.Feed)); got != 3 {
		t.Errorf("%d chains of %v", got, twinFeed.self)
	}
}

func TestManyForksAreBounded(t *testing.T) {
	a, b := newForger(t, 1), newSpeaker(t, 2)
	b.meet(newSpeaker(t, 3))
	trunk := a.line(nil, "t", 2)
	b.hearAll(a.speaker, trunk...)
	var roots []*record.Record
	for i := range 60 {
		roots = append(roots, a.line(trunk[1], fmt.Sprint("branch ", i, " "), 2)...)
	}
	b.hearAll(a.speaker, roots...)
	var nested *record.Record
	for i := range 60 { // each forks the one before
		nested = a.after(nested, fmt.Sprint("nested ", i))
		b.hearAll(a.speaker, nested, a.after(nested, "x"))
	}
	if t1 := b.trees[a.own.id.Feed]; len(t1.branches) > maxBranches || len(t1.strays) > maxStrays {
		t.Errorf("%d branches, %d strays", len(t1.branches), len(t1.strays))
	}
	if len(b.feeds) > 2+maxBranches || len(b.short) > 2+maxBranches {
		t.Errorf("%d chains, %d names", len(b.feeds), len(b.short))
	}
	had := len(b.kept)
	if b.hearAll(a.speaker, roots...); len(b.kept) != had {
		t.Errorf("%d records more of branches that are not followed", len(b.kept)-had)
	}
	b.take(wire.TypeWant)
	if b.wait(5 * time.Second); len(b.take(wire.TypeFork)) > maxTells+5 {
		t.Error("the author makes us broadcast")
	}
	if n := len(b.take(wire.TypeWant)); n > 3*maxWalkTries {
		t.Errorf("asked %d times", n)
	}
	rng := rand.New(rand.NewPCG(3, 4))
	for range 5 {
		c := newSpeaker(t, 4)
		c.hearAll(a.speaker, trunk...)
		some := slices.Clone(roots)
		rng.Shuffle(len(some), func(i, j int) { some[i], some[j] = some[j], some[i] })
		for range 2 {
			c.hearAll(a.speaker, some...)
		}
		d := newSpeaker(t, 5)
		d.hearAll(a.speaker, trunk...)
		d.hearAll(a.speaker, roots...)
		d.hearAll(a.speaker, roots...)
		if c.sum != d.sum {
			t.Fatal("members follow different branches of too many")
		}
	}
}

func TestLaterForksPushOutNoEarlierBranch(t *testing.T) {
	a, b := newForger(t, 1), newSpeaker(t, 2)
	trunk := a.line(nil, "t", 1)
	var roots []*record.Record
	for i := range maxBranches {
		roots = append(roots, a.after(trunk[0], fmt.Sprint("branch ", i)))
	}
	b.hearAll(a.speaker, append(trunk, roots...)...)
	for i := range 20 {
		b.hearAll(a.speaker, a.after(roots[0], fmt.Sprint("later ", i)))
	}
	for _, root := range roots {
		if b.feeds[chain(a, root)] == nil {
			t.Error("a branch that began earlier is followed no more")
		}
	}
}

func TestProofOfAnOldForkIsPlacedByTheStore(t *testing.T) {
	a, b := newForger(t, 1), newSpeaker(t, 2)
	trunk := a.line(nil, "t", 3)
	one, two, three := a.line(trunk[2], "a", 3*trailKeep), a.line(trunk[2], "b", 1), a.line(trunk[2], "c", 1)
	b.hearAll(a.speaker, append(trunk, one...)...)
	b.hear(a.speaker, wire.Fork{A: two[0].Head(), B: three[0].Head()}) // neither is the one that we have
	b.hearAll(a.speaker, two[0], three[0])
	b.wantChains("three branches", a, map[record.Chain]string{
		chain(a, nil): "1-3", chain(a, one[0]): fmt.Sprintf("4-%d", 3+3*trailKeep), chain(a, two[0]): "4-4",
		chain(a, three[0]): "4-4",
	})
}

func TestManyForkingAuthorsCauseBoundedTelling(t *testing.T) {
	b := newSpeaker(t, 2)
	b.meet(newSpeaker(t, 3))
	for n := range byte(80) {
		a := newForger(t, 20+n)
		b.hearAll(a.speaker, a.after(nil, "x"), a.after(nil, "y"))
	}
	if len(b.untold) > maxUntold {
		t.Errorf("%d wait to be told", len(b.untold))
	}
	b.wait(3 * time.Second)
	if n := len(b.take(wire.TypeFork)); n == 0 || n > maxTells+3 {
		t.Errorf("%d proofs broadcast in 3 s", n)
	}
	honest := newForger(t, 110)
	b.hearAll(honest.speaker, honest.line(nil, "t", 3)...)
	b.wantChains("nobody else is hidden", honest, map[record.Chain]string{chain(honest, nil): "1-3"})
}
