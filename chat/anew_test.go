package chat

import (
	"slices"
	"testing"
	"time"

	"bcast/internal/record"
	"bcast/internal/wire"
)

// giveUp has the store of a speaker give up what it has of a feed below a number.
func (s *speaker) giveUp(of *speaker, low uint64) {
	chain := of.own.id
	s.kept = slices.DeleteFunc(s.kept, func(e record.Entry) bool { return e.Chain() == chain && e.Header.Seq < low })
	s.Floors(s.now, []record.Floor{{Chain: chain, Low: low}})
}

// numbers are those of a feed that a speaker has stored.
func (s *speaker) numbers(of *speaker) []uint64 {
	var all []uint64
	for _, e := range s.kept {
		if e.Chain() == of.own.id {
			all = append(all, e.Header.Seq)
		}
	}
	return all
}

func from(low, high uint64) []uint64 {
	var all []uint64
	for seq := low; seq <= high; seq++ {
		all = append(all, seq)
	}
	return all
}

// absence is a, b and c, of whom c misses the records 11 to 50 of a.
func absence(t *testing.T, loss float64) (p *party, a, b, c *speaker, posts []*record.Record) {
	p = newParty(t, 3, loss)
	a, b, c = p.all[0], p.all[1], p.all[2]
	p.joined()
	for range 9 {
		posts = append(posts, a.say("before", false))
	}
	p.wait(5 * time.Second)
	p.leave(c)
	for range 40 {
		posts = append(posts, a.say("meanwhile", false))
		p.wait(10 * time.Millisecond)
	}
	p.wait(20 * time.Second)
	return p, a, b, c, posts
}

// What nobody has any more keeps nobody from what there still is (R13); and nobody is said to have it.
func TestGapThatNobodyFills(t *testing.T) {
	for _, author := range []bool{true, false} {
		p, a, b, c, posts := absence(t, 0.2)
		a.giveUp(a, 35)
		b.giveUp(a, 41)
		low := uint64(35)
		if !author {
			p.leave(a)
			low = 41
		}
		p.come(c, 2)
		p.wait(30 * time.Second)
		if got, want := c.numbers(a), slices.Concat(from(1, 10), from(low, 50)); !slices.Equal(got, want) {
			t.Errorf("author here %v: c has %d, want %d", author, got, want)
		}
		if f := c.feeds[a.own.id]; f.low != low || f.high != 50 {
			t.Errorf("author here %v: c claims %d to %d, want %d to 50", author, f.low, f.high, low)
		}
		if !author {
			continue
		}
		if has := a.Holders(a.own.id, 20); slices.Contains(has, c.self) {
			t.Error("c is said to have what it never had")
		}
		if has := a.Holders(a.own.id, posts[45].Header.Seq); !slices.Contains(has, c.self) {
			t.Error("c is not said to have what it has")
		}
		next := c.again(len(c.kept), true)
		if f := next.feeds[a.own.id]; f.low != low || f.high != 50 {
			t.Errorf("c claims %d to %d after a restart, want %d to 50", f.low, f.high, low)
		}
	}
}

// As long as somebody here has what is missing, it is waited for, whatever others gave up, the author included.
func TestNothingIsGivenUpThatSomebodyHas(t *testing.T) {
	for seed := range 5 {
		p, a, _, c, _ := absence(t, 0.3)
		p.rng.Uint64N(uint64(seed + 1))
		a.giveUp(a, 41)
		p.come(c, 2)
		p.wait(30 * time.Second)
		if got := c.numbers(a); !slices.Equal(got, from(1, 50)) {
			t.Errorf("c has %d, want 1 to 50", got)
		}
	}
}

// A feed that was given up whole does not come back, neither while the process runs nor after a restart; it goes on.
func TestWhatWasGivenUpStaysGone(t *testing.T) {
	p, a, b, c, _ := absence(t, 0)
	p.come(c, 2)
	p.wait(20 * time.Second)
	c.giveUp(a, 51)
	p.wait(2 * time.Minute)
	if got := c.numbers(a); len(got) > 0 {
		t.Errorf("c has %d, which it gave up", got)
	}
	next := &speaker{t: t, now: c.now, kept: slices.Clone(c.kept)}
	cfg := c.cfg
	cfg.Kept, cfg.Resume = keptOf(c, len(c.kept)), true
	cfg.Kept.Gone = []record.ChainState{{Chain: a.own.id, Low: 51, High: 50}}
	p.leave(c)
	next.Room = New(next.now, cfg)
	p.all[2] = next
	p.come(next, 3)
	p.wait(2 * time.Minute)
	if got := next.numbers(a); len(got) > 0 {
		t.Errorf("after a restart c has %d, which it gave up", got)
	}
	a.say("goes on", false)
	b.say("too", false)
	p.wait(5 * time.Second)
	if got := next.numbers(a); !slices.Equal(got, []uint64{51}) {
		t.Errorf("c has %d of what was said since, want 51", got)
	}
}

// What two members will never agree about, because one gave up what the other keeps, does not hide from them what they
// can.
func TestWhatOneGaveUpHidesNothing(t *testing.T) {
	p := newParty(t, 3, 0)
	a, b, c := p.all[0], p.all[1], p.all[2]
	p.joined()
	var others []*speaker
	for n := range 60 {
		o := newSpeaker(t, byte(n+10))
		o.say("1", false)
		o.say("2", false)
		o.say("3", false)
		others = append(others, o)
	}
	p.leave(c)
	for i, o := range others {
		for _, e := range o.kept {
			a.hear(o, whole(e.Record))
			b.hear(o, whole(e.Record))
			if i < 40 {
				c.hear(o, whole(e.Record))
			}
		}
	}
	p.wait(5 * time.Minute)
	for i, o := range others {
		if i < 40 {
			c.giveUp(o, 3+uint64(i%2)) // a part or all of it
		}
	}
	p.come(c, 2)
	p.wait(time.Minute)
	for _, o := range others[40:] {
		if got := c.numbers(o); len(got) != 3 {
			t.Errorf("c has %d of what it never had", got)
		}
	}
	for i, o := range others[:40] {
		if got := c.numbers(o); len(got) != 1-i%2 {
			t.Errorf("c has %d again", got)
		}
	}
}

// A feed stays forked after a restart where it was, though the first records of its branches were given up, or all of a
// branch, or the trunk: none of it comes back.
func TestWhatWasGivenUpOfAForkStaysGone(t *testing.T) {
	a, b := newForger(t, 1), newSpeaker(t, 2)
	trunk := a.line(nil, "t", 2)
	one, two := a.line(trunk[1], "a", 3), a.line(trunk[1], "b", 2)
	all := slices.Concat(trunk, one, two)
	b.hearAll(a.speaker, all...)
	kept := keptOf(b, len(b.kept))
	floors := map[record.Chain]uint64{chain(a, nil): 3, chain(a, one[0]): 5, chain(a, two[0]): 5}
	states := kept.Chains
	kept.Chains = nil
	for _, c := range states {
		if !c.Chain.Branch.IsZero() {
			c.First, c.Before = 3, trunk[1].ID
		}
		if c.Low = floors[c.Chain]; c.Low > c.High {
			c.Head = nil
			kept.Gone = append(kept.Gone, c)
		} else {
			kept.Chains = append(kept.Chains, c)
		}
	}
	next := &speaker{t: t, now: b.now}
	for _, e := range b.kept {
		if e.Header.Seq >= floors[e.Chain()] {
			next.kept = append(next.kept, e)
		}
	}
	cfg := b.cfg
	cfg.Kept, cfg.Resume = kept, true
	next.Room = New(next.now, cfg)
	next.settle()
	for range 3 {
		next.hearAll(a.speaker, all...)
		next.wait(time.Minute)
	}
	next.wantChains("after a restart", a, map[record.Chain]string{chain(a, one[0]): "5-5"})
	if len(next.kept) != 1 {
		t.Errorf("%d records are kept, want 1", len(next.kept))
	}
	next.hearAll(a.speaker, a.after(one[2], "goes on"))
	next.wantChains("goes on", a, map[record.Chain]string{chain(a, one[0]): "5-6"})
}

// What the store gave up while it was on its way is not claimed when it is told that it was kept (R6).
func TestFloorOvertakesWhatIsOnItsWay(t *testing.T) {
	a, b := newForger(t, 1), &slow{speaker: newSpeaker(t, 2)}
	line := a.line(nil, "t", 4)
	b.hearSlowly(line[:2]...)
	b.hearSlowly(line[2:]...)
	for i, batch := range b.waiting {
		b.keep(batch)
		var floors []record.Floor
		if i == 0 {
			floors = []record.Floor{{Chain: chain(a, nil), Low: 4}}
		}
		b.Stored(b.now, batch, floors)
		for id, claimed := range b.chains(a) {
			if claimed != "4-4" {
				t.Errorf("claims %s of %v", claimed, id.Feed.Short())
			}
		}
	}
	if got := named(b.chains(a)); len(got) != 1 {
		t.Errorf("claims %v", got)
	}
}

// A store that refuses what begins a feed anew, or goes on with one that was given up, changes nothing.
func TestRefusedBeginningIsFoundAgain(t *testing.T) {
	p, a, b, c, _ := absence(t, 0)
	a.giveUp(a, 41)
	b.giveUp(a, 41)
	p.leave(b)
	p.off[c] = true // what c does is looked at by hand
	slow := &slow{speaker: c}
	c.Present(c.now, peerOf(a))
	claim := wire.Digest{Root: [32]byte{1}, Feeds: 9, Claims: []wire.FeedClaim{a.feeds[a.own.id].wireClaim()}}
	f := c.feeds[a.own.id]
	for range 30 {
		c.now.Mono += 500 * time.Millisecond
		c.Frame(c.now, a.self, claim)
		c.Advance(c.now)
		slow.collect()
	}
	if f.next != 41 || !f.anew {
		t.Fatalf("goes on with %d, want 41", f.next)
	}
	first := a.load(Load{Ranges: []record.Span{{Chain: a.own.id, From: 41, To: 41}}})[0]
	slow.hearSlowly(first.Record)
	if last := slow.waiting[len(slow.waiting)-1]; len(last.Records) != 1 || !last.Records[0].Anew {
		t.Fatalf("the store is handed %v", last)
	}
	slow.refuse()
	if f.next != 11 || f.floor != f.low || f.anew {
		t.Errorf("goes on with %d, floor %d", f.next, f.floor)
	}
	c.giveUp(a, 11)
	slow.hearSlowly(first.Record)
	slow.refuse()
	if f.next < 11 || f.floor != 11 {
		t.Errorf("of a feed that was given up goes on with %d, floor %d", f.next, f.floor)
	}
}

// Who says nothing by itself of a feed that is about to skip something is asked, and so it is not skipped.
func TestTheSilentAreAsked(t *testing.T) {
	p, a, b, c, _ := absence(t, 0)
	p.leave(a)
	b.giveUp(a, 41)
	claim := wire.Digest{Root: [32]byte{1}, Feeds: 9, Claims: []wire.FeedClaim{b.feeds[a.own.id].wireClaim()}}
	d := newSpeaker(t, 9)
	for _, e := range a.kept {
		d.hear(a, whole(e.Record))
	}
	d.meet(c, b)
	c.meet(b)
	d.sent, c.sent = nil, nil
	c.hear(b, claim)
	for range 100 {
		c.wait(100 * time.Millisecond)
		for _, s := range c.sent {
			if s.To == d.self && s.Frame.Type() != wire.TypeDigest {
				d.hear(c, s.Frame)
			}
		}
		d.wait(100 * time.Millisecond)
		for _, s := range d.sent {
			if s.Frame.Type() != wire.TypeDigest || s.To == c.self { // what it says to all is lost
				c.hear(d, s.Frame)
			}
		}
		c.sent, d.sent = nil, nil
		c.hear(b, claim)
	}
	if got := c.numbers(a); !slices.Equal(got, from(1, 50)) {
		t.Errorf("c has %d, want 1 to 50", got)
	}
}

// Who gave up all of what it claimed says so when it is asked for it, and keeps nobody from what there still is; so does
// a list of what it has that does not name it.
func TestWhoGaveUpAllOfItIsWaitedForNoMore(t *testing.T) {
	for _, asked := range []bool{true, false} {
		p, a, b, c, _ := absence(t, 0)
		d := newSpeaker(t, 9)
		for _, e := range a.kept {
			d.hear(a, whole(e.Record))
		}
		p.leave(a)
		d.meet(b, c)
		c.meet(b)
		claim := func(s *speaker) wire.Frame {
			return wire.Digest{Root: [32]byte{1}, Feeds: 9, Claims: []wire.FeedClaim{s.feeds[a.own.id].wireClaim()}}
		}
		b.giveUp(a, 41)
		c.hear(b, claim(b))
		c.hear(d, claim(d))
		d.giveUp(a, 51)
		if !asked {
			c.hear(d, wire.Range{Spans: []wire.Span{{To: everything.to, Listed: true}}})
		}
		b.sent, c.sent, d.sent = nil, nil, nil
		for range 150 {
			for _, s := range []*speaker{b, c, d} {
				s.wait(100 * time.Millisecond)
			}
			for _, o := range []*speaker{b, d} {
				c.passTo(o)
				if o == b || asked {
					o.passTo(c)
				}
			}
			b.sent, c.sent, d.sent = nil, nil, nil
		}
		if got, want := c.numbers(a), slices.Concat(from(1, 10), from(41, 50)); !slices.Equal(got, want) {
			t.Errorf("asked %v: c has %d, want %d", asked, got, want)
		}
	}
}

// passTo has another hear what was sent to it alone.
func (s *speaker) passTo(o *speaker) {
	for _, send := range s.sent {
		if send.To == o.self {
			o.hear(s, send.Frame)
		}
	}
}

// A claim that stays different, because one gave up what the other keeps, hides nothing that is missing for longer than
// it takes to see that it stays so (R16): the numbers of feeds agree, and what is missing is not among the claims shown.
func TestWhatStaysDifferentHidesNothing(t *testing.T) {
	p := newParty(t, 2, 0)
	a, b := p.all[0], p.all[1]
	p.joined()
	p.wait(time.Second)
	p.leave(b)
	old, kept := newSpeaker(t, 10), newSpeaker(t, 11)
	first := old.say("old", false)
	for _, s := range p.all {
		s.hear(old, whole(first))
	}
	a.hear(old, whole(old.say("only a has this", false)))
	speakers := []*speaker{kept, kept}
	for n := range byte(digestClaims - 1) {
		speakers = append(speakers, newSpeaker(t, 20+n))
	}
	for _, from := range speakers {
		rec := from.say("both have this", false)
		for _, s := range p.all {
			s.hear(from, whole(rec))
		}
	}
	a.giveUp(kept, 2)
	p.wait(5 * time.Second)
	p.come(b, 2)
	p.wait(10 * time.Second)
	if got := b.numbers(old); !slices.Equal(got, from(1, 2)) {
		t.Errorf("b has %d of the old feed", got)
	}
}

// While nothing of a feed was accepted a claim moves its beginning down, also one of what ends before it: a newcomer had
// heard that the feed begins late from one who kept little, and gave that up as well.
func TestWhatEndsBeforeTheBeginningIsTaken(t *testing.T) {
	a, b, c, d := newSpeaker(t, 1), newSpeaker(t, 2), newSpeaker(t, 3), newSpeaker(t, 4)
	d.hear(a, whole(a.say("d has this", false)))
	for _, s := range []*speaker{b, d} {
		s.meet(c)
		c.meet(s)
	}
	tell := func(s *speaker, claim wire.FeedClaim) {
		c.hear(s, wire.Digest{Root: [32]byte{1}, Feeds: 9, Claims: []wire.FeedClaim{claim}})
	}
	tell(b, wire.FeedClaim{Feed: a.own.short, Low: 8, High: 9})
	c.hear(b, wire.Range{Spans: []wire.Span{{To: everything.to, Listed: true}}})
	tell(d, d.feeds[a.own.id].wireClaim())
	c.sent = nil
	for range 100 {
		c.wait(100 * time.Millisecond)
		c.passTo(d)
		d.wait(100 * time.Millisecond)
		d.passTo(c)
		c.sent, d.sent = nil, nil
	}
	if got := c.numbers(a); !slices.Equal(got, from(1, 1)) {
		t.Errorf("c has %d of it", got)
	}
}
