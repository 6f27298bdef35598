package seal

import (
	"math"
	"math/rand/v2"
	"testing"
)

// naive is a Window by the book: all that was seen.
type naive struct {
	highest uint64
	seen    map[uint64]bool
}

func (n *naive) fresh(c uint64) bool {
	return c > 0 && !n.seen[c] && (c > n.highest || n.highest-c < windowSize)
}

func (n *naive) mark(c uint64) {
	n.seen[c] = true
	n.highest = max(n.highest, c)
}

func TestWindowAgainstNaiveModel(t *testing.T) {
	for seed := range uint64(200) {
		rng := rand.New(rand.NewPCG(seed, 0))
		w, n := Window{}, naive{seen: map[uint64]bool{}}
		base := uint64(1)
		if seed%4 == 3 {
			base = math.MaxUint64 - 5000
		}
		for range 2000 {
			c := base + rng.Uint64N(3*windowSize)
			if w.Fresh(c) != n.fresh(c) {
				t.Fatalf("seed %d: counter %d with highest %d: fresh is %v", seed, c, n.highest, w.Fresh(c))
			}
			if rng.IntN(10) > 0 { // one in ten is a forgery: looked at and not marked
				if n.fresh(c) || rng.IntN(2) == 0 { // two copies may pass before the first is marked
					w.Mark(c)
					n.mark(c)
				}
			}
			switch rng.IntN(400) {
			case 0:
				base += rng.Uint64N(20 * windowSize)
			case 1:
				base++
			}
			if base > math.MaxUint64-3*windowSize {
				base = math.MaxUint64 - 3*windowSize
			}
		}
	}
}

func TestWindowEdges(t *testing.T) {
	var w Window
	if w.Fresh(0) || !w.Fresh(1) || !w.Fresh(math.MaxUint64) {
		t.Error("the zero window")
	}
	w.Mark(windowSize + 5)
	if w.Fresh(5) || !w.Fresh(6) || w.Fresh(windowSize+5) || !w.Fresh(windowSize+6) {
		t.Error("the far edge")
	}
	w.Mark(5) // too old by now: must not take another's place
	for c := uint64(6); c < windowSize+5; c++ {
		if !w.Fresh(c) {
			t.Errorf("counter %d was never seen", c)
		}
	}
	w.Mark(math.MaxUint64)
	if w.Fresh(math.MaxUint64) || w.Fresh(7) || !w.Fresh(math.MaxUint64-1) {
		t.Error("the last counter")
	}
}

// Replay: within the window each number is taken once, in whatever order.
func TestADV_replay_A_counter_counts_once(t *testing.T) {
	var w Window
	for c := uint64(1); c < 5*windowSize; c++ {
		for _, again := range []uint64{c, c - min(c, 1), c - min(c, windowSize-1)} {
			if fresh := w.Fresh(again); fresh != (again == c) {
				t.Fatalf("at %d: %d fresh %v", c, again, fresh)
			}
			if again == c {
				w.Mark(c)
			}
		}
	}
}
