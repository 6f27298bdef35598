// Package speech is what the foreign discovery protocols share of speaking on a link: datagrams to be sent, when, and
// how often at most.
//
// Its invariant: no more is allowed in any time than a Pace says, whatever asks for it.
package speech

import (
	"math/rand/v2"
	"net/netip"
	"time"
)

// Packet is a datagram to be sent: to a group, or to who asked.
type Packet struct {
	To   netip.AddrPort
	Data []byte
}

// Pace is how often something may be done: Burst times at once, and on average each Every.
type Pace struct {
	Burst int
	Every time.Duration
	until time.Time // so long what was done counts
}

// Ready is when it may be done next.
func (p *Pace) Ready() time.Time { return p.until.Add(-time.Duration(p.Burst-1) * p.Every) }

// Take reports whether it may be done now, and counts it if so.
func (p *Pace) Take(now time.Time) bool {
	if p.Ready().After(now) {
		return false
	}
	p.until = Later(p.until, now).Add(p.Every)
	return true
}

// Later is the later of two times.
func Later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// Sooner is the earlier of two times, of which one that is zero is never.
func Sooner(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}

// Between draws evenly between two waits, the first included.
func Between(dice *rand.Rand, least, most time.Duration) time.Duration {
	return least + time.Duration(dice.Int64N(int64(most-least)))
}
