package engine

import (
	"net/netip"
	"slices"
	"time"
)

// Cut datagrams are shown, for they tell that a buffer is too small; and bounded, for anybody can send them: the first
// of a source at once, then one event a second for all that came.
const (
	cutsShown     = time.Second
	maxCutSources = 16 // told apart at one time; what comes from more is told together, as from nowhere
)

// cutSource is a source of cut datagrams that was shown within cutsShown, and the last that came since.
type cutSource struct {
	from netip.AddrPort
	last Cut // Count of them; 0: none came since
	due  time.Duration
}

// cuts are the sources shown lately, in the order in which they are due.
type cuts struct{ sources []cutSource }

// add takes a cut datagram and tells whether it is to be shown now; else it is counted until its source is due.
func (c *cuts) add(now time.Duration, cut Cut) (Cut, bool) {
	cut.Count = 1
	i := c.find(cut.From)
	if i < 0 && len(c.sources) >= maxCutSources {
		cut = Cut{Received: cut.Received, Size: cut.Size, Count: 1}
		i = c.find(cut.From)
	}
	if i < 0 {
		c.sources = append(c.sources, cutSource{from: cut.From, due: now + cutsShown})
		return cut, true
	}
	cut.Count += c.sources[i].last.Count
	c.sources[i].last = cut
	return Cut{}, false
}

func (c *cuts) find(from netip.AddrPort) int {
	return slices.IndexFunc(c.sources, func(s cutSource) bool { return s.from == from })
}

// take is the next that is due to be shown. A source of which nothing came is forgotten.
func (c *cuts) take(now time.Duration) (Cut, bool) {
	for len(c.sources) > 0 && now >= c.sources[0].due {
		s := c.sources[0]
		c.sources = c.sources[1:]
		if s.last.Count > 0 {
			c.sources = append(c.sources, cutSource{from: s.from, due: now + cutsShown})
			return s.last, true
		}
	}
	return Cut{}, false
}

func (c *cuts) deadline() time.Duration {
	if len(c.sources) == 0 {
		return never
	}
	return c.sources[0].due
}

func (e *Engine) showCut(cut Cut) {
	e.out.Events = append(e.out.Events, Event{Kind: CutEvent, Room: cut.Room, Cut: &cut})
}

// showCuts shows what came of sources that were shown a while ago.
func (e *Engine) showCuts(now time.Duration) {
	for cut, due := e.cuts.take(now); due; cut, due = e.cuts.take(now) {
		e.showCut(cut)
	}
}
