package meter

import (
	"math/bits"
	"time"
)

// maxRuns is how many runs a Tally tells apart; probes of further ones do not count.
const maxRuns = 64

// Tally counts the probes that came. The zero Tally has seen none.
type Tally struct {
	runs        map[uint64]*run
	lately      *run // of the last probe: mostly that of the next one, too
	delays      delays
	received    int
	duplicates  int
	bytes       int64
	first, last time.Time
}

// run is what came of the probes of one sender.
type run struct {
	id              uint64
	count, received int
	seen            []uint64 // a bit a probe
}

// Add counts a probe of size bytes that came now.
func (t *Tally) Add(p Probe, size int, now time.Time) {
	r := t.runOf(p, now)
	if r == nil || p.Count != r.count {
		return // one too many, or of a sender that cannot make up its mind
	}
	t.last = now
	word, bit := p.Seq/64, uint64(1)<<(p.Seq%64)
	if r.seen[word]&bit != 0 {
		t.duplicates++
		return
	}
	r.seen[word] |= bit
	r.received++
	t.received++
	t.bytes += int64(size)
	t.delays.add(time.Duration(now.UnixNano() - p.Sent))
}

// runOf is the run of a probe, begun if it is a new one; nil if that would be one too many.
func (t *Tally) runOf(p Probe, now time.Time) *run {
	if t.lately != nil && t.lately.id == p.Run {
		return t.lately
	}
	r := t.runs[p.Run]
	if r == nil {
		if len(t.runs) >= maxRuns {
			return nil
		}
		if t.runs == nil {
			t.runs, t.first = map[uint64]*run{}, now
		}
		r = &run{id: p.Run, count: p.Count, seen: make([]uint64, (p.Count+63)/64)}
		t.runs[p.Run] = r
	}
	t.lately = r
	return r
}

// Complete tells whether every run that was heard of is there whole, and together they are count probes or more.
func (t *Tally) Complete(count int) bool {
	if t.received < max(count, 1) {
		return false
	}
	for _, r := range t.runs {
		if r.received < r.count {
			return false
		}
	}
	return true
}

// Last is when the newest probe came; zero: none did.
func (t *Tally) Last() time.Time { return t.last }

// Summary is what a Tally found.
type Summary struct {
	Sent, Received, Lost, Duplicates int
	Bytes                            int64         // of the posts that came, once each
	Took                             time.Duration // from the first to the last that came
	P50, P99, Max                    time.Duration // from being said to coming, by the clocks of both hosts
}

// Summary counts up.
func (t *Tally) Summary() Summary {
	s := Summary{Received: t.received, Duplicates: t.duplicates, Bytes: t.bytes, Took: t.last.Sub(t.first)}
	for _, r := range t.runs {
		s.Sent += r.count
	}
	s.Lost = s.Sent - s.Received
	s.P50, s.P99, s.Max = t.delays.quantile(0.5), t.delays.quantile(0.99), t.delays.max
	return s
}

// delays is how often which delay occurred, in buckets 3 % wide: as exact for a microsecond as for a minute.
type delays struct {
	buckets [64 * bucketsEach]uint32
	count   uint64
	max     time.Duration
}

const (
	bucketBits  = 5
	bucketsEach = 1 << bucketBits // of every power of two
)

// add counts d. A delay below zero is one of a clock behind the sender's, and counts as none.
func (h *delays) add(d time.Duration) {
	d = max(d, 0)
	h.max = max(h.max, d)
	h.buckets[bucketOf(uint64(d))]++
	h.count++
}

// quantile is the delay that share q of all did not exceed.
func (h *delays) quantile(q float64) time.Duration {
	below := uint64(q * float64(h.count))
	for i, n := range h.buckets {
		if n := uint64(n); below < n {
			return min(time.Duration(bucketEnd(i)), h.max)
		} else {
			below -= n
		}
	}
	return h.max
}

// bucketOf is the bucket of a delay: below bucketsEach its own, above them bucketsEach for each power of two.
func bucketOf(d uint64) int {
	shift := max(bits.Len64(d)-bucketBits-1, 0)
	return shift*bucketsEach + int(d>>shift)
}

// bucketEnd is the largest delay of a bucket.
func bucketEnd(i int) uint64 {
	shift := max(i/bucketsEach-1, 0)
	return uint64(i-shift*bucketsEach+1)<<shift - 1
}
