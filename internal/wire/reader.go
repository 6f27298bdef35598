package wire

import (
	"slices"
	"unicode/utf8"
)

// reader reads what frames are made of.
type reader struct{ Fields }

func (r *reader) claims() []FeedClaim {
	n := r.Count(MaxClaims, ClaimSize)
	if n == 0 {
		return nil
	}
	claims := make([]FeedClaim, n)
	for i := range claims {
		claims[i] = r.claim()
		r.FailIf(!valid(claims[i]))
	}
	return claims
}

func (r *reader) claim() FeedClaim {
	return FeedClaim{Feed: [8]byte(r.Take(8)), Low: r.U64(), High: r.U64(), Head: [4]byte(r.Take(4))}
}

// valid tells whether a claim is one of something.
func valid(c FeedClaim) bool { return c.Low != 0 && c.Low <= c.High && c.High <= maxSeq }

func (r *reader) ranges() []SeqRange {
	var ranges []SeqRange
	for range r.Count(MaxWants, 24) {
		s := SeqRange{Feed: [8]byte(r.Take(8)), From: r.U64(), To: r.U64()}
		r.FailIf(s.From == 0 || s.From > s.To || s.To > maxSeq)
		ranges = append(ranges, s)
	}
	return ranges
}

// takes reads ranges of which no two have a record in common: each record is written once.
func (r *reader) takes() []SeqRange {
	ranges := r.ranges()
	for i, s := range ranges {
		r.FailIf(slices.ContainsFunc(ranges[:i], func(o SeqRange) bool {
			return s.Feed == o.Feed && s.From <= o.To && o.From <= s.To
		}))
	}
	return ranges
}

// text reads n bytes that must be UTF-8.
func (r *reader) text(n int) string {
	b := r.Take(n)
	r.FailIf(!utf8.Valid(b))
	return string(b)
}

func (r *reader) spans() []Span {
	spans := make([]Span, 0, r.Count(MaxSpans, 17))
	for range cap(spans) {
		s := Span{From: [8]byte(r.Take(8)), To: [8]byte(r.Take(8))}
		switch r.U8() {
		case 0:
			s.Fingerprint = [16]byte(r.Take(16))
		case 1:
			s.Listed, s.Claims = true, r.claims()
		default:
			r.FailIf(true)
		}
		spans = append(spans, s)
	}
	return spans
}

func (r *reader) want() Want {
	w := Want{Limit: r.U16(), Ranges: r.ranges()}
	for range r.Count(MaxWants, 16) {
		w.IDs = append(w.IDs, [16]byte(r.Take(16)))
	}
	for range r.Count(MaxWants, 20) {
		w.Parts = append(w.Parts, Part{Record: [16]byte(r.Take(16)), From: r.U16(), To: r.U16()})
	}
	return w
}
