package node

import (
	"maps"
	"time"

	"bcast/internal/wire"
)

// paceTime is the shortest time that a pace is of; one is of less than twice that while anything is sent.
const paceTime = 10 * time.Second

// pace finds how fast a node sends, from marks of its counters: the last, and the one before.
type pace struct{ before, last mark }

type mark struct {
	at    time.Duration
	sent  map[wire.Type]uint64
	bytes uint64
}

// roll sets a mark if the last is old.
func (p *pace) roll(now time.Duration, c *Counters) {
	if now >= p.last.at+paceTime {
		p.before, p.last = p.last, mark{now, maps.Clone(c.Sent), c.SentBytes}
	}
}

// Pace is what was sent per second lately, over at most the time that the node runs.
type Pace struct {
	Sent  map[wire.Type]float64 // datagrams; what is not sent is not there
	Bytes float64
}

func (p *pace) of(now time.Duration, c *Counters) Pace {
	found := Pace{Sent: map[wire.Type]float64{}}
	took := max(now-p.before.at, 1).Seconds()
	for kind, n := range c.Sent {
		if n -= p.before.sent[kind]; n > 0 {
			found.Sent[kind] = float64(n) / took
		}
	}
	found.Bytes = float64(c.SentBytes-p.before.bytes) / took
	return found
}
