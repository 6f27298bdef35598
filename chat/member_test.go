package chat

import (
	"testing"
	"time"

	"bcast/internal/record"
)

// wantHeard checks when a member is said to have been heard last; the zero time: it is to be no member.
func (s *speaker) wantHeard(rule string, of *speaker, at time.Time) {
	s.t.Helper()
	for _, m := range s.Members(s.now) {
		if m.ID == of.self {
			if !m.Heard.Equal(at) {
				s.t.Errorf("%s: heard at %v, want %v", rule, m.Heard, at)
			}
			return
		}
	}
	if !at.IsZero() {
		s.t.Errorf("%s: is no member", rule)
	}
}

func (s *speaker) pass(d time.Duration) {
	s.now.Mono, s.now.Wall = s.now.Mono+d, s.now.Wall.Add(d)
}

// Whom we never heard was there when it said something, and not when others brought that.
func TestMembersWereHeardWhenTheySaidSomething(t *testing.T) {
	a, b, c := newSpeaker(t, 1), newSpeaker(t, 2), newSpeaker(t, 3)
	a.post(record.KindJoin, record.Post{Nick: "alice"})
	a.pass(10 * time.Minute)
	a.say("gone soon", false)
	said := start.Add(10 * time.Minute)
	b.pass(3 * time.Hour)
	for _, e := range a.kept {
		b.hear(c, whole(e.Record))
	}
	b.wantHeard("it came", a, said)
	for i := range b.kept {
		b.kept[i].Kept = b.now.Wall.UnixNano()
	}
	b.pass(time.Hour)
	cfg := b.cfg
	cfg.Kept = keptOf(b, len(b.kept))
	for i := range cfg.Kept.Chains {
		cfg.Kept.Chains[i].Heard = b.kept[0].Kept
	}
	again := *b
	again.Room = New(b.now, cfg)
	again.wantHeard("after a restart", a, said)

	b.meet(a)
	b.pass(time.Hour)
	b.wantHeard("here", a, b.now.Wall)
	b.Absent(b.now, a.self)
	left := b.now.Wall
	b.pass(time.Hour)
	b.wantHeard("gone again", a, left)
}

// An author's clock that is wrong: the room's order follows all clocks, and nothing was said after it came.
func TestMembersOfWrongClocks(t *testing.T) {
	for name, wrong := range map[string]time.Duration{"behind": -1000 * time.Hour, "ahead": 1000 * time.Hour} {
		a, b := newSpeaker(t, 1), newSpeaker(t, 2)
		b.post(record.KindJoin, record.Post{Nick: "bob"})
		a.now.Wall = a.now.Wall.Add(wrong)
		a.hear(b, whole(b.kept[0].Record))
		a.post(record.KindJoin, record.Post{Nick: "alice"})
		b.pass(time.Second)
		want := b.now.Wall
		if name == "behind" {
			want = start.Add(time.Millisecond) // the order that follows bob's
		}
		b.hear(a, whole(a.kept[len(a.kept)-1].Record))
		b.pass(time.Second)
		b.wantHeard(name, a, want)
	}
}

// Who is here is heard, however long nothing changes, and so are we.
func TestMembersStayWhileTheyAreHere(t *testing.T) {
	a, b := newSpeaker(t, 1), newSpeaker(t, 2)
	a.post(record.KindJoin, record.Post{Nick: "alice"})
	b.post(record.KindJoin, record.Post{Nick: "bob"})
	b.hear(a, whole(a.kept[0].Record))
	b.meet(a)
	b.pass(8 * 24 * time.Hour)
	b.wantHeard("here for eight days", a, b.now.Wall)
	b.wantHeard("itself", b, b.now.Wall)
	b.Absent(b.now, a.self)
	b.pass(memberLife)
	b.wantHeard("gone for seven days", a, time.Time{})
}
