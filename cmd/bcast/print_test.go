package main

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"bcast/internal/control"
)

func TestClean(t *testing.T) {
	for _, test := range []struct{ in, want string }{
		{"plain ✓ 日本", "plain ✓ 日本"},
		{"\x1b[2J\x1b]0;title\x07", "[2J]0;title"},
		{"a\r\nb\tc", "a b c"},
		{"abc\u202Etxt.exe\u202C", "abctxt.exe"},
		{"\u2066x\u2069\u200E\u061C", "x"},
		{"a\u2028b\u0085c\u009bd", "abcd"},
		{"bad \xff byte", "bad \ufffd byte"},
		{"👩\u200d🚀", "👩\u200d🚀"},
	} {
		if got := clean(test.in); got != test.want {
			t.Errorf("clean(%q) = %q, want %q", test.in, got, test.want)
		}
	}
}

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
		line, err := appendJSON(nil, text)
		if err != nil {
			t.Fatal(err)
		}
		var back string
		want := strings.Map(func(r rune) rune { return r }, text) // each invalid byte becomes U+FFFD
		if err := json.Unmarshal(line, &back); err != nil || back != want {
			t.Errorf("%q became %q, %v", text, line, err)
		}
		for _, r := range strings.TrimSuffix(string(line), "\n") {
			if misleads(r) {
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
	} {
		b := newBench(t)
		test.event.Time = at
		if b.printerOn(b.out, false).event(test.event); b.out.String() != test.want {
			t.Errorf("%+v = %q, want %q", test.event, b.out, test.want)
		}
	}
}

func TestSpan(t *testing.T) {
	for d, want := range map[time.Duration]string{
		-time.Second: "0s", 59 * time.Second: "59s", time.Minute: "1m", 47 * time.Hour: "47h", 49 * time.Hour: "2d",
	} {
		if got := span(d); got != want {
			t.Errorf("span(%v) = %s, want %s", d, got, want)
		}
	}
}
