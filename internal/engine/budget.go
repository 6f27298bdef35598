package engine

import (
	"slices"
	"time"

	"bcast/chat"
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
	relief time.Duration // when one that waits behind what was just said may go first
	storm  storm
}

// storm is what all together broadcast on Wi-Fi, and which share of our rate is left to us because it was too much.
// Each device keeps to its own rate, and a crowd of them drowns the air all the same: so who hears that for stormAfter
// halves its rate, each second again, and takes an eighth of it back with each second in which it is quieter.
type storm struct {
	since          time.Duration
	bytes, packets int
	over           time.Duration // for how long it has been too much
	lost           float64       // share of our rate that we do without
}

// What we may broadcast: a wired segment is ours to an eighth of the slowest; on Wi-Fi, where a broadcast goes out at
// the lowest rate and to all, a tenth of the air at 1 Mbit/s.
const (
	wiredRate  = 1 << 20
	wiredBurst = 256 << 10
	wifiRate   = 12 << 10
	wifiBurst  = 24 << 10
	maxQueued  = 1024 // of a class; the oldest is dropped, and repaired like any other loss

	// maxAhead and maxDelay are how much of what was just said waits, and how long, until who says more has to.
	maxAhead = 64
	maxDelay = 250 * time.Millisecond

	waitMost   = time.Second
	reliefEach = 250 * time.Millisecond

	stormBytes   = 24 << 10 // a second, of all together on Wi-Fi
	stormPackets = 200
	stormAfter   = 5 * time.Second
	stormLeast   = 1.0 / 8 // of our rate is left to us in any storm
	stormBack    = 1.0 / 8
)

// hear counts a broadcast of anybody, our own too.
func (b *budget) hear(now time.Duration, bytes int) {
	s := &b.storm
	if passed := now - s.since; passed >= time.Second {
		b.refill(now) // what came so far came at the old rate
		most := passed.Seconds()
		if float64(s.bytes) > stormBytes*most || float64(s.packets) > stormPackets*most {
			if s.over += passed; s.over >= stormAfter {
				s.lost = min(1-(1-s.lost)/2, 1-stormLeast)
			}
		} else {
			s.over, s.lost = 0, max(0, s.lost-stormBack*passed.Seconds())
		}
		s.since, s.bytes, s.packets = now, 0, 0
	}
	s.bytes += bytes
	s.packets++
}

// pace is what we may broadcast now, in bytes a second: less in a storm, unless the user set it.
func (b *budget) pace() float64 {
	if b.wifi && b.fixed == 0 {
		return b.rate * (1 - b.storm.lost)
	}
	return b.rate
}

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
	b.tokens = min(b.burst, b.tokens+b.pace()*(now-b.at).Seconds())
	b.at = now
}

func (b *budget) queue(o outgoing) {
	q := &b.queues[o.send.Class]
	*q = append(*q, o)
	if len(*q) > maxQueued {
		*q = (*q)[1:]
	}
}

// isBehind tells whether what was just said waits so long, or is so much, that who said it should wait, too.
func (b *budget) isBehind() bool {
	q := b.queues[chat.Fresh]
	return len(q) > maxAhead || len(q) > 0 && b.at-q[0].at > maxDelay
}

// next is what may go now, what was just said before repairs, those before the rest; but now and then one that waited
// for waitMost goes first: a head, a digest. Who says more than the budget carries would otherwise tell nobody of it,
// and so nobody would ask.
func (b *budget) next(now time.Duration) (outgoing, bool) {
	b.refill(now)
	if b.tokens < 0 {
		return outgoing{}, false
	}
	if now >= b.relief {
		for c := len(b.queues) - 1; c > 0; c-- {
			if q := b.queues[c]; len(q) > 0 && now >= q[0].at+waitMost {
				b.relief = now + reliefEach
				return b.pop(c), true
			}
		}
	}
	for c := range b.queues {
		if len(b.queues[c]) > 0 {
			return b.pop(c), true
		}
	}
	return outgoing{}, false
}

func (b *budget) pop(class int) outgoing {
	o := b.queues[class][0]
	b.queues[class] = b.queues[class][1:]
	return o
}

func (b *budget) spend(bytes int) {
	b.tokens -= float64(bytes)
	b.hear(b.at, bytes)
}

// spare takes of the budget what nobody waits for, at most so many bytes; half of what may go at once is left to who
// speaks next.
func (b *budget) spare(now time.Duration, most int) int {
	b.refill(now)
	for _, q := range b.queues {
		if len(q) > 0 {
			return 0
		}
	}
	taken := max(0, min(most, int(b.tokens-b.burst/2)))
	b.spend(taken)
	return taken
}

// SpareBudget takes of what we may broadcast (R31) what the rooms leave, for a push, at most so many bytes. On Wi-Fi it
// gives nothing: there nothing large is broadcast.
func (e *Engine) SpareBudget(now Now, most int) (bytes int, wifi bool) {
	if e.budget.wifi && e.budget.fixed == 0 {
		return 0, true
	}
	return e.budget.spare(now.Mono, most), false
}

// deadline is when what waits may go.
func (b *budget) deadline() time.Duration {
	for _, q := range b.queues {
		if len(q) > 0 {
			return b.at + time.Duration(max(-b.tokens, 0)/b.pace()*float64(time.Second)) + time.Millisecond
		}
	}
	return never
}
