package wire

import "unicode/utf8"

// reader takes fields off the front of b. After the first field that is not there every take yields zeros and failed
// stays set, so that a parser checks once, at its end.
type reader struct {
	b      []byte
	failed bool
}

var zeros [64]byte

func (r *reader) take(n int) []byte {
	if r.failed || len(r.b) < n {
		r.failed = true
		return zeros[:min(n, len(zeros))]
	}
	field := r.b[:n:n]
	r.b = r.b[n:]
	return field
}

func (r *reader) u8() uint8   { return r.take(1)[0] }
func (r *reader) u16() uint16 { return be.Uint16(r.take(2)) }
func (r *reader) u32() uint32 { return be.Uint32(r.take(4)) }
func (r *reader) u64() uint64 { return be.Uint64(r.take(8)) }
func (r *reader) rest() []byte {
	return r.take(len(r.b))
}

// count reads how many items of at least size bytes follow; it fails when they cannot all be there or are more than
// limit.
func (r *reader) count(limit, size int) int {
	n := int(r.u8())
	if n > limit || n*size > len(r.b) {
		r.failed = true
		return 0
	}
	return n
}

func (r *reader) claims() []FeedClaim {
	n := r.count(MaxClaims, claimSize)
	if n == 0 {
		return nil
	}
	claims := make([]FeedClaim, n)
	for i := range claims {
		c := FeedClaim{Feed: [8]byte(r.take(8)), Low: r.u64(), High: r.u64(), Head: [4]byte(r.take(4))}
		if c.Low == 0 || c.Low > c.High || c.High > maxSeq {
			r.failed = true
		}
		claims[i] = c
	}
	return claims
}

// text reads n bytes that must be UTF-8.
func (r *reader) text(n int) string {
	b := r.take(n)
	r.failed = r.failed || !utf8.Valid(b)
	return string(b)
}

func (r *reader) spans() []Span {
	spans := make([]Span, 0, r.count(MaxSpans, 17))
	for range cap(spans) {
		s := Span{From: [8]byte(r.take(8)), To: [8]byte(r.take(8))}
		switch r.u8() {
		case 0:
			s.Fingerprint = [16]byte(r.take(16))
		case 1:
			s.Listed, s.Claims = true, r.claims()
		default:
			r.failed = true
		}
		spans = append(spans, s)
	}
	return spans
}

func (r *reader) want() Want {
	w := Want{Limit: r.u16()}
	for range r.count(MaxWants, 24) {
		w.Ranges = append(w.Ranges, SeqRange{Feed: [8]byte(r.take(8)), From: r.u64(), To: r.u64()})
	}
	for range r.count(MaxWants, 16) {
		w.IDs = append(w.IDs, [16]byte(r.take(16)))
	}
	for range r.count(MaxWants, 20) {
		w.Parts = append(w.Parts, Part{Record: [16]byte(r.take(16)), From: r.u16(), To: r.u16()})
	}
	return w
}
