// Package meter makes posts that measure and counts those that come.
//
// Its invariant: what it holds does not grow with how much is measured beyond one bit a post. It has no clock and knows
// no room: it is told when something came.
package meter

import (
	"math"
	"strings"
)

// MinSize is the length in bytes of the shortest probe: its fields alone.
const MinSize = len(mark) + runDigits + 1 + seqDigits + 1 + seqDigits + 1 + nanoDigits + 1

// MaxCount is how many probes a run may have: what comes is noted with a bit each.
const MaxCount = 1 << 24

const (
	mark       = "bench "
	runDigits  = 16
	seqDigits  = 10
	nanoDigits = 20
)

// Probe is what a measuring post says: the Seq-th (from 0) of the Count posts of a run, and when it was said.
type Probe struct {
	Run   uint64 // drawn by the sender: what tells two runs apart
	Seq   int
	Count int
	Sent  int64 // nanoseconds since 1970 on the sender's clock
}

// Text is the probe as the text of a post, filled up to size bytes if it is shorter.
func (p Probe) Text(size int) string {
	text := make([]byte, 0, max(size, MinSize))
	text = append(text, mark...)
	text = appendNumber(text, p.Run, 16, runDigits)
	text = appendNumber(text, uint64(p.Seq), 10, seqDigits)
	text = appendNumber(text, uint64(p.Count), 10, seqDigits)
	text = appendNumber(text, uint64(p.Sent), 10, nanoDigits)
	for len(text) < size {
		text = append(text, filling[:min(len(filling), size-len(text))]...)
	}
	return string(text)
}

const filling = "................................................................"

// appendNumber appends n with so many digits, and a space. Making and reading probes is work that is measured with the
// rest, so it is to be little: no reflection, no errors made.
func appendNumber(to []byte, n, base uint64, digits int) []byte {
	at := len(to)
	to = append(to, filling[:digits]...)
	for i := at + digits - 1; i >= at; i-- {
		to[i] = "0123456789abcdef"[n%base]
		n /= base
	}
	return append(to, ' ')
}

// number reads what appendNumber wrote, of decimal digits eight at a time.
func number(text string, base uint64) (n uint64, ok bool) {
	for base == 10 && len(text) >= 8 {
		eight, ok := eightDigits(text)
		if !ok {
			return 0, false
		}
		n, text = n*1e8+eight, text[8:]
	}
	for _, c := range []byte(text) {
		digit := uint64(c - '0')
		if c > '9' {
			digit = uint64(c-'a') + 10
		}
		if digit >= base {
			return 0, false
		}
		n = n*base + digit
	}
	return n, true
}

// eightDigits reads the first eight characters of a text as one word: pairs of digits, pairs of those, and once more.
func eightDigits(text string) (n uint64, ok bool) {
	_ = text[7]
	n = uint64(text[0]) | uint64(text[1])<<8 | uint64(text[2])<<16 | uint64(text[3])<<24 |
		uint64(text[4])<<32 | uint64(text[5])<<40 | uint64(text[6])<<48 | uint64(text[7])<<56
	if (n&0xf0f0f0f0f0f0f0f0)|((n+0x0606060606060606)&0xf0f0f0f0f0f0f0f0)>>4 != 0x3333333333333333 {
		return 0, false
	}
	n -= 0x3030303030303030
	n = n*10 + n>>8
	n = (n&0x00ff00ff00ff00ff)*100 + (n>>16)&0x00ff00ff00ff00ff
	return (n&0xffff)*10_000 + (n>>32)&0xffff, true
}

// Parse reads the text of a post; ok is false if it is no probe.
func Parse(text string) (p Probe, ok bool) {
	rest, ok := strings.CutPrefix(text, mark)
	if !ok || len(text) < MinSize {
		return p, false
	}
	run, rest := rest[:runDigits], rest[runDigits+1:]
	seq, rest := rest[:seqDigits], rest[seqDigits+1:]
	count, sent := rest[:seqDigits], rest[seqDigits+1:][:nanoDigits]
	var numbers [4]uint64
	bases := [4]uint64{16, 10, 10, 10}
	for i, digits := range [4]string{run, seq, count, sent} {
		if numbers[i], ok = number(digits, bases[i]); !ok {
			return p, false
		}
	}
	if numbers[2] > MaxCount || numbers[1] >= numbers[2] || numbers[3] > math.MaxInt64 {
		return p, false
	}
	return Probe{Run: numbers[0], Seq: int(numbers[1]), Count: int(numbers[2]), Sent: int64(numbers[3])}, true
}
