package irc

import (
	"bufio"
	"errors"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"
)

func TestNicksThatIRCHasNoRoomForComeBack(t *testing.T) {
	for nick, want := range map[string]string{
		"bob": "bob", "a,b": "a^2Cb", "^": "^5E", "a.b!c@d": "a^2Eb^21c^40d", "日本": "日本", "3com": "3com", "+x": "^2Bx",
		"*": "^2A", "a-b": "a-b", "x:y": "x^3Ay", "[`]{|}_\\": "[`]{|}_\\", "é": "é", "~&%": "^7E^26^25",
	} {
		got := escape(nick)
		back, err := unescape(got)
		if got != want || back != nick || err != nil {
			t.Errorf("%q is %q, want %q, and back %q (%v)", nick, got, want, back, err)
		}
	}
	for _, name := range []string{"^", "a^", "^2", "^zz", "^80", "^FF"} {
		if nick, err := unescape(name); err == nil {
			t.Errorf("%q is taken for %q", name, nick)
		}
	}
}

func TestWrap(t *testing.T) {
	for _, test := range []struct {
		text  string
		limit int
		want  []string
	}{
		{"short", 10, []string{"short"}},
		{"", 10, nil},
		{" \n\t\n", 10, nil},
		{"one two three", 7, []string{"one two", "three"}},
		{"one two three", 8, []string{"one two", "three"}},
		{"onetwothree", 4, []string{"onet", "woth", "ree"}},
		{"日本語日本語", 7, []string{"日本", "語日", "本語"}},
		{"a\nb\r\nc", 10, []string{"a", "b", "c"}},
		{"  indented text", 8, []string{"  indent", "ed text"}},
		{"bell\x07 esc\x1b nul\x00 \x01ACTION x\x01", 40, []string{"bell esc nul ACTION x"}},
	} {
		got := wrap(test.text, test.limit)
		if !slices.Equal(got, test.want) {
			t.Errorf("%q in lines of %d is %q, want %q", test.text, test.limit, got, test.want)
		}
	}
	if got := wrap(strings.Repeat("x\n", 8000), 10); len(got) != maxText || !strings.Contains(got[maxText-1], "bcast history") {
		t.Errorf("8,000 lines are %d, the last %q", len(got), got[len(got)-1])
	}
}

func FuzzWrap(f *testing.F) {
	f.Add("one two three", 7)
	f.Add("日本語 日本語", 4)
	f.Fuzz(func(t *testing.T, text string, limit int) {
		limit = max(utf8.UTFMax, limit%500)
		for _, line := range wrap(text, limit) {
			if len(line) > limit && !strings.HasPrefix(line, "… ") || line == "" || !utf8.ValidString(line) {
				t.Errorf("%q in lines of %d has %q", text, limit, line)
			}
		}
	})
}

func TestReadLine(t *testing.T) {
	long := strings.Repeat("x", 3*(maxLine+maxTags))
	in := bufio.NewReaderSize(strings.NewReader("one\r\n"+long+"\ntwo\n"+long), maxLine+maxTags)
	for _, want := range []struct {
		line string
		err  error
	}{{"one\r\n", nil}, {"", errLong}, {"two\n", nil}} {
		if line, err := readLine(in); line != want.line || !errors.Is(err, want.err) {
			t.Errorf("got %q, %v, want %q, %v", line, err, want.line, want.err)
		}
	}
	if line, err := readLine(in); err == nil || errors.Is(err, errLong) || line != "" {
		t.Errorf("a line without an end is %q, %v", line, err)
	}
}

func TestParse(t *testing.T) {
	for line, want := range map[string]error{
		"PING x\r\n": nil, "\r\n": nil, "@a=b PING x": nil, "PRIVMSG #x :\xff": errUTF8, "PING a\x00b": errLine,
		"PING a\rb\r\n": errLine, ":source": errLine, "@tags": errLine, "@" + strings.Repeat("x", maxTags) + " PING": errLong,
		"PING " + strings.Repeat("x", maxLine): errLong, "PING " + strings.Repeat("x", maxLine-7) + "\r\n": nil,
	} {
		if _, err := parse(line); !errors.Is(err, want) {
			t.Errorf("%.20q: %v, want %v", line, err, want)
		}
	}
}

func TestNobodySharesAName(t *testing.T) {
	self := &person{id: "self0000", nick: "Bob", tag: "self"}
	p := newPeople(self)
	one := &person{id: "one00000", nick: "bob", tag: "one0"}
	two := &person{id: "two00000", nick: "BOB", tag: "one0"}
	none := &person{id: "none0000abc", tag: "none"}
	for _, who := range []*person{one, two, none} {
		p.place(who)
	}
	if self.name != "Bob" || one.name != "bob-one0" || two.name != "BOB-two00000" || none.name != "none0000" {
		t.Errorf("names are %q, %q, %q, %q", self.name, one.name, two.name, none.name)
	}
	if evicted := p.rename("none0000"); evicted != none || none.name != "none0000abc" || self.name != "none0000" {
		t.Errorf("%q had to give way for %q", none.name, self.name)
	}
	if s := p.stranger("three000", "bob", "thre", false, false); s.name != "bob" || p.byID["three000"] != nil {
		t.Errorf("the name that we had is %q", s.name)
	}
	two.rooms = 1
	p.release(one)
	p.release(two)
	p.release(self)
	if p.byID[one.id] != nil || p.byName["bob-one0"] != nil || p.byID[two.id] == nil || p.byID[self.id] == nil {
		t.Error("somebody else was forgotten")
	}
}
