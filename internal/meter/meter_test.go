package meter

import (
	"strings"
	"testing"
	"time"
)

func TestProbeComesBackAsItWas(t *testing.T) {
	p := Probe{Run: 0xfedcba9876543210, Seq: 41, Count: 42, Sent: 1_790_000_000_123_456_789}
	for _, size := range []int{0, MinSize, 200, 16 << 10} {
		text := p.Text(size)
		if len(text) != max(size, MinSize) {
			t.Errorf("size %d: %d bytes", size, len(text))
		}
		if got, ok := Parse(text); !ok || got != p {
			t.Errorf("size %d: %+v, %t", size, got, ok)
		}
	}
}

func TestParseRefuses(t *testing.T) {
	good := Probe{Run: 1, Seq: 0, Count: 1, Sent: 1}.Text(0)
	for _, text := range []string{
		"", "bench", "hello there", good[:len(good)-1], "x" + good[1:],
		Probe{Run: 1, Seq: 1, Count: 1}.Text(0), Probe{Run: 1, Seq: -1, Count: 1}.Text(0),
		Probe{Run: 1, Seq: 1, Count: MaxCount + 1}.Text(0), strings.Replace(good, "0", "z", 1),
	} {
		if p, ok := Parse(text); ok {
			t.Errorf("%q is %+v", text, p)
		}
	}
}

func TestTally(t *testing.T) {
	var tally Tally
	start := time.Unix(1000, 0)
	say := func(run uint64, seq, count int, delay time.Duration) {
		sent := start.Add(time.Duration(seq) * time.Second)
		tally.Add(Probe{Run: run, Seq: seq, Count: count, Sent: sent.UnixNano()}, 200, sent.Add(delay))
	}
	if tally.Complete(0) || !tally.Last().IsZero() {
		t.Error("nothing is complete")
	}
	for seq := range 100 {
		if seq != 7 {
			say(1, seq, 100, time.Duration(seq)*time.Millisecond)
		}
	}
	say(1, 3, 100, time.Hour) // twice
	say(1, 3, 99, 0)          // of another length: does not count
	if tally.Complete(0) {
		t.Error("complete without number 7")
	}
	if got := tally.Summary(); got.Sent != 100 || got.Received != 99 || got.Lost != 1 || got.Duplicates != 1 ||
		got.Bytes != 99*200 || !near(got.P50, 50*time.Millisecond) || !near(got.P99, 99*time.Millisecond) ||
		got.Max != 99*time.Millisecond {
		t.Errorf("%+v", got)
	}
	say(1, 7, 100, 7*time.Millisecond)
	if !tally.Complete(0) || !tally.Complete(100) || tally.Complete(101) {
		t.Error("complete with all, and not with more")
	}
	say(2, 0, 2, 0)
	if tally.Complete(0) {
		t.Error("the other run is not complete")
	}
}

// A Tally must not grow with what strangers send.
func TestTallyIsBounded(t *testing.T) {
	var tally Tally
	for run := range uint64(2 * maxRuns) {
		tally.Add(Probe{Run: run, Count: 1}, 200, time.Unix(1, 0))
	}
	if tally.Summary().Received != maxRuns {
		t.Errorf("%+v", tally.Summary())
	}
}

func near(got, want time.Duration) bool { return got >= want && got <= want+want/bucketsEach }

func TestBuckets(t *testing.T) {
	last := -1
	for _, d := range []uint64{0, 1, 31, 32, 33, 63, 64, 65, 66, 1000, 1 << 20, 1<<20 + 1<<16, 1<<63 - 1} {
		i := bucketOf(d)
		if i < last || i >= 64*bucketsEach || bucketEnd(i) < d || bucketEnd(i) > d+d/bucketsEach {
			t.Errorf("%d: bucket %d, which ends at %d", d, i, bucketEnd(i))
		}
		last = i
	}
}

func BenchmarkParse(b *testing.B) {
	text := Probe{Run: 1, Seq: 2, Count: 3, Sent: 4}.Text(200)
	b.ReportAllocs()
	for b.Loop() {
		if _, ok := Parse(text); !ok {
			b.Fatal("no probe")
		}
	}
}
