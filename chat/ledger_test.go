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

// joined makes everybody a member by a record, so that they stay members while they are away.
func (p *party) joined() {
	for _, s := range p.all {
		s.post(record.KindJoin, record.Post{Nick: "n"})
	}
	loss := p.loss
	p.loss = 0
	p.wait(2 * time.Second)
	p.loss = loss
}

func TestLedgerCountsAgainstThoseWhoWereMembers(t *testing.T) {
	p := newParty(t, 4, 0)
	a, b, off, late := p.all[0], p.all[1], p.all[2], p.all[3]
	p.leave(late)
	for _, s := range p.all {
		delete(s.members, late.self)
	}
	p.joined()
	p.leave(off)
	for _, o := range p.all[:3] {
		delete(o.members, late.self)
	}
	rec := a.say("x", true)
	p.come(late, 0)
	p.wait(3 * time.Second)
	a.wantTally("one here, one away; who came later does not count", rec, 2, 1)
	if e := a.received(rec); e.Members != 2 || e.Have != 1 || !slices.Equal(e.Missing, []identity.DeviceID{off.self}) {
		t.Errorf("told %d of %d, missing %v", e.Have, e.Members, e.Missing)
	}
	if have := a.Holders(a.own.id, rec.Header.Seq); !slices.Contains(have, late.self) || !slices.Contains(have, b.self) {
		t.Errorf("holders %v", have)
	}
	p.wait(10 * time.Minute)
	p.come(off, 0)
	p.wait(3 * time.Second)
	a.wantTally("a late answer", rec, 2, 2)
	if e := a.received(rec); e.Have != 2 || len(e.Missing) != 0 {
		t.Errorf("told %d of %d, missing %v", e.Have, e.Members, e.Missing)
	}
}

func TestRosterIsKeptWhenItChanges(t *testing.T) {
	p := newParty(t, 3, 0)
	p.joined()
	a := p.all[0]
	a.roster = nil
	before := len(a.ledger.rosters)
	a.say("1", false)
	a.say("2", false)
	if len(a.roster) > 1 || len(a.ledger.rosters)-before != len(a.roster) {
		t.Fatalf("%d rosters for the same members", len(a.roster))
	}
	p.all[2].post(record.KindLeave, record.Post{})
	p.wait(time.Second)
	three := a.say("3", false)
	last := a.roster[len(a.roster)-1]
	if last.From != three.Header.Seq || !slices.Equal(last.Members, []identity.DeviceID{p.all[1].self}) {
		t.Errorf("roster from %d: %v", last.From, last.Members)
	}
	if members, known := a.Roster(a.own.id.Feed, three.Header.Seq-1); !known || len(members) != 2 {
		t.Errorf("the post before counts against %v", members)
	}
	for n := range 3 * maxRosters {
		p.all[2].post([]record.Kind{record.KindJoin, record.KindLeave}[n%2], record.Post{Nick: "n"})
		p.flush()
		a.say("x", false)
	}
	if n := len(a.ledger.rosters); n != maxRosters {
		t.Errorf("%d rosters in memory", n)
	}
	if _, known := a.Roster(a.own.id.Feed, three.Header.Seq); known {
		t.Error("a roster that is no more in memory is told")
	}
}

// At 30 % loss the author knows the truth within a minute, about every member that is here.
func TestLedgerAgreesWithTheTruthInLoss(t *testing.T) {
	for run := range 25 {
		p := newParty(t, 6, 0.3)
		p.rng = rand.New(rand.NewPCG(2, uint64(run)))
		p.joined()
		p.leave(p.all[5])
		a := p.all[0]
		rec := a.say("x", true)
		p.wait(time.Minute)
		members, _ := a.Roster(rec.Header.Feed, rec.Header.Seq)
		a.wantTally("all who are here", rec, 5, 4)
		if n := p.truth(rec, members); n != 4 {
			t.Errorf("run %d: %d stores have it", run, n)
		}
		p.come(p.all[5], 0)
		p.wait(time.Minute)
		a.wantTally("who came back", rec, 5, p.truth(rec, members))
	}
}

func TestLedgerSurvivesRestarts(t *testing.T) {
	p := newParty(t, 4, 0)
	p.joined()
	a, off := p.all[0], p.all[3]
	p.leave(off)
	rec := a.say("x", true)
	p.wait(2 * time.Second)
	a = p.restart(0, 1)
	a.wantTally("after the author's restart", rec, 3, 2)
	p.leave(a)
	p.come(off, 0) // it gets the post of others, while the author is not here
	p.wait(2 * time.Second)
	p.off[a] = true
	p.come(a, 1)
	p.wait(4 * time.Second)
	a.wantTally("who got it while the author was away", rec, 3, 3)
	next := p.restart(3, 2)
	p.wait(4 * time.Second)
	a.wantTally("after a receiver's restart", rec, 3, 3)
	if n := p.truth(rec, []identity.DeviceID{next.self}); n != 1 {
		t.Error("the receiver's store does not have it")
	}
}

// Every datagram of the author's last minute is lost: what is asked for after its restart counts.
func TestAuthorAsksAgainAfterItsRestart(t *testing.T) {
	a, b := newSpeaker(t, 1), newSpeaker(t, 2)
	a.meet(b)
	rec := a.say("x", true)
	b.hear(a, whole(rec))
	b.wait(time.Second)
	b.take(wire.TypeReceipt) // lost
	a.wait(time.Minute)
	a.sent = nil
	next := a.again(len(a.kept), true)
	next.Present(next.now, Peer{ID: b.self, Instance: instance(1), RecvBuffer: 65535, InRoom: true})
	next.wait(3 * time.Second)
	heads := next.take(wire.TypeHead)
	if len(heads) == 0 || heads[0].To != b.self {
		t.Fatalf("asked %v", heads)
	}
	b.now = next.now
	b.hear(next, heads[0].Frame)
	b.wait(100 * time.Millisecond)
	next.hear(b, b.want("the author asks", wire.TypeReceipt, 1)[0].Frame)
	next.wantTally("an answer after the restart", rec, 1, 1)
	next.wait(time.Minute)
	next.want("nobody owes a receipt", wire.TypeHead, 0)
}

func TestAuthorAsksUntilAllHereAnswered(t *testing.T) {
	a, b := newSpeaker(t, 1), newSpeaker(t, 2)
	a.meet(b)
	a.say("x", true)
	a.wait(10 * time.Second)
	if asked := len(a.take(wire.TypeHead)) - len(wired.heads); asked < 25 || asked > 35 {
		t.Errorf("asked %d times in ten seconds", asked)
	}
	a.wait(2 * time.Minute)
	if asked := len(a.take(wire.TypeHead)); asked < 15 || asked > 30 {
		t.Errorf("asked %d times in the rest of a minute", asked)
	}
	if at := a.ledger.inquiry.at; at != never {
		t.Errorf("asks again at %v", at)
	}
	a.say("y", false)
	a.wait(time.Minute)
	a.want("no receipts wanted", wire.TypeHead, len(wired.heads))
}

func TestWhoClaimsTooMuchIsIgnored(t *testing.T) {
	a, b := newSpeaker(t, 1), newSpeaker(t, 2)
	a.meet(b)
	one := a.say("1", true)
	two := a.say("2", true)
	claim := a.own.wireClaim()
	tell := func(c wire.FeedClaim) { a.hear(b, wire.Receipt{Stored: []wire.FeedClaim{c}}) }
	more, other, first := claim, claim, wire.FeedClaim{Feed: claim.Feed, Low: 1, High: 1, Head: [4]byte(one.ID[:4])}
	more.High = 3
	other.Head[0]++
	tell(more)
	tell(other)
	a.wantTally("more than there is, another than ours", one, 1, 0)
	a.hear(newSpeaker(t, 3), wire.Receipt{Stored: []wire.FeedClaim{claim}})
	if len(a.ledger.levels) != 0 {
		t.Error("who is no member is noted")
	}
	tell(first)
	a.wantTally("the first", one, 1, 1)
	a.wantTally("the first alone", two, 1, 0)
	tell(claim)
	tell(first) // overtaken on the way
	a.wantTally("both", two, 1, 1)
}

func TestLevelFollowsALostStore(t *testing.T) {
	for name, tell := range map[string]func(b *speaker, a *speaker){
		"a lower claim": func(b, a *speaker) {
			first := wire.FeedClaim{Feed: a.own.short, Low: 1, High: 1, Head: [4]byte(a.kept[0].ID[:4])}
			a.hear(b, wire.Digest{Root: [32]byte{1}, Feeds: 30, Claims: []wire.FeedClaim{first}})
		},
		"a whole list":  func(b, a *speaker) { a.hear(b, wire.Digest{Root: [32]byte{1}}) },
		"a whole range": func(b, a *speaker) { a.hear(b, wire.Range{Spans: []wire.Span{{To: everything.to, Listed: true}}}) },
	} {
		p := newParty(t, 2, 0)
		a, b := p.all[0], p.all[1]
		a.say("1", false)
		rec := a.say("2", true)
		p.wait(3 * time.Second)
		a.wantTally(name+": before", rec, 1, 1)
		tell(b, a)
		a.wantTally(name+": the same run, out of order", rec, 1, 1)
		p.come(b, 7)
		tell(b, a)
		a.wantTally(name+": another run", rec, 1, 0)
		if e := a.received(rec); e.Have != 0 || len(e.Missing) != 1 {
			t.Errorf("%s: told %d of %d", name, e.Have, e.Members)
		}
		a.wait(time.Second)
		if last := a.levels[len(a.levels)-1]; last.Device != b.self || last.High > 1 {
			t.Errorf("%s: saved %d", name, last.High)
		}
	}
}

func TestLevelsAreSavedTogetherAndLater(t *testing.T) {
	p := newParty(t, 4, 0)
	a := p.all[0]
	for range 50 {
		a.say("x", false)
	}
	rec := a.say("x", true)
	p.wait(300 * time.Millisecond)
	a.wantTally("receipts came", rec, 3, 3)
	if len(a.levels) != 0 {
		t.Fatalf("%d levels saved at once", len(a.levels))
	}
	p.wait(700 * time.Millisecond)
	if len(a.levels) != 3 {
		t.Errorf("%d levels saved for 51 posts and 3 members", len(a.levels))
	}
	a.Refused(a.now, record.Batch{Levels: a.levels})
	a.levels = nil
	p.wait(time.Second)
	if len(a.levels) != 0 {
		t.Error("a store that refused is asked again at once")
	}
	p.wait(saveOthersAfter)
	if len(a.levels) != 3 {
		t.Errorf("%d levels saved after the store refused", len(a.levels))
	}
	last := a.say("y", true)
	p.wait(300 * time.Millisecond)
	a.FlushLedger()
	a.settle()
	if len(a.levels) != 6 || a.levels[5].High != last.Header.Seq {
		t.Errorf("%d levels saved at the end", len(a.levels))
	}
}

func TestLevelsAreBounded(t *testing.T) {
	a := newSpeaker(t, 1)
	first := a.say("1", false)
	fill := func(n int) {
		for i := range n {
			id := identity.DeviceID{byte(i), byte(i >> 8), byte(i >> 16), 1}
			a.setLevel(a.now.Mono, a.own, id, 1, a.own.high)
		}
	}
	fill(maxOwnLevels)
	old := a.own
	a.Doubt()
	second := a.say("2", false)
	fill(10)
	if n := len(a.Holders(a.own.id, second.Header.Seq)); n != 10 || a.ledger.own != 10 {
		t.Errorf("%d levels of the new feed, %d in all", n, a.ledger.own)
	}
	if n := len(a.Holders(old.id, first.Header.Seq)); n != 0 {
		t.Errorf("%d levels of the old one", n)
	}
	a.settle()
	if len(a.levels) != maxOwnLevels {
		t.Errorf("%d levels saved before they are forgotten", len(a.levels))
	}
	b := newSpeaker(t, 2)
	a.hear(b, whole(b.say("x", false)))
	f := a.feeds[b.own.id]
	for i := range 2 * maxOtherLevels {
		a.setLevel(a.now.Mono, f, identity.DeviceID{byte(i), byte(i >> 8), byte(i >> 16), 2}, 1, 1)
	}
	if a.ledger.others != maxOtherLevels {
		t.Errorf("%d levels of others", a.ledger.others)
	}
	for range 3 * maxWatched {
		a.say("x", true)
	}
	if n := len(a.ledger.watched); n != maxWatched {
		t.Errorf("%d watched", n)
	}
}

// Our key is used twice: what was said in the feed before still counts, and what a branch has is told of the branch.
func TestLedgerOfForkedOwnFeeds(t *testing.T) {
	p := newParty(t, 2, 0)
	a, b := p.all[0], p.all[1]
	one, two := a.say("1", true), a.say("2", true)
	a.Doubt()
	three := a.say("3", true)
	if three.Header.Feed == one.Header.Feed {
		t.Fatal("the feed goes on")
	}
	p.wait(3 * time.Second)
	for _, rec := range []*record.Record{one, two, three} {
		a.wantTally("each feed", rec, 1, 1)
	}
	old := record.Chain{Feed: two.Header.Feed}
	branch := record.Chain{Feed: old.Feed, Branch: two.ID}
	a.splitLedger(record.Split{Chain: old, At: 2, Branch: two.ID})
	if len(a.Holders(old, 1)) != 1 || len(a.Holders(old, 2)) != 0 || len(a.Holders(branch, 2)) != 0 {
		t.Error("what was told of the feed is taken for one of its branches")
	}
	a.recountWatched(a.now.Mono, branch, b.self, level{}, level{stretch: stretch{1, 2}})
	a.settle()
	if e := a.received(two); e.Have != 1 || e.Branch != two.ID {
		t.Errorf("a receipt of the branch: told %d, branch %v", e.Have, e.Branch)
	}
}

// A network that is known again after all: what was said meanwhile counts as it did.
func TestLedgerIsInherited(t *testing.T) {
	p := newParty(t, 2, 0)
	a := p.all[0]
	rec := a.say("x", true)
	p.wait(time.Second)
	into := newSpeaker(t, 9)
	into.self, into.cfg.Key = a.self, a.cfg.Key
	into.Inherit(into.now, a.Room)
	into.wantTally("what came over", rec, 1, 1)
	into.wait(time.Second)
	if len(into.levels) != 1 || len(into.roster) == 0 {
		t.Errorf("%d levels, %d rosters saved", len(into.levels), len(into.roster))
	}
}

func TestUnwaitedPostsAreToldTogether(t *testing.T) {
	p := newParty(t, 6, 0)
	p.joined()
	a := p.all[0]
	recs := make([]*record.Record, 20)
	for i := range recs {
		recs[i] = a.say("x", false)
	}
	p.wait(3 * time.Second)
	n := 0
	for _, e := range a.events {
		if e.Kind == Received {
			n++
		}
	}
	if n > 4*len(recs) {
		t.Errorf("%d events for %d posts and 5 members", n, len(recs))
	}
	for _, rec := range recs {
		if e := a.received(rec); e.Have != 5 {
			t.Errorf("told %d of %d", e.Have, e.Members)
		}
	}
}

// Who was taken for gone and has the post tells so at once when author and member meet again: somebody may be waiting.
func TestWhoWasTakenForGoneAnswersAtOnce(t *testing.T) {
	for name, meet := range map[string]func(a, b *speaker){
		"both":       func(a, b *speaker) { a.Present(a.now, peerOf(b)); b.Present(b.now, peerOf(a)) },
		"the author": func(a, b *speaker) { a.Present(a.now, peerOf(b)) },
	} {
		p := newParty(t, 2, 0)
		a, b := p.all[0], p.all[1]
		p.joined()
		a.Absent(a.now, b.self)
		if name == "both" {
			b.Absent(b.now, a.self)
		}
		rec := a.say("x", true)
		p.flush()
		p.loss = 1
		p.wait(9 * time.Second)
		p.loss = 0
		meet(a, b)
		p.wait(250 * time.Millisecond)
		if _, have := a.Tally(entryOf(rec)); have != 1 {
			t.Errorf("%s: not told a quarter of a second after they met again", name)
		}
	}
}

func peerOf(s *speaker) Peer { return Peer{ID: s.self, RecvBuffer: 65535, InRoom: true} }
