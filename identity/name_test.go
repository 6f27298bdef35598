package identity

import (
	"strings"
	"testing"
	"time"
	"unicode"
)

func TestParseNick(t *testing.T) {
	for _, c := range []struct{ name, in, want string }{
		{"plain", "alice", "alice"},
		{"composed", "zoe\u0308", "zo\u00eb"},
		{"already composed", "zo\u00eb", "zo\u00eb"},
		{"emoji", "fox🦊", "fox🦊"},
		{"other scripts", "ありす", "ありす"},
		{"marks inside", "हिन्दी", "हिन्दी"},
		{"32 bytes", strings.Repeat("a", 32), strings.Repeat("a", 32)},
		{"32 bytes once composed", strings.Repeat("a", 30) + "e\u0301", strings.Repeat("a", 30) + "é"},
		{"at inside", "a@b#c-d", "a@b#c-d"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if n, err := ParseNick(c.in); err != nil || string(n) != c.want {
				t.Errorf("%q, %v; want %q", n, err, c.want)
			}
		})
	}
	for _, c := range []struct{ name, in string }{
		{"empty", ""}, {"33 bytes", strings.Repeat("a", 33)}, {"17 of two bytes", strings.Repeat("é", 17)},
		{"grows beyond", "q" + strings.Repeat("\u0344", 8)}, // composition exclusion: each becomes four bytes
		{"space", "al ice"}, {"no-break space", "al\u00a0ice"}, {"line", "al\nice"}, {"nul", "al\x00ice"},
		{"escape", "\x1b[31malice"}, {"delete", "alice\x7f"}, {"C1", "alice\u009b"},
		{"right-to-left override", "al\u202eice"}, {"isolate", "al\u2066ice"}, {"right-to-left mark", "alice\u200f"},
		{"zero width space", "al\u200bice"}, {"joiner", "al\u200dice"}, {"byte order mark", "\ufeffalice"},
		{"Hangul filler", "\u3164"}, {"grapheme joiner", "al\u034fice"}, {"empty Braille", "\u2800"},
		{"private use", "\ue000"}, {"unassigned", "\u0378"}, {"line separator", "al\u2028ice"},
		{"at", "@alice"}, {"hash", "#alice"}, {"dash", "-alice"}, {"mark in front", "\u0301alice"},
		{"invalid", "al\xffice"}, {"surrogate", "al\xed\xa0\x80"}, {"overlong", "al\xc0\xaf"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if n, err := ParseNick(c.in); err == nil {
				t.Errorf("%q passes as %q", c.in, n)
			}
		})
	}
}

func TestNickFromMakesANickOfAnything(t *testing.T) {
	for in, want := range map[string]Nick{
		"alice": "alice", "Alice Smith": "AliceSmith", "": "nobody", "\x00\xff": "nobody", "#-@x": "x",
		"\u202eevil": "evil", strings.Repeat("é", 40): Nick(strings.Repeat("é", 16)), "   ": "nobody", "\u0301a": "a",
	} {
		if got := NickFrom(in); got != want {
			t.Errorf("NickFrom(%q) is %q, want %q", in, got, want)
		}
	}
}

func TestParseRoomName(t *testing.T) {
	for _, c := range []struct{ name, in, want string }{
		{"plain", "lobby", "lobby"}, {"hash", "#lobby", "lobby"}, {"upper case", "LOBBY", "lobby"},
		{"composed", "ku\u0308che", "k\u00fcche"}, {"upper and decomposed", "KU\u0308CHE", "k\u00fcche"},
		{"kelvin sign", "\u212aelvin", "kelvin"}, {"marks", "हिन्दी", "हिन्दी"},
		{"punctuation", "a-b_c.d9", "a-b_c.d9"},
		{"64 bytes", strings.Repeat("é", 32), strings.Repeat("é", 32)}, {"Arabic digits", "غرفة٣", "غرفة٣"},
		{"dotted I", "İstanbul", "istanbul"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if n, err := ParseRoomName(c.in); err != nil || string(n) != c.want {
				t.Errorf("%q, %v; want %q", n, err, c.want)
			}
		})
	}
	for _, c := range []struct{ name, in string }{
		{"empty", ""}, {"only hash", "#"}, {"a dot", "."}, {"two dots", "#.."}, {"two hashes", "##lobby"}, {"65 bytes", strings.Repeat("a", 65)},
		{"space", "my room"}, {"slash", "a/b"}, {"emoji", "room🦊"}, {"at", "@lobby"}, {"control", "lob\x07by"},
		{"bidi", "lob\u202eby"}, {"zero width", "lob\u200bby"}, {"filler", "lob\u3164by"},
		{"mark in front", "\u0301lobby"},
		{"invalid", "lob\xffby"}, {"full stop of another width", "a\uff0eb"}, {"superscript", "a²"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if n, err := ParseRoomName(c.in); err == nil {
				t.Errorf("%q passes as %q", c.in, n)
			}
		})
	}
}

// What other devices send is taken as it is or not at all: two who read it differently would differ on who is here.
func TestNamesOfOthersAreInNormalForm(t *testing.T) {
	for _, s := range []string{"alice", "zo\u00eb", "fox🦊", "Alice"} {
		if n, err := NormalNick(s); err != nil || string(n) != s {
			t.Errorf("nick %q is %q, %v", s, n, err)
		}
	}
	for _, s := range []string{"lobby", "k\u00fcche", "a-b_c.d9"} {
		if n, err := NormalRoomName(s); err != nil || string(n) != s {
			t.Errorf("room name %q is %q, %v", s, n, err)
		}
	}
	for _, s := range []string{"zoe\u0308", "", "al ice", "\u212aelvin"} {
		if n, err := NormalNick(s); err == nil {
			t.Errorf("nick %q passes as %q", s, n)
		}
	}
	for _, s := range []string{"#lobby", "Lobby", "ku\u0308che", "\u212aelvin", "", "my room"} {
		if n, err := NormalRoomName(s); err == nil {
			t.Errorf("room name %q passes as %q", s, n)
		}
	}
}

// Whatever a user writes, others take what is made of it: what is normal stays as it is. Of the many letters beyond the
// first blocks, which have marks of their own, every eleventh is tried.
func TestNormalFormIsItsOwn(t *testing.T) {
	for r := rune(1); r <= unicode.MaxRune; r++ {
		if r > 0x2fff {
			r += 10
		}
		if !unicode.IsPrint(r) || unicode.In(r, unicode.Han, unicode.Hangul) { // these are all refused, or all alike
			continue
		}
		for _, s := range []string{string(r) + "\u0301", string(r) + "\u0345\u0307"} {
			if n, err := ParseNick(s); err == nil {
				if _, err := NormalNick(string(n)); err != nil {
					t.Errorf("%q: %v", s, err)
				}
			}
			if n, err := ParseRoomName(s); err == nil {
				if _, err := NormalRoomName(string(n)); err != nil {
					t.Errorf("%q: %v", s, err)
				}
			}
		}
	}
}

// CVE-2026-56852 (x/text): normalising invalid UTF-8 never ended. Names are refused by length and encoding before that.
func TestADV_35_Names_are_looked_at_in_time(t *testing.T) {
	for _, s := range []string{
		strings.Repeat("\xff", 1<<20), strings.Repeat("\xcc", 1<<20), strings.Repeat("a\u0301\xed\xa0\x80", 1<<18),
		"x" + strings.Repeat("\u0301", 1<<20), strings.Repeat("\ufb2c", 1<<20),
	} {
		begun := time.Now()
		_, nick := ParseNick(s)
		_, room := ParseRoomName(s)
		NickFrom(s)
		if took := time.Since(begun); nick == nil || room == nil || took > time.Second/4 {
			t.Errorf("%d bytes beginning with %.8q: %v, %v after %v", len(s), s, nick != nil, room != nil, took)
		}
	}
}
