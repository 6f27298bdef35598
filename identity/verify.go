package identity

import (
	"bytes"
	"crypto/pbkdf2"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode"

	_ "embed"
)

// bip39 is the English list of BIP 39, in the order of the alphabet. The modules that have it bring all its languages
// and take them apart whenever a program starts.
//
//go:embed words.txt
var bip39 string

// wordList takes the list apart, each time anew: people verify seldom.
func wordList() []string { return strings.Fields(bip39) }

const (
	// wordCount words of 11 bits are 110 bits. A code that people compare has to be this long, because whoever sits
	// between two devices can try keys in advance and as long as they like, until one gives the same code: with a few
	// digits that takes seconds (CVE-2025-32898, KDE Connect: 32 bits).
	wordCount = 10
	wordBits  = 11

	// wordStretch is the rounds of PBKDF2 behind the words. It is there because who sits in the middle picks both keys
	// it shows, one to each side, and needs only that any of one pile gives the words of any of the other: 2⁵⁵ tries
	// for 110 bits, not 2¹¹⁰. Each of them now costs 2¹⁷ rounds, 2⁷² together; for us it is a tenth of a second, once.
	wordStretch = 1 << 17

	// maxWordsText is more than ten of the longest words with separators; nothing longer is looked at.
	maxWordsText = 256

	// minWordPrefix letters tell every word of the list from every other: BIP 39 made it so.
	minWordPrefix = 4
)

// Words are what the people of two devices read to each other: both see the same words if, and only if, each has the
// other's true key. The order of the keys does not matter. They are words of the English list of BIP 39. It takes a
// tenth of a second.
func Words(a, b PublicKey) []string {
	if bytes.Compare(a[:], b[:]) > 0 {
		a, b = b, a
	}
	sum, err := pbkdf2.Key(sha256.New, string(a[:])+string(b[:]), []byte("bcast/1 verify"), wordStretch, sha256.Size)
	if err != nil {
		panic(fmt.Sprintf("verification words: %v", err)) // only a length beyond PBKDF2's can do that
	}
	all, chosen := wordList(), make([]string, wordCount)
	for i := range chosen {
		chosen[i] = all[bitsAt(sum, i*wordBits)]
	}
	return chosen
}

// bitsAt is the wordBits bits of b that begin at bit i, the highest first.
func bitsAt(b []byte, i int) int {
	n := int(b[i/8])<<16 | int(b[i/8+1])<<8 | int(b[i/8+2])
	return n >> (24 - i%8 - wordBits) & (1<<wordBits - 1)
}

// ParseWords reads verification words as people type them: in any case, apart by spaces, dashes or whatever is no
// letter, and each cut short after four letters or more.
func ParseWords(s string) ([]string, error) {
	if len(s) > maxWordsText {
		return nil, fmt.Errorf("verification words: %d bytes, at most %d", len(s), maxWordsText)
	}
	typed := strings.FieldsFunc(strings.ToLower(s), func(r rune) bool { return !unicode.IsLetter(r) })
	if len(typed) != wordCount {
		return nil, fmt.Errorf("verification words: %d of them, want %d", len(typed), wordCount)
	}
	all := wordList()
	for i, w := range typed {
		at, exact := slices.BinarySearch(all, w)
		prefix := len(w) >= minWordPrefix && at < len(all) && strings.HasPrefix(all[at], w)
		if !exact && !prefix {
			return nil, fmt.Errorf("verification words: word %d, %q, is not in the list", i+1, w)
		}
		typed[i] = all[at]
	}
	return typed, nil
}

// SameWords compares what was typed, once parsed, with what Words gave, and takes the same time wherever they differ.
func SameWords(a, b []string) bool {
	return subtle.ConstantTimeCompare([]byte(strings.Join(a, " ")), []byte(strings.Join(b, " "))) == 1
}

const verifyPrefix = "bcast-verify:1:"

var verifyCodeLen = len(verifyPrefix) + idEncoding.EncodedLen(len(PublicKey{}))

// VerifyCode is the text of a QR code by which the own device is verified: its whole public key, of which nothing is
// cut off that a forger could try keys for.
func VerifyCode(own PublicKey) string { return verifyPrefix + EncodeID(own[:]) }

// ParseVerifyCode reads what VerifyCode wrote. Upper case is the same, because it makes a smaller QR code.
func ParseVerifyCode(s string) (PublicKey, error) {
	if len(s) != verifyCodeLen {
		return PublicKey{}, fmt.Errorf("verification code: %d characters, want %d", len(s), verifyCodeLen)
	}
	s = strings.ToLower(s)
	var key PublicKey
	if b, err := idEncoding.DecodeString(strings.TrimPrefix(s, verifyPrefix)); err == nil && len(b) == len(key) {
		key = PublicKey(b)
	}
	if VerifyCode(key) != s { // also another beginning, line ends and spare bits, which the decoder ignores
		return PublicKey{}, errors.New("verification code: not of the form " + verifyPrefix + "KEY")
	}
	return key, nil
}
