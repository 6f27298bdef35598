package engine

import (
	"slices"
	"time"

	"bcast/internal/wire"
)

// budget bounds what we broadcast: a token bucket for each kind of link, and what waits for it, by class.
type budget struct {
	wifi   bool
	fixed  int // bytes a second the user set; 0: by the kind of link
	rate   float64
	burst  float64
	tokens float64
	at     time.Duration
	queues [3][]outgoing // by chat.Class
}

// What we may broadcast: a wired segment is ours to an eighth of the slowest; on Wi-Fi, where a broadcast goes out at
// the lowest rate and to all, a tenth of the air at 1 Mbit/s.
const (
	wiredRate  = 1 << 20
	wiredBurst = 256 << 10
	wifiRate   = 12 << 10
	wifiBurst  = 24 << 10
	maxQueued  = 1024 // of a class; the oldest is dropped, and repaired like any other loss
)

// fitBudget puts us on the Wi-Fi budget while one of our links or a member of one of our rooms is on Wi-Fi (R31): what
// a wired host broadcasts, a bridged access point sends at its lowest rate.
func (e *Engine) fitBudget(now Now) {
	wifi := slices.ContainsFunc(e.ifaces, func(i Interface) bool { return i.Wifi })
	for _, r := range e.ordered {
		for _, s := range e.active(r) {
			wifi = wifi || s.chat.OnWifi()
		}
	}
	if wifi != e.budget.wifi {
		e.budget.setLink(now.Mono, wifi)
	}
}

func (b *budget) init(now time.Duration, fixed int) {
	b.fixed, b.at = fixed, now
	b.setLink(now, false)
	b.tokens = b.burst
}

func (b *budget) setLink(now time.Duration, wifi bool) {
	b.refill(now)
	b.wifi, b.rate, b.burst = wifi, wiredRate, wiredBurst
	if wifi {
		b.rate, b.burst = wifiRate, wifiBurst
	}
	if b.fixed > 0 {
		b.rate, b.burst = float64(b.fixed), float64(max(2*b.fixed, wire.MaxDatagram))
	}
	b.tokens = min(b.tokens, b.burst)
}

func (b *budget) refill(now time.Duration) {
	b.tokens = min(b.burst, b.tokens+b.rate*(now-b.at).Seconds())
	b.at = now
}

func (b *budget) queue(o outgoing) {
	q := &b.queues[o.send.Class]
	*q = append(*q, o)
	if len(*q) > maxQueued {
		*q = (*q)[1:]
	}
}

// next is what may go now, what was just said before repairs, those before the rest.
func (b *budget) next(now time.Duration) (outgoing, bool) {
	b.refill(now)
	for c := range b.queues {
		if q := b.queues[c]; len(q) > 0 {
			if b.tokens < 0 {
				return outgoing{}, false
			}
			b.queues[c] = q[1:]
			return q[0], true
		}
	}
	return outgoing{}, false
}

func (b *budget) spend(bytes int) { b.tokens -= float64(bytes) }

// deadline is when what waits may go.
func (b *budget) deadline() time.Duration {
	for _, q := range b.queues {
		if len(q) > 0 {
			return b.at + time.Duration(max(-b.tokens, 0)/b.rate*float64(time.Second)) + time.Millisecond
		}
	}
	return never
}
