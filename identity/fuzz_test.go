package identity

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"bcast/internal/fuzztest"
)

// goldenNames are those in the golden presence datagrams: names as others send them.
func goldenNames(f *testing.F) (nicks, rooms []string) {
	files, _ := filepath.Glob("../internal/wire/testdata/vectors/*.txt")
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		for line := range strings.Lines(string(text)) {
			var claims struct {
				Nick  string   `json:"0"`
				Rooms []string `json:"11"`
			}
			if body, ok := strings.CutPrefix(line, "cbor: "); ok && json.Unmarshal([]byte(body), &claims) == nil {
				nicks, rooms = append(nicks, claims.Nick), append(rooms, claims.Rooms...)
			}
		}
	}
	if len(nicks) == 0 || len(rooms) == 0 {
		f.Fatal("no names in the golden vectors")
	}
	return nicks, rooms
}

func FuzzNick(f *testing.F) {
	nicks, rooms := goldenNames(f)
	for _, s := range append(nicks, rooms...) {
		f.Add(s)
	}
	for _, s := range []string{"e\u0301", "\u202e", "ﬃ", "\u0344", "İ", "\u3164", "a\xff"} {
		f.Add(s)
	}
	NickFrom("e\u0301") // the tables of Unicode are built once
	f.Fuzz(func(t *testing.T, s string) {
		var n Nick
		var err error
		fuzztest.Within(t, len(s), 16, 16<<10, func() { n, err = ParseNick(s) })
		made := NickFrom(s)
		if again, err := ParseNick(string(made)); err != nil || again != made {
			t.Errorf("NickFrom(%q) is %q, which is no nick: %v", s, made, err)
		}
		if err != nil {
			return
		}
		if again, err := ParseNick(string(n)); err != nil || again != n {
			t.Errorf("%q, parsed again, is %q, %v", n, again, err)
		}
		if len(n) == 0 || len(n) > MaxNick || !utf8.ValidString(string(n)) ||
			strings.ContainsFunc(string(n), unicode.IsControl) {
			t.Errorf("%q passes", n)
		}
		if made != n {
			t.Errorf("NickFrom of the nick %q is %q", n, made)
		}
	})
}

func FuzzRoomName(f *testing.F) {
	nicks, rooms := goldenNames(f)
	for _, s := range append(nicks, rooms...) {
		f.Add(s)
	}
	for _, s := range []string{"#lobby", "KU\u0308CHE", "\u212a", "İ", "ẞ", "ǅ", "ᾈ", "\u0345"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		n, err := ParseRoomName(s)
		if err != nil {
			return
		}
		if again, err := ParseRoomName(string(n)); err != nil || again != n {
			t.Errorf("%q, parsed again, is %q, %v", n, again, err)
		}
		if again, err := ParseRoomName("#" + string(n)); err != nil || again != n {
			t.Errorf("#%s is %q, %v", n, again, err)
		}
		if len(n) == 0 || len(n) > MaxRoomName || strings.ContainsAny(string(n), "/\\ #@:\x00") {
			t.Errorf("%q passes", n)
		}
	})
}
