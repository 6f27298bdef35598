// Package meter makes posts that measure and counts those that come.
//
// Its invariant: what it holds does not grow with how much is measured beyond one bit a post. It has no clock and knows
// no room: it is told when something came.
package meter

import (
	"encoding/binary"
	"encoding/hex"
	"math"
	"strings"
)

// MinSize is the length in bytes of the shortest probe: its fields alone.
const MinSize = len(mark) + 2*fieldBytes

// MaxCount is how many probes a run may have: what comes is noted with a bit each.
const MaxCount = 1 << 24

const (
	mark       = "bench "
	fieldBytes = 8 + 4 + 4 + 8
)

// Probe is what a measuring post says: the Seq-th (from 0) of the Count posts of a run, and when it was said.
type Probe struct {
	Run   uint64 // drawn by the sender: what tells two runs apart
	Seq   int
	Count int
	Sent  int64 // nanoseconds since 1970 on the sender's clock
}

// Text is the probe as the text of a post, filled up to size bytes if it is shorter. Making and reading probes is work
// that is measured with the rest, so it is to be little: the fields are of fixed length, in hexadecimal.
func (p Probe) Text(size int) string {
	var fields [fieldBytes]byte
	b := binary.BigEndian.AppendUint64(fields[:0], p.Run)
	b = binary.BigEndian.AppendUint32(b, uint32(p.Seq))
	b = binary.BigEndian.AppendUint32(b, uint32(p.Count))
	b = binary.BigEndian.AppendUint64(b, uint64(p.Sent))
	text := make([]byte, 0, max(size, MinSize))
	text = hex.AppendEncode(append(text, mark...), b)
	for len(text) < size {
		text = append(text, filling[:min(len(filling), size-len(text))]...)
	}
	return string(text)
}

const filling = "................................................................"

// Parse reads the text of a post; ok is false if it is no probe.
func Parse(text string) (p Probe, ok bool) {
	if len(text) < MinSize || !strings.HasPrefix(text, mark) {
		return p, false
	}
	var fields [fieldBytes]byte
	if _, err := hex.Decode(fields[:], []byte(text[len(mark):MinSize])); err != nil {
		return p, false
	}
	seq, count := binary.BigEndian.Uint32(fields[8:]), binary.BigEndian.Uint32(fields[12:])
	sent := binary.BigEndian.Uint64(fields[16:])
	if count > MaxCount || seq >= count || sent > math.MaxInt64 {
		return p, false
	}
	return Probe{Run: binary.BigEndian.Uint64(fields[:]), Seq: int(seq), Count: int(count), Sent: int64(sent)}, true
}
