package chat

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"bcast/internal/record"
	"bcast/internal/wire"
)

// slow is a speaker whose store answers when the test says so: batches wait in the order in which they were handed out.
type slow struct {
	*speaker
	waiting []record.Batch
}

// collect takes what the room wants, and answers nothing but what it reads.
func (s *slow) collect() {
	for {
		var out Output
		s.Drain(&out)
		if out.Store.IsEmpty() && len(out.Load)+len(out.Send)+len(out.Events) == 0 {
			return
		}
		s.events = append(s.events, out.Events...)
		if !out.Store.IsEmpty() {
			s.waiting = append(s.waiting, out.Store)
		}
		for _, l := range out.Load {
			s.Loaded(s.now, l.Token, s.load(l))
		}
	}
}

func (s *slow) hearSlowly(records ...*record.Record) {
	for _, rec := range records {
		s.Record(s.now, rec)
		s.collect()
	}
}

// confirm has the store keep what waited longest; refuse has it fail in that and in all that waits behind it.
func (s *slow) confirm() {
	b := s.waiting[0]
	s.waiting = s.waiting[1:]
	s.keep(b)
	s.Stored(s.now, b, nil)
	s.collect()
}

func (s *slow) refuse() {
	refused := s.waiting
	s.waiting = nil
	for _, b := range refused {
		s.Refused(s.now, b)
	}
	s.collect()
}

func TestSplitWhileRecordsAreOnTheirWay(t *testing.T) {
	for confirmed := range 6 {
		a, b := newForger(t, 1), &slow{speaker: newSpeaker(t, 2)}
		trunk := a.line(nil, "t", 2)
		one, two := a.line(trunk[1], "a", 3), a.line(trunk[1], "b", 2)
		b.hearSlowly(trunk...)
		b.hearSlowly(one...)
		for range min(confirmed, len(b.waiting)) {
			b.confirm()
		}
		b.hearSlowly(two...)
		b.hearSlowly(a.after(one[2], "a goes on"))
		for len(b.waiting) > 0 {
			b.confirm()
		}
		b.wantChains(fmt.Sprint(confirmed, " confirmed before"), a, map[record.Chain]string{
			chain(a, nil): "1-2", chain(a, one[0]): "3-6", chain(a, two[0]): "3-4",
		})
		if n := len(b.shown()); n != 8 {
			t.Errorf("%d confirmed before: %d of 8 shown", confirmed, n)
		}
	}
}

func TestNothingFollowsASplitThatIsNotKept(t *testing.T) {
	a, b := newForger(t, 1), &slow{speaker: newSpeaker(t, 2)}
	one, two := a.line(nil, "a", 4), a.line(nil, "b", 2)
	b.hearSlowly(one[:3]...)
	for len(b.waiting) > 0 {
		b.confirm()
	}
	b.hearSlowly(two[0], one[3], two[1])
	for _, batch := range b.waiting {
		if len(batch.Records) > 0 {
			t.Error("records of a branch are handed out that the store does not know")
		}
	}
	b.refuse()
	b.Advance(b.now)
	if b.collect(); len(b.waiting) != 0 {
		t.Error("told again at once")
	}
	b.now.Mono += splitAgain
	b.Advance(b.now)
	b.collect()
	for len(b.waiting) > 0 {
		b.confirm()
	}
	b.wantChains("in the end", a, map[record.Chain]string{chain(a, one[0]): "1-4", chain(a, two[0]): "1-2"})
}

// A batch may be refused at any moment; what comes again is kept where it belongs, and the store is split before
// anything follows that builds on it.
func TestRefusedSplitIsToldAgain(t *testing.T) {
	a := newForger(t, 1)
	all, want := treeOfForks(a)
	rng := rand.New(rand.NewPCG(5, 6))
	for round := range 300 {
		b := &slow{speaker: newSpeaker(t, 2)}
		rng.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
		for _, rec := range slices.Concat(all, all, all) {
			b.hearSlowly(rec)
			for len(b.waiting) > 0 && rng.IntN(3) > 0 {
				if rng.IntN(3) == 0 {
					b.refuse()
				} else {
					b.confirm()
				}
			}
		}
		for range 6 {
			for len(b.waiting) > 0 {
				b.confirm()
			}
			b.now.Mono += splitAgain
			b.Advance(b.now)
			b.collect()
			b.hearSlowly(all...)
		}
		b.wantChains(fmt.Sprint("round ", round), a, want)
		if len(b.splits) != 0 {
			t.Fatalf("round %d: %d splits not told", round, len(b.splits))
		}
	}
}

func TestBranchesGoOnAfterARestart(t *testing.T) {
	a := newForger(t, 1)
	all, want := treeOfForks(a)
	rng := rand.New(rand.NewPCG(7, 8))
	for round := range 200 {
		b := newSpeaker(t, 2)
		rng.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
		b.hearAll(a.speaker, all...)
		b.hearAll(a.speaker, all[:rng.IntN(len(all))]...)
		next := b.again(len(b.kept), true)
		if next.sum != b.sum {
			t.Fatalf("round %d: another sum after the restart", round)
		}
		next.wantStored("after the restart", a)
		for range 3 {
			next.hearAll(a.speaker, all...)
		}
		next.wantChains(fmt.Sprint("round ", round), a, want)
		last := next.again(len(next.kept), true)
		last.hearAll(a.speaker, all...)
		last.wantChains("restarted when complete", a, want)
		if len(last.shown()) != 0 || countForked(last) != 0 {
			t.Fatalf("round %d: shown again", round)
		}
		third := a.after(firstOf(all, 2), "a third branch")
		last.hearAll(a.speaker, third)
		if last.feeds[chain(a, third)] == nil {
			t.Fatalf("round %d: a third branch is not one", round)
		}
	}
}

// firstOf is the record of the trunk with a number.
func firstOf(all []*record.Record, seq uint64) *record.Record {
	return all[slices.IndexFunc(all, func(rec *record.Record) bool { return rec.Header.Seq == seq })]
}

func TestProofIsReadFromTheStoreAfterARestart(t *testing.T) {
	a, b, c := newForger(t, 1), newSpeaker(t, 2), newSpeaker(t, 3)
	trunk := a.line(nil, "t", 2)
	one, two := a.line(trunk[1], "a", 2), a.line(trunk[1], "b", 2)
	b.hearAll(a.speaker, slices.Concat(trunk, one, two)...)
	c.hearAll(a.speaker, slices.Concat(trunk, two)...)
	next := b.again(len(b.kept), true)
	next.meet(c)
	next.sent, c.sent = nil, nil
	talk(20*time.Second, next, c)
	if next.sum != c.sum || countForked(c) != 1 {
		t.Errorf("unequal sums, or %d forks told", countForked(c))
	}
}

// A branch of which only a head ever came is proven by that after a restart, too: else who split the feed for it and who
// never heard of it would differ for ever.
func TestHeadThatProvesAForkIsKept(t *testing.T) {
	for _, known := range []int{4, 2} { // the other head comes when one branch is there, or both come before either
		a, b, c := newForger(t, 1), newSpeaker(t, 2), newSpeaker(t, 3)
		trunk := a.line(nil, "t", 2)
		one, two := a.line(trunk[1], "a", 2), a.line(trunk[1], "b", 1)
		all := slices.Concat(trunk, one)
		b.hearAll(a.speaker, all[:known]...)
		if known == 4 {
			b.hear(a.speaker, wire.Head{Bytes: two[0].Head()})
		} else {
			b.hear(a.speaker, wire.Fork{A: one[0].Head(), B: two[0].Head()})
		}
		b = b.again(len(b.kept), true)
		b.hearAll(a.speaker, all[known:]...)
		want := map[record.Chain]string{chain(a, nil): "1-2", chain(a, one[0]): "3-4"}
		b.wantChains("after one restart", a, want)
		b = b.again(len(b.kept), true)
		c.hearAll(a.speaker, all...)
		b.meet(c)
		b.sent, c.sent = nil, nil
		talk(20*time.Second, b, c)
		b.wantChains("who knew", a, want)
		c.wantChains("who is told", a, want)
		if b.sum != c.sum || countForked(c) != 1 {
			t.Errorf("%d known: unequal sums, or %d forks told", known, countForked(c))
		}
	}
}

// A proof counts also where neither of its records is remembered: the store is asked what stands there.
func TestForkBelowWhatIsRemembered(t *testing.T) {
	a := newForger(t, 1)
	trunk := a.line(nil, "t", 2)
	one, two := a.line(trunk[1], "a", 3), a.line(trunk[1], "b", 1)
	for _, proof := range [][2]*record.Record{{one[0], two[0]}, {two[0], one[0]}} {
		b := newSpeaker(t, 2)
		b.hearAll(a.speaker, slices.Concat(trunk, one)...)
		b = b.again(len(b.kept), true)
		b.hear(a.speaker, wire.Fork{A: proof[0].Head(), B: proof[1].Head()})
		b.wantChains("the proof", a, map[record.Chain]string{chain(a, nil): "1-2", chain(a, one[0]): "3-5"})
	}
}

// Who has nothing but the proof that its own feed forked goes on with neither branch.
func TestOwnFeedForkedBeyondItsEndIsNotContinued(t *testing.T) {
	a, copied := newForger(t, 1), newForger(t, 1)
	one := a.say("one", false)
	a.hear(a.speaker, wire.Fork{A: copied.after(one, "a copy").Head(), B: copied.after(one, "another").Head()})
	next := a.again(len(a.kept), true)
	for _, s := range []*speaker{a.speaker, next} {
		if rec := s.say("two", false); rec.Header.Feed == one.Header.Feed {
			t.Error("goes on in a feed that is forked")
		}
	}
}

func TestOwnForkedFeedIsNotContinuedAfterARestart(t *testing.T) {
	a := newForger(t, 1)
	one := a.say("one", false)
	a.say("two", false)
	forked := a.own.id.Feed
	a.hear(a.speaker, whole(newForger(t, 1).after(one, "a copy")))
	next := a.again(len(a.kept), true)
	if rec := next.say("three", false); rec.Header.Feed == forked {
		t.Error("goes on in a feed that is forked")
	}
}

func TestFloorReachesABranchThatTheStoreDoesNotKnow(t *testing.T) {
	a, b := newForger(t, 1), &slow{speaker: newSpeaker(t, 2)}
	trunk := a.line(nil, "t", 2)
	one, two := a.line(trunk[1], "a", 3), a.line(trunk[1], "b", 2)
	b.hearSlowly(trunk...)
	b.hearSlowly(one...)
	for len(b.waiting) > 0 {
		b.confirm()
	}
	b.hearSlowly(two[0])
	b.Floors(b.now, []record.Floor{{Chain: chain(a, nil), Low: 5}})
	if got := named(b.chains(a)); len(got) != 1 || got[0][5:] != "5-5" {
		t.Errorf("claimed %v", got)
	}
}
