package record

import (
	"bytes"
	"encoding/hex"
	"reflect"
	"strings"
	"testing"
)

func unhex(tb testing.TB, text string) []byte {
	tb.Helper()
	b, err := hex.DecodeString(strings.ReplaceAll(text, " ", ""))
	if err != nil {
		tb.Fatal(err)
	}
	return b
}

func TestPostsRoundTrip(t *testing.T) {
	target := Ref{Record: ID{1, 2, 3}, Index: 65535}
	for _, posts := range [][]Post{
		{{Kind: KindText, Text: "hello"}},
		{{Kind: KindText, Text: strings.Repeat("x", MaxText)}},
		{{Kind: KindText, Text: "\x00\u202e\n"}}, // shown with care, kept as it is
		{{Kind: KindJoin, Nick: "alice"}, {Kind: KindReply, Text: "yes", Target: target}, {Kind: KindLeave}},
		{{Kind: KindReaction, Text: "👍", Target: target}, {Kind: 127, Text: "later"}, {Kind: 63}},
		make64(),
	} {
		body, err := EncodePosts(posts)
		if err != nil {
			t.Fatal(err)
		}
		got, err := DecodePosts(body)
		if err != nil || !reflect.DeepEqual(got, posts) {
			t.Errorf("%v comes back as %v, %v", posts, got, err)
		}
		again, err := EncodePosts(got)
		if err != nil || !bytes.Equal(again, body) {
			t.Errorf("%v: another encoding the second time", posts)
		}
	}
}

func make64() []Post {
	posts := make([]Post, MaxPosts)
	for i := range posts {
		posts[i] = Post{Kind: KindText, Text: "x"}
	}
	return posts
}

func TestBodyIsDeterministicCBOR(t *testing.T) {
	body, err := EncodePosts([]Post{{Kind: KindReply, Text: "yes", Target: Ref{Record: ID{1}, Index: 2}, Nick: "al"}})
	if err != nil {
		t.Fatal(err)
	}
	want := unhex(t, "81 a4 00 03 01 63796573 02 52 01000000000000000000000000000000 0002 03 62616c")
	if !bytes.Equal(body, want) {
		t.Errorf("%x, want %x", body, want)
	}
}

func TestEncodePostsLimits(t *testing.T) {
	for name, posts := range map[string][]Post{
		"none": nil, "65": append(make64(), Post{Kind: KindText}),
		"too long": {{Kind: KindText, Text: strings.Repeat("x", MaxBody)}},
	} {
		if b, err := EncodePosts(posts); err == nil {
			t.Errorf("%s passes: %d bytes", name, len(b))
		}
	}
}

func TestDecodePostsIgnoresWhatItDoesNotKnow(t *testing.T) {
	for name, c := range map[string]struct {
		body string
		want []Post
	}{
		"unknown key":           {"81 a3 00 01 01 6161 09 820102", []Post{{Kind: 1, Text: "a"}}},
		"unknown text key":      {"81 a3 00 01 01 6161 6131 6162", []Post{{Kind: 1, Text: "a"}}},
		"unknown negative key":  {"81 a3 00 01 01 6161 20 f5", []Post{{Kind: 1, Text: "a"}}},
		"unknown kind":          {"81 a1 00 187f", []Post{{Kind: 127}}},
		"empty target and nick": {"81 a4 00 01 01 6161 02 40 03 60", []Post{{Kind: 1, Text: "a"}}},
		"null":                  {"81 a3 00 01 01 6161 03 f6", []Post{{Kind: 1, Text: "a"}}},
		"long form":             {"81 a2 1800 1801 01 6161", []Post{{Kind: 1, Text: "a"}}},
	} {
		got, err := DecodePosts(unhex(t, c.body))
		if err != nil || !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s: %v, %v", name, got, err)
		}
	}
}

func TestDecodePostsRefuses(t *testing.T) {
	for name, body := range map[string]string{
		"nothing": "", "no list": "a10001", "empty list": "80", "no map": "8101", "kind 0": "81a10000",
		"no kind":  "81a1016161",
		"kind 128": "81a1001880", "negative kind": "81a10020", "invalid UTF-8": "81a2000101 61ff",
		"surrogate": "81a2000101 63eda080",
		"key twice": "81a3000100010161 61", "text twice": "81a3000101616101 6162",
		"unknown key twice": "81 a3 0001 09f5 09f4",
		"indefinite list":   "9fa10001ff", "indefinite map": "81bf0001ff", "indefinite text": "81a200 01 01 7f6161ff",
		"tag": "81a10 0c101", "tag in unknown key": "81a2000109c101", "text is bytes": "81a200010141 61",
		"target of numbers": "81a2000102 92" + strings.Repeat("01", 18), "text is a list": "81a2000101 80",
		"short target": "81a2000102 4101", "bad nick": "81a20008036120", "behind the list": "81a1000101",
		"cut":  "81a2000101",
		"deep": "81a2000109 8181818181818181818101", "long list inside": "81a2000109 9841" + strings.Repeat("01", 65),
		"65 posts":  "9841" + strings.Repeat("a10001", 65),
		"long text": "81a2000101 794001" + strings.Repeat("61", MaxText+1), "count beyond": "9bffffffffffffffff a10001",
	} {
		if posts, err := DecodePosts(unhex(t, body)); err == nil {
			t.Errorf("%s passes as %+v", name, posts)
		}
	}
}

func TestRef(t *testing.T) {
	r := Ref{Record: ID{0xde, 0xad}, Index: 7}
	text := r.String()
	if got, err := ParseRef(text); err != nil || got != r {
		t.Errorf("%s comes back as %v, %v", text, got, err)
	}
	if got, err := ParseRef(r.Record.String()); err != nil || got != (Ref{Record: r.Record}) {
		t.Errorf("without a number: %v, %v", got, err)
	}
	for _, bad := range []string{"", ".7", text + "x", r.Record.String() + ".", r.Record.String() + ".65536",
		r.Record.String() + ".-1", text[1:]} {
		if got, err := ParseRef(bad); err == nil {
			t.Errorf("%q passes as %v", bad, got)
		}
	}
}

func TestKindNames(t *testing.T) {
	for k, want := range map[Kind]string{KindText: "text", KindRekey: "rekey", 0: "kind-0", 13: "kind-13",
		255: "kind-255"} {
		if k.String() != want {
			t.Errorf("%d is %q", k, k.String())
		}
	}
}
