package bcast

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"bcast/internal/record"
)

// Who speaks is not further ahead of the slowest member here than the window, and waits for nobody for ever.
func TestFlowWaitsForTheSlowest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFlow()
		f.hear(record.ID{200}, 2) // nobody asked yet
		entered := make(chan int64, 1024)
		go func() {
			defer close(entered)
			for n := byte(1); n <= 80; n++ {
				at, marking, err := f.enter(t.Context(), flowMarkEach)
				if err != nil || !marking {
					t.Errorf("marking %v, %v", marking, err)
					return
				}
				if n == 2 {
					f.hear(record.ID{n}, 1) // before it is known that it asked
				}
				f.mark(at, record.ID{n}, 2)
				entered <- at
			}
		}()
		count := func() int { synctest.Wait(); return len(entered) }
		const most = flowWindow/flowMarkEach + 1
		if n := count(); n != most {
			t.Fatalf("%d said ahead, want %d", n, most)
		}
		if f.hear(record.ID{3}, 1); count() != most {
			t.Errorf("%d said though one of two has it", count())
		}
		if f.hear(record.ID{3}, 2); count() != most+3 {
			t.Errorf("%d said when both have three, want %d", count(), most+3)
		}
		f.hear(record.ID{most + 3}, 1) // the other is gone
		time.Sleep(flowShed)
		gone := count()
		if gone <= most+3 {
			t.Fatal("one that is gone is waited for for ever")
		}
		if f.hear(record.ID{byte(gone)}, 1); count() != 2*gone-most-3 {
			t.Errorf("%d said after the other one had all of %d", count(), gone)
		}
		now := byte(count())
		f.hear(record.ID{now}, 2) // it is back, and is waited for again
		f.hear(record.ID{byte(count())}, 1)
		if n := count(); n != int(now)+most {
			t.Errorf("%d said while one who came back has %d", n, now)
		}
		for len(entered) < 80 {
			f.hear(record.ID{byte(count())}, 2)
		}
		if len(f.marks) > most || len(f.early) > flowEarly {
			t.Errorf("%d marks, %d receipts before theirs", len(f.marks), len(f.early))
		}
	})
}

// A large room is asked for receipts more seldom, and still several times in a window.
func TestFlowAsksALargeRoomSeldom(t *testing.T) {
	for _, c := range []struct{ here, marks int }{{1, 10}, {9, 10}, {15, 5}, {39, 4}, {10_000, 4}} {
		f, marks := newFlow(), 0
		f.mark(0, record.ID{}, c.here)
		for n := 0; n < flowWindow; n += 32 << 10 {
			if wake, _, marking := f.take(32 << 10); wake != nil {
				t.Fatalf("%d here: waits after %d bytes", c.here, n)
			} else if marking {
				marks++
			}
		}
		if marks != c.marks {
			t.Errorf("%d here: asked %d times in a window, want %d", c.here, marks, c.marks)
		}
	}
}

func TestFlowEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFlow()
		if _, marking, err := f.enter(t.Context(), flowWindow+1); err != nil || !marking {
			t.Fatal(marking, err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, _, err := f.enter(ctx, 1); !errors.Is(err, context.DeadlineExceeded) {
			t.Error(err)
		}
	})
}
