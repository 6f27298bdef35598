package bcast

import (
	"strings"
	"testing"
	"time"

	"bcast/identity"
	"bcast/internal/control"
	"bcast/internal/history"
	"bcast/internal/record"
)

// author makes records of one feed for tests.
type author struct {
	key  *identity.Key
	feed record.Feed
	seq  uint64
	prev record.ID
}

func newAuthor(t *testing.T, n byte) *author {
	t.Helper()
	seed := [32]byte{n}
	key, err := identity.KeyFromSeed(seed[:])
	if err != nil {
		t.Fatal(err)
	}
	return &author{key: key, feed: record.Feed{Author: key.Public(), Epoch: uint64(n)}}
}

func (a *author) says(t *testing.T, order uint64, posts ...record.Post) record.Entry {
	t.Helper()
	body, err := record.EncodePosts(posts)
	if err != nil {
		t.Fatal(err)
	}
	a.seq++
	h := record.Header{Feed: a.feed, Seq: a.seq, Prev: a.prev, Order: order, Wall: time.UnixMilli(int64(order)).UnixNano()}
	rec := record.Sign(a.key, record.RoomID{1}, []record.Draft{{Header: h, Body: body}})[0]
	a.prev = rec.ID
	return record.Entry{Record: rec}
}

func refOf(e record.Entry) record.Ref { return record.Ref{Record: e.ID} }

func TestEffectsApplyAlike(t *testing.T) {
	alice, bob := newAuthor(t, 1), newAuthor(t, 2)
	said := alice.says(t, 1, record.Post{Kind: record.KindText, Text: "helo"})
	at := refOf(said)
	reaction := bob.says(t, 2, record.Post{Kind: record.KindReaction, Text: "👍", Target: at})
	edit := func(a *author, order uint64, text string) record.Entry {
		return a.says(t, order, record.Post{Kind: record.KindEdit, Text: text, Target: at})
	}
	first, last := edit(alice, 15, "hello"), bob.says(t, 16, record.Post{Kind: record.KindReaction, Text: "👎", Target: at})
	react := func(text string) record.Entry {
		return bob.says(t, 20+uint64(len(text)), record.Post{Kind: record.KindReaction, Text: text, Target: at})
	}
	cases := []struct {
		what      string
		effects   []record.Entry
		text      string
		edited    bool
		deleted   bool
		reactions int
	}{
		{"nothing", nil, "helo", false, false, 0},
		{"the last edit counts", []record.Entry{edit(alice, 3, "hallo"), edit(alice, 4, "hello")}, "hello", true, false, 0},
		{"nobody else edits", []record.Entry{edit(bob, 5, "bye")}, "helo", false, false, 0},
		{"nobody else deletes", []record.Entry{
			bob.says(t, 6, record.Post{Kind: record.KindDelete, Target: at}),
		}, "helo", false, false, 0},
		{"deleted", []record.Entry{
			edit(alice, 7, "x"), alice.says(t, 8, record.Post{Kind: record.KindDelete, Target: at}), reaction,
		}, "", true, true, 0},
		{"an edit after the delete brings nothing back", []record.Entry{
			alice.says(t, 9, record.Post{Kind: record.KindDelete, Target: at}), edit(alice, 10, "again"),
		}, "", true, true, 0},
		{"a reaction", []record.Entry{reaction}, "helo", false, false, 1},
		{"the same twice is one", []record.Entry{
			reaction, bob.says(t, 11, record.Post{Kind: record.KindReaction, Text: "👍", Target: at}),
		}, "helo", false, false, 1},
		{"a reaction taken back", []record.Entry{
			reaction, bob.says(t, 12, record.Post{Kind: record.KindDelete, Target: refOf(reaction)}),
		}, "helo", false, false, 0},
		{"nobody else takes it back", []record.Entry{
			reaction, alice.says(t, 13, record.Post{Kind: record.KindDelete, Target: refOf(reaction)}),
		}, "helo", false, false, 1},
		{"an edit is not edited", []record.Entry{
			first, alice.says(t, 17, record.Post{Kind: record.KindEdit, Text: "x", Target: refOf(first)}),
		}, "hello", true, false, 0},
		{"an edit is not deleted", []record.Entry{
			first, alice.says(t, 18, record.Post{Kind: record.KindDelete, Target: refOf(first)}),
		}, "hello", true, false, 0},
		{"a reaction is not edited, nor reacted to", []record.Entry{
			last, bob.says(t, 19, record.Post{Kind: record.KindEdit, Text: "x", Target: refOf(last)}),
			alice.says(t, 20, record.Post{Kind: record.KindReaction, Text: "🤔", Target: refOf(last)}),
		}, "helo", false, false, 1},
		{"nothing to react with", []record.Entry{
			react(""), react(" \t\u00a0\u2003"), react(strings.Repeat("é", 32) + "x"), react(strings.Repeat("x", 300)),
		}, "helo", false, false, 0},
		{"the longest reaction", []record.Entry{react(strings.Repeat("é", 32))}, "helo", false, false, 1},
		{"of another post", []record.Entry{
			alice.says(t, 14, record.Post{Kind: record.KindEdit, Text: "x", Target: record.Ref{Record: said.ID, Index: 1}}),
		}, "helo", false, false, 0},
	}
	for _, c := range cases {
		noun := Post{Text: "helo"}
		effectsOf(c.effects, identity.DeviceID.Tag).apply(&noun, alice.key.ID(), at)
		if noun.Text != c.text || noun.Edited != c.edited || noun.Deleted != c.deleted || len(noun.Reactions) != c.reactions {
			t.Errorf("%s: %+v", c.what, noun)
		}
	}
}

// What shows nothing is no event either.
func TestPostsThatChangeOthers(t *testing.T) {
	for _, c := range []struct {
		post record.Post
		want string
	}{
		{record.Post{Kind: record.KindReaction, Text: "👍"}, control.EventReaction},
		{record.Post{Kind: record.KindReaction}, ""}, {record.Post{Kind: record.KindReaction, Text: strings.Repeat("x", 65)}, ""},
		{record.Post{Kind: record.KindDelete}, control.EventDeleted}, {record.Post{Kind: record.KindEdit}, control.EventEdited},
		{record.Post{Kind: record.KindText, Text: "x"}, ""},
	} {
		if got := changes(&c.post); got != c.want {
			t.Errorf("%+v: event %q, want %q", c.post, got, c.want)
		}
	}
}

func TestClockOff(t *testing.T) {
	kept := time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)
	cases := []struct {
		wall, order time.Duration // after kept
		want        string
	}{
		{0, 0, ""}, {time.Hour, time.Hour, "ahead"}, {-time.Hour, 0, "behind"},
		{-time.Hour, -time.Hour, ""}, // caught up with later
		{-time.Minute, 0, ""}, {time.Minute, time.Minute, ""},
	}
	for _, c := range cases {
		h := record.Header{Wall: kept.Add(c.wall).UnixNano(), Order: uint64(kept.Add(c.order).UnixMilli())}
		if got := clockOff(&h, kept); got != c.want {
			t.Errorf("wall %v, order %v: %q, want %q", c.wall, c.order, got, c.want)
		}
	}
	if got := clockOff(&record.Header{}, time.Time{}); got != "" {
		t.Errorf("not kept yet: %q", got)
	}
}

func TestMentions(t *testing.T) {
	id := newAuthor(t, 3).key.ID()
	for text, want := range map[string]bool{
		"@alice, come": true, "hi @Alice!": true, "@alice-" + id.Tag() + " you": true, "alice": false, "alice: come": true, "Alice, come": true,
		"so alice: come": false, "alice-" + id.Tag() + ": you": true, "alice come": false, "@alicea": false,
		"mail@alice": false, "@": false, "@alice-zzzz": false,
	} {
		if got := mentions(text, "alice", id); got != want {
			t.Errorf("%q: %v", text, got)
		}
	}
}

// A topic from the year 4199 is none: nobody could ever set another one.
func TestTopicsFromTheFuture(t *testing.T) {
	store := history.NewMemory()
	scope := record.Scope{ID: 7, Room: record.RoomID{1}}
	if err := store.KeepScope(scope); err != nil {
		t.Fatal(err)
	}
	alice, mallory := newAuthor(t, 1), newAuthor(t, 2)
	set := func(a *author, order uint64, text string) record.Entry {
		return a.says(t, order, record.Post{Kind: record.KindTopic, Text: text})
	}
	entries := []record.Entry{set(alice, 5, "boats"), set(mallory, 1<<46-1, "for ever"), set(alice, 6, "trains")}
	if _, err := store.Append(time.Now(), []record.Batch{{Scope: scope.ID, Records: entries}}); err != nil {
		t.Fatal(err)
	}
	a := archive{room: "lobby", scopes: []uint64{scope.ID}, store: store}
	kept, err := store.Kept(scope.ID, scope.Room)
	if got := a.topic(kept.Order); err != nil || got != "trains" {
		t.Errorf("the topic is %q, %v", got, err)
	}
}
