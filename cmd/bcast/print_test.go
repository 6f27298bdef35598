package main

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"bcast/internal/control"
	"bcast/internal/fuzztest"
	"bcast/internal/show"
)

func TestJSONLosesNothingAndMisleadsNobody(t *testing.T) {
	text := "a\x1b\u202e\u0085\u2028\u007f<b>\n"
	line, err := appendJSON(nil, map[string]string{"text": text})
	if want := `{"text":"a\u001b\u202e\u0085\u2028\u007f<b>\n"}` + "\n"; err != nil || string(line) != want {
		t.Errorf("got %s, %v, want %s", line, err, want)
	}
	var back map[string]string
	if err := json.Unmarshal(line, &back); err != nil || back["text"] != text {
		t.Errorf("read back %q, %v", back["text"], err)
	}
}

func FuzzJSON(f *testing.F) {
	f.Add("plain")
	f.Add("\u202e\x1b\u0085 \" \\ \u2028")
	f.Fuzz(func(t *testing.T, text string) {
		var line []byte
		var err error
		fuzztest.Within(t, len(text), 64, 4<<10, func() { line, err = appendJSON(nil, text) })
		if err != nil {
			t.Fatal(err)
		}
		var back string
		want := strings.Map(func(r rune) rune { return r }, text) // each invalid byte becomes U+FFFD
		if err := json.Unmarshal(line, &back); err != nil || back != want {
			t.Errorf("%q became %q, %v", text, line, err)
		}
		for _, r := range strings.TrimSuffix(string(line), "\n") {
			if show.Misleads(r) {
				t.Errorf("%q has %U", line, r)
			}
		}
	})
}

func TestCells(t *testing.T) {
	for text, want := range map[string]int{"": 0, "abc": 3, "日本": 4, "e\u0301": 1, "Ａ": 2} {
		if got := cells(text); got != want {
			t.Errorf("cells(%q) = %d, want %d", text, got, want)
		}
	}
}

func TestColumnsAlignWhateverTheCellsHold(t *testing.T) {
	b := newBench(t)
	p := b.printerOn(b.out, false)
	p.color = true
	p.columns([]string{"A", "B"}, [][]string{{p.paint(colorDim, "x"), "1"}, {"日本", "2"}, {"long", ""}})
	want := "A     B\n\x1b[2mx\x1b[0m     1\n日本  2\nlong\n"
	if b.out.String() != want {
		t.Errorf("got %q, want %q", b.out, want)
	}
}

func TestTwoDevicesWithOneNickAreTagged(t *testing.T) {
	b := newBench(t)
	p := b.printerOn(b.out, false)
	p.members([]control.Member{
		{ID: "1", Nick: "alice", Tag: "k7f2", Status: "here"},
		{ID: "2", Nick: "alice", Tag: "x3aa", Status: "lost"},
		{ID: "3", Nick: "bob", Tag: "zzzz", Status: "self"},
	})
	for _, want := range []string{"alice-k7f2  k7f2", "alice-x3aa  x3aa", "bob         zzzz  self\n"} {
		if !strings.Contains(b.out.String(), want) {
			t.Errorf("no %q in\n%s", want, b.out)
		}
	}
}

func TestColorIsTheKeys(t *testing.T) {
	b := newBench(t)
	p := b.printerOn(b.out, false)
	if p.name("1", "a", "") != "a" {
		t.Error("colour without a terminal")
	}
	p.color = true
	first := p.name("1", "a", "")
	if first != p.name("1", "a", "") || uncolored(first) != "a" || first == "a" {
		t.Errorf("got %q", first)
	}
}

func TestPost(t *testing.T) {
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.Local)
	for _, test := range []struct {
		post control.Post
		want string
	}{
		{control.Post{Text: "hi"}, "03:04:05 bob: hi\n"},
		{control.Post{Text: "one\ntwo"}, "03:04:05 bob: one\n              two\n"},
		{control.Post{Text: "waves", Kind: "action"}, "03:04:05 * bob waves\n"},
		{control.Post{Text: "hi", Late: true}, "03:04:05 bob: hi [late]\n"},
		{control.Post{Text: "hi", Deleted: true}, "03:04:05 bob: (deleted)\n"},
		{control.Post{Text: "hi", Forked: true}, "03:04:05 bob: hi [its author signed two histories]\n"},
		{control.Post{Text: "hi", Edited: true, ClockOff: "ahead", Reactions: []control.Reaction{
			{Text: "+1", From: []string{"1", "3"}}, {Text: "\x1b[2J", From: []string{"1"}},
		}}, "03:04:05 bob: hi [+1 2, [2J, edited, clock ahead]\n"},
		{control.Post{Text: "\x1b[2J\x1b[Hgone"}, "03:04:05 bob: [2J[Hgone\n"},
	} {
		b := newBench(t)
		test.post.From, test.post.Nick, test.post.Time = "2", "bob", at
		if b.printerOn(b.out, false).post(test.post); b.out.String() != test.want {
			t.Errorf("%+v = %q, want %q", test.post, b.out, test.want)
		}
	}
}

func TestEventsForPeople(t *testing.T) {
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.Local)
	for _, test := range []struct {
		event control.Event
		want  string
	}{
		{control.Event{Member: &control.MemberChange{Nick: "bob", Change: "join"}}, "03:04:05 - bob joined\n"},
		{control.Event{Member: &control.MemberChange{Nick: "bob", Change: "leave"}}, "03:04:05 - bob left\n"},
		{control.Event{Member: &control.MemberChange{Nick: "rob", Was: "bob", Change: "nick"}}, "03:04:05 - bob is now rob\n"},
		{control.Event{Cut: &control.Cut{Nick: "bob", Received: 600, Size: 1400}}, "03:04:05 [cut 600/1400 from bob]\n"},
		{control.Event{Cut: &control.Cut{From: "10.0.0.1:27474", Received: 1, Size: 2}},
			"03:04:05 [cut 1/2 from 10.0.0.1:27474]\n"},
		{control.Event{Peer: &control.Peer{Nick: "bob", Status: "lost"}}, "03:04:05 - bob is lost\n"},
		{control.Event{Type: "novelty"}, ""},
		{control.Event{Type: control.EventProblem, Problem: "the disk\x1b[2J is full"}, "03:04:05 ! the disk[2J is full\n"},
		{control.Event{Type: control.EventProblem}, "03:04:05 - that is over\n"},
		{control.Event{Sync: &control.Sync{Nick: "bob", Have: 1200, Total: 20000}},
			"03:04:05 - catching up from bob: 1,200 of 20,000\n"},
		{control.Event{Sync: &control.Sync{Nick: "bob", Have: 1, Total: 99}}, ""},
		{control.Event{Sync: &control.Sync{Nick: "bob", Have: 99, Total: 99, Done: true}}, ""},
		{control.Event{Type: control.EventEdited, Post: &control.Post{Nick: "bob", Text: "new", Edited: true, Time: at}},
			"03:04:05 - a post of bob was edited:\n03:04:05 bob: new [edited]\n"},
	} {
		b := newBench(t)
		test.event.Time = at
		if b.printerOn(b.out, false).event(test.event); b.out.String() != test.want {
			t.Errorf("%+v = %q, want %q", test.event, b.out, test.want)
		}
	}
}

func TestCatchingUpDoesNotFloodTheScreen(t *testing.T) {
	b := newBench(t)
	p := b.printerOn(b.out, false)
	start := time.Date(2026, 1, 2, 3, 4, 0, 0, time.Local)
	for i := range 100 {
		p.event(control.Event{Time: start.Add(time.Duration(i) * 100 * time.Millisecond),
			Sync: &control.Sync{ID: "2", Nick: "bob", Have: i * 100, Total: 10000}})
	}
	p.event(control.Event{Time: start, Sync: &control.Sync{ID: "2", Nick: "bob", Have: 10000, Total: 10000, Done: true}})
	want := "03:04:00 - catching up from bob: 0 of 10,000\n03:04:05 - catching up from bob: 5,000 of 10,000\n" +
		"03:04:00 - caught up from bob: 10,000 records\n"
	if b.out.String() != want {
		t.Errorf("got %s, want %s", b.out, want)
	}
}

func TestPostsOfAnotherDayAreUnderItsName(t *testing.T) {
	b := newBench(t)
	p := b.printerOn(b.out, false)
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.Local)
	p.now = func() time.Time { return at.AddDate(0, 0, 1) }
	p.posts([]control.Post{
		{Nick: "bob", Text: "one", Time: at}, {Nick: "bob", Text: "two", Time: at},
		{Nick: "bob", Text: "three", Time: at.AddDate(0, 0, 1)},
	})
	want := "- Friday, 2 January 2026\n03:04:05 bob: one\n03:04:05 bob: two\n- Saturday, 3 January 2026\n03:04:05 bob: three\n"
	if b.out.String() != want {
		t.Errorf("got %s, want %s", b.out, want)
	}
}

func TestSeen(t *testing.T) {
	b := newBench(t)
	p := b.printerOn(b.out, false)
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	p.now = func() time.Time { return now }
	away := control.Missing{ID: "1", Nick: "bob", Status: "lost", Since: now.Add(-4 * time.Minute)}
	here := control.Missing{ID: "2", Nick: "ca\x1brol", Status: "suspect"}
	for _, test := range []struct {
		have, members int
		missing       []control.Missing
		want          string
	}{
		{9, 9, nil, "seen by 9 of 9"},
		{7, 9, nil, "seen by 7 of 9"},
		{8, 9, []control.Missing{away}, "seen by 8 of 9, missing bob (away 4 min)"},
		{0, 2, []control.Missing{away, here}, "seen by 0 of 2, missing bob (away 4 min), carol (here)"},
		{1, 9, []control.Missing{away, here, {ID: "3", Nick: "dora", Status: "left"}, {ID: "4", Nick: "eve"}},
			"seen by 1 of 9, missing bob (away 4 min), carol (here), dora (away) and 5 more"},
	} {
		if got := p.seen(test.have, test.members, test.missing); got != test.want {
			t.Errorf("got %q, want %q", got, test.want)
		}
	}
}
