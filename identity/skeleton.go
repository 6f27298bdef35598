package identity

import (
	"strings"

	"go.mau.fi/util/confusable"
	"golang.org/x/text/cases"
	"golang.org/x/text/unicode/norm"
)

// caseRifts mends what folding case tears apart: letters whose two cases UTS 39 gives to different prototypes, such as
// I (like l) and i, or Н (like H) and н. But for i and l, only those are here that make no two letters of one alphabet
// the same: Greek Ν is like N and ν like v, and with both in one class nick and vick were one name.
var caseRifts = strings.NewReplacer(
	"i\u0307", "l", "l\u0307", "l", "i", "l", // İ, i with a dot too much, i
	"ʙ", "b", "ƅ", "b", "ʜ", "h", "ĸ", "k", "ᴛ", "t", "ʍ", "rn", "ɜ", "3", "ю", "lo",
	"ꞓ", "e", "ζ", "z", "χ", "x", "λ", "ʌ", "л", "ʌ",
)

// Skeleton folds nicks that a person takes for each other to one text, which is compared and never shown. Nicks that
// are confusable by Unicode's UTS 39 always share it; so do those that differ in case, width or another compatibility
// form, but for the Greek and Cyrillic letters that caseRifts leaves apart. Diacritics are what UTS 39 makes of them: é
// is not e, and ě is ĕ.
//
// The prototypes of UTS 39 are taken before case is folded, because Ι, I and l look alike only as written, and again
// after, because m and rn do only in lower case. A nick of 32 bytes becomes one of at most a few hundred.
func Skeleton(nick Nick) string {
	folded := cases.Fold().String(norm.NFKD.String(prototypes(string(nick))))
	return caseRifts.Replace(prototypes(folded))
}

// prototypes is the skeleton of UTS 39 of a text without invisible characters. The library's Skeleton also leaves out
// what Go's tables of Unicode do not know, and with it prototypes younger than those: the second pass lost them.
func prototypes(s string) string {
	var b strings.Builder
	for _, r := range norm.NFD.String(s) {
		if prototype := confusable.GetReplacement(r); prototype != "" {
			b.WriteString(prototype)
		} else {
			b.WriteRune(r)
		}
	}
	return norm.NFD.String(b.String())
}
