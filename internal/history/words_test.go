package history

import (
	"strings"
	"testing"
)

// The words of a text are the same whether it is read as ASCII or as what it may be.
func TestWordsAreTheSameEitherWay(t *testing.T) {
	text := []byte("first")
	want := "first"
	for _, said := range []string{
		"Hello, World", "  a-b_c 1.5 ", "...", "", "Grüße aus Köln", "ASCII and ÄÖÜ", "\x00\x7f@[`{/:", "naïve cafe\u0301 ½ ٣",
		"plain again", "\xff broken",
	} {
		text = appendWords(text, said)
		want = strings.Join(append([]string{want}, wordsOf(said)...), " ")
		if string(text) != want {
			t.Fatalf("after %q: %q, want %q", said, text, want)
		}
	}
	if got := appendWords(nil, "  x"); string(got) != "x" {
		t.Errorf("%q begins with a space", got)
	}
}
