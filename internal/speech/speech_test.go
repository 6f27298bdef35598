package speech

import (
	"testing"
	"time"
)

var start = time.Date(2026, 11, 27, 12, 0, 0, 0, time.UTC)

// A burst goes at once, then one each time; what was not used is no more than a burst.
func TestPace(t *testing.T) {
	p := Pace{Burst: 3, Every: time.Second}
	taken := func(now time.Time) (n int) {
		for range 10 {
			if p.Take(now) {
				n++
			}
		}
		return n
	}
	for _, test := range []struct {
		after time.Duration
		want  int
	}{{0, 3}, {time.Second - 1, 0}, {time.Second, 1}, {3 * time.Second, 2}, {time.Hour, 3}} {
		now := start.Add(test.after)
		if n := taken(now); n != test.want {
			t.Errorf("after %v %d are taken, want %d", test.after, n, test.want)
		}
		if ready := p.Ready(); !ready.After(now) || ready.After(now.Add(p.Every)) {
			t.Errorf("after %v the next is ready at %v", test.after, ready.Sub(start))
		}
	}
}

func TestTimes(t *testing.T) {
	soon, late := start, start.Add(time.Second)
	for _, both := range [][2]time.Time{{soon, late}, {late, soon}} {
		if Later(both[0], both[1]) != late || Sooner(both[0], both[1]) != soon {
			t.Errorf("of %v", both)
		}
	}
	var never time.Time
	if Sooner(never, soon) != soon || Sooner(soon, never) != soon || !Sooner(never, never).IsZero() {
		t.Error("never comes first")
	}
}
