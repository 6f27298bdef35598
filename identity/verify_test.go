package identity

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"slices"
	"strings"
	"testing"
)

// The words for the seeds 0a…0a and 0b…0b, computed apart from this code.
const goldenWords = "they nominee potato lounge box castle eyebrow inner van average"

func testKeys(t *testing.T) (a, b PublicKey) {
	t.Helper()
	other, err := KeyFromSeed(bytes.Repeat([]byte{0x0b}, 32))
	if err != nil {
		t.Fatal(err)
	}
	return testKey(t).Public(), other.Public()
}

func TestWords(t *testing.T) {
	a, b := testKeys(t)
	words := Words(a, b)
	if got := strings.Join(words, " "); got != goldenWords {
		t.Errorf("words %q, want %q", got, goldenWords)
	}
	if !slices.Equal(words, Words(b, a)) {
		t.Error("the two sides read different words")
	}
	b[31] ^= 0x80
	if SameWords(words, Words(a, b)) {
		t.Error("another key, the same words")
	}
}

// The list is the one that the proposal publishes: by another, two people would read different words.
func TestWordListIsOfBIP39(t *testing.T) {
	const published = "2f5eed53a4727b4bf8880d8f3f199efc90e58503646d9ff8eff3a2ed3b24dbda" // of its english.txt
	if sum := fmt.Sprintf("%x", sha256.Sum256([]byte(bip39))); sum != published {
		t.Errorf("the list has the sum %s", sum)
	}
}

// CVE-2025-32898 (KDE Connect): a code of eight characters is guessed. Ten words of 11 bits are 110; fewer are refused.
func TestADV_05_Ten_words_or_none(t *testing.T) {
	want := strings.Fields(goldenWords)
	for _, typed := range []string{
		goldenWords, strings.ToUpper(goldenWords), "  They-Nominee potato,lounge\tbox — castle\neyebrow inner van average. ",
		"they nomi pota loun box cast eyeb inne van aver", "they nomin potat loung box castl eyebr inner van averag",
		"1. they 2. nominee 3. potato 4. lounge 5. box 6. castle 7. eyebrow 8. inner 9. van 10. average",
	} {
		if words, err := ParseWords(typed); err != nil || !SameWords(words, want) {
			t.Errorf("%q is read as %q, %v", typed, words, err)
		}
	}
	for name, typed := range map[string]string{
		"nothing": "", "nine": "they nominee potato lounge box castle eyebrow inner van",
		"eleven": goldenWords + " they", "three letters": "they nom potato lounge box castle eyebrow inner van average",
		"beyond a word":   "theyx nominee potato lounge box castle eyebrow inner van average",
		"behind the list": "zzzzz nominee potato lounge box castle eyebrow inner van average",
		"too long":        goldenWords + strings.Repeat(" ", maxWordsText), "invalid": "\xff" + goldenWords[1:],
	} {
		if words, err := ParseWords(typed); err == nil {
			t.Errorf("%s passes as %q", name, words)
		}
	}
	other, err := ParseWords(strings.Replace(goldenWords, "average", "avocado", 1))
	if err != nil || SameWords(other, want) || SameWords(want[:9], want) || SameWords(nil, want) {
		t.Errorf("other words are the same: %v", err)
	}
}

func TestVerifyCode(t *testing.T) {
	key, other := testKeys(t)
	const want = "bcast-verify:1:iots44keaf3c35tlndbg3667e2bkv3e7er2ozjdbhzbeud527u6a"
	if got := VerifyCode(key); got != want {
		t.Errorf("code %s, want %s", got, want)
	}
	for _, s := range []string{want, strings.ToUpper(want)} {
		if got, err := ParseVerifyCode(s); err != nil || got != key {
			t.Errorf("%s is read as %x, %v", s, got, err)
		}
	}
	if VerifyCode(other) == want {
		t.Error("two keys, one code")
	}
	for _, bad := range []string{"", want[:66], want + "a", want[:66] + "b", "bcast-verify:2:" + want[15:],
		want[:20] + "1" + want[21:],
		want[:20] + "\n" + want[21:], strings.Repeat("a", 1<<16), "x" + want[1:]} {
		if got, err := ParseVerifyCode(bad); err == nil || got != (PublicKey{}) {
			t.Errorf("%.80q passes as %x", bad, got)
		}
	}
}
