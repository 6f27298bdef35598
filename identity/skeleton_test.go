package identity

import (
	"strings"
	"testing"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"

	"bcast/internal/fuzztest"
)

func TestSkeletonOfNicksThatLookAlike(t *testing.T) {
	for _, same := range [][]Nick{
		{"alice", "Alice", "ALICE", "aIice", "a1ice", "a|ice", "alıce", "ａｌｉｃｅ", "ＡＬＩＣＥ", "𝐚lice",
			"\u0430\u04cf\u0456\u0441\u0435", "\u0410\u04c0\u0406\u0421\u0415"},
		{"modern", "rnodern", "MODERN", "Modern", "ｍodern"},
		{"bob", "b0b", "BOB", "b\u043eb", "\u0412OB"},
		{"hank", "HANK", "\u041dANK", "\u043dank", "\u0397ank"},
		{"nick", "\u039dick", "n1ck"}, {"vick", "\u03bdick"},
		{"tim", "\u0422IM", "\u0442im", "ti\u043c"}, {"fin", "ﬁn"}, {"strasse", "straße", "STRASSE"},
		{"zo\u00eb", "zoe\u0308", "ZO\u00cb"}, {"\u0130da", "ida", "IDA"}, {"ｘ２", "x2", "x²"},
		{"\u01ce", "\u0103"}, // UTS 39: a caron for a breve
	} {
		for _, n := range same[1:] {
			if a, b := Skeleton(n), Skeleton(same[0]); a != b {
				t.Errorf("%q looks like %q, but they are folded to %q and %q", n, same[0], a, b)
			}
		}
	}
}

func TestSkeletonOfNicksThatDiffer(t *testing.T) {
	for _, differ := range [][2]Nick{
		{"alice", "alicia"}, {"bob", "rob"}, {"ann", "anna"}, {"日本", "日木"}, {"nick", "vick"}, {"sam", "fam"},
		{"yes", "ues"}, {"aʕ", "a"}, {"e", "é"}, {"hank", "nank"}, {"कि", "क"}, {"yeti", "reti"}, {"x2", "x3"},
	} {
		if a, b := Skeleton(differ[0]), Skeleton(differ[1]); a == b {
			t.Errorf("%q and %q have one skeleton, %q", differ[0], differ[1], a)
		}
	}
}

// maxSkeleton is more than the longest skeleton of a nick: UTS 39 writes one character of three bytes as eighteen.
const maxSkeleton = 16 * MaxNick

func FuzzSkeleton(f *testing.F) {
	nicks, _ := goldenNames(f)
	for _, s := range append(nicks, "аӏіс\u0435", "rnodern", "\ufdfa\ufdfa", "İ", "ﷺ", "e\u0301", "q\u0344", "𝐚", "ﬃ",
		strings.Repeat("\ufdfa", 10), "ʕ") {
		f.Add(s)
	}
	Skeleton("e\u0301") // the tables of Unicode are built once
	f.Fuzz(func(t *testing.T, s string) {
		n, err := ParseNick(s)
		if err != nil {
			return
		}
		var skeleton string
		fuzztest.Within(t, len(n), 0, 32<<10, func() { skeleton = Skeleton(n) })
		if skeleton == "" || len(skeleton) > maxSkeleton || !utf8.ValidString(skeleton) {
			t.Errorf("%q is folded to %d bytes, %q", n, len(skeleton), skeleton)
		}
		if again := Skeleton(Nick(norm.NFD.String(s))); again != skeleton {
			t.Errorf("%q is folded to %q, its NFD to %q", n, skeleton, again)
		}
	})
}
