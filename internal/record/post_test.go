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
		"short target": "81a2000102 4101", "bad nick": "81a20008036120",
		"nick not in normal form": "81a2000803 6365cc81", "behind the list": "81a1000101",
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

// Packed posts come in their order, and a body takes no more than was allowed unless one post alone is longer.
func TestPack(t *testing.T) {
	posts := append(make64(), Post{Kind: KindText, Text: strings.Repeat("y", 1000)}, Post{Kind: KindJoin, Nick: "alice"},
		Post{Kind: KindReply, Text: "yes", Target: Ref{Record: ID{1}, Index: 2}}, Post{Kind: KindRekey, Data: []byte{1, 2}})
	posts = append(posts, make64()...)
	for _, size := range []int{1, 100, 300, 1100, 1 << 14} {
		var all []Post
		for i, pack := range Pack(posts, size/2, size) {
			body, err := EncodePosts(pack)
			if err != nil {
				t.Fatal(err)
			}
			if allowed := []int{size / 2, size}[min(i, 1)]; len(body) > allowed && len(pack) > 1 {
				t.Errorf("%d posts take %d bytes of %d", len(pack), len(body), allowed)
			}
			all = append(all, pack...)
		}
		if !reflect.DeepEqual(all, posts) {
			t.Errorf("size %d: %d posts come back, not the %d in their order", size, len(all), len(posts))
		}
	}
	for i := range posts {
		if body, err := EncodePosts(posts[i : i+1]); err != nil || posts[i].size() != len(body)-1 {
			t.Errorf("%+v takes %d bytes, said to be %d: %v", posts[i], len(body)-1, posts[i].size(), err)
		}
	}
	if packs := Pack(make64(), 1<<14, 1<<14); len(packs) != 1 {
		t.Errorf("%d packs of what fits one", len(packs))
	}
}

// What is said most is read without reflection, whatever its length.
func TestPlainPostsAreReadPlainly(t *testing.T) {
	for _, size := range []int{1, 23, 24, 255, 256, MaxText} {
		for _, n := range []int{1, 23, 24, MaxPosts} {
			posts := make([]Post, n)
			for i := range posts {
				posts[i] = Post{Kind: KindText, Text: strings.Repeat("x", size)}
			}
			body, err := EncodePosts(posts)
			if err != nil {
				continue // too long together
			}
			if got, ok := decodePlain(body, string(body), false); !ok || !reflect.DeepEqual(got, posts) {
				t.Errorf("%d posts of %d bytes: %t", n, size, ok)
			}
		}
	}
	for _, refused := range []string{"", "80", "81a2000101", "81a200010160", "81a2000101617a00", "81a200010161ff", "81a20018180161 7a",
		"81a2000101 78017a", "81a201617a0001", "9801a2000101617a"} {
		if got, ok := decodePlain(unhex(t, refused), string(unhex(t, refused)), false); ok {
			t.Errorf("%s: %+v", refused, got)
		}
	}
}

// What is encoded without reflection has the same bytes as what is encoded with it.
func TestPlainPostsAreEncodedAlike(t *testing.T) {
	var posts []Post
	for _, size := range []int{1, 23, 24, 255, 256, 300} {
		for _, kind := range []Kind{KindText, KindAction, 0x17} {
			posts = append(posts, Post{Kind: kind, Text: strings.Repeat("ü", (size+1)/2)[:size]})
		}
	}
	posts = append(posts, posts...) // more than 23
	for n := 1; n <= len(posts); n++ {
		got, ok := encodePlain(posts[:n])
		if want, err := encodeAny(posts[:n]); !ok || err != nil || !bytes.Equal(got, want) {
			t.Fatalf("%d posts: %x, %t, want %x, %v", n, got, ok, want, err)
		}
	}
	for _, p := range []Post{
		{Kind: 0x18, Text: "x"}, {Kind: KindText}, {Text: "x"}, {Kind: KindText, Text: "x", Nick: "al"},
		{Kind: KindText, Text: "x", Data: []byte("x")}, {Kind: KindText, Text: "x", Target: Ref{Index: 1}},
		{Kind: KindText, Text: strings.Repeat("x", MaxBody)},
	} {
		if b, ok := encodePlain([]Post{p}); ok {
			t.Errorf("%+v is plain: %x", p.Kind, b[:10])
		}
	}
}

func BenchmarkEncodePosts(b *testing.B) {
	posts := make([]Post, 4)
	for i := range posts {
		posts[i] = Post{Kind: KindText, Text: strings.Repeat("x", 200)}
	}
	for name, encode := range map[string]func([]Post) ([]byte, error){"all": EncodePosts, "reflecting": encodeAny} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := encode(posts); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkDecodePosts(b *testing.B) {
	posts := make([]Post, 4)
	for i := range posts {
		posts[i] = Post{Kind: KindText, Text: strings.Repeat("x", 200)}
	}
	body, err := EncodePosts(posts)
	if err != nil {
		b.Fatal(err)
	}
	for name, decode := range map[string]func([]byte) ([]Post, error){"all": DecodePosts, "reflecting": decodeAny} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := decode(body); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
