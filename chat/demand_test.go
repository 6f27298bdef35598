package chat

import (
	"fmt"
	"testing"
	"time"

	"bcast/identity"
	"bcast/internal/wire"
)

// crowded is a speaker among nine others, on a link of which nothing is known to be lost.
func crowded(t *testing.T) (s *speaker, others []*speaker) {
	s = newSpeaker(t, 1)
	for n := byte(2); n <= 10; n++ {
		o := newSpeaker(t, n)
		s.Present(s.now, Peer{ID: o.self, RecvBuffer: 65535, InRoom: true})
		others = append(others, o)
	}
	return s, others
}

// paced says a record each 20 ms and has those ask for it who missed it. It tells how often the last one was sent to all.
func (s *speaker) paced(records int, missed func(i int) []*speaker) (copies int) {
	for i := range records {
		s.say("x", false)
		for _, o := range missed(i) {
			s.hear(o, wire.Want{Limit: 1400, Ranges: []wire.SeqRange{{Feed: s.own.short, From: s.own.high, To: s.own.high}}})
		}
		s.wait(20 * time.Millisecond)
		copies = 0
		for _, send := range s.take(wire.TypeRecord) {
			if send.To.IsZero() {
				copies++
			}
		}
	}
	return copies
}

// Loss is measured by what members have to ask for, within a few records: beats take a minute to tell (R14).
func TestRepeatsFollowWhatMembersAskFor(t *testing.T) {
	a, others := crowded(t)
	nobody := func(int) []*speaker { return nil }
	tenth := func(i int) []*speaker { return others[i%9 : i%9+1] } // each misses one in nine
	if n := a.paced(demandEach+1, nobody); n != 1 {
		t.Errorf("%d copies, and nobody missed any", n)
	}
	a.paced(6, tenth)
	if n := a.paced(1, nobody); n != 3 {
		t.Errorf("%d copies, and each missed one in nine", n)
	}
	if n := a.paced(demandKept, nobody); n != 1 {
		t.Errorf("%d copies, and nobody missed any for long", n)
	}
}

// A liar that asks for all, or a member that hears little, drives nobody's repeats, and neither do newcomers who ask for
// what was said before they came, or one record that all missed.
func TestRepeatsFollowTheMedian(t *testing.T) {
	a, others := crowded(t)
	nobody := func(int) []*speaker { return nil }
	a.paced(4*demandEach, func(int) []*speaker { return others[:4] })
	if n := a.paced(1, nobody); n != 1 {
		t.Errorf("%d copies for four of nine", n)
	}
	a.paced(4*demandEach, func(i int) []*speaker { return others[:len(others)*((i+1)%16/15)] })
	if n := a.paced(1, nobody); n != 1 {
		t.Errorf("%d copies for a hiccup", n)
	}
	for _, o := range others {
		a.Absent(a.now, o.self)
		a.Present(a.now, Peer{ID: o.self, RecvBuffer: 65535, InRoom: true})
		a.hear(o, wire.Want{Limit: 1400, Ranges: []wire.SeqRange{{Feed: a.own.short, From: 1, To: a.own.high}}})
	}
	if n := a.paced(2*demandEach, nobody); n != 1 {
		t.Errorf("%d copies for newcomers", n)
	}
	if len(a.tail.demand.asked) != len(others) {
		t.Errorf("%d counted of %d members", len(a.tail.demand.asked), len(others))
	}
	for _, o := range others {
		a.Absent(a.now, o.self)
	}
	if n := len(a.tail.demand.asked); n != 0 {
		t.Errorf("%d counted who are gone", n)
	}
}

// What its author goes on saying does not put off the asking for a gap.
func TestSteadyAuthorsGapIsAskedForAtOnce(t *testing.T) {
	a, b, c := newSpeaker(t, 1), newSpeaker(t, 2), newSpeaker(t, 3)
	a.meet(b, c)
	b.meet(c)
	b.hear(a, whole(a.say("0", false)))
	lost := a.say("lost", false)
	asked := map[identity.DeviceID]int{}
	for i := range 40 {
		b.hear(a, whole(a.say(fmt.Sprint(i), false)))
		if b.wait(2 * time.Millisecond); i == 2 && len(asked) == 0 {
			t.Error("not asked for within 6 ms")
		}
		for _, s := range b.take(wire.TypeWant) {
			asked[s.To] += len(s.Frame.(wire.Want).Ranges)
		}
	}
	if n := asked[a.self]; n < 4 || n > 10 {
		t.Errorf("asked %d times in 80 ms, want one in 10 ms or so", n)
	}
	b.hear(a, wire.Record{Bytes: lost.Bytes()})
	b.wait(time.Second)
	b.want("nothing is missing", wire.TypeWant, 0)
	if posts := len(b.shown()); posts != 42 {
		t.Errorf("%d shown", posts)
	}
}
