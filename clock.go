package bcast

import (
	"time"

	"bcast/internal/engine"
)

// clock turns the engine's moments into times of day.
type clock struct{ zero time.Time }

// clockSet is how far the clock of this host has to go otherwise than time passes to count as set.
const clockSet = 100 * time.Millisecond

// clock is the one now. The host's clock and the one that counts moments are read one after the other, so that how far
// they are apart is never quite the same: what happened once is told with one time, until the clock is set.
func (n *Node) clock(now engine.Now) clock {
	zero := now.Wall.Round(0).Add(-now.Mono) // without what Sub would rather look at: the other clock
	if zero.Sub(n.began.zero).Abs() > clockSet {
		n.began = clock{zero}
	}
	return n.began
}

func (c clock) at(mono time.Duration) time.Time { return c.zero.Add(mono).UTC() }

// maybe is nil for what never happened, which discovery says with a negative moment.
func (c clock) maybe(mono time.Duration) *time.Time {
	if mono < 0 {
		return nil
	}
	t := c.at(mono)
	return &t
}
